#include "device/device.h"

#include <chrono>

#include "base/error.h"

namespace trainctl {

double Device::time(const BoundLaunch& bound) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  bound.launch->run(bound.arguments);
  synchronize();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

DeviceRegistry& DeviceRegistry::instance() {
  static DeviceRegistry registry;
  return registry;
}

void DeviceRegistry::add(std::unique_ptr<DeviceDriver> driver) {
  if (find(driver->name())) fail(ErrorKind::internal, "device '{}' is registered twice", driver->name());
  drivers_.push_back(std::move(driver));
}

const DeviceDriver* DeviceRegistry::find(std::string_view name) const {
  for (const auto& driver : drivers_) {
    if (driver->name() == name) return driver.get();
  }
  return nullptr;
}

}  // namespace trainctl
