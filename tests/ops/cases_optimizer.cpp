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
  }
  return cases;
}

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
