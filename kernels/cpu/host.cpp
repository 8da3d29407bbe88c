#include "kernels/cpu/host.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>

#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {
namespace {

constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

/// Cores in the affinity mask. The mask is grown until the kernel accepts its size, for machines beyond 1024 cores.
int cores_in_affinity() {
  for (int capacity = 1024; capacity <= (1 << 18); capacity *= 4) {
    cpu_set_t* set = CPU_ALLOC(capacity);
    if (!set) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(capacity);
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    const int count = known ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (known) return count;
  }
  return static_cast<int>(std::thread::hardware_concurrency());
}

/// First number in a file; `otherwise` if there is no file or it says "max".
double number_in(const std::string& path, double otherwise) {
  std::ifstream file(path);
  double number = 0.0;
  return file >> number ? number : otherwise;
}

/// Folder of this process's control group, version 2; limits of the groups above hold too.
std::string control_group() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0::")) return "/sys/fs/cgroup" + (line.size() > 4 ? line.substr(3) : "");
  }
  return "";
}

/// Calls `visit` with the folder of this process's group and of each group above it.
template <typename Visit>
void for_each_group(Visit visit) {
  constexpr std::size_t root = sizeof("/sys/fs/cgroup") - 1;
  for (std::string group = control_group(); group.size() >= root; group.resize(group.rfind('/'))) visit(group);
}

double cpu_quota() {
  double cores = std::numeric_limits<double>::infinity();
  for_each_group([&](const std::string& group) {
    std::ifstream file(group + "/cpu.max");
    double quota = 0.0, period = 0.0;
    if (file >> quota >> period && period > 0.0) cores = std::min(cores, quota / period);
  });
  const double quota = number_in("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", -1.0);
  const double period = number_in("/sys/fs/cgroup/cpu/cpu.cfs_period_us", 0.0);
  if (quota > 0.0 && period > 0.0) cores = std::min(cores, quota / period);
  return cores;
}

std::size_t system_available() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key;
    std::size_t kib = 0;
    if (words >> key >> kib && key == "MemAvailable:") return kib * 1024;
  }
  return unlimited;
}

std::size_t group_available() {
  double available = std::numeric_limits<double>::infinity();
  for_each_group([&](const std::string& group) {
    const double limit = number_in(group + "/memory.max", -1.0);
    if (limit >= 0.0) available = std::min(available, std::max(0.0, limit - number_in(group + "/memory.current", 0.0)));
  });
  return std::isfinite(available) ? static_cast<std::size_t>(available) : unlimited;
}

std::size_t address_space_available() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return unlimited;
  const double used = number_in("/proc/self/statm", 0.0) * static_cast<double>(sysconf(_SC_PAGESIZE));
  return limit.rlim_cur > used ? limit.rlim_cur - static_cast<std::size_t>(used) : 0;
}

}  // namespace

int usable_cores() {
  const int cores = std::max(1, cores_in_affinity());
  const double quota = cpu_quota();
  return std::isfinite(quota) ? std::clamp(static_cast<int>(std::ceil(quota)), 1, cores) : cores;
}

std::size_t available_bytes() {
  return std::min({system_available(), group_available(), address_space_available()});
}

std::string model_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) {
      const std::size_t at = line.find_first_not_of(" \t", line.find(':') + 1);
      if (at != std::string::npos) return line.substr(at);
    }
  }
  return "unknown processor";
}

std::string instruction_set() {
  std::string text = std::string("x86-64-") + name(isa());
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bf16")) text += ", avx512_bf16";
#endif
  return text;
}

}  // namespace trainctl::cpu
