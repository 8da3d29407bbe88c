#include "device/device.h"

#include <fmt/core.h>
#include <omp.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "kernels/cpu/host.h"

namespace trainctl {
namespace {

constexpr std::size_t line_bytes = 64;
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

double mebibytes(std::size_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

/// Launches run one after the other on the calling thread; each forks as it likes.
class CpuReplay final : public Replay {
 public:
  CpuReplay(std::vector<BoundLaunch> launches, int threads) : launches_(std::move(launches)), threads_(threads) {}

  void run() override {
    // The number of threads belongs to the calling thread in OpenMP, and bits depend on it.
    omp_set_num_threads(threads_);
    for (const BoundLaunch& bound : launches_) bound.launch->run(bound.arguments);
  }

 private:
  std::vector<BoundLaunch> launches_;
  int threads_;
};

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(int threads) : threads_(threads) {
    // Waiting threads spin for a while, as is OpenMP's default: a passive wait costs tens of microseconds at every
    // fork. How long is libgomp's GOMP_SPINCOUNT, which it reads before main(); its default of some 10 ms hurts where
    // cores are shared.
    omp_set_dynamic(0);
    omp_set_num_threads(threads_);
  }

  std::string_view name() const override { return "cpu"; }
  std::string description() const override {
    return fmt::format("{}, {} thread{}, {}", cpu::model_name(), threads_, threads_ == 1 ? "" : "s",
                       cpu::instruction_set());
  }
  int threads() const override { return threads_; }

  void* allocate(std::size_t bytes) override {
    const bool large = bytes >= huge_page_bytes;
    const std::size_t unit = large ? huge_page_bytes : line_bytes;
    // Linux promises more memory than there is and kills later: refuse here what cannot be had.
    const std::size_t available = large ? cpu::available_bytes() : bytes;
    void* memory =
        bytes <= available ? std::aligned_alloc(unit, round_up(std::max<std::size_t>(bytes, 1), unit)) : nullptr;
    if (!memory) {
      fail(ErrorKind::environment,
           "not enough memory on the CPU: {:.1f} MiB asked for, {:.1f} MiB available; use a smaller batch or model, "
           "or a machine with more memory",
           mebibytes(bytes), mebibytes(cpu::available_bytes()));
    }
    if (large) madvise(memory, round_up(bytes, unit), MADV_HUGEPAGE);
    std::memset(memory, 0, bytes);
    return memory;
  }
  void release(void* memory) noexcept override { std::free(memory); }
  void do_upload(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void do_download(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void do_synchronize() override {}
  std::unique_ptr<Replay> record(std::vector<BoundLaunch> launches) override {
    return std::make_unique<CpuReplay>(std::move(launches), threads_);
  }

 private:
  int threads_;
};

class CpuDriver final : public DeviceDriver {
 public:
  std::string_view name() const override { return "cpu"; }
  std::vector<std::string> probe() const override {
    const int cores = cpu::usable_cores();
    return {fmt::format("{}, {} usable core{}, {}, {:.1f} GiB available", cpu::model_name(), cores,
                        cores == 1 ? "" : "s", cpu::instruction_set(), mebibytes(cpu::available_bytes()) / 1024)};
  }
  std::unique_ptr<Device> open(int threads) const override {
    constexpr int most = 4096;
    if (threads < 0 || threads > most) {
      fail(ErrorKind::config, "the number of threads must be between 0 (all usable cores) and {}, not {}", most,
           threads);
    }
    return std::make_unique<CpuDevice>(threads == 0 ? cpu::usable_cores() : threads);
  }
};

const RegisterDevice<CpuDriver> registered;

}  // namespace
}  // namespace trainctl
