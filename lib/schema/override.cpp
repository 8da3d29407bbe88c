// `--set key.path=value` and `--unset key.path`.
#include <fmt/core.h>

#include <charconv>

#include "base/text.h"
#include "schema/references.h"
#include "schema/resolve.h"
#include "schema/yaml.h"

namespace trainctl {

namespace {

// One argument of the command line and the keys of its path, each with its place in the argument.
struct Argument {
  struct Key {
    std::string name;
    Source source;
  };
  std::shared_ptr<const SourceText> text;
  std::vector<Key> keys;

  Argument(const char* option, const std::string& argument, std::size_t path_length)
      : text(std::make_shared<const SourceText>(SourceText{option, argument, std::filesystem::current_path()})) {
    int column = 1;
    for (std::string& name : split(std::string_view(argument).substr(0, path_length), '.')) {
      const int length = static_cast<int>(name.size());
      keys.push_back({std::move(name), Source{text, 1, column}});
      column += length + 1;
    }
  }

  bool check(Diagnostics& diagnostics) const {
    constexpr std::size_t deepest = 100;
    for (const Key& key : keys) {
      if (!key.name.empty()) continue;
      diagnostics.error(key.source, "a name is missing here: write it as 'section.key'.");
      return false;
    }
    if (keys.size() <= deepest) return true;
    diagnostics.error(Source{text, 1, 1}, fmt::format("deeper than {} levels.", deepest));
    return false;
  }
};

std::optional<std::size_t> index_of(const Node& list, const Argument::Key& key, Diagnostics& diagnostics) {
  std::size_t index = 0;
  const char* end = key.name.data() + key.name.size();
  const auto [stop, error] = std::from_chars(key.name.data(), end, index);
  if (error == std::errc() && stop == end && index < list.size()) return index;
  const std::string known = list.size() == 0 ? "it is empty" : fmt::format("its items are 0 to {}", list.size() - 1);
  diagnostics.error(key.source, fmt::format("'{}' is no item of this list: {}.", printable(key.name), known));
  return std::nullopt;
}

// The place of a key below a node, made if need be; null after noting an error.
Node* step(Node& node, const Argument::Key& key, Diagnostics& diagnostics) {
  if (node.is_list()) {
    const auto index = index_of(node, key, diagnostics);
    return index ? &node.item(*index) : nullptr;
  }
  if (node.is_null()) node = Node::map(key.source);
  if (is_word(node)) node = as_component(node);
  if (!node.is_map()) {
    diagnostics.error(key.source, fmt::format("nothing can be set below {}.", describe(node)));
    return nullptr;
  }
  if (Node* known = node.find_mutable(key.name)) return known;
  return &node.set(key.name, Node::null(key.source), key.source);
}

}  // namespace

void apply_set(Node& root, const std::string& assignment, Diagnostics& diagnostics) {
  const std::size_t equals = assignment.find('=');
  const Argument argument("--set", assignment, std::min(equals, assignment.size()));
  if (equals == std::string::npos) {
    diagnostics.error(Source{argument.text, 1, 1}, "write it as 'section.key=value'.");
    return;
  }
  if (!argument.check(diagnostics)) return;
  const Source value_source{argument.text, 1, static_cast<int>(equals) + 2};
  if (trimmed(std::string_view(assignment).substr(equals + 1)).empty()) {
    diagnostics.error(value_source, "a value is missing: write 'null' or '\"\"' if you mean nothing.");
    return;
  }
  const std::size_t errors = diagnostics.total();
  Node value = parse_yaml(argument.text, diagnostics, {}, equals + 1);
  if (diagnostics.total() > errors) return;

  Node* place = &root;
  for (const Argument::Key& key : argument.keys) {
    Node* parent = place;
    place = step(*parent, key, diagnostics);
    if (!place) return;
    const bool is_last = &key == &argument.keys.back();
    if (!is_last) continue;
    const bool other_type =
        key.name == "type" && parent->is_map() && !place->is_null() && place->text() != value.text();
    if (other_type) {
      *parent = Node::map(value_source);
      place = &parent->set("type", Node(), key.source);
    } else if (parent->is_map()) {
      parent->set_key_source(key.name, key.source);
      place = parent->find_mutable(key.name);
    }
  }
  *place = std::move(value);
}

void apply_unset(Node& root, const std::string& key, Diagnostics& diagnostics) {
  const Argument argument("--unset", key, key.size());
  if (!argument.check(diagnostics)) return;
  Node* place = &root;
  for (const Argument::Key& part : argument.keys) {
    const bool is_last = &part == &argument.keys.back();
    if (place->is_list()) {
      const auto index = index_of(*place, part, diagnostics);
      if (!index) return;
      if (is_last)
        place->erase(*index);
      else
        place = &place->item(*index);
      continue;
    }
    if (!place->find(part.name)) {
      std::vector<std::string> names;
      for (const Node::Entry& entry : place->entries()) names.push_back(entry.key);
      diagnostics.error(
          part.source, fmt::format("there is no '{}' to unset.{}", printable(part.name), suggestion(part.name, names)));
      return;
    }
    if (is_last)
      place->erase(part.name);
    else
      place = place->find_mutable(part.name);
  }
}

}  // namespace trainctl
