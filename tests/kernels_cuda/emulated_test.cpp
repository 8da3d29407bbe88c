// The kernels of kernels/cuda against the references, without a GPU: emulation/emulation.h says how.
#include <doctest/doctest.h>

#include <sstream>
#include <string>

#include "device/device.h"
#include "emulation/emulation.h"
#include "ops/bf16.h"
#include "ops/kernel_check.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

/// Of one case alone: test_kernels_cuda -sc='conv2d/*'
void check_all(bool bf16, bool aligned) {
  const auto device = DeviceRegistry::instance().find("cuda")->open(1);
  for (const OpCase& op_case : op_cases()) {
    const auto chosen = bf16 ? in_bf16(op_case) : op_case;
    if (!chosen) continue;
    SUBCASE(chosen->full_name().c_str()) {
      CHECK_MESSAGE((check_kernels(*chosen, {"cuda", device.get(), false, aligned}) > 0 || op_case.fused), "no kernel");
    }
  }
}

}  // namespace

TEST_CASE("kernels agree with the references (cuda, emulated)") {
  check_all(false, true);
}
TEST_CASE("kernels agree with the references (cuda, emulated, bf16)") {
  check_all(true, true);
}
TEST_CASE("kernels agree with the references (cuda, emulated, unaligned)") {
  check_all(false, false);
}
TEST_CASE("kernels agree with the references (cuda, emulated, bf16 unaligned)") {
  check_all(true, false);
}

TEST_CASE("every launch of the sources was run") {
  // What only the kernels of cuBLASLt and cuDNN call is not run here.
  std::istringstream launches(emulation::launches_not_run());
  for (std::string launch; launches >> launch;) {
    CHECK_MESSAGE(launch.starts_with("kernels/cuda/passes.cu:"), launch);
  }
}
