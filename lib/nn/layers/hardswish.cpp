#include "nn/functional.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

/// y = x min(max(x + 3, 0), 6) / 6, elementwise: silu by straight lines (Howard et al., 2019).
struct Hardswish final : Layer {
  static Schema<Hardswish> schema() {
    return Schema<Hardswish>("Input gated by a piecewise linear sigmoid.").example("hardswish");
  }
  Values build(Builder& b, const Values& in) const override {
    return {nn::activation(b, only(in, "hardswish"), Activation::Kind::hardswish)};
  }
};

const Register<Layer, Hardswish> registered{"hardswish"};

}  // namespace
}  // namespace trainctl
