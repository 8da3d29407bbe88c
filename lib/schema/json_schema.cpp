#include <fmt/core.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/text.h"
#include "schema/describe.h"
#include "schema/yaml.h"

namespace trainctl {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* progress_pattern = R"(^[0-9]+(\.[0-9]*)?([eE]\+?[0-9]+)? *(epochs?|steps?|samples?)$)";
constexpr const char* wall_time_pattern =
    R"(^([0-9.]+ *(d|days?) *)?([0-9.]+ *(h|hours?) *)?([0-9.]+ *(min|mins|minutes?) *)?([0-9.]+ *(s|sec|seconds?))?$)";

Json reference_to(const std::string& definition) {
  return {{"$ref", "#/$defs/" + definition}};
}
Json any_of(Json a, Json b) {
  return {{"anyOf", Json::array({std::move(a), std::move(b)})}};
}

// What holds of each item or entry of a value for which `constraints` hold.
std::vector<Constraint> of_each(const std::vector<Constraint>& constraints) {
  std::vector<Constraint> result;
  for (const Constraint& constraint : constraints)
    if (constraint.rule != Constraint::Rule::non_empty) result.push_back(constraint);
  return result;
}

// The keys that a complete file has, those of nested sections included.
Json completeness(const ObjectInfo& info) {
  Json required = Json::array();
  Json sections = Json::object();
  for (const FieldInfo& field : info.fields) {
    if (field.required) required.push_back(field.name);
    const TypeInfo* inner = field.type;
    while (inner->form == Form::optional) inner = inner->parts[0];
    Json section = inner->form == Form::object ? completeness(inner->object()) : Json::object();
    if (!section.empty()) sections[field.name] = std::move(section);
  }
  Json result = Json::object();
  if (!required.empty()) result["required"] = std::move(required);
  for (const std::vector<std::string>& fields : info.at_least_one) {
    Json alternatives = Json::array();
    for (const std::string& name : fields) alternatives.push_back({{"required", {name}}});
    result["allOf"].push_back({{"anyOf", std::move(alternatives)}});
  }
  if (!sections.empty()) result["properties"] = std::move(sections);
  return result;
}

// Builds definitions on demand; components and sections are defined once and referred to, so recursion ends.
class SchemaWriter {
 public:
  Json root(const TypeInfo& type, const std::string& title) {
    const ObjectInfo& info = type.object();
    Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", title}};
    schema.update(object(info));
    // A file that extends another one need not be complete.
    schema["if"] = {{"not", {{"required", {"extends"}}}}};
    schema["then"] = completeness(info);
    schema["properties"]["extends"] = {
        {"description", "Files that this one builds on, relative to it: maps merge, lists replace."},
        {"anyOf", Json::array({{{"type", "string"}}, {{"type", "array"}, {"items", {{"type", "string"}}}}})}};
    schema["properties"]["vars"] = {{"type", "object"}, {"description", "Values that '${vars.NAME}' stands for."}};
    definitions_["reference"] = {{"type", "string"},
                                 {"pattern", "\\$\\{"},
                                 {"description", "${vars.NAME}, ${env:NAME:-default} or ${secret:NAME}."}};
    for (const std::string& kind_name : open_kinds_) admit_names(kind_name);
    schema["$defs"] = std::move(definitions_);
    return schema;
  }

