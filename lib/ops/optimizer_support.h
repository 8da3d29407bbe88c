// What the optimizers' ops share.
#pragma once

#include <initializer_list>

#include "ops/support.h"

namespace trainctl {

/// Checks that `vectors` (null is fine) have the type of the parameters.
inline void expect_like_parameters(std::string_view op, InputTypes inputs, std::initializer_list<std::size_t> vectors) {
  for (const std::size_t i : vectors) {
    if (const TensorType* type = operand(inputs, i)) expect_same_type(op, *inputs[0], *type);
  }
}

inline void expect_scalars(std::string_view op, InputTypes inputs, std::initializer_list<std::size_t> scalars) {
  for (const std::size_t i : scalars) expect_scalar(op, operand(inputs, i));
}

/// Whether the update is to be done: `finite` is left out or not 0.
inline bool enabled(RefInputs inputs, std::size_t finite) {
  return scalar_or(operand(inputs, finite), 1.0) != 0.0;
}

inline void copy(const RefTensor& from, RefTensor& to) {
  to.data = from.data;
}

}  // namespace trainctl
