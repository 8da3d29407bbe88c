// The emulated runtime's own: queues of work that is done as late as CUDA allows, or as early.
//
// Enqueued work is not done before something waits for it, so that memory which is changed, freed or read too early
// shows, and a graph's in the order opposite to that of its capture, as far as its edges allow. After some of the times
// that something has waited it is the other way round: work is done at once, and a graph's in its own order.
//
// TRAINCTL_EMULATED_CUDA in the environment, "name=value,...", makes the device another one or break:
//   memory=MIB     how much memory it has (16384)
//   sm=NN          its compute capability (90)
//   driver=NNNNN   the CUDA version that the driver knows, 0 for none (13000)
//   fail=NAME@N    the N-th launch of a graph ends in the sticky error NAME, as in cudaErrorIllegalAddress@100
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

using Work = std::function<void()>;

struct EmulatedNode {
  Work work;
  std::vector<EmulatedNode*> after;
};

struct EmulatedGraph {
  std::vector<EmulatedNode*> nodes;  ///< in the order in which they were added; owned
};

struct EmulatedStream {
  struct Item {
    Work work;
    EmulatedEvent* awaits = nullptr;  ///< an event that comes first, as it was recorded by then:
    std::uint64_t recorded = 0;       ///< so often
  };
  std::deque<Item> queue;
  EmulatedGraph* captured = nullptr;  ///< that is being captured to
  std::vector<EmulatedNode*> last;    ///< what the next node captured comes after
};

struct EmulatedEvent {
  EmulatedStream* stream = nullptr;  ///< that recorded it last
  std::uint64_t recorded = 0;        ///< how often it was recorded
  std::uint64_t passed = 0;          ///< the last of these that was reached
  double at_s = 0.0;
};

namespace emulation {

/// Taken by every call: the host's threads may make them at the same time.
std::recursive_mutex& mutex();

/// Whether work is done as early as possible now; else as late.
bool eager();
/// Decides that from now on, until an object of this kind ends.
class Eager {
 public:
  explicit Eager(bool eager);
  ~Eager();
  Eager(const Eager&) = delete;
  Eager& operator=(const Eager&) = delete;
};
/// Streams and events that there are.
std::size_t streams_and_events();

/// Gives a stream work, or a graph that it captures to a node.
cudaError_t enqueue(EmulatedStream* stream, Work work);
/// Does all that a stream was given, or all up to a record of an event.
void drain(EmulatedStream* stream);
void drain(EmulatedStream* stream, const EmulatedEvent* event, std::uint64_t recorded);
/// Does all work of all streams.
void drain_all();

/// A sticky error, once there is one: every call answers with it from then on.
cudaError_t sticky();
/// To be called for each graph that is launched.
void count_launch();

/// What TRAINCTL_EMULATED_CUDA says of `name`, or `otherwise`.
std::int64_t setting(const char* name, std::int64_t otherwise);

}  // namespace emulation
