// Activations that oneDNN does not compute well enough to be fused.
#pragma once

#include <memory>

#include "device/kernel.h"
#include "ops/activation.h"

namespace trainctl::onednn {

/// Whether oneDNN's own is as good as float32 allows. Its tanh is off by a relative 1e-5, its softplus leaves out the
/// division by beta, and its relu makes zeros of NaN.
bool fuses(const Activation& activation);

/// `launch`, then f on the `count` elements of output 0 in place, by our own loops; `launch` alone if f is one that is
/// fused.
std::unique_ptr<Launch> then_activate(std::unique_ptr<Launch> launch, const Activation& activation, std::size_t count,
                                      int threads);

}  // namespace trainctl::onednn
