#include "schema/describe.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "schema/yaml.h"

namespace trainctl {

namespace {

// "integer, required, >= 1", "number, default 0.5, in seconds, live".
std::string facts(const FieldInfo& field) {
  std::vector<std::string> parts = {field.type->text};
  if (field.required) parts.emplace_back("required");
  const std::string fallback = field.default_text();
  if (!fallback.empty()) parts.push_back("default " + fallback);
  if (!field.required && fallback.empty()) parts.emplace_back("optional");
  const std::string range = field.range_text();
  if (!range.empty()) parts.push_back(range);
  if (!field.unit.empty()) parts.push_back("in " + field.unit);
  if (field.live()) parts.emplace_back("live: a policy may drive it");
  return join(parts, "; ");
}

void field_lines(const ObjectInfo& object, const std::string& indent, int depth, std::string& text) {
  std::size_t width = 0;
  for (const FieldInfo& field : object.fields) width = std::max(width, field.name.size());
  for (const FieldInfo& field : object.fields) {
    text += fmt::format("{}{:<{}}  {}\n{}{:<{}}  {}\n", indent, field.name, width, facts(field), indent, "", width,
                        field.doc);
    const TypeInfo* inner = field.type;
    while (inner->form == Form::optional || inner->form == Form::list) inner = inner->parts[0];
    if (inner->form == Form::object && depth < 3) field_lines(inner->object(), indent + "    ", depth + 1, text);
  }
}

std::string cell(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '|' ? "\\|" : c == '\n' ? " " : std::string(1, c);
  return result;
}

std::string code(const std::string& text) {
  return text.empty() ? "" : "`" + cell(text) + "`";
}

// `around` is the resume class of the section that the object stands in, if known.
void table_rows(const ObjectInfo& object, const std::string& prefix, std::optional<Resume> around, int depth,
                std::string& text) {
  for (const FieldInfo& field : object.fields) {
    const TypeInfo* inner = field.type;
    while (inner->form == Form::optional) inner = inner->parts[0];
    const bool nested = inner->form == Form::object;
    std::string what = field.doc;
    if (!field.unit.empty()) what += fmt::format(" In {}.", field.unit);
    if (field.live()) what += " *Live.*";
    const std::string fallback = field.required ? "required" : nested ? "" : code(field.default_text());
    const std::optional<Resume> resume = field.resume ? field.resume : around;
    text += fmt::format("| {} | {} | {} | {} | {} | {} |\n", code(prefix + field.name), cell(field.type->text),
                        cell(field.range_text()), fallback, resume ? name(*resume) : "", cell(what));
    if (nested && depth < 4) table_rows(inner->object(), prefix + field.name + ".", resume, depth + 1, text);
  }
}

}  // namespace

std::string describe_text(const Kind& kind, const ComponentInfo& component) {
  const ObjectInfo& object = component.object();
  std::string text = fmt::format("{} ({})\n{}\n", component.name, kind.name(), object.doc);
  if (!object.fields.empty()) text += "\nParameters:\n";
  field_lines(object, "  ", 0, text);
  if (!object.examples.empty()) text += "\nExamples:\n";
  for (const std::string& example : object.examples)
    for (const std::string& line : split(example, '\n')) text += "  " + line + '\n';
  return text;
}

nlohmann::ordered_json describe_json(const Kind& kind, const ComponentInfo& component) {
  const ObjectInfo& object = component.object();
  auto parameters = nlohmann::ordered_json::array();
  for (const FieldInfo& field : object.fields) {
    nlohmann::ordered_json entry = {{"name", field.name},         {"doc", field.doc},     {"type", field.type->text},
                                    {"required", field.required}, {"live", field.live()}, {"range", field.range_text()},
                                    {"unit", field.unit}};
    if (field.default_value) entry["default"] = to_json(*field.default_value);
    if (!field.type->choices.empty()) entry["choices"] = field.type->choices;
    if (field.resume) entry["resume"] = name(*field.resume);
    parameters.push_back(std::move(entry));
  }
  return {{"kind", kind.name()},
          {"type", component.name},
          {"doc", object.doc},
          {"parameters", std::move(parameters)},
          {"examples", object.examples}};
}

std::string markdown_table(const ObjectInfo& object, std::optional<Resume> around) {
  if (object.fields.empty()) return "No parameters.\n";
  std::string text = "| Key | Type | Range | Default | On resume | What |\n|---|---|---|---|---|---|\n";
  table_rows(object, "", around, 0, text);
  return text;
}

std::string markdown_reference(const TypeInfo& root) {
  std::string text =
      fmt::format("## The file\n\n{}\n\n{}", root.object().doc, markdown_table(root.object(), Resume::fixed));
  for (const Kind* kind : kinds()) {
    text += fmt::format("\n## {}\n", kind->name());
    for (const ComponentInfo* component : kind->components()) {
      const ObjectInfo& object = component->object();
      text +=
          fmt::format("\n### {}: {}\n\n{}\n\n{}", kind->name(), component->name, object.doc, markdown_table(object));
      for (const std::string& example : object.examples) text += fmt::format("\n```yaml\n{}\n```\n", example);
    }
  }
  return text;
}

}  // namespace trainctl
