#include "schema/registry.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "base/text.h"

namespace trainctl {

void Kind::add(ComponentInfo component) {
  const auto place = std::lower_bound(components_.begin(), components_.end(), component.name,
                                      [](const auto& known, const std::string& name) { return known->name < name; });
  if (place != components_.end() && (*place)->name == component.name) {
    conflict_ = fmt::format("two components are registered as {} '{}': in {} and in {}", name_, component.name,
                            (*place)->place, component.place);
    return;
  }
  components_.insert(place, std::make_unique<ComponentInfo>(std::move(component)));
}

void Kind::refuse_conflict() const {
  if (!conflict_.empty()) throw Error(ErrorKind::internal, conflict_);
}

const ComponentInfo* Kind::find(std::string_view name) const {
  refuse_conflict();
  for (const auto& component : components_)
    if (component->name == name) return component.get();
  return nullptr;
}

std::vector<const ComponentInfo*> Kind::components() const {
  refuse_conflict();
  std::vector<const ComponentInfo*> all;
  for (const auto& component : components_) all.push_back(component.get());
  return all;
}

std::vector<std::string> Kind::names() const {
  std::vector<std::string> all;
  for (const ComponentInfo* component : components()) all.push_back(component->name);
  return all;
}

namespace {

std::map<std::string, Kind, std::less<>>& all_kinds() {
  static std::map<std::string, Kind, std::less<>> kinds;
  return kinds;
}

}  // namespace

Kind& kind(std::string_view name) {
  auto& kinds = all_kinds();
  const auto known = kinds.find(name);
  if (known != kinds.end()) return known->second;
  return kinds.emplace(std::string(name), Kind(std::string(name))).first->second;
}

std::vector<const Kind*> kinds() {
  std::vector<const Kind*> all;
  for (const auto& [name, kind] : all_kinds())
    if (!kind.components().empty()) all.push_back(&kind);
  return all;
}

std::vector<std::pair<const Kind*, const ComponentInfo*>> find_components(std::string_view name) {
  std::vector<std::pair<const Kind*, const ComponentInfo*>> found;
  for (const Kind* kind : kinds())
    if (const ComponentInfo* component = kind->find(name)) found.emplace_back(kind, component);
  return found;
}

namespace detail {

std::string with_article(std::string_view noun) {
  const bool vowel = !noun.empty() && std::string_view("aeiou").find(noun.front()) != std::string_view::npos;
  return fmt::format("{} {}", vowel ? "an" : "a", noun);
}

const ComponentInfo* select_component(const Kind& kind, const Node& node, std::string_view implied_type,
                                      Diagnostics& diagnostics) {
  const Node* type = node.is_map() ? node.find("type") : node.is_scalar() ? &node : nullptr;
  if (!type && (implied_type.empty() || (!node.is_map() && !node.is_null()))) {
    const std::string fault = node.is_map() ? "'type' is missing." : fmt::format("got {}.", describe(node));
    diagnostics.error(node, fmt::format("expected {}: a name, or a map with 'type'; {} Known: {}.",
                                        with_article(kind.name()), fault, join(kind.names(), ", ")));
    return nullptr;
  }
  const Node implied = Node::scalar(std::string(implied_type), false, node.source());
  if (!type) type = &implied;
  if (!type->is_scalar()) {
    diagnostics.error(
        *type, fmt::format("'type' must be the name of {}, got {}.", with_article(kind.name()), describe(*type)));
    return nullptr;
  }
  if (const ComponentInfo* component = kind.find(type->text())) return component;
  std::string advice = suggestion(type->text(), kind.names());
  const auto elsewhere = find_components(type->text());
  if (!elsewhere.empty()) advice = fmt::format(" It is {}.", with_article(elsewhere.front().first->name()));
  if (advice.empty()) advice = fmt::format(" 'trainctl ls {}' lists them.", kind.name());
  diagnostics.error(*type, fmt::format("unknown {} '{}'.{}", kind.name(), printable(type->text()), advice));
  return nullptr;
}

void read_component(const ComponentInfo& info, void* object, const Node& node, Diagnostics& diagnostics) {
  const Node bare = Node::map(node.source());
  read_object(info.object(), object, node.is_map() ? node : bare, diagnostics, "type");
}

Node write_component(const ComponentInfo& info, const void* object) {
  const Node fields = write_object(info.object(), object);
  Node map = Node::map();
  map.append("type", Node::scalar(info.name));
  for (const Node::Entry& entry : fields.entries()) map.append(entry.key, entry.value);
  return map;
}

const ComponentInfo& require_component(const Kind& kind, std::string_view name) {
  const ComponentInfo* component = kind.find(name);
  if (!component) fail(ErrorKind::internal, "the default {} '{}' is not registered", kind.name(), name);
  return *component;
}

}  // namespace detail

}  // namespace trainctl
