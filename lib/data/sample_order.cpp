#include "data/sample_order.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "data/word_stream.h"

namespace trainctl {
namespace {

/// Passes over all samples one after another, cut into epochs of a length.
class Passes : public EpochOrder {
 public:
  Passes(SampleIds ids, std::int64_t length)
      : ids_(std::move(ids)), length_(length > 0 ? length : static_cast<std::int64_t>(ids_->size())) {}

  std::int64_t samples() const override { return length_; }

  void write(std::int64_t epoch, std::span<std::int32_t> out) const override {
    require(static_cast<std::int64_t>(out.size()) == length_, "an order needs room for every sample");
    const auto count = static_cast<std::int64_t>(ids_->size());
    std::vector<std::int32_t> pass;
    for (std::int64_t at = 0; at < length_;) {
      const std::int64_t position = epoch * length_ + at;
      const std::int64_t from = position % count;
      const std::int64_t part = std::min(count - from, length_ - at);
      pass = *ids_;
      arrange(position / count, pass);
      std::copy_n(pass.begin() + from, part, out.begin() + at);
      at += part;
    }
  }

 protected:
  virtual void arrange(std::int64_t pass, std::span<std::int32_t> ids) const = 0;
  SampleIds ids_;
  std::int64_t length_;
};

class Orderly final : public Passes {
 public:
  using Passes::Passes;
  bool varies() const override { return length_ % static_cast<std::int64_t>(ids_->size()) != 0; }

 private:
  void arrange(std::int64_t, std::span<std::int32_t>) const override {}
};

class Shuffled final : public Passes {
 public:
  Shuffled(SampleIds ids, std::uint64_t seed, std::int64_t length)
      : Passes(std::move(ids), length), stream_(stream_hash(seed, "data.order")) {}
  bool varies() const override { return true; }

 private:
  void arrange(std::int64_t pass, std::span<std::int32_t> ids) const override {
    shuffle_in_place(stream_, static_cast<std::uint64_t>(pass), ids);
  }
  std::uint64_t stream_;
};

}  // namespace

void shuffle_in_place(std::uint64_t stream, std::uint64_t round, std::span<std::int32_t> items) {
  WordStream words(stream, round);
  for (std::size_t i = items.size(); i > 1; --i) {
    std::swap(items[i - 1], items[words.below(static_cast<std::uint32_t>(i))]);
  }
}

std::unique_ptr<EpochOrder> orderly(SampleIds ids, std::int64_t length) {
  return std::make_unique<Orderly>(std::move(ids), length);
}

std::unique_ptr<EpochOrder> shuffled(SampleIds ids, std::uint64_t seed, std::int64_t length) {
  return std::make_unique<Shuffled>(std::move(ids), seed, length);
}

std::int64_t samples_of(const std::optional<Progress>& length, const OrderContext& context) {
  if (!length) return 0;
  const double factor = length->unit == Progress::Unit::steps ? static_cast<double>(context.update_samples) : 1.0;
  const double samples = length->count * factor;
  if (samples > INT32_MAX)
    fail(ErrorKind::config, "sampler: an epoch of {} has more than 2^31 - 1 samples", to_text(*length));
  return static_cast<std::int64_t>(samples);
}

void check_epoch_length(const std::optional<Progress>& length, Diagnostics& diagnostics, const Node& node) {
  if (!length) return;
  if (length->unit == Progress::Unit::epochs)
    diagnostics.error(node, "epoch_length says how long an epoch is: give it in steps or samples.");
  else if (length->count < 1.0)
    diagnostics.error(node, "epoch_length must be at least 1 step or sample.");
}

}  // namespace trainctl
