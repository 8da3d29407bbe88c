#include "cuda.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "device/module.h"

namespace trainctl::test {

Device* cuda_device() {
  static std::string problem;
  static const std::unique_ptr<Device> device = []() -> std::unique_ptr<Device> {
    problem = load_named_module("cuda");
    const DeviceDriver* driver = DeviceRegistry::instance().find("cuda");
    if (!driver) return nullptr;
    try {
      return driver->open(1);
    } catch (const Error& error) {
      problem = error.what();
      return nullptr;
    }
  }();
  if (!device) {
    const char* required = std::getenv("TRAINCTL_REQUIRE_CUDA");
    if (required && std::strcmp(required, "1") == 0) {
      FAIL_CHECK("no GPU: ", problem);
    } else {
      MESSAGE("skipped: ", problem);
    }
  }
  return device.get();
}

}  // namespace trainctl::test
