#include "program/plan.h"

#include <algorithm>

#include "graph/rewrite.h"
#include "program/arena.h"
#include "program/order.h"
#include "program/select.h"

namespace trainctl {
namespace {

/// First and last step of every storage; outputs of the program live to its end.
void find_lifetimes(Plan& plan) {
  for (Storage& storage : plan.storages) storage.first_step = storage.last_step = -1;
  const auto touch = [&](int storage, int step) {
    if (storage < 0) return;
    Storage& block = plan.storages[storage];
    if (block.first_step < 0) block.first_step = step;
    block.last_step = step;
  };
  for (int i = 0; i < static_cast<int>(plan.steps.size()); ++i) {
    const PlannedStep& step = plan.steps[i];
    for (const int tensor : step.inputs) touch(tensor < 0 ? -1 : plan.tensors[tensor].storage, i);
    for (const int tensor : step.outputs) touch(plan.tensors[tensor].storage, i);
    touch(step.workspace, i);
    touch(step.residual, i);
  }
  for (const Plan::Output& output : plan.outputs)
    touch(plan.tensors[output.tensor].storage, static_cast<int>(plan.steps.size()));
}

/// Lets results take the place of operands that nobody reads afterwards, where the kernel allows it.
void share_in_place(Plan& plan) {
  for (int i = 0; i < static_cast<int>(plan.steps.size()); ++i) {
    const PlannedStep& step = plan.steps[i];
    for (const auto& [out, in] : step.plan.in_place) {
      if (step.inputs[in] < 0) continue;
      const PlacedTensor& input = plan.tensors[step.inputs[in]];
      const PlacedTensor& output = plan.tensors[step.outputs[out]];
      Storage& from = plan.storages[input.storage];
      Storage& to = plan.storages[output.storage];
      if (input.storage == output.storage || from.kind != Storage::Kind::transient ||
          to.kind != Storage::Kind::transient)
        continue;
      if (from.last_step != i || to.first_step != i || input.offset != 0 || output.offset != 0 ||
          from.bytes != to.bytes)
        continue;
      // The same operand given twice, or read under another name by this step, must keep its old contents.
      int reads = 0;
      for (const int tensor : step.inputs) reads += tensor >= 0 && plan.tensors[tensor].storage == input.storage;
      if (reads != 1) continue;
      // Another result may have its place already, and be read by nobody: its storage ends here too.
      if (std::ranges::any_of(step.outputs, [&](int other) { return plan.tensors[other].storage == input.storage; }))
        continue;
      const int merged = output.storage, kept = input.storage;
      from.last_step = std::max(from.last_step, to.last_step);
      to.kind = Storage::Kind::merged;
      for (PlacedTensor& tensor : plan.tensors) {
        if (tensor.storage == merged) tensor.storage = kept;
      }
    }
  }
}

/// The smallest blocks, as many as are no more than this together: their memory is cheaper than waiting for it.
constexpr std::size_t small_blocks_bytes = std::size_t{32} << 20;

/// On a concurrent device small blocks live through the whole program, so that no launch waits for their memory alone.
void keep_small_blocks(const Plan& plan, std::vector<Lifetime>& lifetimes) {
  std::vector<Lifetime*> by_size;
  for (Lifetime& lifetime : lifetimes) by_size.push_back(&lifetime);
  std::ranges::stable_sort(by_size, {}, [](const Lifetime* lifetime) { return lifetime->bytes; });
  std::size_t total = 0;
  for (Lifetime* lifetime : by_size) {
    total += lifetime->bytes;
    if (total > small_blocks_bytes) return;
    lifetime->first = 0, lifetime->last = static_cast<int>(plan.steps.size());
  }
}

void place_transients(Plan& plan) {
  std::vector<Lifetime> lifetimes;
  std::vector<Storage*> blocks;
  for (Storage& storage : plan.storages) {
    if (storage.kind != Storage::Kind::transient || storage.first_step < 0) continue;
    lifetimes.push_back({storage.bytes, storage.first_step, storage.last_step});
    blocks.push_back(&storage);
  }
  if (plan.options.concurrent) keep_small_blocks(plan, lifetimes);
  const ArenaPlan arena = plan_arena(lifetimes);
  for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i]->offset = arena.offsets[i];
  plan.arena_bytes = arena.bytes;
}

}  // namespace

Plan plan_program(Graph& graph, const PlanOptions& options) {
  Plan plan;
  plan.options = options;
  plan.graph_hash = graph.hash();
  graph.remove_dead_nodes();
  if (options.fuse) {
    run_rewrites(graph, [&](const GraphNode& fused, const Graph& in) { return has_kernel(fused, in, options); });
    graph.remove_dead_nodes();
  }
  Selection(graph, plan).run();
  plan.values = graph.values();
  find_lifetimes(plan);
  share_in_place(plan);
  place_transients(plan);
  find_order(plan);
  plan.options.choices = nullptr;
  return plan;
}

bool Plan::names_alternatives() const {
  return std::ranges::any_of(steps, [](const PlannedStep& step) { return step.plan.alternatives.size() > 1; });
}

Cost Plan::total_cost() const {
  Cost total;
  for (const PlannedStep& step : steps) {
    total.flops += step.cost.flops;
    total.bytes += step.cost.bytes;
  }
  return total;
}

std::vector<const PlannedStep*> Plan::reference_steps() const {
  std::vector<const PlannedStep*> found;
  for (const PlannedStep& step : steps) {
    if (step.kernel->priority == priority::reference) found.push_back(&step);
  }
  return found;
}

Plan::Peak Plan::peak() const {
  Peak peak;
  for (int i = 0; i < static_cast<int>(steps.size()); ++i) {
    std::size_t bytes = 0;
    std::vector<const Storage*> live;
    for (const Storage& storage : storages) {
      if (storage.kind != Storage::Kind::transient || storage.first_step > i || storage.last_step < i) continue;
      bytes += storage.bytes;
      live.push_back(&storage);
    }
    if (bytes > peak.bytes) peak = {i, bytes, std::move(live)};
  }
  std::ranges::stable_sort(peak.live, [](const Storage* a, const Storage* b) { return a->bytes > b->bytes; });
  return peak;
}

}  // namespace trainctl
