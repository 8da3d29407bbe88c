#include "program/place_states.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace trainctl {
namespace {

/// The member of a group that begins at `offset` bytes of it, or -1.
int member_at(const StateSpec& spec, int root, std::size_t offset) {
  for (const int member : spec.members(root)) {
    if (static_cast<std::size_t>(spec[member].root_offset) * size_bytes(spec[member].type.dtype) == offset)
      return member;
  }
  return -1;
}

}  // namespace

bool place_states(StateSpec& spec, const std::vector<std::reference_wrapper<const Plan>>& plans) {
  std::map<int, std::map<std::string, std::int64_t>> wanted;  // member -> layout -> elements reordered to it
  for (const Plan& plan : plans) {
    for (const PlannedStep& step : plan.steps) {
      if (step.node >= 0) continue;  // the planner's own are reorders
      const PlacedTensor &from = plan.tensors[step.inputs[0]], &to = plan.tensors[step.outputs[0]];
      const Storage& memory = plan.storages[from.storage];
      if (memory.kind != Storage::Kind::state || to.layout.same_places(to.type.shape, from.layout) ||
          !to.layout.parse(to.type.shape.rank()).blocks.empty())
        continue;
      const int member = member_at(spec, memory.state, from.offset);
      if (member >= 0 && spec[member].type == from.type) wanted[member][to.layout.tag()] += to.type.elements();
    }
  }
  for (const auto& [member, layouts] : wanted) {
    const auto most = std::ranges::max_element(layouts, {}, [](const auto& layout) { return layout.second; });
    spec.place(member, Layout(most->first));
  }
  return !wanted.empty();
}

}  // namespace trainctl
