// Runs the loops of one level on vectors of numbers.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "device/kernel.h"
#include "kernels/cpu/dispatch.h"

namespace trainctl::test {

/// The level for the time of a scope.
class UseIsa {
 public:
  explicit UseIsa(cpu::Isa level) : before_(cpu::set_isa(level)) {}
  ~UseIsa() { cpu::set_isa(before_); }

 private:
  cpu::Isa before_;
};

/// One run of the kernel "loops" of an op. Inputs without a type are left out; outputs are filled with NaN before.
struct LoopRun {
  std::string op;
  const Attributes* attributes = nullptr;
  std::vector<TensorType> inputs;
  std::vector<std::vector<float>> values;  ///< of each input as it lies in memory; empty: left out
  std::vector<TensorType> outputs;
  std::string layout = "";  ///< of the inputs of rank 4
  int threads = 1;
  bool in_place = false;

  std::vector<std::vector<float>> run() const {
    std::vector<const TensorType*> types;
    std::vector<Layout> layouts(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      types.push_back(values[i].empty() ? nullptr : &inputs[i]);
      if (inputs[i].shape.rank() == 4) layouts[i] = Layout(layout);
    }
    const KernelRequest request{.op = op,
                                .attributes = attributes,
                                .inputs = types,
                                .outputs = outputs,
                                .input_layouts = layouts,
                                .threads = threads};
    for (const KernelRegistry::Entry* entry : KernelRegistry::instance().find(op, "cpu")) {
      if (entry->name != "loops") continue;
      const auto plan = entry->kernel->plan(request);
      REQUIRE(plan.has_value());
      CHECK(plan->implementation == std::string("loops:") + cpu::name(cpu::isa()));
      return launch(*entry->kernel->prepare(request, *plan), *plan);
    }
    FAIL("no loops for ", op);
    return {};
  }

 private:
  std::vector<std::vector<float>> launch(Launch& launch, const KernelPlan& plan) const {
    std::vector<std::vector<float>> in = values, out;
    std::vector<void*> in_addresses, out_addresses;
    for (auto& input : in) in_addresses.push_back(input.empty() ? nullptr : input.data());
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      out.emplace_back(plan.outputs[k].bytes(outputs[k]) / sizeof(float) + 1, __builtin_nanf(""));
      out_addresses.push_back(out.back().data());
    }
    std::vector<bool> output_taken(outputs.size()), input_taken(inputs.size());
    std::vector<int> shared(outputs.size(), -1);
    for (const auto& [output, input] : plan.in_place) {
      if (!in_place || output_taken[output] || input_taken[input]) continue;
      output_taken[output] = input_taken[input] = true;
      shared[output] = input;
      out_addresses[output] = in_addresses[input];
    }
    std::vector<double> workspace(plan.workspace_bytes / sizeof(double) + 8, __builtin_nan(""));
    launch.run({.inputs = in_addresses.data(), .outputs = out_addresses.data(), .workspace = workspace.data()});
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      out[k].resize(plan.outputs[k].bytes(outputs[k]) / sizeof(float));
      if (shared[k] >= 0) std::copy_n(in[shared[k]].begin(), out[k].size(), out[k].begin());
    }
    return out;
  }
};

/// `count` numbers between low and high that look random.
inline std::vector<float> numbers(std::size_t count, float low = -1, float high = 1, unsigned seed = 1) {
  std::vector<float> result(count);
  unsigned state = seed * 2654435761u + 1;
  for (float& value : result) {
    state = state * 1664525u + 1013904223u;
    value = low + (high - low) * static_cast<float>(state >> 8) * 0x1p-24f;
  }
  return result;
}

inline std::vector<float> number(float value) {
  return {value};
}
inline std::vector<float> integer(std::int64_t value) {
  std::vector<float> words(2);
  std::memcpy(words.data(), &value, sizeof value);
  return words;
}

/// The largest difference, over an element's own or the root-mean-square size, whichever is greater.
inline double difference(const std::vector<float>& got, const std::vector<float>& expected) {
  REQUIRE(got.size() == expected.size());
  double squares = 0, worst = 0;
  for (const float value : expected) squares += static_cast<double>(value) * value;
  const double rms = std::sqrt(squares / static_cast<double>(expected.size()));
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double apart =
        std::abs(static_cast<double>(got[i]) - expected[i]) / std::max(std::abs(static_cast<double>(expected[i])), rms);
    if (apart > worst || std::isnan(apart)) worst = got[i] == expected[i] ? worst : apart;
    if (std::isnan(worst)) return worst;
  }
  return worst;
}

constexpr cpu::Isa all_levels[] = {cpu::Isa::v2, cpu::Isa::v3, cpu::Isa::v4};

}  // namespace trainctl::test
