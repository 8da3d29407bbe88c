// Batches gathered ahead of use, for data that does not lie on the device: prefetch threads fill a ring of host
// buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "data/dataset.h"
#include "data/sampler.h"

namespace trainctl {

/// One batch in host memory.
struct StagedBatch {
  DataPosition at;                           ///< where it starts
  std::int64_t count = 0;                    ///< samples in it
  std::span<const std::byte* const> fields;  ///< per field of the source: `count` samples, contiguous
  std::span<const std::int32_t> ids;         ///< the samples' numbers in the source
};

/// Gives the batches of epoch after epoch, in the sampler's order whatever the number of threads. Reading never waits
/// for anything but a free buffer; nothing is allocated per batch.
class Staging {
 public:
  struct Options {
    int threads = 2;
    int slots = 4;  ///< buffers in the ring: batches that are ready, being filled, or held by the consumer
  };

  /// Takes the ring's memory; seek() starts reading. `source` and `sampler` outlive this object.
  Staging(const SampleSource& source, const Sampler& sampler, Options options);
  /// Starts reading at `start`.
  Staging(const SampleSource& source, const Sampler& sampler, DataPosition start, Options options);
  /// Stops the threads, after the reads under way.
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// Reads on from another position, after the reads under way. No batch is held any more.
  void seek(DataPosition start);
  /// Whether next() would give a batch without waiting.
  bool ready() const;
  /// Waits for the next batch in order. It is valid until released. Rethrows what a reader threw for this batch, and
  /// again at every later call. Not more than `slots` batches may be held.
  StagedBatch next();
  /// Gives the oldest held batch's buffer back to the readers.
  void release();
  /// The ring's memory, whole, for a device that wants to pin it.
  std::span<std::byte> memory();
  /// Its size.
  static std::size_t memory_bytes(const DatasetInfo& info, std::int64_t batch_size, int slots);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trainctl
