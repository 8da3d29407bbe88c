// Copies beside launches: streams and events of the emulation, done as early and as late as they may be.
#include "kernels/cuda/upload_queue.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <vector>

#include "emulation/runtime.h"

using namespace trainctl;

namespace {

/// A stream of launches, and numbers in memory of the device.
struct Launches {
  explicit Launches(int numbers) : stream(cuda::new_stream()) {
    cuda::check(cudaMalloc(reinterpret_cast<void**>(&device), sizeof(int) * numbers), "taking memory");
  }
  ~Launches() {
    cudaStreamDestroy(stream);
    cudaFree(device);
  }
  /// Stands for a step.
  void launch(std::function<void()> work) { cuda::check(emulation::enqueue(stream, std::move(work)), "launching"); }
  void synchronize() { cuda::check(cudaStreamSynchronize(stream), "waiting"); }

  cudaStream_t stream;
  int* device = nullptr;
};

std::array<UploadQueue::Part, 1> copy(int* to, const int* from) {
  return {{{to, from, sizeof(int)}}};
}

}  // namespace

TEST_CASE("copies to places stay out of each other's way and of the launches', early or late") {
  for (const bool eager : {false, true}) {
    for (const int places : {2, 3}) {
      const emulation::Eager decided(eager);
      std::vector<std::array<int, 2>> seen(50);
      {
        Launches launches(places);
        std::vector<int> host(places);
        cuda::CudaUploadQueue queue(std::as_writable_bytes(std::span(host)), places, launches.stream);
        CHECK(cudaHostRegister(host.data(), 1, 0) == cudaErrorHostMemoryAlreadyRegistered);
        for (int batch = 0; batch < 50; ++batch) {
          const int place = batch % places;
          if (batch >= places) queue.wait(place);  // the host's buffer is read into again
          host[place] = 100 + batch;
          queue.fill(place, copy(&launches.device[place], &host[place]));
          queue.enter(place);
          for (int launch = 0; launch < 2; ++launch)
            launches.launch([&, batch, place, launch] { seen[batch][launch] = launches.device[place]; });
          queue.leave(place);
        }
        launches.synchronize();
        for (int place = 0; place < places; ++place) CHECK(queue.filled(place));
      }
      for (int batch = 0; batch < 50; ++batch) CHECK(seen[batch] == std::array{100 + batch, 100 + batch});
      CHECK(emulation::streams_and_events() == 0);
    }
  }
}

TEST_CASE("memory that launches still clear is filled after that") {
  const emulation::Eager decided(false);
  Launches launches(1);
  int host = 7;
  launches.launch([&] { *launches.device = 0; });
  cuda::CudaUploadQueue queue(std::as_writable_bytes(std::span(&host, 1)), 2, launches.stream);
  queue.fill(0, copy(launches.device, &host));
  CHECK_FALSE(queue.filled(0));
  CHECK(cudaGetLastError() == cudaSuccess);  // that it is not done yet is no error that a launch would find
  queue.enter(0);
  launches.synchronize();
  CHECK(*launches.device == 7);
  CHECK(queue.filled(0));
}

TEST_CASE("copies under way are waited for when the queue ends") {
  const emulation::Eager decided(false);
  Launches launches(1);
  int host = 7;
  *launches.device = 0;
  {
    cuda::CudaUploadQueue queue(std::as_writable_bytes(std::span(&host, 1)), 2, launches.stream);
    queue.fill(1, copy(launches.device, &host));
    CHECK(*launches.device == 0);
  }
  CHECK(*launches.device == 7);
}

TEST_CASE("memory that cannot be pinned is copied all the same") {
  Launches launches(1);
  int host = 7;
  REQUIRE(cudaHostRegister(&host, sizeof(host), 0) == cudaSuccess);  // by someone else, so that it cannot be once more
  {
    cuda::CudaUploadQueue queue(std::as_writable_bytes(std::span(&host, 1)), 2, launches.stream);
    CHECK(cudaGetLastError() == cudaSuccess);
    queue.fill(0, copy(launches.device, &host));
    queue.wait(0);
    CHECK(*launches.device == 7);
  }
  CHECK(cudaHostUnregister(&host) == cudaSuccess);  // the queue has not
  CHECK(cudaGetLastError() == cudaSuccess);
}
