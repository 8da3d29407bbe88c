#include "device/device.h"

#include "base/error.h"

namespace trainctl {

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
