// A split whose samples are too many for memory: its batches are read ahead of their use.
#pragma once

#include <memory>
#include <vector>

#include "data/sampler.h"
#include "data/staging.h"
#include "program/state_store.h"

namespace trainctl {

/// Brings batches to the device, in the sampler's order and with the same bits as from memory. While a step runs,
/// threads read the batches that follow.
class StreamedSplit {
 public:
  /// `sampler` outlives this object. `states` are the state variables of the source's fields, a batch long.
  StreamedSplit(std::shared_ptr<const SampleSource> source, const Sampler& sampler, std::vector<int> states,
                int threads);

  /// Brings the batch at a position to the device, unless it is there. Reading goes on behind it; at any other position
  /// than the next it begins anew. Throws what reading the batch threw: a data Error that names the file.
  void bring(DataPosition at, StateStore& state);

 private:
  bool is(const DataPosition& a, const DataPosition& b) const {
    return a.offset == b.offset && (a.epoch == b.epoch || !sampler_.varies());
  }

  std::shared_ptr<const SampleSource> source_;
  const Sampler& sampler_;
  std::vector<int> states_;
  Staging::Options options_;
  std::unique_ptr<Staging> staging_;
  DataPosition here_{-1, -1};  ///< of the batch on the device
  DataPosition next_;          ///< of the batch that staging_ gives next
};

}  // namespace trainctl
