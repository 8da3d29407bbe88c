// What transforms of images check.
#pragma once

#include "nn/functional.h"
#include "nn/transform.h"

namespace trainctl {

/// A config Error, in the name of `who`, unless x is images (N, C, H, W).
inline void expect_images(std::string_view who, Value x) {
  if (x.shape().rank() != 4) fail(ErrorKind::config, "{} needs images (N, C, H, W), got {}", who, x.shape().text());
}

}  // namespace trainctl
