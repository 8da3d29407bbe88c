// What the machine gives this process: cores, memory, instruction set.
#pragma once

#include <cstddef>
#include <string>

namespace trainctl::cpu {

/// Cores that this process may use: its affinity mask, or the CPU quota of its control group where that is less. At
/// least 1.
int usable_cores();

/// Bytes that can still be allocated: the least of the system's available memory, what the control group leaves and
/// RLIMIT_AS.
std::size_t available_bytes();

/// "AMD EPYC 9555", from /proc/cpuinfo.
std::string model_name();

/// The level that our loops run at and the extensions that matter to libraries: "x86-64-v4, avx512_bf16".
std::string instruction_set();

}  // namespace trainctl::cpu
