// Blocks of a model: layers with parameters, replaced by what they stand for before anything reads the model.
#include <algorithm>
#include <set>
#include <tuple>

#include "base/text.h"
#include "nn/model.h"
#include "schema/resolve.h"

namespace trainctl {
namespace {

// Keys of the place where a block is used that belong to the layer it becomes.
constexpr std::string_view layer_keys[] = {"name", "inputs", "repeat"};
bool is_layer_key(std::string_view key) {
  return std::ranges::find(layer_keys, key) != std::end(layer_keys);
}

class Expansion {
 public:
  Expansion(const Node& blocks, Diagnostics& diagnostics) : diagnostics_(diagnostics) { declare(blocks); }

  /// A layer: itself with its inner layers expanded, or what its block becomes.
  Node layer(const Node& node) {
    const Node* type = node.is_map() ? node.find("type") : node.is_scalar() ? &node : nullptr;
    if (!type || !type->is_scalar()) return node;
    if (const Node* block = find(type->text())) return use(type->text(), *block, node);
    const ComponentInfo* info = kind(Layer::kind).find(type->text());
    if (!info) {
      refuse_unknown(*type);
      return node;
    }
    if (!node.is_map()) return node;
    Node result = node;
    for (const FieldInfo& field : info->object().fields) {
      const Node* value = node.find(field.name);
      if (!value || !holds_layers(*field.type)) continue;
      const Diagnostics::Scope scope(diagnostics_, field.name);
      result.set(field.name, inner(*value, *field.type), node.find_entry(field.name)->key_source);
    }
    return result;
  }

 private:
  static constexpr std::size_t most_nodes = 1'000'000;  // small texts can stand for endless ones

  void declare(const Node& blocks) {
    const Diagnostics::Scope scope(diagnostics_, "blocks");
    if (blocks.is_null()) return;
    if (!blocks.is_map())
      return diagnostics_.error(blocks, fmt::format("expected a map of names to layers, got {}.", describe(blocks)));
    for (const Node::Entry& entry : blocks.entries()) {
      const Diagnostics::Scope inner_scope(diagnostics_, entry.key);
      if (kind(Layer::kind).find(entry.key)) {
        diagnostics_.error(entry.key_source, "a layer has this name: call the block something else.");
        continue;
      }
      if (!entry.value.is_map() || !entry.value.find("type")) {
        diagnostics_.error(entry.value, "a block is a layer: a map with 'type' and, as a rule, 'parameters'.");
        continue;
      }
      blocks_.push_back(&entry);
      check_parameters(entry.value);
    }
    copies_ = blocks;
  }

  void check_parameters(const Node& block) {
    const Node* parameters = block.find("parameters");
    if (!parameters || parameters->is_null()) return;
    const Diagnostics::Scope scope(diagnostics_, "parameters");
    if (!parameters->is_map())
      return diagnostics_.error(*parameters, "expected a map of names to defaults (null: must be given).");
    for (const Node::Entry& entry : parameters->entries()) {
      if (entry.key == "type" || is_layer_key(entry.key))
        diagnostics_.error(entry.key_source,
                           fmt::format("every layer has '{}': call the parameter something else.", entry.key));
    }
  }

  const Node* find(std::string_view name) const {
    for (const Node::Entry* block : blocks_)
      if (block->key == name) return &block->value;
    return nullptr;
  }

  // The schema would say the same without knowing of blocks.
  void refuse_unknown(const Node& type) {
    if (blocks_.empty()) return;
    std::vector<std::string> names = kind(Layer::kind).names();
    for (const Node::Entry* block : blocks_) names.push_back(block->key);
    diagnostics_.error(
        type, fmt::format("unknown layer or block '{}'.{}", printable(type.text()), suggestion(type.text(), names)));
  }

  static bool holds_layers(const TypeInfo& type) {
    if (type.form == Form::component) return std::string_view(type.kind) == Layer::kind;
    return std::ranges::any_of(type.parts, [](const TypeInfo* part) { return holds_layers(*part); });
  }

  // A field's value, where the type says that layers are inside.
  Node inner(const Node& node, const TypeInfo& type) {
    switch (type.form) {
      case Form::component:
        return layer(node);
      case Form::optional:
        return node.is_null() ? node : inner(node, *type.parts[0]);
      case Form::variant:
        for (const TypeInfo* part : type.parts) {
          if (node.is_list() == (part->form == Form::list) && holds_layers(*part)) return inner(node, *part);
        }
        return node;
      case Form::list:
        return node.is_list() ? items(node, *type.parts[0]) : inner(node, *type.parts[0]);
      case Form::map:
        return entries(node, *type.parts[0]);
      default:
        return node;
    }
  }

