#include "ops/optimizer.h"

#include <cmath>

#include "ops/op_case.h"

namespace trainctl::test {
namespace {

const Domain positive = Domain::uniform(0.01, 1.0);
constexpr std::int64_t sizes[] = {1, 37, 4099};

std::vector<OpCase> sgd_cases() {
  std::vector<OpCase> cases;
  for (const std::int64_t n : sizes) {
    const auto add = [&](const char* name, SgdAttributes attributes, bool buffer, double decay, Operand g_scale = {},
                         Operand finite = {}) {
      cases.push_back({"sgd",
                       fmt::format("{} {}", name, n),
                       shared(attributes),
                       {f32({n}), f32({n}), buffer ? f32({n}) : left_out(), scalar(0.1), scalar(decay),
                        scalar(buffer ? 0.9 : 0.0), g_scale, finite}});
    };
    SgdAttributes nesterov;
    nesterov.nesterov = true;
    add("plain", {}, false, 0.0);
    add("decay", {}, false, 0.01);
    add("momentum", {}, true, 0.01);
    add("nesterov", nesterov, true, 0.01);
    add("clipped", {}, true, 0.01, scalar(0.25));
    add("finite", {}, true, 0.01, scalar(0.25), scalar(1, DType::i32));
    add("not finite", {}, true, 0.01, {}, scalar(0, DType::i32));
    add("not finite, no buffer", {}, false, 0.01, {}, scalar(0, DType::i32));
  }
  return cases;
}

std::vector<OpCase> adam_cases() {
  std::vector<OpCase> cases;
  AdamAttributes coupled, decoupled;
  decoupled.decoupled = true;
  decoupled.beta1 = 0.8;
  decoupled.eps = 1e-6;
  for (const std::int64_t n : sizes) {
    const auto add = [&](const char* name, AdamAttributes attributes, double t, double decay, Operand g_scale = {},
                         Operand finite = {}) {
      cases.push_back({"adam",
                       fmt::format("{} {}", name, n),
                       shared(attributes),
                       {f32({n}), f32({n}), f32({n}), f32({n}, positive), scalar(t, DType::i64), scalar(1e-3),
                        scalar(decay), g_scale, finite}});
    };
    add("plain", coupled, 0, 0.0);
    add("later", coupled, 1000, 0.0);
    add("decay", coupled, 3, 0.01);
    add("decoupled", decoupled, 3, 0.01);
    add("clipped", coupled, 3, 0.01, scalar(0.25));
    add("finite", decoupled, 3, 0.01, scalar(0.25), scalar(1, DType::i32));
    add("not finite", coupled, 3, 0.01, {}, scalar(0, DType::i32));
  }
  return cases;
}

std::vector<OpCase> rmsprop_cases() {
  std::vector<OpCase> cases;
  for (const std::int64_t n : sizes) {
    const auto add = [&](const char* name, bool mean, bool buffer, double decay, Operand g_scale = {},
                         Operand finite = {}) {
      cases.push_back(
          {"rmsprop",
           fmt::format("{} {}", name, n),
           shared(RmsPropAttributes{}),
           {f32({n}), f32({n}), f32({n}, positive), mean ? f32({n}, Domain::uniform(-0.05, 0.05)) : left_out(),
            buffer ? f32({n}) : left_out(), scalar(1e-2), scalar(decay), scalar(buffer ? 0.9 : 0.0), g_scale, finite},
           Match::close,
           4.0});
    };
    add("plain", false, false, 0.0);
    add("decay", false, false, 0.01);
    add("centered", true, false, 0.01);
    add("momentum", false, true, 0.01);
    add("centered, momentum", true, true, 0.01, scalar(0.25), scalar(1, DType::i32));
    add("not finite", true, true, 0.01, {}, scalar(0, DType::i32));
    add("centered, no spread", true, false, 0.0);
    cases.back().inputs[2].domain = Domain::constant(0.25);
    cases.back().inputs[3].domain = Domain::uniform(0.6, 0.7);  // its square is greater, as rounding can make it
  }
  return cases;
}

/// Cases of an op whose operands are (p, g, slots..., t or nothing, rates...), clipped and not, finite and not.
std::vector<OpCase> adaptive_cases(const std::string& op, const std::vector<AttributesPtr>& variants, int slots,
                                   bool counts, int rates) {
  std::vector<OpCase> cases;
  for (const std::int64_t n : sizes) {
    for (const AttributesPtr& attributes : variants) {
      const auto add = [&](const char* name, double t, Operand g_scale = {}, Operand finite = {}) {
        std::vector<Operand> inputs{f32({n}), f32({n})};
        for (int k = 0; k < slots; ++k) inputs.push_back(f32({n}, positive));
        if (counts) inputs.push_back(scalar(t, DType::i64));
        if (rates == 2) inputs.push_back(scalar(0.01));
        inputs.push_back(scalar(0.02));
        inputs.push_back(g_scale);
        inputs.push_back(finite);
        cases.push_back({op, fmt::format("{} {} {}", name, attributes->text(), n), attributes, std::move(inputs),
                         Match::close, 2.0});
      };
      add("first", 0);
      add("later", 100, scalar(0.25), scalar(1, DType::i32));
      add("not finite", 3, {}, scalar(0, DType::i32));
    }
  }
  return cases;
}

AttributesPtr adagrad(double lr_decay) {
  AdagradAttributes attributes;
  attributes.lr_decay = lr_decay;
  return shared(attributes);
}

/// Tensors of these sizes, one behind the other.
OpCase trust_step(std::string name, std::vector<std::int64_t> sizes_of, Domain p = {}, Domain r = {}) {
  std::vector<double> bounds{0.0};
  for (const std::int64_t size : sizes_of) bounds.push_back(bounds.back() + static_cast<double>(size));
  const auto total = static_cast<std::int64_t>(bounds.back());
  const auto count = static_cast<std::int64_t>(bounds.size());
  return {"trust_step",
          std::move(name),
          nullptr,
          {f32({total}, p), f32({total}, r), integers(DType::i64, {count}, 0, 1), scalar(0.1)},
          Match::close,
          2.0,
          [bounds](std::vector<RefTensor>& inputs) { inputs[2].data = bounds; }};
}

const RegisterCases adaptive[] = {
    RegisterCases(adaptive_cases("adagrad", {adagrad(0.0), adagrad(0.1)}, 1, true, 2)),
    RegisterCases(adaptive_cases("adadelta", {shared(AdadeltaAttributes())}, 2, false, 2)),
    RegisterCases(adaptive_cases("lion", {shared(LionAttributes())}, 1, false, 2)),
    RegisterCases(adaptive_cases("lamb_direction", {shared(LambAttributes())}, 2, true, 1)),
    RegisterCases({trust_step("one tensor", {37}), trust_step("several", {16, 4099, 1, 160, 33}),
                   trust_step("large", {130000, 16}), trust_step("no parameters yet", {37}, Domain::constant(0.0)),
                   trust_step("no direction", {37, 5}, {}, Domain::constant(0.0))}),
};
const RegisterCases sgd(sgd_cases());
const RegisterCases adam(adam_cases());
const RegisterCases rmsprop(rmsprop_cases());
const RegisterCases clipping({
    {"global_norm", "one", nullptr, {f32({37})}},
    {"global_norm", "several", nullptr, {f32({4099}), f32({5, 7}), f32({1})}},
    {"global_norm", "large numbers", nullptr, {f32({37}, Domain::uniform(1e25, 1e26))}},
    {"clip_factor", "above", nullptr, {scalar(4.0), scalar(1.0)}},
    {"clip_factor", "below", nullptr, {scalar(0.5), scalar(1.0)}},
    {"clip_factor", "zero", nullptr, {scalar(0.0), scalar(1.0)}},
    {"clip_factor", "nan", nullptr, {scalar(NAN), scalar(1.0)}},
    {"clip_factor", "infinite", nullptr, {scalar(HUGE_VAL), scalar(1.0)}},
});

}  // namespace
}  // namespace trainctl::test
