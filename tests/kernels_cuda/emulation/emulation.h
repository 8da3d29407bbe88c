// CUDA kernels run on the host: blocks one after another, the threads of a block as fibers that take turns where they
// wait for each other. What the language of device code leaves open is made to matter: the order of threads and blocks
// is turned round from run to run, shared memory holds garbage at first, and a thread goes on alone for as long as
// nothing makes it wait, so that a barrier that is missing shows.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <source_location>
#include <string>
#include <type_traits>

namespace emulation {

using Place = std::source_location;

// ---- what sources of device code are turned into -------------------------------------------------------------------

/// Enqueues that thread() is run for each thread of the grid. Throws where CUDA would refuse the launch, and, when its
/// turn comes, where threads wait for each other in vain and for what CUDA leaves undefined. `site` is the launch's
/// file and line.
void run(const char* site, dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
         std::function<void()> thread);

/// kernel<<<grid, block, shared_bytes, stream>>> as a function of the kernel's arguments.
template <typename Kernel>
auto launch(const char* site, const Kernel& kernel, dim3 grid, dim3 block, std::size_t shared_bytes = 0,
            cudaStream_t stream = nullptr) {
  return [=](auto... arguments) { run(site, grid, block, shared_bytes, stream, [=] { kernel(arguments...); }); };
}

/// The launches that a file has.
struct Launches {
  Launches(std::initializer_list<const char*> sites);
};

/// Fills a variable in shared memory with garbage if the block's first thread has come to it.
void poison(void* memory, std::size_t bytes);
template <typename... Shared>
void poison(Shared&... variables) {
  static_assert((std::is_trivially_copyable_v<Shared> && ...));
  (poison(static_cast<void*>(&variables), sizeof(variables)), ...);
}

void* dynamic_shared();
template <typename T>
T* dynamic_shared() {
  return static_cast<T*>(dynamic_shared());
}

// ---- what threads do ------------------------------------------------------------------------------------------------

/// Waits for all threads of the block that have not ended.
void barrier(const Place& place);

/// The thread's number in its warp.
int lane();

struct Exchanged {
  std::uint64_t received;
  std::uint32_t votes;  ///< a bit for each lane whose value is not 0
};
/// Waits for the same call of all `lanes` of the warp; gives the value of lane `source`.
Exchanged exchange(std::uint32_t lanes, std::uint64_t value, int source, const Place& place);

// ---- what tests do --------------------------------------------------------------------------------------------------

/// Launches of the sources that have never been run, "file.cu:1 file.cu:2".
std::string launches_not_run();

}  // namespace emulation
