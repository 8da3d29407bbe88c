#include "ops/op_case.h"
#include "ops/resample.h"

namespace trainctl::test {
namespace {

struct Geometry {
  std::string name;
  Shape x;
  std::array<std::int64_t, 2> output;
};

std::vector<OpCase> resample_cases() {
  const Geometry geometries[] = {
      {"twice", {2, 3, 5, 4}, {10, 8}},    {"three times", {1, 2, 3, 3}, {9, 9}},
      {"uneven", {2, 3, 5, 7}, {8, 9}},    {"smaller", {2, 3, 9, 8}, {4, 5}},
      {"one pixel", {3, 2, 1, 1}, {4, 5}}, {"to one pixel", {3, 2, 4, 5}, {1, 1}},
      {"as it is", {2, 3, 4, 5}, {4, 5}},  {"one row", {2, 3, 1, 6}, {3, 12}},
      {"channels", {2, 16, 4, 4}, {8, 8}}, {"larger and smaller", {2, 3, 3, 11}, {10, 4}},
      {"large", {3, 8, 17, 19}, {34, 38}},
  };
  std::vector<OpCase> cases;
  for (const Geometry& g : geometries) {
    for (const int mode : {0, 1, 2}) {
      Resample2dAttributes attributes;
      attributes.output = g.output;
      attributes.bilinear = mode > 0;
      attributes.align_corners = mode == 2;
      const std::string name = g.name + (mode == 0 ? ", nearest" : mode == 1 ? ", bilinear" : ", corners aligned");
      const Match match = mode == 0 ? Match::exact : Match::close;
      cases.push_back({"resample2d", name, shared(attributes), {wanted(g.x)}, match, 2.0});
      attributes.input_shape = g.x;
      cases.push_back({"resample2d_backward",
                       name,
                       shared(attributes),
                       {wanted({g.x[0], g.x[1], g.output[0], g.output[1]})},
                       Match::close,
                       2.0});
    }
  }
  return cases;
}

const RegisterCases cases(resample_cases());

}  // namespace
}  // namespace trainctl::test
