#include <fmt/core.h>

#include <map>
#include <nlohmann/json.hpp>

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

// Builds definitions on demand; components and sections are defined once and referred to, so recursion ends.
class SchemaWriter {
 public:
  Json root(const TypeInfo& type, const std::string& title) {
    const ObjectInfo& info = type.object();
    Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", title}};
    schema.update(object(info));
    // A file that extends another one need not be complete.
    if (schema.contains("required")) {
      schema["if"] = {{"not", {{"required", {"extends"}}}}};
      schema["then"] = {{"required", schema["required"]}};
      schema.erase("required");
    }
    schema["properties"]["extends"] = {
        {"description", "Files that this one builds on, relative to it: maps merge, lists replace."},
        {"anyOf", Json::array({{{"type", "string"}}, {{"type", "array"}, {"items", {{"type", "string"}}}}})}};
    schema["properties"]["vars"] = {{"type", "object"}, {"description", "Values that '${vars.NAME}' stands for."}};
    definitions_["reference"] = {{"type", "string"},
                                 {"pattern", "\\$\\{"},
                                 {"description", "${vars.NAME}, ${env:NAME:-default} or ${secret:NAME}."}};
    schema["$defs"] = definitions_;
    return schema;
  }

 private:
  Json value(const TypeInfo& type, const std::vector<Constraint>& constraints, const std::string& name) {
    switch (type.form) {
      case Form::boolean:
        return scalar({{"type", "boolean"}});
      case Form::integer:
        return scalar(bounded({{"type", "integer"}}, constraints));
      case Form::number:
      case Form::live:
        return scalar(bounded({{"type", "number"}}, constraints));
      case Form::string:
      case Form::path:
        return text(constraints);
      case Form::progress:
        return scalar({{"type", "string"}, {"pattern", progress_pattern}});
      case Form::wall_time:
        return scalar({{"type", "string"}, {"pattern", wall_time_pattern}});
      case Form::choice:
        return scalar({{"enum", type.choices}});
      case Form::optional:
        return any_of(value(*type.parts[0], constraints, name), {{"type", "null"}});
      case Form::list:
        return list(type, constraints, name);
      case Form::tuple:
        return tuple(type, constraints, name);
      case Form::pair: {
        const Json element = value(*type.parts[0], constraints, name);
        return any_of(element, {{"type", "array"}, {"items", element}, {"minItems", 2}, {"maxItems", 2}});
      }
      case Form::map:
        return {{"type", {"object", "null"}}, {"additionalProperties", value(*type.parts[0], constraints, name)}};
      case Form::object:
        return section(type.object(), name);
      case Form::component:
        return component(type.kind);
      case Form::named:
        return named(type.kind);
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

  static Json scalar(Json schema) { return any_of(std::move(schema), reference_to("reference")); }

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
      if (constraint.rule == Constraint::Rule::one_of) return scalar({{"enum", constraint.names}});
    Json schema = {{"type", {"string", "number", "boolean"}}};
    if (refuses_empty(constraints)) schema["minLength"] = 1;
    return schema;
  }

  Json list(const TypeInfo& type, const std::vector<Constraint>& constraints, const std::string& name) {
    const Json element = value(*type.parts[0], constraints, name);
    Json array = {{"type", "array"}, {"items", element}};
    if (refuses_empty(constraints)) array["minItems"] = 1;
    return any_of(std::move(array), element);
  }

  Json tuple(const TypeInfo& type, const std::vector<Constraint>& constraints, const std::string& name) {
    Json parts = Json::array();
    for (const TypeInfo* part : type.parts) parts.push_back(value(*part, constraints, name));
    const std::size_t count = type.parts.size();
    return {{"type", "array"}, {"prefixItems", std::move(parts)}, {"minItems", count}, {"maxItems", count}};
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

  Json object(const ObjectInfo& info) {
    Json properties = Json::object();
    Json required = Json::array();
    for (const FieldInfo& f : info.fields) {
      properties[f.name] = field(f);
      if (f.required) required.push_back(f.name);
    }
    Json schema = {{"type", "object"}, {"description", info.doc}, {"properties", std::move(properties)}};
    if (!required.empty()) schema["required"] = std::move(required);
    schema["additionalProperties"] = false;
    return schema;
  }

  Json section(const ObjectInfo& info, const std::string& name) {
    const auto known = sections_.find(&info);
    if (known != sections_.end()) return reference_to(known->second);
    std::string definition = "section." + name;
    for (int n = 2; definitions_.contains(definition); ++n) definition = fmt::format("section.{}.{}", name, n);
    sections_[&info] = definition;
    definitions_[definition] = nullptr;  // taken, should the section hold itself
    Json schema = object(info);
    schema["type"] = {"object", "null"};
    definitions_[definition] = std::move(schema);
    return reference_to(definition);
  }

  // A kind: a bare word, a map with its `type`, or, for files that others complete, a map without one.
  Json component(const std::string& kind_name) {
    if (definitions_.contains(kind_name)) return reference_to(kind_name);
    definitions_[kind_name] = nullptr;
    Json words = Json::array();
    Json keys = Json::array();
    Json alternatives = Json::array({nullptr, reference_to("reference")});
    for (const ComponentInfo* info : kind(kind_name).components()) {
      const std::string definition = kind_name + "." + info->name;
      define(definition, *info);
      words.push_back(info->name);
      alternatives.push_back({{"allOf", Json::array({reference_to(definition), {{"required", {"type"}}}})}});
      for (const FieldInfo& f : info->object().fields)
        if (std::find(keys.begin(), keys.end(), f.name) == keys.end()) keys.push_back(f.name);
    }
    alternatives[0] = {{"enum", std::move(words)}};
    alternatives.push_back({{"type", "object"}, {"propertyNames", {{"enum", std::move(keys)}}}});
    definitions_[kind_name] = {{"anyOf", std::move(alternatives)}};
    return reference_to(kind_name);
  }

  void define(const std::string& definition, const ComponentInfo& info) {
    Json schema = object(info.object());
    Json properties = {{"type", {{"const", info.name}, {"description", info.object().doc}}}};
    properties.update(schema["properties"]);
    schema["properties"] = std::move(properties);
    for (const std::string& example : info.object().examples)
      schema["examples"].push_back(to_json(parse_yaml_text(example, info.name)));
    definitions_[definition] = std::move(schema);
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
    return {{"type", {"object", "null"}},
            {"properties", std::move(properties)},
            {"additionalProperties", any_of(any, {{"type", "null"}})}};
  }

  Json definitions_ = Json::object();
  std::map<const ObjectInfo*, std::string> sections_;
};

}  // namespace

nlohmann::ordered_json json_schema(const TypeInfo& root, const std::string& title) {
  return SchemaWriter().root(root, title);
}

}  // namespace trainctl
