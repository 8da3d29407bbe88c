// The order in which an epoch visits the samples: a pure function of seed and epoch, so a position in the data is two
// numbers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace trainctl {

/// Where in the data a run stands: `offset` samples of epoch `epoch` are used. Epochs count from 0.
struct DataPosition {
  std::int64_t epoch = 0;
  std::int64_t offset = 0;
  friend bool operator==(const DataPosition&, const DataPosition&) = default;
};

/// Shuffles `items` uniformly (Fisher-Yates; Durstenfeld, 1964) by the random words of (`stream`, `round`), nothing
/// else.
void shuffle_in_place(std::uint64_t stream, std::uint64_t round, std::span<std::int32_t> items);

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

  /// Writes the order of an epoch to `out` (samples() long); with drop_last only its first epoch_samples() are used.
  void order(std::int64_t epoch, std::span<std::int32_t> out) const;
  std::vector<std::int32_t> order(std::int64_t epoch) const;

  std::int64_t samples() const { return static_cast<std::int64_t>(ids_.size()); }
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
  std::vector<std::int32_t> ids_;
  Options options_;
};

}  // namespace trainctl
