// A split whose samples do not all lie on the device: its batches are read ahead of their use.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/sampler.h"
#include "data/staging.h"
#include "program/state_store.h"

namespace trainctl {

/// Brings batches to the device, in the sampler's order and with the same bits as from memory. While a step runs,
/// threads read the batches that follow, and where the device copies beside launches the next one is on its way.
class StreamedSplit {
 public:
  /// `sampler` and `state` outlive this object. `states` are the state variables of the source's fields, with room for
  /// one or more batches: the places that batches come to in turns.
  StreamedSplit(std::shared_ptr<const SampleSource> source, const Sampler& sampler, const std::vector<int>& states,
                StateStore& state, int threads);

  /// Brings the batch at a position to the device, unless it is there; returns the row of the state variables at which
  /// it begins. Call it before each program that reads it. Reading goes on behind it; at any other position than the
  /// next it begins anew. Throws what reading the batch threw: a data Error that names the file.
  std::int64_t bring(DataPosition at);

  /// Host memory of the batches that are read ahead.
  static std::size_t host_bytes(const DatasetInfo& info, std::int64_t batch_size, int threads, int places);

 private:
  struct Rows {
    std::byte* memory = nullptr;
    std::size_t sample_bytes = 0;
  };
  bool is(const DataPosition& a, const DataPosition& b) const {
    return a.offset == b.offset && (a.epoch == b.epoch || !sampler_.varies());
  }
  int place(std::int64_t batch) const { return static_cast<int>(batch % places_); }
  void seek(DataPosition at);
  void fill();
  void release();

  std::shared_ptr<const SampleSource> source_;
  const Sampler& sampler_;
  Device& device_;
  int places_;
  Staging staging_;
  std::vector<Rows> rows_;  ///< by field
  std::vector<UploadQueue::Part> parts_;
  std::unique_ptr<UploadQueue> queue_;  ///< null: batches are copied before the step, which must not be running
  // Batches have numbers in the order in which they are brought; number k comes to place k mod places.
  std::int64_t here_ = -1;     ///< the one that programs read
  std::int64_t filled_ = 0;    ///< so many have been copied, or are being
  std::int64_t released_ = 0;  ///< so many were copied so long ago that their buffers are read into again
  DataPosition at_{-1, -1};    ///< of batch here_
  DataPosition next_{-1, -1};  ///< of batch here_ + 1
};

}  // namespace trainctl
