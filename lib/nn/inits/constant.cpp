#include "nn/init.h"

namespace trainctl {
namespace {

struct ConstantInit final : Initializer {
  double value = 0.0;
  static Schema<ConstantInit> schema() {
    return Schema<ConstantInit>("Every element the same value.")
        .required("value", &ConstantInit::value, "The value.")
        .example("{type: linear, out_features: 10, bias_init: {type: constant, value: 0.1}}");
  }
  Init init(const Fans&) const override { return Init::constant(value); }
};

struct Zeros final : Initializer {
  static Schema<Zeros> schema() {
    return Schema<Zeros>("Zeros.").example("{type: linear, out_features: 10, bias_init: zeros}");
  }
  Init init(const Fans&) const override { return Init::zeros(); }
};

struct Ones final : Initializer {
  static Schema<Ones> schema() {
    return Schema<Ones>("Ones.").example("{type: linear, out_features: 10, bias_init: ones}");
  }
  Init init(const Fans&) const override { return Init::constant(1.0); }
};

const Register<Initializer, ConstantInit> constant{"constant"};
const Register<Initializer, Zeros> zeros{"zeros"};
const Register<Initializer, Ones> ones{"ones"};

}  // namespace
}  // namespace trainctl
