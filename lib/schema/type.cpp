#include "schema/type.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/text.h"
#include "schema/bind.h"
#include "schema/scalar.h"
#include "schema/schema.h"
#include "schema/yaml.h"

namespace trainctl {

namespace {

using Value = std::unique_ptr<void, void (*)(void*)>;
Value make(const TypeInfo& type) {
  return Value(type.create(), type.destroy);
}

void* member(const FieldInfo& field, void* object) {
  return static_cast<char*>(object) + field.offset;
}
const void* member(const FieldInfo& field, const void* object) {
  return static_cast<const char*>(object) + field.offset;
}

bool holds_numbers(const TypeInfo& type) {
  if (type.form == Form::number || type.form == Form::live) return true;
  return std::any_of(type.parts.begin(), type.parts.end(), [](const TypeInfo* part) { return holds_numbers(*part); });
}

// Components, sections and raw trees check what they hold themselves.
bool checks_itself(const TypeInfo& type) {
  constexpr Form owners[] = {Form::component, Form::named, Form::object, Form::raw};
  if (std::find(std::begin(owners), std::end(owners), type.form) != std::end(owners)) return true;
  return std::any_of(type.parts.begin(), type.parts.end(), [](const TypeInfo* part) { return checks_itself(*part); });
}

bool is_empty(const Node& value) {
  return value.is_scalar() ? value.text().empty() : !value.is_null() && value.size() == 0;
}

// What is unknown about a key, and what it may have been.
void unknown_key(const ObjectInfo& info, const Node::Entry& entry, std::string_view ignored_key,
                 Diagnostics& diagnostics) {
  for (const LaterKey& later : info.later) {
    if (later.name != entry.key) continue;
    diagnostics.error(entry.key_source,
                      fmt::format("'{}' ({}) is not supported yet: remove it.", later.name, later.what));
    return;
  }
  if (diagnostics.full()) return diagnostics.error(entry.key_source, "");
  std::vector<std::string> names;
  if (!ignored_key.empty()) names.emplace_back(ignored_key);
  for (const FieldInfo& field : info.fields) names.push_back(field.name);
  diagnostics.error(entry.key_source,
                    fmt::format("unknown key '{}'.{}", printable(entry.key), suggestion(entry.key, names)));
}

void read_field(const FieldInfo& field, void* object, const Node& node, Diagnostics& diagnostics) {
  if (node.is_faulty()) return;
  const Diagnostics::Scope scope(diagnostics, field.name);
  const std::size_t errors = diagnostics.total();
  field.type->read(member(field, object), node, diagnostics);
  if (field.type->visit_live) {
    field.type->visit_live(member(field, object), "", [&](Live& live, const std::string&) {
      if (!live.range) live.range = &field.constraints;  // an inner field has set its own
    });
  }
  if (diagnostics.total() > errors || (field.constraints.empty() && !holds_numbers(*field.type))) return;
  const Node value = field.type->write(member(field, object));
  if (is_empty(value) || !checks_itself(*field.type)) check_constraints(field.constraints, value, node, diagnostics);
}

// The number that a scalar begins with: of a number, a duration.
std::optional<double> leading_number(const std::string& text) {
  return number_of(std::string_view(text).substr(0, text.find(' ')));
}

std::string broken(const Constraint& constraint, const Node& value) {
  using Rule = Constraint::Rule;
  const bool numeric = constraint.rule <= Rule::below;
  if (numeric && !leading_number(value.text())) return "";  // a name of a number, which link_values() judges
  const double number = leading_number(value.text()).value_or(0.0);
  const std::string bound = number_text(constraint.bound);
  switch (constraint.rule) {
    case Rule::at_least:
      return number >= constraint.bound ? "" : "must be at least " + bound;
    case Rule::at_most:
      return number <= constraint.bound ? "" : "must be at most " + bound;
    case Rule::above:
      return number > constraint.bound ? "" : "must be above " + bound;
    case Rule::below:
      return number < constraint.bound ? "" : "must be below " + bound;
    case Rule::one_of: {
      const auto& names = constraint.names;
      return std::find(names.begin(), names.end(), value.text()) != names.end() ? ""
                                                                                : "must be one of " + join(names, ", ");
    }
    case Rule::non_empty:  // is about the whole value
    case Rule::allow_nonfinite:
      break;
  }
  return "";
}

void check_scalar(const std::vector<Constraint>& constraints, const Node& value, const Node& node,
                  Diagnostics& diagnostics) {
  const auto allows = [](const Constraint& c) { return c.rule == Constraint::Rule::allow_nonfinite; };
  const auto number = value.quoted() ? std::nullopt : number_of(value.text());
  if (number && !std::isfinite(*number) && std::none_of(constraints.begin(), constraints.end(), allows)) {
    diagnostics.error(node, fmt::format("must be finite, got {}.", node.text()));
    return;
  }
  for (const Constraint& constraint : constraints) {
    const std::string fault = broken(constraint, value);
    if (fault.empty()) continue;
    const std::string got = value.text().empty() ? "" : fmt::format(", got {}", printable(value.text()));
    diagnostics.error(node, fmt::format("{}{}.", fault, got));
    return;
  }
}

// Every scalar of a value, at its own place where the user wrote one for it.
void check_each(const std::vector<Constraint>& constraints, const Node& value, const Node& node,
                Diagnostics& diagnostics) {
  if (value.is_scalar()) check_scalar(constraints, value, node, diagnostics);
  for (std::size_t i = 0; i < value.items().size(); ++i) {
    const bool same_place = node.is_list() && i < node.size();
    check_each(constraints, value.items()[i], same_place ? node.items()[i] : node, diagnostics);
  }
  for (const Node::Entry& entry : value.entries()) {
    const Node* written = node.find(entry.key);
    check_each(constraints, entry.value, written ? *written : node, diagnostics);
  }
}

bool accepts_shape(const TypeInfo& type, const Node& node) {
  switch (type.form) {
    case Form::optional:
      return node.is_null() || accepts_shape(*type.parts[0], node);
    case Form::list:
      return node.is_list() || accepts_shape(*type.parts[0], node);
    case Form::tuple:
      return node.is_list();
    case Form::pair:
      return node.is_list() || accepts_shape(*type.parts[0], node);
    case Form::map:
    case Form::object:
      return node.is_map();
    case Form::named:
      return node.is_map() || node.is_list();
    case Form::component:
      return node.is_map() || node.is_scalar();
    case Form::variant:
      return std::any_of(type.parts.begin(), type.parts.end(), [&](auto* part) { return accepts_shape(*part, node); });
    case Form::raw:
      return true;
    default:
      return node.is_scalar();
  }
}

std::string form_example(const TypeInfo& type) {
  if (type.form == Form::progress) return "a duration such as '3 epochs'";
  if (type.form == Form::wall_time) return "a wall time such as '30 min'";
  return type.text;
}

}  // namespace

const char* name(Resume resume) {
  constexpr const char* names[] = {"safe", "forced", "fixed"};
  return names[static_cast<int>(resume)];
}

bool FieldInfo::live() const {
  const TypeInfo* inner = type;
  while (inner->form == Form::optional || inner->form == Form::list || inner->form == Form::map)
    inner = inner->parts[0];
  return inner->form == Form::live;
}

std::string FieldInfo::default_text() const {
  return default_value ? to_yaml_flow(*default_value) : "";
}

std::string FieldInfo::range_text() const {
  using Rule = Constraint::Rule;
  std::vector<std::string> parts;
  for (const Constraint& constraint : constraints) {
    const std::string bound = number_text(constraint.bound);
    switch (constraint.rule) {
      case Rule::at_least:
        parts.push_back(">= " + bound);
        break;
      case Rule::at_most:
        parts.push_back("<= " + bound);
        break;
      case Rule::above:
        parts.push_back("> " + bound);
        break;
      case Rule::below:
        parts.push_back("< " + bound);
        break;
      case Rule::one_of:
        parts.push_back("one of " + join(constraint.names, ", "));
        break;
      case Rule::non_empty:
        parts.push_back("not empty");
        break;
      case Rule::allow_nonfinite:
        parts.push_back(".inf and .nan too");
        break;
    }
  }
  return join(parts, ", ");
}

const FieldInfo* ObjectInfo::find(std::string_view field) const {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const FieldInfo& f) { return f.name == field; });
  return found == fields.end() ? nullptr : &*found;
}

