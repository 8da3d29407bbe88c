#include "nn/layers/pooling.h"

namespace trainctl {
namespace {

/// Pooling to an image of a given size: of H rows, row i of OH takes [floor(i H / OH), ceil((i + 1) H / OH)), as
/// PyTorch's.
/// Shapes: x (N, C, H, W), y (N, C, OH, OW), (OH, OW) = output_size.
struct AdaptivePool2d : Layer {
  Pair<std::int64_t> output_size{1, 1};

 protected:
  template <typename T>
  static Schema<T> fields(const char* doc) {
    return Schema<T>(doc).required("output_size", &AdaptivePool2d::output_size, at_least(1),
                                   "Height and width of the output.", unit("pixels"));
  }
  Values pool(Builder& b, const Values& in, std::string_view op, std::string_view type) const {
    return {adaptive_pool(b, op, type, only(in, type), output_size)};
  }
};

/// y = the mean of each window.
struct AdaptiveAvgPool2d final : AdaptivePool2d {
  static Schema<AdaptiveAvgPool2d> schema() {
    return fields<AdaptiveAvgPool2d>("Means of windows that make an image of a given size.")
        .example("{type: adaptive_avg_pool2d, output_size: 7}");
  }
  Values build(Builder& b, const Values& in) const override { return pool(b, in, "avg_pool2d", "adaptive_avg_pool2d"); }
};

/// y = the maximum of each window.
struct AdaptiveMaxPool2d final : AdaptivePool2d {
  static Schema<AdaptiveMaxPool2d> schema() {
    return fields<AdaptiveMaxPool2d>("Maxima of windows that make an image of a given size.")
        .example("{type: adaptive_max_pool2d, output_size: [2, 3]}");
  }
  Values build(Builder& b, const Values& in) const override { return pool(b, in, "max_pool2d", "adaptive_max_pool2d"); }
};

const Register<Layer, AdaptiveAvgPool2d> average{"adaptive_avg_pool2d"};
const Register<Layer, AdaptiveMaxPool2d> maximum{"adaptive_max_pool2d"};

}  // namespace
}  // namespace trainctl
