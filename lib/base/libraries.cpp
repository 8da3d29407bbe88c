#include "base/libraries.h"

namespace trainctl {

std::map<std::string, std::string>& libraries() {
  static std::map<std::string, std::string> registered;
  return registered;
}

}  // namespace trainctl
