// A module `cuda` without a GPU: what tests/toy_gpu.h makes of the CPU. TOY_GPU_MEMORY says how many bytes it has,
// TOY_GPU_LOST how many of them others take, TOY_GPU_RUNS after how many programs it is lost.
#include "toy_gpu.h"

#include <cstdlib>

#include "device/module.h"

namespace {

using namespace trainctl;

struct Driver final : DeviceDriver {
  std::string_view name() const override { return "cuda"; }
  std::vector<std::string> probe() const override { return {"toy GPU"}; }
  std::unique_ptr<Device> open(int threads) const override {
    toy::Gpu::Options options{.threads = threads};
    if (const char* bytes = std::getenv("TOY_GPU_MEMORY")) options.memory_bytes = std::strtoull(bytes, nullptr, 10);
    if (const char* bytes = std::getenv("TOY_GPU_LOST")) options.lost_bytes = std::strtoull(bytes, nullptr, 10);
    if (const char* runs = std::getenv("TOY_GPU_RUNS")) options.runs_before_failure = std::atoi(runs);
    return std::make_unique<toy::Gpu>(options);
  }
};
const RegisterDevice<Driver> registered;

}  // namespace

TRAINCTL_MODULE("cuda")
