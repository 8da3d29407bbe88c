// Devices and the memory on them.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device/kernel.h"

namespace trainctl {

/// An in-order queue of work on a device.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void synchronize() = 0;
};

/// One launch with its addresses, as a device is given them to run.
struct BoundLaunch {
  Launch* launch = nullptr;
  LaunchArguments arguments;
  /// Earlier launches of the sequence that this one must wait for; what is not named may run at the same time.
  std::vector<int> after;
};

/// A sequence of launches in the form that a device replays fastest: a loop on the CPU, a captured graph on CUDA.
class Replay {
 public:
  virtual ~Replay() = default;
  virtual void run() = 0;
};

/// Runs that the host has asked for and not handed over yet, so that several go into one launch.
class HeldRuns {
 public:
  virtual ~HeldRuns() = default;
  virtual void launch() = 0;
};

/// Memory that is a device's own.
struct DeviceMemory {
  std::size_t free = 0;  ///< bytes that programs and data may take
  std::size_t total = 0;
};

/// Copies from the host that run beside launches, into places that launches read in turns: fill(), enter(), launches,
/// leave(), and fill() again. Nothing but wait() waits. Its end waits for the copies under way.
class UploadQueue {
 public:
  struct Part {
    void* to = nullptr;
    const void* from = nullptr;
    std::size_t bytes = 0;
  };
  virtual ~UploadQueue() = default;
  /// Copies into a place, after the launches that came before leave(place). The host's bytes must stay as they are
  /// until filled(place).
  virtual void fill(int place, std::span<const Part> parts) = 0;
  /// Launches from now on come after the copies of the last fill(place).
  virtual void enter(int place) = 0;
  /// Launches from now on do not read the place, until it is entered again.
  virtual void leave(int place) = 0;
  /// Whether the copies of the last fill(place) are done.
  virtual bool filled(int place) = 0;
  /// Returns when they are.
  virtual void wait(int place) = 0;
};

/// A place where tensors live and kernels run. All work is in order on one queue; upload, download and launches see
/// each other's results, held runs included.
class Device {
 public:
  virtual ~Device() = default;
  virtual std::string_view name() const = 0;    ///< "cpu", "cuda": what kernels register for
  virtual std::string description() const = 0;  ///< model and size, for meta.json and doctor
  virtual int threads() const { return 1; }     ///< worker threads; bits depend on it on the CPU
  /// Whether it has kernels for TF32 products and bf16 tensors.
  virtual bool reduced_precision() const { return false; }
  /// Zeroed memory aligned to at least 64 bytes. Throws an environment Error that says how much was asked for and how
  /// much there is.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory) noexcept = 0;
  /// Host → device. The host's bytes may be changed as soon as it returns.
  void upload(void* to, const void* from, std::size_t bytes) {
    launch_held();
    do_upload(to, from, bytes);
  }
  /// Device → host; returns when the bytes are there.
  void download(void* to, const void* from, std::size_t bytes) {
    launch_held();
    do_download(to, from, bytes);
  }
  void synchronize() {
    launch_held();
    do_synchronize();
  }
  /// Nothing where memory is the host's.
  virtual std::optional<DeviceMemory> memory() const { return std::nullopt; }
  /// A queue of copies from `host`, which outlives it and is pinned meanwhile, into places 0 ... places - 1 of memory
  /// that is taken already. Null where no copy runs beside launches.
  virtual std::unique_ptr<UploadQueue> upload_queue(std::span<std::byte> /*host*/, int /*places*/) { return nullptr; }
  /// Most bytes that were taken at one time, where memory is the device's own; else 0.
  virtual std::size_t peak_bytes() const { return 0; }
  /// The queue that launches of this device are given; null where there is none.
  virtual Stream* stream() { return nullptr; }
  virtual std::unique_ptr<Replay> record(std::vector<BoundLaunch> launches) = 0;
  /// Seconds that a launch takes, by running it: once by the host's clock, or as a device measures itself best.
  virtual double time(const BoundLaunch& bound);
  /// Whether launches that do not wait for each other run at the same time.
  virtual bool concurrent() const { return false; }
  /// Most runs of a short program that it is worth while to put into one replay: 1 where starting one costs nothing.
  virtual int most_runs() const { return 1; }

  /// Holds runs until something is done that would show whether they have run, or until another one's runs are held.
  void hold(HeldRuns& runs) {
    if (held_ != &runs) launch_held();
    held_ = &runs;
  }
  void launch_held() {
    if (HeldRuns* runs = std::exchange(held_, nullptr)) runs->launch();
  }
  /// What is held of these is not launched any more.
  void forget(const HeldRuns& runs) {
    if (held_ == &runs) held_ = nullptr;
  }

 protected:
  virtual void do_upload(void* to, const void* from, std::size_t bytes) = 0;
  virtual void do_download(void* to, const void* from, std::size_t bytes) = 0;
  virtual void do_synchronize() = 0;

 private:
  HeldRuns* held_ = nullptr;
};

/// Owns memory of a device; moves only.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device& device, std::size_t bytes)
      : device_(&device), data_(bytes ? device.allocate(bytes) : nullptr), bytes_(bytes) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Buffer() {
    if (data_) device_->release(data_);
  }
  std::byte* data() const { return static_cast<std::byte*>(data_); }
  std::size_t bytes() const { return bytes_; }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  Device* device_ = nullptr;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// How devices of a kind are found and opened. `cpu` is registered by kernels/cpu, `cuda` by its module.
class DeviceDriver {
 public:
  virtual ~DeviceDriver() = default;
  virtual std::string_view name() const = 0;
  /// One line per device found, or why there is none.
  virtual std::vector<std::string> probe() const = 0;
  /// `threads` = 0 takes every core that this process may use.
  virtual std::unique_ptr<Device> open(int threads) const = 0;
};

class DeviceRegistry {
 public:
  static DeviceRegistry& instance();
  void add(std::unique_ptr<DeviceDriver> driver);
  /// Null where no such kind is registered.
  const DeviceDriver* find(std::string_view name) const;
  const std::vector<std::unique_ptr<DeviceDriver>>& drivers() const { return drivers_; }

 private:
  std::vector<std::unique_ptr<DeviceDriver>> drivers_;
};

template <typename D>
struct RegisterDevice {
  RegisterDevice() { DeviceRegistry::instance().add(std::make_unique<D>()); }
};

}  // namespace trainctl
