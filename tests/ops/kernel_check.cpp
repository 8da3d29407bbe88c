#include "ops/kernel_check.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "ops/elements.h"
#include "ops/gradient.h"

namespace trainctl::test {

std::string compare(const RefTensor& got, const RefTensor& expected, const TensorType& type, Match match,
                    double tolerance, double reduction_length) {
  double squares = 0.0;
  std::int64_t finite = 0;
  for (const double value : expected.data) {
    if (std::isfinite(value)) squares += value * value, ++finite;
  }
  const double rms = finite ? std::sqrt(squares / static_cast<double>(finite)) : 0.0;
  const double eps = epsilon(type.dtype);
  // Sums are f32 whatever their terms are (in f64 they still have f32's errors); the result is rounded once.
  const double sum_eps = eps == 0.0 ? 0.0 : epsilon(DType::f32);
  const double own_eps = type.dtype == DType::bf16 ? eps : sum_eps;
  const double allowed = tolerance * (4.0 * own_eps + sum_eps * std::sqrt(reduction_length));
  double worst = 0.0;
  std::int64_t wrong = 0, worst_at = -1;
  for (std::int64_t i = 0; i < expected.size(); ++i) {
    const double a = got[i], b = match == Match::exact ? rounded(expected[i], type.dtype) : expected[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    const bool must_equal =
        eps == 0.0 || match == Match::exact || !std::isfinite(b) || (match == Match::zeros && (a == 0.0 || b == 0.0));
    const double excess =
        must_equal || !std::isfinite(a) ? HUGE_VAL : std::fabs(a - b) / (allowed * std::max(std::fabs(b), rms));
    if (!(excess <= 1.0)) ++wrong;
    if (worst_at < 0 || !(excess <= worst)) worst = excess, worst_at = i;
  }
  if (!wrong) return "";
  return fmt::format("{} of {} elements differ; worst at {}: {} instead of {} ({}x the tolerance)", wrong,
                     expected.size(), worst_at, got[worst_at], expected[worst_at], worst);
}

namespace {

constexpr std::array<std::string_view, 5> layout_candidates{"", "acdb", "aBcd8b", "aBcd16b", "Abcd16a"};

/// Products and sums that go into one element of an output.
double reduction_length(const OpInstance& instance, std::size_t output) {
  const auto types = instance.type_pointers();
  double work = instance.op->cost(*instance.attributes, types, instance.output_types).flops / 2.0;
  for (const TensorType* type : types) work = std::max(work, type ? static_cast<double>(type->elements()) : 0.0);
  return work / static_cast<double>(std::max<std::int64_t>(1, instance.output_types[output].elements()));
}

/// Everything that a launch reads and writes.
struct Memory {
  std::vector<std::unique_ptr<GuardedMemory>> inputs, outputs;
  std::unique_ptr<GuardedMemory> workspace, residual;
};

/// The type in which the plan wants input k.
std::optional<TensorType> given_type(const OpInstance& instance, const KernelPlan& plan, std::size_t k) {
  std::optional<TensorType> type = instance.input_types[k];
  if (type && k < plan.input_dtypes.size()) type->dtype = plan.input_dtypes[k].value_or(type->dtype);
  return type;
}

Memory allocate(const OpInstance& instance, const KernelPlan& plan, const Target& target) {
  const auto operand = [&](const Layout& layout, const TensorType& type, std::byte fill) {
    return std::make_unique<GuardedMemory>(layout.bytes(type), fill, target.aligned ? 0 : size_bytes(type.dtype));
  };
  Memory memory;
  for (std::size_t k = 0; k < instance.inputs.size(); ++k) {
    const auto type = given_type(instance, plan, k);
    memory.inputs.push_back(type ? operand(plan.inputs[k], *type, std::byte{0}) : nullptr);
    if (type) write_tensor(*memory.inputs[k], instance.inputs[k], *type, plan.inputs[k]);
  }
  for (std::size_t k = 0; k < instance.output_types.size(); ++k)
    memory.outputs.push_back(operand(plan.outputs[k], instance.output_types[k], std::byte{0xFF}));
  memory.workspace = std::make_unique<GuardedMemory>(plan.workspace_bytes, std::byte{0xFF});
  memory.residual = std::make_unique<GuardedMemory>(plan.residual_bytes, std::byte{0xFF});
  return memory;
}

constexpr std::pair<int, int> no_alias{-1, -1};

void run_on_host(Launch& launch, Memory& memory, std::pair<int, int> alias, GuardedMemory* residual) {
  std::vector<void*> inputs, outputs;
  for (auto& input : memory.inputs) inputs.push_back(input ? input->data() : nullptr);
  for (auto& output : memory.outputs) outputs.push_back(output->data());
  if (alias.first >= 0) outputs[alias.first] = inputs[alias.second];
  launch.run({.inputs = inputs.data(),
              .outputs = outputs.data(),
              .workspace = memory.workspace->data(),
              .residual = (residual ? residual : memory.residual.get())->data()});
}

/// Memory of a test on a device, guards and all, for the time of a launch.
class DeviceCopies {
 public:
  explicit DeviceCopies(Device& device) : device_(device) {}

  void* add(GuardedMemory* memory) {
    if (!memory) return nullptr;
    // Lies as on the host, seen from a multiple of 64.
    const std::size_t shift = reinterpret_cast<std::uintptr_t>(memory->storage().data()) % 64;
    const std::size_t bytes = memory->storage().size();
    copies_.push_back({memory, Buffer(device_, shift + bytes), shift});
    device_.upload(copies_.back().buffer.data() + shift, memory->storage().data(), bytes);
    return copies_.back().buffer.data() + shift + memory->begin();
  }
  void fetch() {
    for (Copy& copy : copies_)
      device_.download(copy.memory->storage().data(), copy.buffer.data() + copy.shift, copy.memory->storage().size());
  }

 private:
  struct Copy {
    GuardedMemory* memory;
    Buffer buffer;
    std::size_t shift;
  };
  Device& device_;
  std::vector<Copy> copies_;
};

void run_on(Device& device, Launch& launch, Memory& memory, std::pair<int, int> alias, GuardedMemory* residual) {
  DeviceCopies copies(device);
  std::vector<void*> inputs, outputs;
  for (auto& input : memory.inputs) inputs.push_back(copies.add(input.get()));
  for (auto& output : memory.outputs) outputs.push_back(copies.add(output.get()));
  if (alias.first >= 0) outputs[alias.first] = inputs[alias.second];
  launch.run({.inputs = inputs.data(),
              .outputs = outputs.data(),
              .workspace = copies.add(memory.workspace.get()),
              .residual = copies.add(residual ? residual : memory.residual.get()),
              .stream = device.stream()});
  device.synchronize();
  copies.fetch();
}

/// Runs the launch with outputs in their own memory, or output `alias.first` in the memory of input `alias.second`; on
/// the host where there is no device.
void run(Device* device, Launch& launch, Memory& memory, std::pair<int, int> alias, GuardedMemory* residual) {
  if (device) return run_on(*device, launch, memory, alias, residual);
  run_on_host(launch, memory, alias, residual);
}

void check_guards(const Memory& memory) {
  for (const auto& input : memory.inputs)
    CHECK_MESSAGE((!input || input->guards_intact()), "wrote outside of an input");
  for (const auto& output : memory.outputs) CHECK_MESSAGE(output->guards_intact(), "wrote outside of an output");
  CHECK_MESSAGE(memory.workspace->guards_intact(), "wrote outside of the workspace");
  CHECK_MESSAGE(memory.residual->guards_intact(), "wrote outside of the residual");
}

void check_outputs(const OpInstance& instance, const KernelPlan& plan, const Memory& memory, const Target& target) {
  constexpr double tf32_roundings = 8192.0;  // f32 has 13 bits of mantissa more
  for (std::size_t k = 0; k < instance.outputs.size(); ++k) {
    CAPTURE(k);
    bool padding_is_zero = false;
    const RefTensor got = read_tensor(*memory.outputs[k], instance.output_types[k], plan.outputs[k], padding_is_zero);
    const std::string difference =
        compare(got, instance.outputs[k], instance.output_types[k], instance.source->match,
                instance.source->tolerance * (target.tf32 ? tf32_roundings : 1.0), reduction_length(instance, k));
    CHECK(difference == "");
    CHECK_MESSAGE(padding_is_zero, "the padding of a blocked output is not zero");
  }
}

using Contents = std::vector<std::vector<std::byte>>;

Contents contents(const std::vector<std::unique_ptr<GuardedMemory>>& memories) {
  Contents all;
  for (const auto& memory : memories) all.push_back(memory ? memory->content() : std::vector<std::byte>());
  return all;
}

/// A bf16 copy of output 0: its elements rounded, and all outputs as they are without it, in place too.
void check_bf16_copy(const OpInstance& instance, const Kernel& kernel, const KernelRequest& request, KernelPlan plan,
                     const Target& target, const Contents& without) {
  plan.bf16_copy = KernelPlan::Bf16Copy::wanted;
  const std::unique_ptr<Launch> launch = kernel.prepare(request, plan);
  const TensorType type{DType::bf16, instance.output_types[0].shape};
  for (const auto& pair : {no_alias, std::pair(0, 0)}) {
    Memory memory = allocate(instance, plan, target);
    memory.outputs.push_back(
        std::make_unique<GuardedMemory>(type.bytes(), std::byte{0xFF}, target.aligned ? 0 : size_bytes(type.dtype)));
    run(target.device, *launch, memory, pair, nullptr);
    check_guards(memory);
    Contents all = contents(memory.outputs);
    if (pair != no_alias) all[0] = memory.inputs[0]->content();
    bool padding_is_zero = false;
    const RefTensor copy = read_tensor(*memory.outputs.back(), type, Layout(), padding_is_zero);
    all.pop_back();
    CHECK_MESSAGE(all == without, "gave other bits beside a bf16 copy");
    RefTensor expected = read_tensor(pair == no_alias ? *memory.outputs[0] : *memory.inputs[0],
                                     instance.output_types[0], Layout(), padding_is_zero);
    for (double& value : expected.data) value = rounded(value, DType::bf16);
    CHECK(compare(copy, expected, type, Match::exact, 1.0, 1.0) == "");
  }
}

/// One plan: right results, intact surroundings, equal bits when repeated and when memory is shared.
void check_plan(const OpInstance& instance, const Kernel& kernel, const KernelRequest& request, const KernelPlan& plan,
                const Target& target, GuardedMemory* residual = nullptr) {
  REQUIRE(plan.inputs.size() == request.inputs.size());
  REQUIRE(plan.outputs.size() == request.outputs.size());
  CHECK(plan.implementation != "");
  const std::unique_ptr<Launch> launch = kernel.prepare(request, plan);
  REQUIRE(launch != nullptr);

  Memory memory = allocate(instance, plan, target);
  const Contents given = contents(memory.inputs);
  run(target.device, *launch, memory, no_alias, residual);
  check_guards(memory);
  check_outputs(instance, plan, memory, target);
  CHECK_MESSAGE(contents(memory.inputs) == given, "changed an input");
  const Contents first = contents(memory.outputs);

  Memory again = allocate(instance, plan, target);
  run(target.device, *launch, again, no_alias, residual);
  CHECK_MESSAGE(contents(again.outputs) == first, "a second run gave other bits");

  for (const auto& pair : plan.in_place) {
    const int output = pair.first, input = pair.second;
    CAPTURE(output);
    CAPTURE(input);
    REQUIRE(again.inputs.at(input) != nullptr);
    REQUIRE(again.inputs[input]->bytes() == again.outputs.at(output)->bytes());
    Memory sharing = allocate(instance, plan, target);
    run(target.device, *launch, sharing, {output, input}, residual);
    Contents shared_bits = contents(sharing.outputs);
    shared_bits[output] = sharing.inputs[input]->content();
    CHECK_MESSAGE(shared_bits == first, "gave other bits in place");
    check_guards(sharing);
  }
  for (const Layout& layout : plan.other_layouts) {
    KernelPlan other = plan;
    other.outputs[0] = layout;
    other.other_layouts.clear();
    CAPTURE(layout.tag());
    check_plan(instance, kernel, request, other, target, residual);
  }
  if (plan.bf16_copy == KernelPlan::Bf16Copy::offered) check_bf16_copy(instance, kernel, request, plan, target, first);
}

std::string describe(const KernelPlan& plan) {
  std::string text = plan.implementation + " (";
  for (const Layout& layout : plan.inputs) text += layout.tag() + ",";
  text += ")->(";
  for (const Layout& layout : plan.outputs) text += layout.tag() + ",";
  return text + ")";
}

std::vector<Layout> proposed_layouts(const OpInstance& instance, std::string_view tag) {
  std::vector<Layout> layouts(instance.inputs.size());
  for (std::size_t k = 0; k < layouts.size(); ++k) {
    if (instance.input_types[k] && instance.input_types[k]->shape.rank() == 4) layouts[k] = Layout(tag);
  }
  return layouts;
}

std::vector<const KernelRegistry::Entry*> own_kernels(std::string_view op, std::string_view device) {
  std::vector<const KernelRegistry::Entry*> entries = KernelRegistry::instance().find(op, device);
  std::erase_if(entries, [](const KernelRegistry::Entry* entry) { return entry->op == "*"; });
  return entries;
}

/// Calls visit(entry, request, plan) for the different plans that the op's kernels make.
template <typename Visit>
void for_each_plan(const OpInstance& instance, const Target& target, bool training, const KernelPlan* forward,
                   Visit visit) {
  const auto types = instance.type_pointers();
  for (const KernelRegistry::Entry* entry : own_kernels(instance.op->name(), target.name)) {
    for (int threads = 1; threads <= (target.device ? 1 : 2); ++threads) {
      std::vector<std::string> seen;
      for (const std::string_view tag : layout_candidates) {
        const std::vector<Layout> layouts = proposed_layouts(instance, tag);
        const KernelRequest request{.op = instance.op->name(),
                                    .attributes = instance.attributes.get(),
                                    .inputs = types,
                                    .outputs = instance.output_types,
                                    .input_layouts = layouts,
                                    .forward = forward,
                                    .training = training,
                                    .threads = threads,
                                    .tf32 = target.tf32};
        const std::optional<KernelPlan> plan = entry->kernel->plan(request);
        if (!plan || std::ranges::find(seen, describe(*plan)) != seen.end()) continue;
        seen.push_back(describe(*plan));
        visit(*entry, request, *plan);
      }
    }
  }
}

}  // namespace

std::set<std::string> kernels_for(const OpCase& op_case, const Target& target) {
  std::set<std::string> names;
  for_each_plan(instantiate(op_case), target, false, nullptr,
                [&](const auto& entry, const KernelRequest&, const KernelPlan&) { names.insert(entry.name); });
  return names;
}

int check_kernels(const OpCase& op_case, const Target& target) {
  const OpInstance instance = instantiate(op_case);
  int runs = 0;
  for (const bool training : {false, true}) {
    for_each_plan(instance, target, training, nullptr,
                  [&](const auto& entry, const KernelRequest& request, const KernelPlan& plan) {
                    if (training && plan.residual_bytes == 0) return;
                    INFO(op_case.full_name(), " kernel=", entry.name, " threads=", request.threads,
                         " plan=", describe(plan));
                    check_plan(instance, *entry.kernel, request, plan, target);
                    ++runs;
                  });
  }
  return runs;
}

namespace {

/// A node of a graph as an instance of its own, with the values of an interpretation as operands.
OpInstance instance_of(const Graph& graph, const GraphNode& node, const Interpretation& values, const OpCase& source) {
  OpInstance instance{.source = &source,
                      .op = node.op,
                      .attributes = node.attributes,
                      .input_types = {},
                      .inputs = {},
                      .output_types = {},
                      .outputs = {}};
  for (const int input : node.inputs) {
    instance.input_types.push_back(input < 0 ? std::nullopt : std::optional(graph.info(input).type));
    instance.inputs.push_back(input < 0 ? RefTensor() : values.values.at(input));
    for (double& value : instance.inputs.back().data) value = rounded(value, graph.info(input).type.dtype);
  }
  for (const int output : node.outputs) instance.output_types.push_back(graph.info(output).type);
  instance.outputs = run_reference(instance, instance.inputs);
  return instance;
}

}  // namespace

int check_kernel_pairs(const OpCase& op_case, const Target& target) {
  if (std::ranges::none_of(op_case.inputs, &Operand::differentiable)) return 0;
  const OpInstance instance = instantiate(op_case);
  const GradientGraph gradient(instance);
  const Interpretation values = gradient.interpret();
  int runs = 0;
  for_each_plan(
      instance, target, true, nullptr, [&](const auto& entry, const KernelRequest& request, const KernelPlan& plan) {
        if (plan.residual_bytes == 0) return;
        INFO("pair of ", op_case.full_name(), " kernel=", entry.name, " threads=", request.threads,
             " plan=", describe(plan));
        Memory memory = allocate(instance, plan, target);
        run(target.device, *entry.kernel->prepare(request, plan), memory, no_alias, nullptr);
        const std::vector<GraphNode>& nodes = gradient.graph().nodes();
        for (std::size_t i = 1; i < nodes.size(); ++i) {
          if (nodes[i].op->storage() != Op::Storage::compute) continue;
          const OpInstance backward = instance_of(gradient.graph(), nodes[i], values, op_case);
          const auto check = [&](const auto& its_entry, const KernelRequest& its_request, const KernelPlan& its_plan) {
            if (its_request.threads != request.threads) return;
            INFO(nodes[i].op->name(), " kernel=", its_entry.name, " plan=", describe(its_plan));
            check_plan(backward, *its_entry.kernel, its_request, its_plan, target, memory.residual.get());
            ++runs;
          };
          for_each_plan(backward, target, true, &plan, check);
        }
      });
  return runs;
}

}  // namespace trainctl::test
