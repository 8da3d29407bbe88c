// Softmax and its logarithm.
#pragma once

#include <string>

#include "device/attributes.h"

namespace trainctl {

/// "softmax", "log_softmax": (x) -> y over `axis` (negative counts from the end), stable by subtracting the maximum.
/// "softmax_backward", "log_softmax_backward": (dy, y) -> dx.
struct SoftmaxAttributes final : Attributes {
  int axis = -1;
  explicit SoftmaxAttributes(int a) : axis(a) {}
  std::string text() const override { return "axis=" + std::to_string(axis); }
};

}  // namespace trainctl
