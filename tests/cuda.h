// The GPU for tests, where there is one.
#pragma once

#include "device/device.h"

namespace trainctl::test {

/// The first GPU, opened once; null where there is none: the test then says so and returns. With
/// TRAINCTL_REQUIRE_CUDA=1 a missing GPU is a failed check.
Device* cuda_device();

}  // namespace trainctl::test
