// The device "cuda": memory, queue, and steps captured as CUDA graphs.
#include "device/device.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <thread>
#include <utility>

#include "device/module.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/upload_queue.h"

namespace trainctl::cuda {
namespace {

double mebibytes(std::size_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

/// A captured sequence of launches. Each launch's nodes hang on those of the launches that it must wait for, so that
/// what is independent runs at the same time.
class CudaReplay final : public Replay {
 public:
  CudaReplay(std::vector<BoundLaunch> launches, const CudaStream& stream)
      : launches_(std::move(launches)), stream_(stream) {}
  CudaReplay(const CudaReplay&) = delete;
  CudaReplay& operator=(const CudaReplay&) = delete;
  ~CudaReplay() override {
    if (executable_) cudaGraphExecDestroy(executable_);
    if (graph_) cudaGraphDestroy(graph_);
  }

  void run() override {
    if (!executable_) capture();
    check(cudaGraphLaunch(executable_, stream_.handle), "launching a step");
  }

 private:
  using Nodes = std::vector<cudaGraphNode_t>;

  void capture() {
    if (graph_) cudaGraphDestroy(std::exchange(graph_, nullptr));  // of an attempt that failed
    check(cudaGraphCreate(&graph_, 0), "capturing a step");
    std::vector<Nodes> ends(launches_.size());
    for (std::size_t i = 0; i < launches_.size(); ++i) {
      Nodes before;
      for (const int earlier : launches_[i].after) {
        for (const cudaGraphNode_t node : ends[earlier]) {
          if (std::ranges::find(before, node) == before.end()) before.push_back(node);
        }
      }
      ends[i] = capture(launches_[i], before);
    }
    check(cudaGraphInstantiate(&executable_, graph_, 0), "compiling a captured step");
    check(cudaGraphUpload(executable_, stream_.handle), "compiling a captured step");
  }

  /// Adds the nodes of one launch; returns those that nothing of it comes after.
  Nodes capture(const BoundLaunch& bound, const Nodes& before) {
    check(cudaStreamBeginCaptureToGraph(stream_.handle, graph_, before.data(), nullptr, before.size(),
                                        cudaStreamCaptureModeRelaxed),
          "capturing a step");
    Nodes ends;
    try {
      bound.launch->run(bound.arguments);
      cudaStreamCaptureStatus status{};
      const cudaGraphNode_t* last = nullptr;
      const cudaGraphEdgeData* edges = nullptr;  // asked for, since a library's early starts would else be an error
      std::size_t count = 0;
      check(cudaStreamGetCaptureInfo(stream_.handle, &status, nullptr, nullptr, &last, &edges, &count),
            "capturing a step");
      ends.assign(last, last + count);
    } catch (...) {
      end_capture();
      throw;
    }
    check(end_capture(), "capturing a step");
    return ends;
  }

  /// A capture that went wrong takes its graph with it.
  cudaError_t end_capture() {
    cudaGraph_t captured = nullptr;
    const cudaError_t status = cudaStreamEndCapture(stream_.handle, &captured);
    if (captured != graph_) graph_ = nullptr;
    return status;
  }

  std::vector<BoundLaunch> launches_;
  const CudaStream& stream_;
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
};

/// Pinned memory that small uploads pass through on their way, so that neither side waits for the other: each takes the
/// next place, and only a place that was used a whole round ago is waited for. There are few, since one is used for
/// each launch: it is this that keeps the host from running far ahead, so that a stop need not wait for long.
class UploadRing {
 public:
  static constexpr std::size_t slot_bytes = 32768;
  static constexpr int slots = 16;
  static constexpr int slots_per_event = 4;

  UploadRing() {
    check(cudaHostAlloc(reinterpret_cast<void**>(&memory_), slot_bytes * slots, cudaHostAllocDefault),
          "taking pinned memory");
    for (cudaEvent_t& event : events_)
      check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync), "creating an event");
  }
  UploadRing(const UploadRing&) = delete;
  UploadRing& operator=(const UploadRing&) = delete;
  ~UploadRing() {
    for (cudaEvent_t event : events_) cudaEventDestroy(event);
    cudaFreeHost(memory_);
  }

