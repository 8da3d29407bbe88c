#include "ops/op_case.h"
#include "ops/softmax.h"

namespace trainctl::test {
namespace {

std::vector<OpCase> softmax_cases() {
  struct Geometry {
    std::string name;
    Shape x;
    int axis;
    double range;
  };
  const std::vector<Geometry> geometries{{"rows", {5, 10}, -1, 2.0},        {"axis 1 of images", {2, 5, 3, 4}, 1, 2.0},
                                         {"axis 0", {7, 3}, 0, 2.0},        {"one class", {4, 1}, -1, 2.0},
                                         {"vector", {11}, 0, 2.0},          {"large scores", {5, 10}, -1, 60.0},
                                         {"many rows", {130, 100}, -1, 4.0}};
  std::vector<OpCase> cases;
  for (const auto& [name, x, axis, range] : geometries) {
    const AttributesPtr attributes = shared(SoftmaxAttributes(axis));
    const Domain domain = Domain::uniform(-range, range);
    cases.push_back({"softmax", name, attributes, {wanted(x, domain)}, Match::close, 4.0});
    cases.push_back({"log_softmax", name, attributes, {wanted(x, domain)}, Match::close, 4.0});
    cases.push_back(
        {"softmax_backward", name, attributes, {f32(x), f32(x, Domain::uniform(0.0, 0.3))}, Match::close, 2.0});
    cases.push_back(
        {"log_softmax_backward", name, attributes, {f32(x), f32(x, Domain::uniform(-4.0, -0.5))}, Match::close, 4.0});
  }
  return cases;
}

const RegisterCases cases(softmax_cases());

}  // namespace
}  // namespace trainctl::test
