// Kernels against references.
#include <doctest/doctest.h>

#include <string>

#include "device/kernel.h"
#include "ops/kernel_check.h"

using namespace trainctl;
using namespace trainctl::test;

// One case alone: test_ops -tc='kernels*' -sc='conv2d/*'
TEST_CASE("kernels agree with the references (cpu)") {
  for (const OpCase& op_case : op_cases()) {
    SUBCASE(op_case.full_name().c_str()) {
      check_kernels(op_case, "cpu");
      check_kernel_pairs(op_case, "cpu");
    }
  }
}

TEST_CASE("every case has a kernel of its own (cpu)") {
  for (const OpCase& op_case : op_cases()) CHECK_MESSAGE(has_kernel(op_case, "cpu"), op_case.full_name());
}