  void upload(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
    const int part = next_ / slots_per_event;
    if (next_ % slots_per_event == 0) check(cudaEventSynchronize(events_[part]), "waiting for the device");
    std::byte* slot = memory_ + slot_bytes * next_;
    std::memcpy(slot, from, bytes);
    check(cudaMemcpyAsync(to, slot, bytes, cudaMemcpyHostToDevice, stream), "copying to the device");
    next_ = (next_ + 1) % slots;
    if (next_ % slots_per_event == 0) check(cudaEventRecord(events_[part], stream), "recording an event");
  }

 private:
  std::byte* memory_ = nullptr;
  cudaEvent_t events_[slots / slots_per_event]{};
  int next_ = 0;
};

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(int threads) : threads_(threads), stream_(new_stream()) {}
  ~CudaDevice() override {
    cudaStreamSynchronize(stream_.handle);
    cudaStreamDestroy(stream_.handle);
  }

  std::string_view name() const override { return "cuda"; }
  std::string description() const override {
    int device = 0;
    cudaDeviceProp properties{};
    check(cudaGetDevice(&device), "asking for the device");
    check(cudaGetDeviceProperties(&properties, device), "asking for the device");
    return fmt::format("{}, sm_{}{}, {} multiprocessors, {:.1f} GiB", properties.name, properties.major,
                       properties.minor, properties.multiProcessorCount, mebibytes(properties.totalGlobalMem) / 1024.0);
  }

  /// Of no use here; kept for a run that goes on on the CPU.
  int threads() const override { return threads_; }
  bool reduced_precision() const override { return true; }
  std::size_t peak_bytes() const override { return peak_bytes_; }

  /// Some is kept back for what the driver and the libraries take when they are first used: kernels' code, captured
  /// graphs.
  std::optional<DeviceMemory> memory() const override {
    constexpr std::size_t kept_back = std::size_t{512} << 20;
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for the device's memory");
    return DeviceMemory{.free = free - std::min(free, kept_back), .total = total};
  }
  std::unique_ptr<UploadQueue> upload_queue(std::span<std::byte> host, int places) override {
    return std::make_unique<CudaUploadQueue>(host, places, stream_.handle);
  }

