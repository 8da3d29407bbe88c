#include "data/sampler.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/philox.h"

namespace trainctl {
namespace {

// The words of one (stream, round), in order.
class WordStream {
 public:
  WordStream(std::uint64_t stream, std::uint64_t round) : stream_(stream), round_(round) {}

  std::uint32_t next() {
    if (used_ == 4) {
      block_ = random_block(stream_, round_, 0, counter_++);
      used_ = 0;
    }
    return block_.word[used_++];
  }

  // Uniform in [0, bound), without bias: Lemire, Fast random integer generation in an interval (ACM TOMACS 2019).
  std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = std::uint64_t{next()} * bound;
    if (static_cast<std::uint32_t>(product) < bound) {
      const std::uint32_t threshold = (0u - bound) % bound;
      while (static_cast<std::uint32_t>(product) < threshold) product = std::uint64_t{next()} * bound;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

 private:
  std::uint64_t stream_;
  std::uint64_t round_;
  Words4 block_{};
  std::uint32_t counter_ = 0;
  int used_ = 4;
};

std::vector<std::int32_t> first_numbers(std::int64_t samples) {
  require(samples >= 0 && samples <= INT32_MAX, "a dataset has at most 2^31 - 1 samples");
  std::vector<std::int32_t> ids(static_cast<std::size_t>(samples));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

}  // namespace

void shuffle_in_place(std::uint64_t stream, std::uint64_t round, std::span<std::int32_t> items) {
  WordStream words(stream, round);
  for (std::size_t i = items.size(); i > 1; --i) {
    std::swap(items[i - 1], items[words.below(static_cast<std::uint32_t>(i))]);
  }
}

Sampler::Sampler(std::int64_t samples, Options options) : Sampler(first_numbers(samples), options) {}

Sampler::Sampler(std::vector<std::int32_t> ids, Options options) : ids_(std::move(ids)), options_(options) {
  if (options_.batch_size < 1) fail(ErrorKind::config, "batch_size is {}; it must be at least 1", options_.batch_size);
  if (ids_.empty()) fail(ErrorKind::config, "there are no samples to take batches from");
  if (options_.batch_size > samples()) {
    fail(ErrorKind::config, "batch_size is {}, but there are only {} samples", options_.batch_size, samples());
  }
}

void Sampler::order(std::int64_t epoch, std::span<std::int32_t> out) const {
  require(out.size() == ids_.size(), "an order needs room for every sample");
  std::ranges::copy(ids_, out.begin());
  if (!options_.shuffle) return;
  shuffle_in_place(stream_hash(options_.seed, "data.order"), static_cast<std::uint64_t>(epoch), out);
}

std::vector<std::int32_t> Sampler::order(std::int64_t epoch) const {
  std::vector<std::int32_t> out(ids_.size());
  order(epoch, out);
  return out;
}

std::int64_t Sampler::epoch_samples() const {
  return options_.drop_last ? samples() / options_.batch_size * options_.batch_size : samples();
}

std::int64_t Sampler::batches() const {
  return (epoch_samples() + options_.batch_size - 1) / options_.batch_size;
}

std::int64_t Sampler::batch_samples(std::int64_t offset) const {
  return std::clamp<std::int64_t>(epoch_samples() - offset, 0, options_.batch_size);
}

DataPosition Sampler::next(DataPosition at) const {
  at.offset += batch_samples(at.offset);
  return at.offset < epoch_samples() ? at : DataPosition{at.epoch + 1, 0};
}

}  // namespace trainctl
