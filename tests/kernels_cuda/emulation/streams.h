// Two streams and the events between them: that of launches and one of copies. While an object of this kind lives, what
// is enqueued runs later, in the worst order that the events allow.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>
#include <set>

#include "tests/toy_queues.h"

namespace emulation {

class Streams {
 public:
  explicit Streams(toy::Queues::Fast fast);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  /// Stands for a step.
  void launch(std::function<void()> work) { queues.add(toy::Queues::Name::launches, std::move(work)); }
  void synchronize() { queues.run_until_idle(toy::Queues::Name::launches); }

  toy::Queues queues;
  std::set<void*> pinned;
  cudaError_t registering = cudaSuccess;  ///< what cudaHostRegister is to say
  int streams = 0, events = 0;            ///< that exist
};

}  // namespace emulation