  Node items(const Node& node, const TypeInfo& type) {
    Node result = Node::list(node.source());
    for (std::size_t i = 0; i < node.size(); ++i) {
      const Diagnostics::Scope scope(diagnostics_, i);
      result.push_back(inner(node.items()[i], type));
    }
    return result;
  }

  Node entries(const Node& node, const TypeInfo& type) {
    if (!node.is_map()) return node;
    Node result = Node::map(node.source());
    for (const Node::Entry& entry : node.entries()) {
      const Diagnostics::Scope scope(diagnostics_, entry.key);
      result.append(entry.key, inner(entry.value, type), entry.key_source);
    }
    return result;
  }

  Node use(const std::string& name, const Node& block, const Node& user) {
    if (std::ranges::find(open_, name) != open_.end()) {
      diagnostics_.error(user, fmt::format("block '{}' uses itself: {} -> {}.", name, join(open_, " -> "), name));
      return user;
    }
    if (nodes_ > most_nodes) return user;
    const std::size_t errors = diagnostics_.total();
    const Node arguments = arguments_of(name, block, user);
    if (diagnostics_.total() > errors) return user;
    Node body = block;
    body.erase("parameters");
    body = substitute(body, lookup(name, arguments), diagnostics_);
    if (diagnostics_.total() > errors) return user;
    for (const std::string_view key : layer_keys) {
      if (const Node::Entry* given = user.find_entry(key)) body.set(key, given->value, given->key_source);
    }
    nodes_ += count(body);
    if (nodes_ > most_nodes) {
      diagnostics_.error(user, fmt::format("the model's blocks stand for more than {} nodes of YAML.", most_nodes));
      return user;
    }
    open_.push_back(name);
    body = layer(body);
    open_.pop_back();
    return body;
  }

  static std::size_t count(const Node& node) {
    std::size_t total = 1;
    for (const Node& item : node.items()) total += count(item);
    for (const Node::Entry& entry : node.entries()) total += count(entry.value);
    return total;
  }

  /// The value of every parameter: what the user gives, else its default.
  Node arguments_of(const std::string& name, const Node& block, const Node& user) {
    const Node* parameters = block.find("parameters");
    Node arguments = parameters && parameters->is_map() ? *parameters : Node::map();
    for (const Node::Entry& entry : user.entries()) {
      if (entry.key == "type" || is_layer_key(entry.key)) continue;
      if (!arguments.find(entry.key)) {
        std::vector<std::string> names = names_of(arguments);
        names.insert(names.end(), std::begin(layer_keys), std::end(layer_keys));
        diagnostics_.error(entry.key_source, fmt::format("block '{}' has no parameter '{}'.{}", name,
                                                         printable(entry.key), suggestion(entry.key, names)));
        continue;
      }
      arguments.set(entry.key, entry.value, entry.key_source);
    }
    for (const Node::Entry& entry : arguments.entries()) {
      if (entry.value.is_null()) diagnostics_.error(user, fmt::format("block '{}' needs '{}'.", name, entry.key));
    }
    return arguments;
  }

  static std::vector<std::string> names_of(const Node& map) {
    std::vector<std::string> names;
    for (const Node::Entry& entry : map.entries()) names.push_back(entry.key);
    return names;
  }

  static Lookup lookup(const std::string& block, const Node& arguments) {
    return [block, &arguments](std::string_view reference, const Source& at,
                               Diagnostics& diagnostics) -> std::optional<Node> {
      if (!reference.starts_with("arg.")) return std::nullopt;
      const std::string name(reference.substr(4));
      if (const Node* value = arguments.find(name)) return *value;
      diagnostics.error(at, fmt::format("block '{}' has no parameter '{}'.{}", block, printable(name),
                                        suggestion(name, names_of(arguments))));
      return Node::null();
    };
  }

  Diagnostics& diagnostics_;
  Node copies_;  // keeps the entries alive that blocks_ points to
  std::vector<const Node::Entry*> blocks_;
  std::vector<std::string> open_;
  std::size_t nodes_ = 0;
};

}  // namespace

Node expand_blocks(const Node& node, const Node& blocks, Diagnostics& diagnostics) {
  return Expansion(blocks, diagnostics).layer(node);
}

void take_once(Diagnostics& diagnostics, const Diagnostics& found) {
  Diagnostics distinct;
  std::set<std::tuple<const SourceText*, int, int, std::string>> seen;
  for (const Diagnostic& error : found.errors()) {
    if (!seen.emplace(error.source.file.get(), error.source.line, error.source.column, error.message).second) continue;
    distinct.set_path(error.path);
    distinct.error(error.source, error.message);
  }
  diagnostics.take(distinct);
}

}  // namespace trainctl
