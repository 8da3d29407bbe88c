// Cases with activations in bf16.
#pragma once

#include <optional>

#include "ops/op_case.h"

namespace trainctl::test {

/// The case with the operands that are activations, or gradients of them, in bf16 instead of f32. None for ops that
/// never see activations (optimizers, metrics) and for cases that test exact movement of other types.
std::optional<OpCase> in_bf16(const OpCase& op_case);

}  // namespace trainctl::test
