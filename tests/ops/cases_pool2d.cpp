#include <cmath>

#include "ops/op_case.h"
#include "ops/pool2d.h"

namespace trainctl::test {
namespace {

struct Geometry {
  std::string name;
  Shape x;
  Pool2dAttributes attributes;
};

Pool2dAttributes pool(std::array<std::int64_t, 2> kernel, std::array<std::int64_t, 2> stride,
                      std::array<std::int64_t, 2> padding = {}, bool ceil_mode = false, bool count_include_pad = true) {
  Pool2dAttributes attributes;
  attributes.kernel = kernel;
  attributes.stride = stride;
  attributes.padding = padding;
  attributes.ceil_mode = ceil_mode;
  attributes.count_include_pad = count_include_pad;
  return attributes;
}

std::vector<Geometry> geometries() {
  return {
      {"2x2", {2, 3, 8, 8}, pool({2, 2}, {2, 2})},
      {"2x2, last row unused", {2, 3, 7, 9}, pool({2, 2}, {2, 2})},
      {"2x2 ceil", {2, 3, 7, 9}, pool({2, 2}, {2, 2}, {0, 0}, true)},
      {"3x3 stride 2 padding 1", {2, 4, 9, 8}, pool({3, 3}, {2, 2}, {1, 1})},
      {"3x3 stride 2 padding 1 ceil", {2, 4, 8, 10}, pool({3, 3}, {2, 2}, {1, 1}, true)},
      {"3x3 padding 1 without it", {2, 4, 9, 8}, pool({3, 3}, {2, 2}, {1, 1}, false, false)},
      {"3x3 ceil, window in the padding dropped", {1, 2, 6, 6}, pool({3, 3}, {3, 3}, {1, 1}, true, false)},
      {"overlapping", {1, 2, 6, 5}, pool({3, 2}, {1, 1})},
      {"gaps", {2, 2, 9, 9}, pool({2, 2}, {3, 3})},
      {"uneven", {3, 5, 7, 9}, pool({3, 2}, {2, 1}, {1, 0})},
      {"global", {3, 6, 5, 7}, pool({5, 7}, {1, 1})},
      {"large window", {1, 1, 18, 17}, pool({17, 16}, {1, 1})},
      {"batch of 17", {17, 6, 8, 8}, pool({2, 2}, {2, 2})},
      {"16 channels", {2, 32, 6, 6}, pool({2, 2}, {2, 2})},
      {"adaptive, even", {2, 3, 6, 8}, Pool2dAttributes::adaptive(6, 8, {3, 2})},
      {"adaptive", {2, 3, 7, 9}, Pool2dAttributes::adaptive(7, 9, {3, 4})},
      {"adaptive, 16 channels", {2, 16, 5, 5}, Pool2dAttributes::adaptive(5, 5, {2, 3})},
      {"adaptive, one row", {3, 2, 5, 7}, Pool2dAttributes::adaptive(5, 7, {1, 3})},
      {"adaptive, larger", {2, 3, 3, 4}, Pool2dAttributes::adaptive(3, 4, {5, 4})},
      {"adaptive, large windows", {1, 2, 37, 35}, Pool2dAttributes::adaptive(37, 35, {2, 2})},
  };
}

Shape pooled(const Geometry& g) {
  const TensorType x{DType::f32, g.x};
  const TensorType* types[] = {&x};
  return OpRegistry::instance().get("avg_pool2d").infer(g.attributes, types)[0].shape;
}

/// Fills operand 1 with the index that the forward op gives for random images.
auto index_of(Geometry g) {
  return [g = std::move(g)](std::vector<RefTensor>& inputs) {
    const OpCase forward{"max_pool2d", g.name, shared(g.attributes), {f32(g.x)}};
    inputs[1] = instantiate(forward).outputs[1];
  };
}

std::vector<OpCase> pool_cases() {
  std::vector<OpCase> cases;
  for (const Geometry& g : geometries()) {
    cases.push_back({"max_pool2d", g.name, shared(g.attributes), {wanted(g.x)}, Match::exact});
    cases.push_back({"avg_pool2d", g.name, shared(g.attributes), {wanted(g.x)}});
    Pool2dAttributes backward = g.attributes;
    backward.input_shape = g.x;
    const Shape y = pooled(g);
    cases.push_back({"avg_pool2d_backward", g.name, shared(backward), {f32(y)}});
    const DType index = g.attributes.kernel[0] * g.attributes.kernel[1] <= 256 ? DType::u8 : DType::i32;
    cases.push_back({"max_pool2d_backward",
                     g.name,
                     shared(backward),
                     {f32(y), integers(index, y, 0, 1)},
                     Match::close,
                     1.0,
                     index_of(g)});
    backward.activation = {Activation::Kind::relu};
    cases.push_back({"max_pool2d_backward",
                     g.name + " masked",
                     shared(backward),
                     {f32(y), integers(index, y, 0, 1), f32(backward.input_shape, Domain::away_from_zero())},
                     Match::close,
                     1.0,
                     index_of(g)});
    cases.back().fused = true;
  }
  return cases;
}

const RegisterCases plain(pool_cases());
const RegisterCases special({
    {"max_pool2d",
     "ties",
     shared(pool({3, 3}, {2, 2}, {1, 1})),
     {{TensorType{DType::f32, {2, 3, 8, 9}}, Domain::integers(0, 3)}},
     Match::exact},
    {"max_pool2d",
     "negative with padding",
     shared(pool({3, 3}, {2, 2}, {1, 1})),
     {f32({2, 3, 8, 9}, Domain::uniform(-3.0, -1.0))},
     Match::exact},
    {"max_pool2d",
     "nan and infinity",
     shared(pool({2, 2}, {2, 2})),
     {f32({2, 3, 6, 6})},
     Match::exact,
     1.0,
     [](std::vector<RefTensor>& inputs) {
       inputs[0][0] = NAN;
       inputs[0][7] = NAN;  // the same window
       inputs[0][9] = NAN;
       for (const std::int64_t i : {20, 21, 26, 27}) inputs[0][i] = -HUGE_VAL;
     }},
});

}  // namespace
}  // namespace trainctl::test
