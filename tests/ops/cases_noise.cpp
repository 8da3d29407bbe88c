#include "ops/noise.h"
#include "ops/op_case.h"

namespace trainctl::test {
namespace {

OpCase normal(std::string name, Shape shape, double step) {
  return {"random_normal",
          std::move(name),
          shared(NoiseAttributes(shape, 0xFEDCBA987654321u)),
          {scalar(step, DType::i64)},
          Match::close,
          4.0};
}

const RegisterCases cases({
    normal("matrix", {5, 8}, 3),
    normal("odd", {7}, 0),
    normal("late step", {2, 3, 4}, 5e9),
    normal("large", {64, 100}, 17),
});

}  // namespace
}  // namespace trainctl::test
