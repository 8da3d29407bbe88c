// One application of an op by one kernel, with operands in whatever layouts its plan asks for.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "device/device.h"
#include "device/kernel.h"

namespace trainctl::test {

struct Application {
  std::string_view op;
  AttributesPtr attributes;
  std::vector<std::optional<TensorType>> inputs;  ///< f32; none: left out
  bool fast_math = false;

  std::vector<const TensorType*> input_types() const;
  std::vector<TensorType> output_types() const;
  /// Numbers in [-1, 1), row-major, the same for equal arguments.
  std::vector<std::vector<float>> values(unsigned seed = 1) const;
};

/// A kernel's launch with memory of its own, all outputs and padding filled with NaN before the first run.
class PreparedKernel {
 public:
  PreparedKernel(const Application& application, const KernelRegistry::Entry& entry, int threads);

  bool planned() const { return plan_.has_value(); }
  const KernelPlan& plan() const { return *plan_; }
  void set_inputs(const std::vector<std::vector<float>>& values);
  /// Input `input` shall lie in the memory of output `output`, as a plan's in_place allows.
  void share(int output, int input);
  void run();
  /// Row-major.
  std::vector<float> output(int index) const;
  bool padding_is_zero(int index) const;

 private:
  std::vector<std::optional<TensorType>> input_types_;
  std::vector<TensorType> output_types_;
  std::optional<KernelPlan> plan_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Launch> launch_;
  std::vector<Buffer> inputs_, outputs_;
  Buffer workspace_;
  std::vector<void*> input_addresses_, output_addresses_;
};

/// The entry of that name for an op on the CPU.
const KernelRegistry::Entry& kernel(std::string_view op, std::string_view name);
/// What the float64 reference gives.
std::vector<std::vector<float>> reference(const Application& application,
                                          const std::vector<std::vector<float>>& values);
/// The largest difference, relative to the largest element of `expected`; infinite where a NaN is.
double distance(const std::vector<float>& actual, const std::vector<float>& expected);

/// A row-major tensor in a layout, its padding zero, and back.
void write_in_layout(const TensorType& type, const Layout& layout, const std::vector<float>& values, void* memory);
std::vector<float> read_in_layout(const TensorType& type, const Layout& layout, const void* memory);

}  // namespace trainctl::test