 private:
  Json value(const TypeInfo& type, const std::vector<Constraint>& constraints, const std::string& name) {
    switch (type.form) {
      case Form::boolean:
        return or_reference({{"type", "boolean"}});
      case Form::integer:
        return or_reference(bounded({{"type", "integer"}}, constraints));
      case Form::number:
        return or_reference(bounded({{"type", "number"}}, constraints));
      case Form::live:
        return any_of(or_reference(bounded({{"type", "number"}}, constraints)),
                      {{"type", "string"}, {"pattern", "^values\\."}});
      case Form::string:
      case Form::path:
        return text(constraints);
      case Form::progress:
        return or_reference({{"type", "string"}, {"pattern", progress_pattern}});
      case Form::wall_time:
        return or_reference({{"type", "string"}, {"minLength", 1}, {"pattern", wall_time_pattern}});
      case Form::choice:
        return or_reference({{"enum", type.choices}});
      case Form::optional:
        return any_of(value(*type.parts[0], constraints, name), {{"type", "null"}});
      case Form::list:
        return list(type, constraints, name);
      case Form::tuple:
        return tuple(type, constraints, name);
      case Form::pair: {
        const Json element = value(*type.parts[0], of_each(constraints), name);
        return any_of(element, {{"type", "array"}, {"items", element}, {"minItems", 2}, {"maxItems", 2}});
      }
      case Form::map:
        return map(type, constraints, name);
      case Form::object:
        return or_reference(section(type.object(), name));
      case Form::component:
        return type.object ? extended(type, name) : component(type.kind);
      case Form::named:
        return or_reference(named(type.kind));
      case Form::variant: {
        Json alternatives = Json::array();
        for (const TypeInfo* part : type.parts) alternatives.push_back(value(*part, constraints, name));
        return {{"anyOf", std::move(alternatives)}};
      }
      case Form::raw:
        break;
    }
    return Json::object();
  }

  // A reference may stand for any value, lists and maps too.
  static Json or_reference(Json schema) { return any_of(std::move(schema), reference_to("reference")); }

  static Json bounded(Json schema, const std::vector<Constraint>& constraints) {
    for (const Constraint& constraint : constraints) {
      switch (constraint.rule) {
        case Constraint::Rule::at_least:
          schema["minimum"] = constraint.bound;
          break;
        case Constraint::Rule::at_most:
          schema["maximum"] = constraint.bound;
          break;
        case Constraint::Rule::above:
          schema["exclusiveMinimum"] = constraint.bound;
          break;
        case Constraint::Rule::below:
          schema["exclusiveMaximum"] = constraint.bound;
          break;
        default:
          break;
      }
    }
    return schema;
  }

  static bool refuses_empty(const std::vector<Constraint>& constraints) {
    for (const Constraint& constraint : constraints)
      if (constraint.rule == Constraint::Rule::non_empty) return true;
    return false;
  }

  // Any scalar may stand where text is expected: `name: 3` is the text "3".
  static Json text(const std::vector<Constraint>& constraints) {
    for (const Constraint& constraint : constraints)
      if (constraint.rule == Constraint::Rule::one_of) return or_reference({{"enum", constraint.names}});
    Json schema = {{"type", {"string", "number", "boolean"}}};
    if (refuses_empty(constraints)) schema["minLength"] = 1;
    return schema;
  }

  Json list(const TypeInfo& type, const std::vector<Constraint>& constraints, const std::string& name) {
    const Json element = whole([&] { return value(*type.parts[0], of_each(constraints), name); });
    Json array = {{"type", "array"}, {"items", element}};
    if (refuses_empty(constraints)) array["minItems"] = 1;
    return any_of(std::move(array), element);
  }

  Json tuple(const TypeInfo& type, const std::vector<Constraint>& constraints, const std::string& name) {
    Json parts = Json::array();
    for (const TypeInfo* part : type.parts) parts.push_back(value(*part, of_each(constraints), name));
    const std::size_t count = type.parts.size();
    return or_reference(
        {{"type", "array"}, {"prefixItems", std::move(parts)}, {"minItems", count}, {"maxItems", count}});
  }

  Json map(const TypeInfo& type, const std::vector<Constraint>& constraints, const std::string& name) {
    Json schema = {{"type", {"object", "null"}},
                   {"additionalProperties", value(*type.parts[0], of_each(constraints), name)}};
    if (refuses_empty(constraints)) {
      schema["type"] = "object";
      schema["minProperties"] = 1;
    }
    return or_reference(std::move(schema));
  }

