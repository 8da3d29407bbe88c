#include "data/sampled_digest.h"

#include <algorithm>
#include <vector>

#include "base/sha256.h"

namespace trainctl {

std::string sampled_digest(const SampleSource& source) {
  constexpr std::int64_t most = 256;
  const DatasetInfo& info = source.info();
  const std::int64_t count = std::min(most, info.samples);
  Sha256 digest;
  for (std::size_t field = 0; field < info.fields.size(); ++field) {
    add_to(digest, info.fields[field], info.samples);
    std::vector<std::byte> sample(info.fields[field].sample_bytes());
    for (std::int64_t i = 0; i < count; ++i) {
      const auto id = static_cast<std::int32_t>(i * info.samples / count);
      source.read(field, {&id, 1}, sample.data());
      digest.update(sample);
    }
  }
  return digest.finish_hex();
}

}  // namespace trainctl
