#include "kernels/cpu/dispatch.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string_view>

namespace trainctl::cpu {
namespace {

Isa supported() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return v4 ? Isa::v4 : v3 ? Isa::v3 : Isa::v2;
#else
  return Isa::v2;
#endif
}

Isa initial() {
  const char* wanted = std::getenv("TRAINCTL_CPU_ISA");
  if (wanted == nullptr) return supported();
  for (const Isa level : {Isa::v2, Isa::v3}) {
    if (name(level) == std::string_view(wanted)) return std::min(level, supported());
  }
  return supported();
}

std::atomic<Isa>& current() {
  static std::atomic<Isa> level = initial();
  return level;
}

}  // namespace

Isa isa() {
  return current().load(std::memory_order_relaxed);
}

Isa set_isa(Isa level) {
  return current().exchange(std::min(level, supported()));
}

const char* name(Isa level) {
  switch (level) {
    case Isa::v4:
      return "v4";
    case Isa::v3:
      return "v3";
    case Isa::v2:
      break;
  }
  return "v2";
}

}  // namespace trainctl::cpu
