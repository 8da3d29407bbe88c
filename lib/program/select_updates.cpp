// The part of Selection that places updates: new versions of state in the place of the old, and bf16 copies beside
// them.
#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "program/select.h"

namespace trainctl {

bool Selection::readers_come_first(int storage, int state_storage) const {
  int first_writer = static_cast<int>(plan_.steps.size());
  int last_reader = -1;
  const auto lies_in = [&](int tensor, int where) { return tensor >= 0 && plan_.tensors[tensor].storage == where; };
  for (int i = 0; i < static_cast<int>(plan_.steps.size()); ++i) {
    const PlannedStep& step = plan_.steps[i];
    if (std::ranges::any_of(step.outputs, [&](int tensor) { return lies_in(tensor, storage); }))
      first_writer = std::min(first_writer, i);
    // What was placed there by an earlier update is written there too, after all its readers.
    if (std::ranges::any_of(step.inputs, [&](int tensor) { return lies_in(tensor, state_storage); })) last_reader = i;
  }
  if (last_reader < first_writer) return true;
  if (last_reader > first_writer) return false;
  // One step reads the old version and writes the new one: fine if its kernel computes in place.
  const PlannedStep& step = plan_.steps[first_writer];
  for (std::size_t in = 0; in < step.inputs.size(); ++in) {
    if (!lies_in(step.inputs[in], state_storage)) continue;
    const bool allowed = std::ranges::any_of(step.plan.in_place, [&](const std::pair<int, int>& pair) {
      return pair.second == static_cast<int>(in) && lies_in(step.outputs[pair.first], storage);
    });
    if (!allowed) return false;
  }
  return true;
}

void Selection::place_updates() {
  struct Late {
    int from, to;
  };
  std::vector<Late> copies;
  // State whose old version another variable takes over must not be overwritten before the copies at the end.
  std::set<int> taken_over;
  for (const Graph::Update& update : graph_.updates())
    taken_over.insert(plan_.tensors[tensor_of(update.value)].storage);
  for (const Graph::Update& update : graph_.updates()) {
    const auto [state_storage, offset] = state_memory(update.state);
    const TensorType type = graph_.info(update.value).type;
    const Layout layout = graph_.state_spec()[update.state].layout;
    const int tensor = tensor_of(update.value);
    const PlacedTensor placed = plan_.tensors[tensor];
    const bool fits = placed.layout.same_places(type.shape, layout) && placed.offset == 0 &&
                      may_place(placed.storage) && plan_.storages[placed.storage].bytes == type.bytes() &&
                      !taken_over.contains(state_storage) && readers_come_first(placed.storage, state_storage);
    if (fits) {
      merge(placed.storage, state_storage, offset);
    } else if (placed.storage != state_storage || placed.offset != offset) {
      copies.push_back({tensor, add_tensor(type, layout, state_storage, offset)});
    }
    const int root = plan_.storages[state_storage].state;
    if (std::ranges::find(plan_.updated_states, root) == plan_.updated_states.end())
      plan_.updated_states.push_back(root);
  }
  // Copies go through fresh memory if their source is itself state, so that two variables may swap.
  for (Late& copy : copies) {
    if (plan_.storages[plan_.tensors[copy.from].storage].kind != Storage::Kind::state) continue;
    const TensorType type = plan_.tensors[copy.from].type;
    const Layout layout = plan_.tensors[copy.from].layout;
    const int between =
        add_tensor(type, layout, add_storage({.bytes = layout.bytes(type), .name = "old version kept"}));
    copy.from = add_copy(copy.from, between, "");
  }
  for (const Late& copy : copies) add_copy(copy.from, copy.to, "");
}

std::vector<int> Selection::casts_of(int root, int writer) const {
  const int state = state_storage_.at(root);
  std::vector<int> casts;
  std::int64_t elements = 0;
  for (int i = 0; i < writer; ++i) {
    const PlannedStep& step = plan_.steps[i];
    if (step.node >= 0 || plan_.tensors[step.inputs[0]].storage != state) continue;
    const PlacedTensor& cast = plan_.tensors[step.outputs[0]];
    if (cast.type.dtype != DType::bf16 ||
        !cast.layout.same_places(cast.type.shape, plan_.tensors[step.inputs[0]].layout) || !may_place(cast.storage))
      continue;
    const auto reads = [&](int tensor) { return tensor >= 0 && plan_.tensors[tensor].storage == cast.storage; };
    const bool read_later = std::any_of(plan_.steps.begin() + writer, plan_.steps.end(), [&](const PlannedStep& later) {
      return std::ranges::any_of(later.inputs, reads);
    });
    if (read_later) continue;
    casts.push_back(i);
    elements += cast.type.elements();
  }
  if (2 * elements < graph_.state_spec()[root].type.elements()) casts.clear();
  return casts;
}

void Selection::keep_copies() {
  std::set<int> dropped;
  for (const Graph::Update& update : graph_.updates()) {
    const int root = update.state;
    const int updated = tensor_of(update.value);
    if (root_of(root) != root || plan_.tensors[updated].storage != state_storage_.at(root)) continue;
    const auto writer = std::ranges::find_if(plan_.steps, [&](const PlannedStep& step) {
      return step.plan.bf16_copy == KernelPlan::Bf16Copy::offered && step.outputs[0] == updated;
    });
    if (writer == plan_.steps.end()) continue;
    const std::vector<int> casts = casts_of(root, static_cast<int>(writer - plan_.steps.begin()));
    if (casts.empty()) continue;
    const StateVariable& variable = graph_.state_spec()[root];
    const TensorType type{DType::bf16, variable.type.shape};
    const int storage = add_storage({.kind = Storage::Kind::working_copy,
                                     .bytes = type.bytes(),
                                     .state = root,
                                     .dtype = type.dtype,
                                     .name = variable.name + " as bf16"});
    for (const int i : casts) {
      const PlacedTensor& from = plan_.tensors[plan_.steps[i].inputs[0]];
      merge(plan_.tensors[plan_.steps[i].outputs[0]].storage, storage,
            from.offset / size_bytes(from.type.dtype) * size_bytes(type.dtype));
    }
    writer->outputs.push_back(add_tensor(type, {}, storage));
    writer->plan.bf16_copy = KernelPlan::Bf16Copy::wanted;
    plan_.kept_copies.push_back(storage);
    dropped.insert(casts.begin(), casts.end());
  }
  drop(dropped);
}

void Selection::drop(const std::set<int>& steps) {
  if (steps.empty()) return;
  std::vector<PlannedStep> kept;
  std::vector<int> moved(plan_.steps.size(), -1);
  for (int i = 0; i < static_cast<int>(plan_.steps.size()); ++i) {
    if (steps.contains(i)) continue;
    moved[i] = static_cast<int>(kept.size());
    kept.push_back(std::move(plan_.steps[i]));
    if (kept.back().forward_step >= 0) kept.back().forward_step = moved[kept.back().forward_step];
  }
  plan_.steps = std::move(kept);
  for (int& step : step_of_node_) step = step < 0 ? -1 : moved[step];
}

}  // namespace trainctl