void add_field(ObjectInfo& info, FieldInfo field, const void* object, const void* member,
               std::initializer_list<FieldOption> options) {
  for (const FieldOption& option : options) option.apply(field);
  require(!field.doc.empty(), ("no documentation for the field " + field.name).c_str());
  field.offset = static_cast<const char*>(member) - static_cast<const char*>(object);
  if (!field.required) {
    // A default path stays as its author wrote it; writing it would make it absolute.
    Node value = field.type->form == Form::path ? Node::scalar(static_cast<const Path*>(member)->string())
                                                : field.type->write(member);
    if (!value.is_null()) field.default_value = std::move(value);
  }
  require(!info.find(field.name), ("two fields named " + field.name).c_str());
  info.fields.push_back(std::move(field));
}

void read_object(const ObjectInfo& info, void* object, const Node& map, Diagnostics& diagnostics,
                 std::string_view ignored_key) {
  if (!map.is_map() && !map.is_null()) {
    diagnostics.error(map, fmt::format("expected a map, got {}.", describe(map)));
    return;
  }
  const std::size_t errors = diagnostics.total();
  for (const Node::Entry& entry : map.entries()) {
    if (entry.key == ignored_key) continue;
    if (const FieldInfo* field = info.find(entry.key))
      read_field(*field, object, entry.value, diagnostics);
    else
      unknown_key(info, entry, ignored_key, diagnostics);
  }
  for (const FieldInfo& field : info.fields) {
    if (field.required && !map.find(field.name))
      diagnostics.error(map, fmt::format("'{}' is missing: {}", field.name, field.doc));
  }
  if (info.link) info.link(object, diagnostics);
  if (diagnostics.total() > errors) return;
  for (const auto& check : info.checks) check(object, diagnostics, map);
}

