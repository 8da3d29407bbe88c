// A module that needs a function that nobody has.
#include "device/module.h"

extern "C" int trainctl_test_function_that_is_nowhere();
extern "C" __attribute__((visibility("default"))) int caller() {
  return trainctl_test_function_that_is_nowhere();
}

TRAINCTL_MODULE("missing symbol")
