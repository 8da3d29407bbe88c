// The kernel ABI: how one implementation of an op on one device offers itself, plans and runs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device/attributes.h"
#include "device/layout.h"
#include "device/types.h"

namespace trainctl {

class Stream;
struct KernelPlan;

/// One node of a graph as a kernel sees it when it is asked for a plan.
struct KernelRequest {
  std::string_view op;
  const Attributes* attributes = nullptr;
  InputTypes inputs;  ///< null for an operand left out
  std::span<const TensorType> outputs;
  /// Layouts in which the inputs lie as things stand. A plan may ask for others; each difference costs a reorder.
  std::span<const Layout> input_layouts;
  /// For a node of a gradient: the plan chosen for the forward node it belongs to, whose residual it may read. Else
  /// null.
  const KernelPlan* forward = nullptr;
  /// Whether a gradient will be taken through this node, so that a forward kernel may keep a residual for it.
  bool training = false;
  int threads = 1;
  /// Whether the result must have the same bits in every run.
  bool deterministic = true;
  /// Whether the plan is to name what is worth trying (KernelPlan::alternatives).
  bool tune = false;
  /// The implementation that an earlier run took for an equal request; a kernel that has several takes it if it still
  /// can, and any other if not. Empty: none.
  std::string_view chosen = {};
  /// Whether algorithms may be used whose rounding differs from the plain sum's by more than its order (Winograd).
  bool fast_math = false;
  /// Whether products of f32 operands may round them to TF32 (10 bits of mantissa; sums stay f32).
  bool tf32 = false;

  bool has(std::size_t input) const { return input < inputs.size() && inputs[input] != nullptr; }
};

/// How a kernel will do what was requested.
struct KernelPlan {
  std::vector<Layout> inputs;   ///< layout that each input must have; same count as the request's
  std::vector<Layout> outputs;  ///< layout that each output will have
  /// Layouts in which output 0 could lie as well: its first reader gets the one that it wants without a reorder.
  std::vector<Layout> other_layouts;
  /// Element type in which each input is wanted where that differs from the request's: state is then given as a working
  /// copy. Empty: all as requested.
  std::vector<std::optional<DType>> input_dtypes;
  std::size_t workspace_bytes = 0;  ///< scratch for the time of the launch, 64-byte aligned
  std::size_t residual_bytes = 0;   ///< opaque memory that lives until the backward nodes of the pair have run
  std::vector<std::pair<int, int>> in_place;  ///< (output, input) pairs that may share memory, best first
  /// Output 0, an update of f32 state, as bf16 too, for those who read it so before the next update: `offered` by a
  /// kernel; where it is then `wanted`, the launch writes it to the address that follows those of the outputs.
  enum class Bf16Copy : std::uint8_t { none, offered, wanted };
  Bf16Copy bf16_copy = Bf16Copy::none;
  std::string implementation;  ///< what runs, for `bench` and the checkpoint: "jit:avx512_core", "loops:v4"
  /// Implementations that differ in nothing else, its own first, where only trying tells which is fastest here; only
  /// for a request with `tune`, and not for one with `chosen`.
  std::vector<std::string> alternatives;
  std::shared_ptr<const void> detail;  ///< the kernel's own, handed back to prepare()

  /// Row-major everywhere: the plan of a kernel without preferences.
  static KernelPlan row_major(const KernelRequest& request, std::string implementation);
};

/// Addresses for one launch, fixed when the program is compiled. An input that the graph left out is null. The arrays
/// outlive the launch.
struct LaunchArguments {
  void* const* inputs = nullptr;
  void* const* outputs = nullptr;
  void* workspace = nullptr;
  void* residual = nullptr;
  Stream* stream = nullptr;  ///< the device's queue; null on the CPU
};

/// A kernel made ready for one node: everything that can be decided before the first step is decided.
class Launch {
 public:
  virtual ~Launch() = default;
  /// Runs (CPU) or enqueues (CUDA). Allocates nothing, waits for nothing.
  virtual void run(const LaunchArguments& arguments) = 0;
};

/// One implementation of an op for a device. Stateless; registered once.
class Kernel {
 public:
  virtual ~Kernel() = default;
  /// How it would do the request, or nothing if it can't.
  virtual std::optional<KernelPlan> plan(const KernelRequest& request) const = 0;
  /// The launch for a plan that this kernel made for an equal request.
  virtual std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) const = 0;
};

/// Priorities in steps of ten; the highest kernel that gives a plan is taken.
namespace priority {
constexpr int reference = 0;      ///< the float64 reference made a kernel; flagged wherever it is used
constexpr int general = 100;      ///< any shape and layout
constexpr int library = 200;      ///< oneDNN, cuDNN, cuBLASLt
constexpr int specialised = 300;  ///< made for particular shapes
}  // namespace priority

/// Which kernels a device has. Registrations of equal op, device and priority are an internal error.
class KernelRegistry {
 public:
  struct Entry {
    std::string op;      ///< "*" fits every op
    std::string device;  ///< "cpu", "cuda"
    int priority;
    std::string name;  ///< unique among the op's: "onednn", "direct_batch16"
    std::unique_ptr<Kernel> kernel;
  };
  static KernelRegistry& instance();
  void add(Entry entry);
  /// Candidates for an op on a device, best first, those for every op last.
  std::vector<const Entry*> find(std::string_view op, std::string_view device) const;
  const std::vector<std::unique_ptr<Entry>>& entries() const { return entries_; }

 private:
  std::vector<std::unique_ptr<Entry>> entries_;
};

/// Registers kernel K at load time: const RegisterKernel<LinearKernel> registered{"linear", "cpu", priority::library,
/// "onednn"};
template <typename K>
struct RegisterKernel {
  RegisterKernel(std::string op, std::string device, int priority, std::string name) {
    KernelRegistry::instance().add(
        {std::move(op), std::move(device), priority, std::move(name), std::make_unique<K>()});
  }
};

}  // namespace trainctl
