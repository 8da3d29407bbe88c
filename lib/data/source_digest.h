// Digests of data that are read from where they lie.
#pragma once

#include <string>

#include "data/dataset.h"

namespace trainctl {

/// SHA-256 (hex) of the fields and all their samples: SampleSource::digest() for any source, equal to a Table's.
std::string whole_digest(const SampleSource& source);

/// SHA-256 (hex) of the fields, the number of samples, and the contents of 256 samples evenly spread over them: for
/// data that are too many to be read whole. Equal for equal data, wherever they lie.
std::string sampled_digest(const SampleSource& source);

}  // namespace trainctl