Node write_object(const ObjectInfo& info, const void* object) {
  Node map = Node::map();
  for (const FieldInfo& field : info.fields) {
    Node value = field.type->write(member(field, object));
    const bool by_default = value.is_null() && !field.default_value;
    if (!by_default) map.append(field.name, std::move(value));
  }
  return map;
}

void visit_live_object(const ObjectInfo& info, void* object, const std::string& path,
                       const TypeInfo::LiveVisitor& visitor) {
  for (const FieldInfo& field : info.fields) {
    if (field.type->visit_live) field.type->visit_live(member(field, object), child_path(path, field.name), visitor);
  }
}

void check_constraints(const std::vector<Constraint>& constraints, const Node& value, const Node& node,
                       Diagnostics& diagnostics) {
  const auto refuses = [](const Constraint& c) { return c.rule == Constraint::Rule::non_empty; };
  if (is_empty(value) && std::any_of(constraints.begin(), constraints.end(), refuses))
    return diagnostics.error(node, "must not be empty.");
  check_each(constraints, value, node, diagnostics);
}

Node canonical(const TypeInfo& type, const Node& node) {
  const Value value = make(type);
  Diagnostics diagnostics;
  type.read(value.get(), node, diagnostics);
  return diagnostics.ok() ? type.write(value.get()) : node;
}

namespace detail {

std::string variant_text(const std::vector<const TypeInfo*>& parts) {
  std::vector<std::string> texts;
  for (const TypeInfo* part : parts) texts.push_back(part->text);
  return join(texts, " or ");
}

int select_variant(const TypeInfo& variant, const Node& node, Diagnostics& diagnostics) {
  std::vector<Diagnostics> faults;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < variant.parts.size(); ++i) {
    const TypeInfo& part = *variant.parts[i];
    Diagnostics trial;
    trial.set_path(diagnostics.path());
    const Value value = make(part);
    part.read(value.get(), node, trial);
    if (trial.ok()) return static_cast<int>(i);
    if (accepts_shape(part, node)) faults.push_back(std::move(trial));
    texts.push_back(form_example(part));
  }
  if (faults.size() == 1)
    diagnostics.take(faults[0]);
  else
    diagnostics.error(node, fmt::format("expected {}, got {}.", join(texts, " or "), describe(node)));
  return -1;
}

}  // namespace detail

}  // namespace trainctl
