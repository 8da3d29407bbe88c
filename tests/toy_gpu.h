// A device for tests that has what a GPU has: memory of its own that runs out, launches that run after the host has
// gone on, copies beside them, and a way to fail. It computes with the CPU's kernels.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "device/device.h"
#include "toy_queues.h"

namespace toy {

using namespace trainctl;

class Gpu final : public Device {
 public:
  struct Options {
    int threads = 1;
    std::size_t memory_bytes = std::size_t{1} << 40;
    std::size_t lost_bytes = 0;  ///< others take so many after they were told to be free
    Queues::Fast fast = Queues::Fast::copies;
    int runs_before_failure = std::numeric_limits<int>::max();
    /// Whether launches wait to be asked for. Only for programs without working copies: these are refreshed by launches
    /// that no queue sees.
    bool deferred = true;
  };

  explicit Gpu(const Options& options)
      : options_(options), cpu_(DeviceRegistry::instance().find("cpu")->open(options.threads)), queues_(options.fast) {}
  ~Gpu() override { finish(); }

  std::string_view name() const override { return "cpu"; }
  std::string description() const override { return "toy GPU"; }
  int threads() const override { return cpu_->threads(); }
  std::optional<DeviceMemory> memory() const override {
    return DeviceMemory{.free = options_.memory_bytes - taken_bytes_, .total = options_.memory_bytes};
  }
  std::size_t peak_bytes() const override { return peak_bytes_; }

  void* allocate(std::size_t bytes) override {
    if (taken_bytes_ + bytes + options_.lost_bytes > options_.memory_bytes)
      fail(ErrorKind::environment, "the toy GPU's memory is full");
    void* memory = ::operator new(std::max<std::size_t>(bytes, 1), std::align_val_t(64));
    std::memset(memory, 0xA5, bytes);
    taken_[memory] = bytes;
    taken_bytes_ += bytes;
    peak_bytes_ = std::max(peak_bytes_, taken_bytes_);
    enqueue([=] { std::memset(memory, 0, bytes); });
    return memory;
  }
  void release(void* memory) noexcept override {
    finish();
    taken_bytes_ -= taken_[memory];
    taken_.erase(memory);
    ::operator delete(memory, std::align_val_t(64));
  }
  void do_upload(void* to, const void* from, std::size_t bytes) override {
    const auto* first = static_cast<const std::byte*>(from);
    enqueue([to, kept = std::vector<std::byte>(first, first + bytes)] { std::memcpy(to, kept.data(), kept.size()); });
  }
  void do_download(void* to, const void* from, std::size_t bytes) override {
    do_synchronize();
    std::memcpy(to, from, bytes);
  }
  void do_synchronize() override { queues_.run_until_idle(Queues::Name::launches); }

  std::unique_ptr<Replay> record(std::vector<BoundLaunch> launches) override {
    struct Deferred final : Replay {
      Gpu* gpu = nullptr;
      std::unique_ptr<Replay> replay;
      ~Deferred() override { gpu->finish(); }
      void run() override {
        if (gpu->runs_++ >= gpu->options_.runs_before_failure)
          fail(ErrorKind::environment, "the toy GPU is lost to this process; checkpoints saved before are intact");
        gpu->enqueue([this] { replay->run(); });
      }
    };
    auto deferred = std::make_unique<Deferred>();
    deferred->gpu = this;
    deferred->replay = cpu_->record(std::move(launches));
    return deferred;
  }

  std::unique_ptr<UploadQueue> upload_queue(std::span<std::byte> host, int places) override {
    return std::make_unique<Uploads>(*this, host, places);
  }
  /// Copies that were asked for through upload queues.
  int copies() const { return copies_; }

 private:
  class Uploads final : public UploadQueue {
   public:
    Uploads(Gpu& gpu, std::span<std::byte> host, int places) : gpu_(gpu), host_(host) {
      for (int i = 0; i < places; ++i) {
        places_.emplace_back(gpu.queues_.make_event(), gpu.queues_.make_event());
        leave(i);
      }
    }
    ~Uploads() override { gpu_.queues_.run_until_idle(Queues::Name::copies); }
    void fill(int place, std::span<const Part> parts) override {
      const auto [left, filled] = places_.at(static_cast<std::size_t>(place));
      gpu_.queues_.wait(left, Queues::Name::copies);
      for (const Part part : parts) {
        const auto* from = static_cast<const std::byte*>(part.from);
        require(from >= host_.data() && from + part.bytes <= host_.data() + host_.size(),
                "copies are of pinned memory");
        gpu_.queues_.add(Queues::Name::copies, [part] { std::memcpy(part.to, part.from, part.bytes); });
        ++gpu_.copies_;
      }
      gpu_.queues_.record(filled, Queues::Name::copies);
    }
    void enter(int place) override {
      gpu_.queues_.wait(places_.at(static_cast<std::size_t>(place)).second, Queues::Name::launches);
    }
    void leave(int place) override {
      gpu_.queues_.record(places_.at(static_cast<std::size_t>(place)).first, Queues::Name::launches);
    }
    bool filled(int place) override { return gpu_.queues_.reached(places_.at(static_cast<std::size_t>(place)).second); }
    void wait(int place) override {
      gpu_.queues_.run_until_reached(places_.at(static_cast<std::size_t>(place)).second);
    }

   private:
    Gpu& gpu_;
    std::span<std::byte> host_;
    std::vector<std::pair<int, int>> places_;  // events: left, filled
  };

  void enqueue(std::function<void()> work) {
    queues_.add(Queues::Name::launches, std::move(work));
    if (!options_.deferred) do_synchronize();
  }
  void finish() {
    queues_.run_until_idle(Queues::Name::launches);
    queues_.run_until_idle(Queues::Name::copies);
  }

  Options options_;
  std::unique_ptr<Device> cpu_;
  Queues queues_;
  std::map<void*, std::size_t> taken_;
  std::size_t taken_bytes_ = 0, peak_bytes_ = 0;
  int runs_ = 0;
  int copies_ = 0;
};

}  // namespace toy
