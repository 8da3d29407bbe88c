// The batches of an epoch, and the position in it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/sample_order.h"

namespace trainctl {

/// Where in the data a run stands: `offset` samples of epoch `epoch` are used. Epochs count from 0.
struct DataPosition {
  std::int64_t epoch = 0;
  std::int64_t offset = 0;
  friend bool operator==(const DataPosition&, const DataPosition&) = default;
};

/// Gives each epoch its order of sample numbers and its batches.
class Sampler {
 public:
  struct Options {
    std::int64_t batch_size = 1;
    bool shuffle = false;    ///< a new order each epoch; else always the given one
    bool drop_last = false;  ///< leaves out a last batch with fewer than batch_size samples
    std::uint64_t seed = 0;  ///< the experiment's seed
  };

  /// All of [0, samples). Throws a config Error where there are fewer samples than a batch.
  Sampler(std::int64_t samples, Options options);
  /// The given sample numbers only (a subset).
  Sampler(std::vector<std::int32_t> ids, Options options);
  /// In an order of its own; `shuffle` is not looked at.
  Sampler(SampleIds ids, std::unique_ptr<const EpochOrder> order, Options options);

  /// Writes the order of an epoch to `out` (samples() long); with drop_last only its first epoch_samples() are used.
  void order(std::int64_t epoch, std::span<std::int32_t> out) const;
  std::vector<std::int32_t> order(std::int64_t epoch) const;

  /// Whether the order of one epoch differs from that of another.
  bool varies() const { return order_->varies(); }
  /// The samples that are drawn from.
  const std::vector<std::int32_t>& ids() const { return *ids_; }
  /// Length of an epoch's order.
  std::int64_t samples() const { return order_->samples(); }
  /// Samples that an epoch uses: all of them, or whole batches with drop_last.
  std::int64_t epoch_samples() const;
  /// Batches (not updates) of an epoch.
  std::int64_t batches() const;
  /// Samples of the batch that starts at `offset` of an epoch; 0 at its end.
  std::int64_t batch_samples(std::int64_t offset) const;
  /// The position after the batch at `at`; goes over to the next epoch at the end of this one.
  DataPosition next(DataPosition at) const;
  const Options& options() const { return options_; }

 private:
  void check() const;
  SampleIds ids_;
  std::unique_ptr<const EpochOrder> order_;
  Options options_;
};

}  // namespace trainctl
