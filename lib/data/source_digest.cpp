#include "data/source_digest.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"
#include "base/signals.h"

namespace trainctl {

std::string whole_digest(const SampleSource& source) {
  const DatasetInfo& info = source.info();
  Sha256 digest;
  for (std::size_t field = 0; field < info.fields.size(); ++field) {
    add_to(digest, info.fields[field], info.samples);
    const std::size_t bytes = info.fields[field].sample_bytes();
    std::vector<std::int32_t> ids(std::max<std::size_t>(1, (std::size_t{1} << 20) / bytes));
    HostBytes piece(ids.size() * bytes);
    for (std::int64_t first = 0; first < info.samples; first += static_cast<std::int64_t>(ids.size())) {
      if (signals::stop_requested()) fail(ErrorKind::interrupted, "stopped while all data were read");
      const auto count = std::min(ids.size(), static_cast<std::size_t>(info.samples - first));
      std::iota(ids.begin(), ids.end(), static_cast<std::int32_t>(first));
      source.read(field, std::span(ids).first(count), piece.data());
      digest.update(piece.span().first(count * bytes));
    }
  }
  return digest.finish_hex();
}

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
