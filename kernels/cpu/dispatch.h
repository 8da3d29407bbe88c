// Loops compiled for three levels of x86-64 and chosen at run time.
//
// Every source below kernels/cpu whose name ends in _loops.cpp is compiled three times (trainctl_isa_sources in the top
// CMakeLists.txt): for -march=x86-64-v2 (SSE4.2), -v3 (AVX2, FMA) and -v4 (AVX-512, 512-bit vectors preferred), at -O3,
// with TRAINCTL_ISA defined as v2, v3 or v4. All other code is compiled for the baseline. A family of loops is three
// files:
//
//   scale_loops.h     in trainctl::cpu: struct ScaleJob { long count; };   plain data, the same for all builds
//                     TRAINCTL_LOOPS(void scale(const ScaleJob&, const Operands&);)   declares v2::, v3::, v4::scale
//   scale_loops.cpp   in trainctl::cpu::TRAINCTL_ISA: void scale(const ScaleJob& job, const Operands& operands) { ... }
//   scale.cpp         the Kernel; TRAINCTL_BEST(scale) is the function of the best level, taken by prepare()
//
// The linker keeps one copy of an inline function or template instance, whoever compiled it. One compiled for AVX-512
// must never become the copy that the rest of the program calls, so a loop source
//   - defines everything in namespace TRAINCTL_ISA (helpers in loops/simd.h live there too) or an anonymous namespace,
//   - uses no std:: functions or templates, and calls inline functions of shared headers only from functions marked
//     TRAINCTL_FLATTEN, which inline all they call,
//   - includes little: <cstdint>, this header, its own.
// The test `isa_objects` reads the symbol tables and fails where a loop object exports a weak symbol outside of its
// namespace.
//
// Floating point: v3 and v4 contract a b + c to FMA (-ffp-contract=fast), v2 cannot, so levels differ in the last bits;
// one level repeats its bits. NaN, infinity, signed zero and denormals mean what they always mean.
#pragma once

namespace trainctl::cpu {

/// Levels of x86-64 (System V psABI) that loops are compiled for.
enum class Isa : int { v2, v3, v4 };

/// The best level that this machine runs, settled at first use; TRAINCTL_CPU_ISA=v2|v3|v4 in the environment lowers it.
/// Launches made from then on use it.
Isa isa();
/// Makes isa() give `level`, bounded by what the machine runs; for tests and comparisons. Returns the level before.
Isa set_isa(Isa level);
/// "v2", "v3", "v4".
const char* name(Isa level);

/// Addresses of one launch: LaunchArguments without its heavy header. Always inlined, so that loop sources may use it.
struct Operands {
  void* const* inputs;
  void* const* outputs;
  void* workspace;
  void* residual;
  int input_count;
  int output_count;

  /// Input i; null where it was left out or the list ends before it.
  template <typename T>
  __attribute__((always_inline)) const T* in(int i) const {
    return i < input_count ? static_cast<const T*>(inputs[i]) : nullptr;
  }
  template <typename T>
  __attribute__((always_inline)) T* out(int i) const {
    return i < output_count ? static_cast<T*>(outputs[i]) : nullptr;
  }
};

template <typename Function>
Function* choose(Function* v2, Function* v3, Function* v4) {
  switch (isa()) {
    case Isa::v4:
      return v4;
    case Isa::v3:
      return v3;
    case Isa::v2:
      break;
  }
  return v2;
}

}  // namespace trainctl::cpu

/// Declares loops in the namespaces of the three levels.
#define TRAINCTL_LOOPS(...) \
  namespace v2 {            \
  __VA_ARGS__               \
  }                         \
  namespace v3 {            \
  __VA_ARGS__               \
  }                         \
  namespace v4 {            \
  __VA_ARGS__               \
  }

/// The address of a loop's best level, for use within trainctl::cpu: TRAINCTL_BEST(scale), TRAINCTL_BEST(sum<4>).
#define TRAINCTL_BEST(...) ::trainctl::cpu::choose(v2::__VA_ARGS__, v3::__VA_ARGS__, v4::__VA_ARGS__)

#define TRAINCTL_FLATTEN __attribute__((flatten))
