// Ops on scalars, where a loop would have one turn: increment, reciprocal, is_finite, clip_factor; and accumulate,
// which mostly is one.
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "kernels/cpu/loops/loop_kernel.h"
#include "ops/metric.h"

namespace trainctl::cpu {
namespace {

struct ScalarJob {
  const DType* input_types;
  const double* factors;         ///< of accumulate: one for each total
  const std::int64_t* elements;  ///< of accumulate: of each total
};

double number(DType type, const void* operand, std::int64_t i = 0) {
  switch (type) {
    case DType::f32:
      return static_cast<const float*>(operand)[i];
    case DType::f64:
      return static_cast<const double*>(operand)[i];
    case DType::i32:
      return static_cast<const std::int32_t*>(operand)[i];
    case DType::i64:
      return static_cast<double>(static_cast<const std::int64_t*>(operand)[i]);
    case DType::u8:
      return static_cast<const std::uint8_t*>(operand)[i];
    case DType::bf16:
      break;
  }
  fail(ErrorKind::internal, "a scalar operand is bf16");
}

void increment(const ScalarJob&, const Operands& operands) {
  for (int k = 0; k < operands.input_count; ++k) *operands.out<std::int64_t>(k) = *operands.in<std::int64_t>(k) + 1;
}

void reciprocal(const ScalarJob&, const Operands& operands) {
  *operands.out<float>(0) = 1.0f / *operands.in<float>(0);
}

void is_finite(const ScalarJob& job, const Operands& operands) {
  bool finite = true;
  for (int i = 0; i < operands.input_count; ++i) {
    const void* operand = operands.in<void>(i);
    if (operand && !std::isfinite(number(job.input_types[i], operand))) finite = false;
  }
  *operands.out<std::int32_t>(0) = finite;
}

void accumulate(const ScalarJob& job, const Operands& operands) {
  for (int k = 0, count = operands.output_count; k < count; ++k) {
    for (std::int64_t i = 0; i < job.elements[k]; ++i) {
      const double value = number(job.input_types[count + k], operands.in<void>(count + k), i);
      operands.out<double>(k)[i] = operands.in<double>(k)[i] + job.factors[k] * value;
    }
  }
}

void clip_factor(const ScalarJob&, const Operands& operands) {
  const float norm = *operands.in<float>(0);
  const float factor = *operands.in<float>(1) / (norm + 1e-6f);
  *operands.out<float>(0) = !std::isfinite(norm) ? norm : factor < 1.0f ? factor : 1.0f;
}

std::optional<KernelPlan> plan_scalars(const KernelRequest& request) {
  for (const TensorType* type : request.inputs) {
    if (!type) continue;
    if (type->dtype == DType::bf16 || (type->elements() != 1 && request.op != "accumulate")) return std::nullopt;
  }
  KernelPlan plan = row_major_plan(request);
  if (request.op == "accumulate" || request.op == "increment") {
    for (int k = 0; k < static_cast<int>(request.outputs.size()); ++k) plan.in_place.emplace_back(k, k);
  }
  return plan;
}

std::unique_ptr<Launch> prepare_scalars(const KernelRequest& request, const KernelPlan&) {
  struct Owned {
    std::vector<DType> types;
    std::vector<double> factors;
    std::vector<std::int64_t> elements;
  };
  auto owned = std::make_shared<Owned>();
  for (const TensorType* type : request.inputs) owned->types.push_back(type ? type->dtype : DType::f32);
  for (const TensorType& output : request.outputs) owned->elements.push_back(output.elements());
  if (request.op == "accumulate") owned->factors = as<AccumulateAttributes>(*request.attributes).factors;
  const ScalarJob job{owned->types.data(), owned->factors.data(), owned->elements.data()};
  const auto loop = request.op == "increment"    ? increment
                    : request.op == "reciprocal" ? reciprocal
                    : request.op == "is_finite"  ? is_finite
                    : request.op == "accumulate" ? accumulate
                                                 : clip_factor;
  return loop_launch(request, loop, job, owned);
}

const RegisterLoops registered[] = {
    {"increment", plan_scalars, prepare_scalars},   {"reciprocal", plan_scalars, prepare_scalars},
    {"is_finite", plan_scalars, prepare_scalars},   {"accumulate", plan_scalars, prepare_scalars},
    {"clip_factor", plan_scalars, prepare_scalars},
};

}  // namespace
}  // namespace trainctl::cpu
