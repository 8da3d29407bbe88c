// Runs the kernels of a device on a case and compares them with the float64 reference.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "device/device.h"
#include "device/kernel.h"
#include "ops/op_case.h"

namespace trainctl::test {

/// Compares values with the reference by the case's match; returns what is wrong, or "".
/// An element may differ by (4 + sqrt(reduction length)) roundings of its own or the root-mean-square size, whichever
/// is greater.
std::string compare(const RefTensor& got, const RefTensor& expected, const TensorType& type, Match match,
                    double tolerance, double reduction_length);

/// Where kernels are checked.
struct Target {
  std::string_view name = "cpu";  ///< what kernels are registered for
  Device* device = nullptr;       ///< null: launches run on the host's memory
  bool tf32 = false;
  bool aligned = true;  ///< else operands lie one element beyond a multiple of 64 bytes, as a slice may
};

/// Checks every kernel registered for exactly this op on the device (the reference fallback for "*" is not one), for
/// each plan it makes over several layouts of the inputs and, on the host, over 1 and 2 threads:
///   outputs (filled with NaN before) equal the reference, padding is zero, guards around all memory and the inputs'
///   bytes are intact, a second run gives equal bits, and so does each pair that may share memory.
/// Uses doctest's CHECKs. Returns how many plans were run; 0 means that no kernel takes the case.
int check_kernels(const OpCase& op_case, const Target& target);

/// The names of the op's own kernels (the reference fallback is not one) that take the case.
std::set<std::string> kernels_for(const OpCase& op_case, const Target& target);

/// Runs the pairs: each forward kernel that keeps a residual (or another layout) together with the kernels of the nodes
/// of its vjp. Returns how many backward launches were compared.
int check_kernel_pairs(const OpCase& op_case, const Target& target);

}  // namespace trainctl::test
