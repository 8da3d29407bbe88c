#include "nn/layers/pooling.h"
#include "ops/joining.h"

namespace trainctl {
namespace {

enum class PoolingMode { max, average };

}  // namespace

template <>
struct EnumNames<PoolingMode> {
  static constexpr EnumName<PoolingMode> names[] = {{PoolingMode::max, "max"}, {PoolingMode::average, "average"}};
};

namespace {

/// Spatial pyramid pooling (He, Zhang, Ren & Sun, 2014): images of any size become vectors of one length. Level n cuts
/// the image into n x n windows, as adaptive pooling does; the features of all levels stand one behind the other. The
/// one level [1] is global pooling.
/// Shapes: x (N, C, H, W), y (N, C sum of n^2 over the levels); a level's features are those of channel 0, row by row,
///   then those of channel 1, ...
struct PyramidPooling final : Layer {
  std::vector<std::int64_t> levels{1, 2, 4};
  PoolingMode mode = PoolingMode::max;

  static Schema<PyramidPooling> schema() {
    return Schema<PyramidPooling>("Pool an image on grids of several sizes and join the features.")
        .field("levels", &PyramidPooling::levels, at_least(1), non_empty(), "Windows along each axis, for each level.")
        .field("mode", &PyramidPooling::mode, "Whether a window gives its maximum or its mean.")
        .example("{type: pyramid_pooling, levels: [1, 2, 3, 6], mode: average}");
  }
  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "pyramid_pooling");
    const char* op = mode == PoolingMode::max ? "max_pool2d" : "avg_pool2d";
    Values features;
    for (const std::int64_t n : levels) {
      const Value y = adaptive_pool(b, op, "pyramid_pooling", x, {n, n});
      features.push_back(nn::reshape(b, y, {x.dim(0), x.dim(1) * n * n}));
    }
    if (features.size() == 1) return features;
    return {b.apply1("concat", nn::attributes(ConcatAttributes(1)), features)};
  }
};

const Register<Layer, PyramidPooling> registered{"pyramid_pooling"};

}  // namespace
}  // namespace trainctl
