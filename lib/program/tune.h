// Trying implementations on the device, where only that tells which is fastest.
#pragma once

#include "device/device.h"
#include "program/choices.h"
#include "program/plan.h"

namespace trainctl {

/// Times the alternatives of the steps of a plan that was made with `tune`, on operands of zeros, and adds the fastest
/// to `choices`. Requests that have a choice are left alone, and alternatives whose operands and workspace are more
/// than `most_bytes`. Returns whether the plan takes another one than the fastest anywhere, so that it is to be made
/// again.
bool tune(Device& device, const Plan& plan, Choices& choices, std::size_t most_bytes);

}  // namespace trainctl
