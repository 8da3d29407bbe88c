#include <utility>

#include "data/sample_order.h"
#include "data/word_stream.h"

namespace trainctl {
namespace {

/// Each number of an epoch drawn from all samples, whatever was drawn before.
class Drawn final : public EpochOrder {
 public:
  Drawn(SampleIds ids, std::uint64_t seed, std::int64_t length)
      : ids_(std::move(ids)),
        stream_(stream_hash(seed, "data.draw")),
        length_(length > 0 ? length : static_cast<std::int64_t>(ids_->size())) {}

  std::int64_t samples() const override { return length_; }
  bool varies() const override { return true; }
  void write(std::int64_t epoch, std::span<std::int32_t> out) const override {
    WordStream words(stream_, static_cast<std::uint64_t>(epoch));
    for (std::int32_t& id : out) id = (*ids_)[words.below(static_cast<std::uint32_t>(ids_->size()))];
  }

 private:
  SampleIds ids_;
  std::uint64_t stream_;
  std::int64_t length_;
};

/// Samples in random order, all equally likely.
struct Random final : SampleOrder {
  bool replacement = false;
  std::optional<Progress> epoch_length;

  static Schema<Random> schema() {
    return Schema<Random>(
               "Visit the samples in random order. Without replacement pass follows pass, each a new permutation, and "
               "an "
               "epoch takes the next epoch_length of them; without epoch_length it is one pass (`shuffle: true`).")
        .field("replacement", &Random::replacement, "Draw each sample from all, whatever was drawn before.")
        .field("epoch_length", &Random::epoch_length, epoch_length_doc)
        .example("{type: random, epoch_length: 2000 steps}")
        .example("{type: random, replacement: true, epoch_length: 50000 samples}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const { check_epoch_length(epoch_length, diagnostics, node); }

  std::unique_ptr<EpochOrder> prepare(const OrderContext& context) const override {
    const std::int64_t length = samples_of(epoch_length, context);
    if (replacement) return std::make_unique<Drawn>(context.ids, context.seed, length);
    return shuffled(context.ids, context.seed, length);
  }
};

const Register<SampleOrder, Random> registered{"random"};

}  // namespace
}  // namespace trainctl
