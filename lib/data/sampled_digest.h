// A fingerprint of data that are too many to be read whole.
#pragma once

#include <string>

#include "data/dataset.h"

namespace trainctl {

/// SHA-256 (hex) of the fields, the number of samples, and the contents of 256 samples evenly spread over them; equal
/// for equal data, wherever they lie.
std::string sampled_digest(const SampleSource& source);

}  // namespace trainctl