  Json field(const FieldInfo& info) {
    Json schema;
    if (info.holds_kind.empty())
      schema = value(*info.type, info.constraints, info.name);
    else if (info.holds_form == Form::list)
      schema = {{"type", "array"}, {"items", component(info.holds_kind)}};
    else if (info.holds_form == Form::map)
      schema = {{"type", "object"}, {"additionalProperties", component(info.holds_kind)}};
    else
      schema = component(info.holds_kind);
    std::string description = info.doc;
    if (!info.unit.empty()) description += fmt::format(" In {}.", info.unit);
    if (info.live()) description += " Live: a policy may drive it.";
    Json result = {{"description", std::move(description)}};
    if (info.default_value && info.type->form != Form::object) result["default"] = to_json(*info.default_value);
    result.update(schema);
    return result;
  }

  // All keys are known; which of them must be there is another question.
  Json object(const ObjectInfo& info) {
    Json properties = Json::object();
    for (const FieldInfo& f : info.fields) properties[f.name] = field(f);
    return {{"type", "object"},
            {"description", info.doc},
            {"properties", std::move(properties)},
            {"additionalProperties", false}};
  }

  Json section(const ObjectInfo& info, const std::string& name) {
    return defined(info, name, [&](const std::string&) {
      Json schema = object(info);
      schema["type"] = {"object", "null"};
      if (whole_) schema.update(completeness(info));
      return schema;
    });
  }

  // What stands in a list, or in a component with its `type`, is whole even in a file that extends another one.
  template <typename Make>
  Json whole(Make make) {
    const bool before = std::exchange(whole_, true);
    Json made = make();
    whole_ = before;
    return made;
  }

  // A reference to the definition of a section, made when first asked for.
  template <typename Make>
  Json defined(const ObjectInfo& info, const std::string& name, Make make) {
    const auto known = sections_.find(&info);
    if (known != sections_.end()) return reference_to(known->second);
    std::string definition = "section." + name;
    for (int n = 2; definitions_.contains(definition); ++n) definition = fmt::format("section.{}.{}", name, n);
    sections_[&info] = definition;
    definitions_[definition] = nullptr;  // taken, should the section hold itself
    Json schema = make(definition);
    definitions_[definition] = std::move(schema);
    return reference_to(definition);
  }

  // A kind: a bare word, a map with its `type`, or, for files that others complete, a map without one.
  Json component(const std::string& kind_name) {
    if (definitions_.contains(kind_name)) return reference_to(kind_name);
    definitions_[kind_name] = nullptr;
    Json alternatives = words_or_reference(kind_name);
    for (const ComponentInfo* info : kind(kind_name).components()) {
      const std::string definition = kind_name + "." + info->name;
      define(definition, *info);
      alternatives.push_back({{"allOf", Json::array({reference_to(definition), {{"required", {"type"}}}})}});
    }
    alternatives.push_back(without_type(kind_name));
    definitions_[kind_name] = {{"anyOf", std::move(alternatives)}};
    return reference_to(kind_name);
  }

  static Json words_or_reference(const std::string& kind_name) {
    return Json::array({{{"enum", kind(kind_name).names()}}, reference_to("reference")});
  }

  static Json without_type(const std::string& kind_name, const ObjectInfo* more = nullptr) {
    std::set<std::string> keys;
    for (const ComponentInfo* info : kind(kind_name).components())
      for (const FieldInfo& f : info->object().fields) keys.insert(f.name);
    if (more)
      for (const FieldInfo& f : more->fields) keys.insert(f.name);
    return {{"type", "object"}, {"propertyNames", {{"enum", keys}}}};
  }

