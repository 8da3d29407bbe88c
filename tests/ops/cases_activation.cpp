#include "ops/activation.h"

#include "ops/op_case.h"

namespace trainctl::test {
namespace {

std::vector<OpCase> activation_cases() {
  using Kind = Activation::Kind;
  std::vector<OpCase> cases;
  for (const Activation f : {Activation{Kind::relu},
                             {Kind::leaky_relu, 0.01},
                             {Kind::leaky_relu, 0.0},
                             {Kind::elu, 1.0},
                             {Kind::elu, 0.5},
                             {Kind::gelu},
                             {Kind::gelu_tanh},
                             {Kind::silu},
                             {Kind::sigmoid},
                             {Kind::tanh},
                             {Kind::hardswish},
                             {Kind::softplus, 1.0},
                             {Kind::softplus, 2.5}}) {
    const AttributesPtr attributes = shared(ActivationAttributes(f));
    const bool smooth = f.kind != Kind::relu && f.kind != Kind::leaky_relu && f.kind != Kind::elu;
    const Domain domain = f.kind == Kind::hardswish ? Domain::uniform(-2.9, 2.9)
                          : smooth                  ? Domain::uniform(-3.0, 3.0)
                                                    : Domain::away_from_zero();
    cases.push_back({"activation", f.text() + " vector", attributes, {wanted({37}, domain)}});
    cases.push_back({"activation", f.text() + " image", attributes, {wanted({2, 3, 5, 7}, domain)}});
    cases.push_back({"activation", f.text() + " large", attributes, {f32({33, 130}, Domain::uniform(-30.0, 30.0))}});
    cases.push_back(with_nan({"activation", f.text() + " keeps nan", attributes, {f32({3, 37}, domain)}}));
    // Any number may stand in for the saved input; an output lies in the activation's range.
    const Domain saved = f.kind == Kind::sigmoid     ? Domain::uniform(0.0, 1.0)
                         : f.kind == Kind::elu       ? Domain::uniform(-f.alpha, 2.0)
                         : f.kind == Kind::softplus  ? Domain::uniform(0.0, 3.0)
                         : f.kind == Kind::hardswish ? Domain::uniform(-5.0, 5.0)
                                                     : Domain::uniform(-1.0, 1.0);
    cases.push_back({"activation_backward", f.text() + " vector", attributes, {f32({37}), f32({37}, saved)}});
    cases.push_back(
        {"activation_backward", f.text() + " image", attributes, {f32({2, 16, 5, 7}), f32({2, 16, 5, 7}, saved)}});
    cases.push_back({"activation_backward", f.text() + " large", attributes, {f32({33, 130}), f32({33, 130}, saved)}});
  }
  return cases;
}

const RegisterCases cases(activation_cases());

}  // namespace
}  // namespace trainctl::test
