#include "nn/functional.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

/// Joins the axes from start_dim on: (N, C, H, W) becomes (N, C*H*W). Copies nothing.
struct Flatten final : Layer {
  std::int64_t start_dim = 1;

  static Schema<Flatten> schema() {
    return Schema<Flatten>("Join the axes of each sample into one.")
        .field("start_dim", &Flatten::start_dim, at_least(1), "First of the joined axes; the batch is axis 0.")
        .example("flatten");
  }
  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "flatten");
    const int first = static_cast<int>(start_dim);
    if (start_dim > x.shape().rank())
      fail(ErrorKind::config, "flatten starts at axis {}, and the input is {}", start_dim, x.shape().text());
    Shape shape = x.shape().slice(0, first);
    shape.push_back(x.shape().slice(first).elements());
    return {nn::reshape(b, x, shape)};
  }
};

const Register<Layer, Flatten> registered{"flatten"};

}  // namespace
}  // namespace trainctl
