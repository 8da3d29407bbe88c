// The emulated runtime's streams and events.
#include <algorithm>
#include <bit>
#include <chrono>
#include <optional>
#include <set>

#include "call.h"

namespace {

std::set<EmulatedStream*> streams;
std::uint64_t synchronised = 0;
std::optional<bool> decided;
std::size_t events = 0;

void do_next(EmulatedStream* stream) {
  const EmulatedStream::Item item = std::move(stream->queue.front());
  stream->queue.pop_front();
  if (item.awaits && item.awaits->passed < item.recorded)
    emulation::drain(item.awaits->stream, item.awaits, item.recorded);
  if (item.work) item.work();
}

}  // namespace

namespace emulation {

cudaError_t enqueue(EmulatedStream* stream, Work work) {
  if (!streams.contains(stream)) return cudaErrorInvalidValue;
  if (stream->captured) {
    stream->captured->nodes.push_back(new EmulatedNode{std::move(work), stream->last});
    stream->last = {stream->captured->nodes.back()};
    return cudaSuccess;
  }
  stream->queue.push_back({std::move(work)});
  if (eager()) drain(stream);
  return cudaSuccess;
}

void drain(EmulatedStream* stream) {
  while (!stream->queue.empty()) do_next(stream);
}

void drain(EmulatedStream* stream, const EmulatedEvent* event, std::uint64_t recorded) {
  while (event->passed < recorded && !stream->queue.empty()) do_next(stream);
}

bool eager() {
  return decided.value_or(std::popcount(synchronised) % 2 != 0);
}
Eager::Eager(bool eager) {
  decided = eager;
}
Eager::~Eager() {
  decided.reset();
}

std::size_t streams_and_events() {
  return streams.size() + events;
}

void drain_all() {
  for (EmulatedStream* stream : streams) drain(stream);
}

}  // namespace emulation

using emulation::call;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return call([&] {
    *stream = *streams.insert(new EmulatedStream).first;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return call([&] {
    emulation::drain(stream);
    streams.erase(stream);
    delete stream;
    return cudaSuccess;
  });
}

// Nothing is ever enqueued on the stream null.
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return call([&] {
    if (!stream) return cudaSuccess;
    if (stream->captured) return cudaErrorStreamCaptureUnsupported;
    emulation::drain(stream);
    ++synchronised;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return call([&] {
    if (stream->captured) return cudaErrorStreamCaptureUnsupported;
    if (event->recorded) stream->queue.push_back({{}, event, event->recorded});
    if (emulation::eager()) emulation::drain(stream);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return call([&] { return *event = new EmulatedEvent, ++events, cudaSuccess; });
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return cudaEventCreate(event);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call([&] {
    if (event->stream && streams.contains(event->stream)) emulation::drain(event->stream, event, event->recorded);
    delete event;
    --events;
    return cudaSuccess;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return call([&] {
    if (stream->captured) return cudaErrorStreamCaptureUnsupported;
    event->stream = stream;
    const std::uint64_t number = ++event->recorded;
    return emulation::enqueue(stream, [=] {
      event->passed = std::max(event->passed, number);
      event->at_s = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    });
  });
}

// Each question lets a little be done, so that asking again and again comes to an end.
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call([&] {
    if (event->passed < event->recorded && !event->stream->queue.empty()) do_next(event->stream);
    return event->passed < event->recorded ? cudaErrorNotReady : cudaSuccess;
  });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call([&] {
    if (event->passed < event->recorded) emulation::drain(event->stream, event, event->recorded);
    return cudaSuccess;
  });
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  return call([&] {
    if (start->passed == 0 || end->passed == 0) return cudaErrorInvalidValue;
    *ms = static_cast<float>(1e3 * (end->at_s - start->at_s));
    return cudaSuccess;
  });
}
