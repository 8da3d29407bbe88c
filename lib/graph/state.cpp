#include "graph/state.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace trainctl {

int StateSpec::declare(StateVariable variable) {
  if (const int existing = find(variable.name); existing >= 0) {
    if (variables_[existing].type != variable.type) {
      fail(ErrorKind::internal, "state '{}' is declared as {} and as {}", variable.name,
           variables_[existing].type.text(), variable.type.text());
    }
    return existing;
  }
  const int index = size();
  by_name_.emplace(variable.name, index);
  variables_.push_back(std::move(variable));
  return index;
}

int StateSpec::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? -1 : found->second;
}

int StateSpec::make_group(std::string name, const std::vector<int>& members, bool saved) {
  require(!members.empty(), "a group of state needs a member");
  std::int64_t total = 0;
  const int root = size();
  for (const int member : members) {
    StateVariable& variable = variables_[member];
    require(variable.root < 0 && variable.type.dtype == variables_[members[0]].type.dtype,
            "a state variable cannot join the group");
    variable.root = root;
    variable.root_offset = total;
    total += (variable.type.elements() + alignment - 1) / alignment * alignment;
  }
  const DType dtype = variables_[members[0]].type.dtype;
  return declare({std::move(name), {dtype, {total}}, Init::zeros(), saved});
}

int StateSpec::make_group_like(std::string name, int like, std::string_view prefix, Init init, bool saved) {
  const int root = declare({std::move(name), variables_[like].type, Init::zeros(), false});
  for (const int member : members(like)) {
    const StateVariable model = variables_[member];
    const std::string rest = model.name.substr(model.name.find('/') + 1);
    const int index = declare({std::string(prefix) + "/" + rest, model.type, init, saved});
    variables_[index].root = root;
    variables_[index].root_offset = model.root_offset;
    variables_[index].layout = model.layout;
  }
  variables_[root].like = like;
  return root;
}

int StateSpec::first_like(int root) const {
  while (variables_[root].like >= 0) root = variables_[root].like;
  return root;
}

void StateSpec::place(int member, const Layout& layout) {
  const StateVariable placed = variables_[member];
  require(placed.root >= 0 && layout.bytes(placed.type) == placed.type.bytes(), "a state variable cannot be placed so");
  for (StateVariable& variable : variables_) {
    if (variable.root >= 0 && variable.root_offset == placed.root_offset &&
        first_like(variable.root) == first_like(placed.root))
      variable.layout = layout;
  }
}

std::vector<int> StateSpec::members(int root) const {
  std::vector<int> found;
  for (int i = 0; i < size(); ++i) {
    if (variables_[i].root == root) found.push_back(i);
  }
  std::ranges::sort(found, {}, [&](int i) { return variables_[i].root_offset; });
  return found;
}

}  // namespace trainctl
