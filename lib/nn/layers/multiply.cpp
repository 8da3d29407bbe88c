#include "nn/functional.h"
#include "nn/layer.h"
#include "ops/along.h"

namespace trainctl {
namespace {

/// y = x_1 x_2 ..., elementwise. Beside inputs (N, C, ...) one of a number for each channel, (N, C) or (N, C, 1, 1),
/// holds for the channel's whole image: the gates of squeeze-and-excitation (Hu, Shen & Sun, 2018).
struct Multiply final : Layer {
  static Schema<Multiply> schema() {
    return Schema<Multiply>("Product of the inputs; one number for each channel holds for its whole image.")
        .example("{type: multiply, inputs: [conv, gate]}");
  }
  Values build(Builder& b, const Values& in) const override {
    Value product = in.at(0);
    for (std::size_t i = 1; i < in.size(); ++i) product = multiply(b, product, in[i]);
    return {product};
  }

 private:
  static bool gates(const Shape& gate, const Shape& x) {
    return x.rank() > 2 && gate.rank() >= 2 && gate[0] == x[0] && gate[1] == x[1] && gate.slice(2).elements() == 1;
  }
  static Value multiply(Builder& b, Value x, Value y) {
    if (x.shape() == y.shape()) return b.apply1("multiply", nullptr, {x, y});
    if (gates(x.shape(), y.shape())) std::swap(x, y);
    if (!gates(y.shape(), x.shape())) {
      fail(ErrorKind::config,
           "multiply needs inputs of one shape, or one with a number for each channel (N, C), got {} and {}",
           x.shape().text(), y.shape().text());
    }
    const Shape shape = x.shape();
    const Value gate = nn::reshape(b, y, {shape[0], shape[1]});
    return b.apply1("scale_along", nn::attributes(AlongAttributes(shape, 0, 2)), {gate, x});
  }
};

const Register<Layer, Multiply> registered{"multiply"};

}  // namespace
}  // namespace trainctl
