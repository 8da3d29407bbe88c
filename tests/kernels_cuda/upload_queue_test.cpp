// Copies beside launches: streams and events of the emulation, in the worst orders.
#include "kernels/cuda/upload_queue.h"

#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "emulation/emulation.h"
#include "emulation/streams.h"

using namespace trainctl;
using toy::Queues;

TEST_CASE("copies to places stay out of each other's way and of the launches', whichever stream is faster") {
  for (const auto fast : {Queues::Fast::launches, Queues::Fast::copies}) {
    for (const int places : {2, 3}) {
      emulation::Streams streams(fast);
      std::vector<int> host(places), device(places);
      std::vector<std::array<int, 2>> seen(50);
      {
        const auto bytes = std::as_writable_bytes(std::span(host));
        cuda::CudaUploadQueue queue(bytes, places, emulation::stream());
        CHECK(streams.pinned.size() == 1);
        for (int batch = 0; batch < 50; ++batch) {
          const int place = batch % places;
          if (batch >= places) queue.wait(place);  // the host's buffer is read into again
          host[place] = 100 + batch;
          const std::array<UploadQueue::Part, 1> parts{{{&device[place], &host[place], sizeof(int)}}};
          queue.fill(place, parts);
          queue.enter(place);
          for (int launch = 0; launch < 2; ++launch)
            streams.launch([&, batch, place, launch] { seen[batch][launch] = device[place]; });
          queue.leave(place);
        }
        streams.synchronize();
        for (int place = 0; place < places; ++place) CHECK(queue.filled(place));
      }
      for (int batch = 0; batch < 50; ++batch) CHECK(seen[batch] == std::array{100 + batch, 100 + batch});
      CHECK(streams.pinned.empty());
      CHECK(streams.streams == 0);
      CHECK(streams.events == 0);
    }
  }
}

TEST_CASE("memory that launches still clear is filled after that") {
  emulation::Streams streams(Queues::Fast::copies);
  int host = 7, device = 0;
  streams.launch([&] { device = 0; });
  cuda::CudaUploadQueue queue(std::as_writable_bytes(std::span(&host, 1)), 2, emulation::stream());
  const std::array<UploadQueue::Part, 1> parts{{{&device, &host, sizeof(int)}}};
  queue.fill(0, parts);
  CHECK_FALSE(queue.filled(0));
  CHECK(cudaGetLastError() == cudaSuccess);  // that it is not done yet is no error that a launch would find
  queue.enter(0);
  streams.synchronize();
  CHECK(device == 7);
  CHECK(queue.filled(0));
}

TEST_CASE("copies under way are waited for when the queue ends") {
  emulation::Streams streams(Queues::Fast::launches);
  int host = 7, device = 0;
  {
    cuda::CudaUploadQueue queue(std::as_writable_bytes(std::span(&host, 1)), 2, emulation::stream());
    const std::array<UploadQueue::Part, 1> parts{{{&device, &host, sizeof(int)}}};
    queue.fill(1, parts);
    CHECK(device == 0);
  }
  CHECK(device == 7);
}

TEST_CASE("memory that cannot be pinned is copied all the same") {
  emulation::Streams streams(Queues::Fast::launches);
  streams.registering = cudaErrorMemoryAllocation;
  int host = 7, device = 0;
  {
    cuda::CudaUploadQueue queue(std::as_writable_bytes(std::span(&host, 1)), 2, emulation::stream());
    CHECK(cudaGetLastError() == cudaSuccess);
    const std::array<UploadQueue::Part, 1> parts{{{&device, &host, sizeof(int)}}};
    queue.fill(0, parts);
    queue.wait(0);
    CHECK(device == 7);
  }
  CHECK(cudaGetLastError() == cudaSuccess);  // nothing was unregistered
}