  void* allocate(std::size_t bytes) override {
    void* memory = nullptr;
    const cudaError_t status = cudaMalloc(&memory, std::max<std::size_t>(bytes, 1));
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // it is not sticky
      std::size_t free = 0, total = 0;
      cudaMemGetInfo(&free, &total);
      fail(ErrorKind::environment,
           "not enough memory on the GPU: {:.1f} MiB asked for, {:.1f} of {:.1f} MiB free; use a smaller batch or "
           "model, precision: bf16, or a GPU with more memory",
           mebibytes(bytes), mebibytes(free), mebibytes(total));
    }
    check(status, "taking memory on the device");
    check(cudaMemsetAsync(memory, 0, bytes, stream_.handle), "clearing memory on the device");
    taken_[memory] = bytes;
    bytes_ += bytes;
    peak_bytes_ = std::max(peak_bytes_, bytes_);
    return memory;
  }
  void release(void* memory) noexcept override {
    cudaStreamSynchronize(stream_.handle);
    cudaFree(memory);
    bytes_ -= taken_[memory];
    taken_.erase(memory);
  }

  void do_upload(void* to, const void* from, std::size_t bytes) override {
    if (bytes == 0) return;
    if (bytes <= UploadRing::slot_bytes) return ring_.upload(to, from, bytes, stream_.handle);
    // From pageable memory this returns when the bytes have been read.
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_.handle), "copying to the device");
    check(cudaStreamSynchronize(stream_.handle), "copying to the device");
  }
  void do_download(void* to, const void* from, std::size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_.handle), "copying from the device");
    check(cudaStreamSynchronize(stream_.handle), "copying from the device");
  }
  void do_synchronize() override { stream_.synchronize(); }
  Stream* stream() override { return &stream_; }
  std::unique_ptr<Replay> record(std::vector<BoundLaunch> launches) override {
    return std::make_unique<CudaReplay>(std::move(launches), stream_);
  }
  bool concurrent() const override { return true; }
  int most_runs() const override { return 8; }

  /// The mean over a captured chain: what the launch adds to a step, its latency included.
  double time(const BoundLaunch& bound) override {
    constexpr int length = 20;
    std::vector<BoundLaunch> chain;
    for (int i = 0; i < length; ++i)
      chain.push_back({bound.launch, bound.arguments, i ? std::vector<int>{i - 1} : std::vector<int>{}});
    CudaReplay replay(std::move(chain), stream_);
    replay.run();
    const Event start, end;
    check(cudaEventRecord(start.handle, stream_.handle), "timing a launch");
    replay.run();
    check(cudaEventRecord(end.handle, stream_.handle), "timing a launch");
    stream_.synchronize();
    float ms = 0.0f;
    check(cudaEventElapsedTime(&ms, start.handle, end.handle), "timing a launch");
    return 1e-3 * static_cast<double>(ms) / length;
  }

 private:
  int threads_;
  CudaStream stream_;
  UploadRing ring_;
  std::map<void*, std::size_t> taken_;
  std::size_t bytes_ = 0;
  std::size_t peak_bytes_ = 0;
};

/// Devices that the driver shows; none, and the reason in `problem`, where it shows none.
int count_devices(std::string& problem) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (status == cudaErrorInsufficientDriver) {
    int driver = 0;
    cudaDriverGetVersion(&driver);
    problem = driver == 0
                  ? "no NVIDIA driver is loaded (libcuda.so.1 is missing)"
                  : fmt::format("the NVIDIA driver knows CUDA {}.{}, this build needs {}.{}; update the driver",
                                driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  } else if (status != cudaSuccess) {
    problem = cudaGetErrorString(status);
  } else if (count == 0) {
    problem = "the driver shows no GPU (is CUDA_VISIBLE_DEVICES empty?)";
  }
  return status == cudaSuccess ? count : 0;
}

class CudaDriver final : public DeviceDriver {
 public:
  std::string_view name() const override { return "cuda"; }

  std::vector<std::string> probe() const override {
    std::vector<std::string> found;
    std::string problem;
    const int count = count_devices(problem);
    for (int device = 0; device < count; ++device) {
      cudaDeviceProp properties{};
      if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) continue;
      found.push_back(fmt::format("{}, sm_{}{}, {:.1f} GiB", properties.name, properties.major, properties.minor,
                                  mebibytes(properties.totalGlobalMem) / 1024.0));
    }
    return found;
  }

  std::unique_ptr<Device> open(int threads) const override {
    std::string problem;
    if (count_devices(problem) == 0) {
      fail(ErrorKind::environment,
           "device 'cuda' is not available: {}; `trainctl doctor` says more, and --device cpu works here", problem);
    }
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, 0), "asking for the device");
    if (properties.major < 8) {
      fail(ErrorKind::environment,
           "device 'cuda': {} is sm_{}{}, and this build's kernels need sm_80 or newer; use --device cpu",
           properties.name, properties.major, properties.minor);
    }
    check(cudaSetDevice(0), "opening the device");
    return std::make_unique<CudaDevice>(threads > 0 ? threads : static_cast<int>(std::thread::hardware_concurrency()));
  }
};

const RegisterDevice<CudaDriver> registered;

}  // namespace

}  // namespace trainctl::cuda

TRAINCTL_MODULE("cuda")
