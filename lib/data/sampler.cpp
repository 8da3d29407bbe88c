#include "data/sampler.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"

namespace trainctl {
namespace {

std::vector<std::int32_t> first_numbers(std::int64_t samples) {
  require(samples >= 0 && samples <= INT32_MAX, "a dataset has at most 2^31 - 1 samples");
  std::vector<std::int32_t> ids(static_cast<std::size_t>(samples));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

}  // namespace

Sampler::Sampler(std::int64_t samples, Options options) : Sampler(first_numbers(samples), options) {}

Sampler::Sampler(std::vector<std::int32_t> ids, Options options)
    : ids_(std::make_shared<const std::vector<std::int32_t>>(std::move(ids))),
      order_(options.shuffle ? shuffled(ids_, options.seed) : orderly(ids_)),
      options_(options) {
  check();
}

Sampler::Sampler(SampleIds ids, std::unique_ptr<const EpochOrder> order, Options options)
    : ids_(std::move(ids)), order_(std::move(order)), options_(options) {
  check();
}

void Sampler::check() const {
  if (options_.batch_size < 1) fail(ErrorKind::config, "batch_size is {}; it must be at least 1", options_.batch_size);
  if (ids_->empty()) fail(ErrorKind::config, "there are no samples to take batches from");
  if (options_.batch_size <= samples()) return;
  fail(ErrorKind::config, "batch_size is {}, but there are only {} samples{}; {}", options_.batch_size, samples(),
       static_cast<std::size_t>(samples()) == ids_->size() ? "" : " in an epoch",
       options_.drop_last ? "lower it, or drop_last leaves nothing" : "lower it");
}

void Sampler::order(std::int64_t epoch, std::span<std::int32_t> out) const {
  order_->write(epoch, out);
}

std::vector<std::int32_t> Sampler::order(std::int64_t epoch) const {
  std::vector<std::int32_t> out(static_cast<std::size_t>(samples()));
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