  void define(const std::string& definition, const ComponentInfo& info) {
    Json schema = whole([&] { return object(info.object()); });
    Json properties = {{"type", {{"const", info.name}, {"description", info.object().doc}}}};
    properties.update(schema["properties"]);
    schema["properties"] = std::move(properties);
    const Json complete = completeness(info.object());
    if (complete.contains("required")) schema["required"] = complete["required"];
    for (const std::string& example : info.object().examples)
      schema["examples"].push_back(to_json(parse_yaml_text(example, info.name)));
    definitions_[definition] = std::move(schema);
  }

  // A component with keys beside its own. Where these name components of its kind (a model's blocks), the names are
  // types of that kind.
  Json extended(const TypeInfo& type, const std::string& name) {
    const std::string kind_name = type.kind;
    component(kind_name);
    const ObjectInfo& keys = type.object();
    for (const FieldInfo& f : keys.fields) {
      const bool names = f.type->form == Form::map && f.type->parts[0]->form == Form::component;
      if (names && f.type->parts[0]->kind == kind_name) open_kinds_.insert(kind_name);
    }
    return defined(keys, name, [&](const std::string& definition) {
      definitions_[definition + ".keys"] = object(keys);
      Json alternatives = words_or_reference(kind_name);
      for (const ComponentInfo* info : kind(kind_name).components())
        alternatives.push_back(with_keys(kind_name + "." + info->name, *info, definition + ".keys", keys));
      alternatives.push_back(without_type(kind_name, &keys));
      if (open_kinds_.contains(kind_name)) alternatives.push_back(of_other_type(kind_name));
      return Json{{"anyOf", std::move(alternatives)}};
    });
  }

  static Json with_keys(const std::string& definition, const ComponentInfo& info, const std::string& keys_definition,
                        const ObjectInfo& keys) {
    const auto property = [](const std::string& of, const std::string& key) {
      return reference_to(of + "/properties/" + key);
    };
    Json properties = {{"type", property(definition, "type")}};
    Json required = Json::array({"type"});
    for (const FieldInfo& f : info.object().fields) {
      properties[f.name] = property(definition, f.name);
      if (f.required) required.push_back(f.name);
    }
    for (const FieldInfo& f : keys.fields) properties[f.name] = property(keys_definition, f.name);
    return {{"type", "object"},
            {"description", info.object().doc},
            {"properties", std::move(properties)},
            {"required", std::move(required)},
            {"additionalProperties", false}};
  }

  static Json of_other_type(const std::string& kind_name) {
    const Json other = {{"type", "string"}, {"not", {{"enum", kind(kind_name).names()}}}};
    return {{"type", "object"}, {"properties", {{"type", other}}}, {"required", {"type"}}};
  }

  void admit_names(const std::string& kind_name) {
    Json& alternatives = definitions_[kind_name]["anyOf"];
    alternatives.push_back({{"type", "string"}, {"not", {{"enum", kind(kind_name).names()}}}});
    alternatives.push_back(of_other_type(kind_name));
  }

  // In a map of names a missing `type` is the name, and null switches an entry off.
  Json named(const std::string& kind_name) {
    const Json any = component(kind_name);
    Json properties = Json::object();
    for (const ComponentInfo* info : kind(kind_name).components()) {
      properties[info->name] = {
          {"description", info->object().doc},
          {"anyOf", Json::array({reference_to(kind_name + "." + info->name), any, {{"type", "null"}}})}};
    }
    return any_of({{"type", {"object", "null"}},
                   {"properties", std::move(properties)},
                   {"additionalProperties", any_of(any, {{"type", "null"}})}},
                  {{"type", "array"}, {"items", any}});
  }

  Json definitions_ = Json::object();
  std::map<const ObjectInfo*, std::string> sections_;
  std::set<std::string> open_kinds_;  // whose components may have names that only the file knows
  bool whole_ = false;
};

}  // namespace

nlohmann::ordered_json json_schema(const TypeInfo& root, const std::string& title) {
  return SchemaWriter().root(root, title);
}

}  // namespace trainctl
