#include "ops/elementwise.h"

#include <algorithm>
#include <cmath>

#include "ops/op_case.h"

namespace trainctl::test {
namespace {

OpCase select_without_nan(OpCase op_case) {
  op_case.prepare = [](std::vector<RefTensor>& inputs) { std::ranges::fill(inputs[1].data, NAN); };
  return op_case;
}

/// A choice between tensors of several types and sizes.
OpCase chosen(int flag, std::string name) {
  const std::vector<Operand> each{f32({37}), scalar(3, DType::i64), f32({3, 1030}), f32({0}), scalar(0.5, DType::f64)};
  return {"select", std::move(name), nullptr, joined({{scalar(flag, DType::i32)}, each, each}), Match::exact};
}

AttributesPtr add(Activation::Kind kind) {
  return shared(AddAttributes({kind, 0.1}));
}
AttributesPtr dropout() {
  return shared(DropoutAttributes(0x123456789ABCDEFull));
}

AttributesPtr power(double exponent) {
  return shared(PowerAttributes(exponent));
}

OpCase dropped(std::string name, Shape x, double p, double step) {
  return {"dropout", std::move(name), dropout(), {wanted(x), scalar(p), scalar(step, DType::i64)}, Match::zeros};
}

const RegisterCases cases({
    {"add", "vector", nullptr, {wanted({37}), wanted({37})}},
    {"add", "scalar", nullptr, {wanted({}), wanted({})}},
    {"add", "image", nullptr, {wanted({2, 16, 5, 7}), wanted({2, 16, 5, 7})}},
    {"add", "large", nullptr, {f32({33, 1030}), f32({33, 1030})}},
    {"add", "relu", add(Activation::Kind::relu), {f32({3, 17, 5, 5}), f32({3, 17, 5, 5})}},
    with_nan({"add", "relu keeps nan", add(Activation::Kind::relu), {f32({3, 17, 5, 5}), f32({3, 17, 5, 5})}}),
    {"add", "tanh", add(Activation::Kind::tanh), {f32({3, 17}), f32({3, 17})}},
    {"multiply", "vector", nullptr, {wanted({37}), wanted({37})}},
    {"multiply", "image", nullptr, {wanted({2, 16, 5, 7}), wanted({2, 16, 5, 7})}},
    {"multiply", "scalar", nullptr, {wanted({}), wanted({})}},
    {"multiply", "large", nullptr, {f32({33, 1030}), f32({33, 1030})}},
    {"cast", "to bf16", shared(CastAttributes(DType::bf16)), {f32({3, 37})}, Match::exact},
    {"cast", "to bf16 image", shared(CastAttributes(DType::bf16)), {f32({2, 16, 5, 7})}, Match::exact},
    {"cast", "from bf16", shared(CastAttributes(DType::f32)), {bf16({3, 37})}, Match::exact},
    {"scale", "vector", nullptr, {wanted({37}), wanted({}, Domain::constant(0.3))}},
    {"scale", "scalar", nullptr, {wanted({}), wanted({}, Domain::constant(-2.0))}},
    {"scale", "image", nullptr, {wanted({2, 3, 5, 7}), scalar(3.0)}},
    {"scale", "large", nullptr, {f32({33, 1030}), scalar(-1.5)}},
    {"channel_affine", "vector", nullptr, {wanted({5, 7}), wanted({7}), wanted({7})}},
    {"channel_affine", "image", nullptr, {wanted({2, 3, 5, 4}), wanted({3}), wanted({3})}},
    {"channel_affine", "channels of 16", nullptr, {f32({3, 32, 7, 5}), f32({32}), f32({32})}},
    {"reciprocal", "of four", nullptr, {scalar(4.0)}},
    {"reciprocal", "of a third", nullptr, {scalar(-1.0 / 3.0)}},
    {"power", "square", power(2.0), {wanted({37}, Domain::uniform(0.1, 2.0))}},
    {"power", "root", power(0.5), {wanted({37}, Domain::uniform(0.1, 2.0))}, Match::close, 2.0},
    {"power", "inverse", power(-1.0), {wanted({5, 7}, Domain::uniform(0.5, 2.0))}},
    {"power", "itself", power(1.0), {wanted({37}, Domain::away_from_zero())}},
    {"power", "inverse root", power(-0.5), {wanted({}, Domain::uniform(0.5, 2.0))}, Match::close, 2.0},
    {"power", "large", power(1.7), {f32({33, 1030}, Domain::uniform(-1.0, 3.0))}, Match::close, 4.0},
    {"power", "image", power(3.0), {f32({2, 16, 5, 7}, Domain::uniform(-1.0, 1.0))}, Match::close, 4.0},
    {"power", "zeros", power(-2.0), {f32({37}, Domain::constant(0.0))}, Match::exact},
    with_nan({"power", "keeps nan", power(1.5), {f32({37}, Domain::constant(1.0))}, Match::exact}),
    {"increment", "one", nullptr, {scalar(41, DType::i64)}, Match::exact},
    {"increment",
     "several",
     nullptr,
     {scalar(41, DType::i64), scalar(-1, DType::i64), scalar(0, DType::i64)},
     Match::exact},
    {"increment", "more than go together", nullptr, std::vector<Operand>(200, scalar(7, DType::i64)), Match::exact},
    {"is_finite", "all", nullptr, {scalar(1.0), scalar(-3e38), scalar(0.0)}, Match::exact},
    {"is_finite", "infinite", nullptr, {scalar(1.0), scalar(HUGE_VAL)}, Match::exact},
    {"is_finite", "nan", nullptr, {scalar(NAN)}, Match::exact},
    {"is_finite", "double", nullptr, {scalar(1e300, DType::f64), scalar(2.0)}, Match::exact},
    {"select", "first", nullptr, {scalar(1, DType::i32), f32({37}), f32({37})}, Match::exact},
    {"select", "second", nullptr, {scalar(0, DType::i32), f32({3, 1030}), f32({3, 1030})}, Match::exact},
    {"select",
     "double",
     nullptr,
     {scalar(0, DType::i32), scalar(1.5, DType::f64), scalar(2.5, DType::f64)},
     Match::exact},
    {"select", "integer", nullptr, {scalar(1, DType::i32), scalar(7, DType::i64), scalar(8, DType::i64)}, Match::exact},
    select_without_nan(
        {"select", "keeps out nan", nullptr, {scalar(0, DType::i32), f32({37}), f32({37})}, Match::exact}),
    chosen(1, "several, the first"),
    chosen(0, "several, the second"),
    {"select", "more than go together", nullptr, joined({{scalar(0, DType::i32)}, std::vector<Operand>(300, f32({3}))}),
     Match::exact},
    {"clamp", "vector", nullptr, {f32({37}, Domain::uniform(-3.0, 3.0)), scalar(1.25)}, Match::exact},
    {"clamp", "large", nullptr, {f32({33, 130}, Domain::uniform(-3.0, 3.0)), scalar(0.5)}, Match::exact},
    with_nan({"clamp", "keeps nan", nullptr, {f32({37}, Domain::uniform(-3.0, 3.0)), scalar(1.25)}, Match::exact}),
    dropped("vector", {37}, 0.5, 7),
    dropped("image", {2, 3, 5, 7}, 0.25, 1),
    dropped("late step", {130}, 0.1, 5e9),
    dropped("large", {33, 1030}, 0.3, 12),
    dropped("blocks of channels", {3, 16, 5, 5}, 0.4, 2),
    dropped("keeps all", {21}, 0.0, 0),
});

}  // namespace
}  // namespace trainctl::test
