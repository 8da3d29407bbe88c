#include "streams.h"

#include <cstdint>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "emulation.h"

using trainctl::require;

namespace {

emulation::Streams* current = nullptr;
cudaError_t last_error = cudaSuccess;

cudaError_t say(cudaError_t status) {
  if (status != cudaSuccess) last_error = status;
  return status;
}

emulation::Streams& now() {
  require(current != nullptr, "no streams are emulated");
  return *current;
}

cudaStream_t copies() {
  return reinterpret_cast<cudaStream_t>(&now().queues);
}

toy::Queues::Name queue(cudaStream_t stream) {
  require(stream == emulation::stream() || stream == copies(), "there is no such stream");
  return stream == copies() ? toy::Queues::Name::copies : toy::Queues::Name::launches;
}

int number(cudaEvent_t event) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(event)) - 1;
}

}  // namespace

namespace emulation {

Streams::Streams(toy::Queues::Fast fast) : queues(fast) {
  current = this;
}
Streams::~Streams() {
  current = nullptr;
}

}  // namespace emulation

cudaError_t cudaGetLastError() {
  return std::exchange(last_error, cudaSuccess);
}
const char* cudaGetErrorName(cudaError_t) {
  return "its name";
}
const char* cudaGetErrorString(cudaError_t) {
  return "its meaning";
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  require(flags == cudaStreamNonBlocking, "a stream that waits for stream 0");
  ++now().streams;
  *stream = copies();
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  require(stream == copies(), "the stream is not the program's to end");
  --now().streams;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (current) current->queues.run_until_idle(queue(stream));
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  now().queues.wait(number(event), queue(stream));
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  ++now().events;
  *event = reinterpret_cast<cudaEvent_t>(static_cast<std::intptr_t>(now().queues.make_event()) + 1);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t) {
  --now().events;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  now().queues.record(number(event), queue(stream));
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return say(now().queues.reached(number(event)) ? cudaSuccess : cudaErrorNotReady);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  now().queues.run_until_reached(number(event));
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  now().queues.add(queue(stream), [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaHostRegister(void* memory, std::size_t, unsigned) {
  if (now().registering == cudaSuccess) now().pinned.insert(memory);
  return say(now().registering);
}
cudaError_t cudaHostUnregister(void* memory) {
  return say(now().pinned.erase(memory) == 1 ? cudaSuccess : cudaErrorInvalidValue);
}
