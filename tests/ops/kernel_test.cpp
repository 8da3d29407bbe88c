// Kernels against references.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "cuda.h"
#include "device/kernel.h"
#include "device/module.h"
#include "ops/bf16.h"
#include "ops/kernel_check.h"

using namespace trainctl;
using namespace trainctl::test;

// One case alone: test_ops -tc='kernels*' -sc='conv2d/*'
TEST_CASE("kernels agree with the references (cpu)") {
  for (const OpCase& op_case : op_cases()) {
    SUBCASE(op_case.full_name().c_str()) {
      check_kernels(op_case, {});
      check_kernel_pairs(op_case, {});
    }
  }
}

TEST_CASE("every case has a kernel of its own (cpu)") {
  for (const OpCase& op_case : op_cases())
    CHECK_MESSAGE((!kernels_for(op_case, {}).empty() || op_case.fused), op_case.full_name());
}

TEST_CASE("every case has a kernel of its own (cuda, planned without a GPU)") {
  const std::string problem = load_named_module("cuda");
  if (!DeviceRegistry::instance().find("cuda")) {
    MESSAGE("skipped: ", problem);
    return;
  }
  for (const OpCase& op_case : op_cases()) {
    CHECK_MESSAGE((!kernels_for(op_case, {"cuda"}).empty() || op_case.fused), op_case.full_name());
    if (const auto narrow = in_bf16(op_case))
      CHECK_MESSAGE((!kernels_for(*narrow, {"cuda"}).empty() || op_case.fused), narrow->full_name());
  }
}

// For scripts that share the cases out among processes: test_ops -ns -tc='the names of*'
TEST_CASE("the names of all cases" * doctest::skip()) {
  for (const OpCase& op_case : op_cases()) std::puts(op_case.full_name().c_str());
}

TEST_CASE("libraries take products and convolutions (cuda)") {
  Device* device = cuda_device();
  if (!device) return;
  int taken = 0;
  for (const auto& entry : KernelRegistry::instance().entries()) {
    if (entry->device != "cuda" || entry->priority != priority::library) continue;
    CAPTURE(entry->op);
    CAPTURE(entry->name);
    CHECK(std::ranges::any_of(op_cases(), [&](const OpCase& op_case) {
      return op_case.op == entry->op && kernels_for(op_case, {"cuda", device}).contains(entry->name);
    }));
    ++taken;
  }
  CHECK(taken > 0);
}

TEST_CASE("kernels agree with the references (cuda)") {
  Device* device = cuda_device();
  if (!device) return;
  for (const OpCase& op_case : op_cases()) {
    SUBCASE(op_case.full_name().c_str()) {
      const Target target{"cuda", device};
      CHECK_MESSAGE((check_kernels(op_case, target) > 0 || op_case.fused), "no kernel");
      check_kernel_pairs(op_case, target);
    }
  }
}

TEST_CASE("kernels agree with the references (cuda, bf16)") {
  Device* device = cuda_device();
  if (!device) return;
  for (const OpCase& op_case : op_cases()) {
    const auto narrow = in_bf16(op_case);
    if (!narrow) continue;
    SUBCASE(narrow->full_name().c_str()) {
      CHECK_MESSAGE((check_kernels(*narrow, {"cuda", device}) > 0 || op_case.fused), "no kernel");
    }
  }
}

TEST_CASE("kernels agree with the references (cuda, tf32)") {
  Device* device = cuda_device();
  if (!device) return;
  for (const OpCase& op_case : op_cases()) {
    if (!op_case.op.starts_with("linear") && !op_case.op.starts_with("conv2d")) continue;
    SUBCASE(op_case.full_name().c_str()) {
      CHECK_MESSAGE((check_kernels(op_case, {"cuda", device, true}) > 0 || op_case.fused), "no kernel");
    }
  }
}
