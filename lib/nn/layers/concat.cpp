#include "nn/functional.h"
#include "nn/layer.h"
#include "ops/joining.h"

namespace trainctl {
namespace {

/// The inputs one behind the other along one axis: (N, C1, H, W) and (N, C2, H, W) become (N, C1 + C2, H, W).
struct Concat final : Layer {
  std::int64_t dim = 1;

  static Schema<Concat> schema() {
    return Schema<Concat>("Join the inputs along one axis.")
        .field("dim", &Concat::dim, at_least(1), "The axis; 0 is the batch.")
        .example("{type: concat, inputs: [left, right]}");
  }
  Values build(Builder& b, const Values& in) const override {
    for (const Value& x : in) {
      if (dim >= x.shape().rank())
        fail(ErrorKind::config, "concat joins along axis {}, and an input is {}", dim, x.shape().text());
    }
    if (in.size() == 1) return in;
    return {b.apply1("concat", nn::attributes(ConcatAttributes(static_cast<int>(dim))), in)};
  }
};

const Register<Layer, Concat> registered{"concat"};

}  // namespace
}  // namespace trainctl
