#include "kernels_cpu/run_kernel.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/error.h"
#include "graph/op.h"

namespace trainctl::test {
namespace {

/// visit(element, offset in the layout) for each element in row-major order.
template <typename Visit>
void for_each_element(const TensorType& type, const Layout& layout, Visit visit) {
  std::vector<std::int64_t> index(type.shape.rank(), 0);
  for (std::int64_t i = 0; i < type.elements(); ++i) {
    std::int64_t rest = i;
    for (int axis = type.shape.rank() - 1; axis >= 0; --axis) {
      index[axis] = rest % type.shape[axis];
      rest /= type.shape[axis];
    }
    visit(i, layout.offset(type, index.data()));
  }
}

}  // namespace

void write_in_layout(const TensorType& type, const Layout& layout, const std::vector<float>& values, void* memory) {
  std::memset(memory, 0, layout.bytes(type));
  for_each_element(type, layout,
                   [&](std::int64_t i, std::size_t offset) { static_cast<float*>(memory)[offset] = values[i]; });
}

std::vector<float> read_in_layout(const TensorType& type, const Layout& layout, const void* memory) {
  std::vector<float> values(type.elements());
  for_each_element(type, layout,
                   [&](std::int64_t i, std::size_t offset) { values[i] = static_cast<const float*>(memory)[offset]; });
  return values;
}

std::vector<const TensorType*> Application::input_types() const {
  std::vector<const TensorType*> types;
  for (const auto& type : inputs) types.push_back(type ? &*type : nullptr);
  return types;
}

std::vector<TensorType> Application::output_types() const {
  return OpRegistry::instance().get(op).infer(*attributes, input_types());
}

std::vector<std::vector<float>> Application::values(unsigned seed) const {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<std::vector<float>> values;
  for (const auto& type : inputs) {
    values.emplace_back(type ? type->elements() : 0);
    for (float& value : values.back()) value = uniform(generator);
  }
  return values;
}

PreparedKernel::PreparedKernel(const Application& application, const KernelRegistry::Entry& entry, int threads)
    : input_types_(application.inputs),
      output_types_(application.output_types()),
      device_(DeviceRegistry::instance().find("cpu")->open(threads)) {
  const auto types = application.input_types();
  const std::vector<Layout> layouts(types.size());
  const KernelRequest request{.op = application.op,
                              .attributes = application.attributes.get(),
                              .inputs = types,
                              .outputs = output_types_,
                              .input_layouts = layouts,
                              .threads = threads,
                              .fast_math = application.fast_math};
  plan_ = entry.kernel->plan(request);
  if (!plan_) return;
  launch_ = entry.kernel->prepare(request, *plan_);
  for (std::size_t i = 0; i < types.size(); ++i) {
    inputs_.emplace_back(*device_, types[i] ? plan_->inputs[i].bytes(*types[i]) : 0);
    input_addresses_.push_back(inputs_.back().data());
  }
  for (std::size_t i = 0; i < output_types_.size(); ++i) {
    outputs_.emplace_back(*device_, plan_->outputs[i].bytes(output_types_[i]));
    std::memset(outputs_.back().data(), 0xff, outputs_.back().bytes());
    output_addresses_.push_back(outputs_.back().data());
  }
  workspace_ = Buffer(*device_, plan_->workspace_bytes);
  if (workspace_.data()) std::memset(workspace_.data(), 0xff, workspace_.bytes());
}

void PreparedKernel::set_inputs(const std::vector<std::vector<float>>& values) {
  for (std::size_t i = 0; i < input_types_.size(); ++i) {
    if (input_types_[i]) write_in_layout(*input_types_[i], plan_->inputs[i], values[i], input_addresses_[i]);
  }
}

void PreparedKernel::share(int output, int input) {
  input_addresses_[input] = output_addresses_[output];
}

void PreparedKernel::run() {
  launch_->run(
      {.inputs = input_addresses_.data(), .outputs = output_addresses_.data(), .workspace = workspace_.data()});
}

std::vector<float> PreparedKernel::output(int index) const {
  return read_in_layout(output_types_[index], plan_->outputs[index], output_addresses_[index]);
}

bool PreparedKernel::padding_is_zero(int index) const {
  std::vector<float> stored(outputs_[index].bytes() / sizeof(float));
  std::memcpy(stored.data(), output_addresses_[index], outputs_[index].bytes());
  for_each_element(output_types_[index], plan_->outputs[index],
                   [&](std::int64_t, std::size_t offset) { stored[offset] = 0.0f; });
  return std::ranges::all_of(stored, [](float value) { return value == 0.0f; });
}

const KernelRegistry::Entry& kernel(std::string_view op, std::string_view name) {
  for (const auto* entry : KernelRegistry::instance().find(op, "cpu")) {
    if (entry->name == name) return *entry;
  }
  fail(ErrorKind::internal, "the CPU has no kernel '{}' for '{}'", name, op);
}

std::vector<std::vector<float>> reference(const Application& application,
                                          const std::vector<std::vector<float>>& values) {
  PreparedKernel prepared(application, kernel(application.op, "reference"), 1);
  prepared.set_inputs(values);
  prepared.run();
  std::vector<std::vector<float>> outputs;
  for (std::size_t i = 0; i < application.output_types().size(); ++i)
    outputs.push_back(prepared.output(static_cast<int>(i)));
  return outputs;
}

double distance(const std::vector<float>& actual, const std::vector<float>& expected) {
  if (actual.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double largest = 1e-30, difference = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double apart = std::abs(static_cast<double>(actual[i]) - expected[i]);
    if (std::isnan(apart)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    difference = std::max(difference, apart);
  }
  return difference / largest;
}

}  // namespace trainctl::test
