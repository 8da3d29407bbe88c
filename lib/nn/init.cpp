#include "nn/init.h"

namespace trainctl {

Fans Fans::of(const Shape& weight) {
  const auto window = static_cast<double>(weight.slice(2).elements());
  return {static_cast<double>(weight[1]) * window, static_cast<double>(weight[0]) * window};
}

}  // namespace trainctl
