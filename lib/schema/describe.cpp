#include "schema/describe.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

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

// The keys inside of a value: of a section, of the items of a list, of the entries of a map.
struct InnerKeys {
  const TypeInfo* type = nullptr;      // what the keys are of
  const ObjectInfo* object = nullptr;  // null: there are none
  std::string step;                    // from the value to them: "", ".<n>", ".<name>"
};

InnerKeys inner_keys(const TypeInfo& type) {
  InnerKeys inner;
  inner.type = &type;
  for (Form form = type.form; form == Form::optional || form == Form::list || form == Form::map;
       form = inner.type->form) {
    inner.step += form == Form::list ? ".<n>" : form == Form::map ? ".<name>" : "";
    inner.type = inner.type->parts[0];
  }
  if (inner.type->object) inner.object = &inner.type->object();
  return inner;
}

void field_lines(const ObjectInfo& object, const std::string& indent, int depth, std::string& text) {
  std::size_t width = 0;
  for (const FieldInfo& field : object.fields) width = std::max(width, field.name.size());
  for (const FieldInfo& field : object.fields) {
    text += fmt::format("{}{:<{}}  {}\n{}{:<{}}  {}\n", indent, field.name, width, facts(field), indent, "", width,
                        field.doc);
    const ObjectInfo* inner = inner_keys(*field.type).object;
    if (inner && depth < 3) field_lines(*inner, indent + "    ", depth + 1, text);
  }
}

// Text in a cell of a table or in a paragraph: what Markdown would take for its own is escaped, except inside of `...`.
std::string prose(const std::string& text) {
  std::string result;
  bool in_code = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    in_code ^= c == '`';
    const bool is_tag = c == '<' && i + 1 < text.size() && std::isalpha(static_cast<unsigned char>(text[i + 1]));
    if (c == '|' || (!in_code && (c == '*' || is_tag))) result += '\\';
    result += c == '\n' ? ' ' : c;
  }
  return result;
}

std::string code(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '|' ? "\\|" : std::string(1, c);
  return text.empty() ? "" : "`" + result + "`";
}

// A type's text, the name of a kind in it linked to what the reference says of the kind.
std::string type_cell(const TypeInfo& type) {
  const char* kind = inner_keys(type).type->kind;
  const std::string text = prose(type.text);
  const std::size_t at = kind ? text.rfind(kind) : std::string::npos;
  if (at == std::string::npos) return text;
  return fmt::format("{}[{}](#{}){}", text.substr(0, at), kind, kind, text.substr(at + std::strlen(kind)));
}

// `around` is the resume class of the section that the object stands in, if known.
using Rows = std::vector<std::string>;
void table_rows(const ObjectInfo& object, const std::string& prefix, std::optional<Resume> around, int depth,
                Rows& rows) {
  for (const FieldInfo& field : object.fields) {
    const InnerKeys inner = inner_keys(*field.type);
    std::string what = prose(field.doc);
    if (!field.unit.empty()) what += fmt::format(" In {}.", field.unit);
    if (field.live()) what += " *Live.*";
    const bool nested = inner.object && inner.step.empty();
    const std::string fallback = field.required ? "required" : nested ? "" : code(field.default_text());
    const std::optional<Resume> resume = field.resume ? field.resume : around;
    rows.push_back(fmt::format("| {} | {} | {} | {} | {} | {} |\n", code(prefix + field.name), type_cell(*field.type),
                               prose(field.range_text()), fallback, resume ? name(*resume) : "", what));
    if (inner.object && depth < 4)
      table_rows(*inner.object, prefix + field.name + inner.step + ".", resume, depth + 1, rows);
  }
}

Rows rows_of(const ObjectInfo& object, std::optional<Resume> around) {
  Rows rows;
  table_rows(object, "", around, 0, rows);
  return rows;
}

std::string table(const Rows& rows) {
  std::string text = "| Key | Type | Range | Default | On resume | What |\n|---|---|---|---|---|---|\n";
  for (const std::string& row : rows) text += row;
  return text;
}

// Rows that all components of a kind share.
Rows common_rows(const std::vector<const ComponentInfo*>& components, std::optional<Resume> around) {
  if (components.size() < 2) return {};
  Rows common = rows_of(components[0]->object(), around);
  for (const ComponentInfo* component : components) {
    const Rows own = rows_of(component->object(), around);
    std::erase_if(common, [&](const std::string& row) { return std::find(own.begin(), own.end(), row) == own.end(); });
  }
  return common;
}

// The resume class around each kind of component, nothing where a kind stands in places that differ.
using ResumeOfKinds = std::map<std::string, std::optional<Resume>>;
void find_kinds(const TypeInfo& type, Resume around, ResumeOfKinds& found) {
  for (const TypeInfo* part : type.parts) find_kinds(*part, around, found);
  const auto fields = [&](const ObjectInfo& object) {
    for (const FieldInfo& field : object.fields) find_kinds(*field.type, field.resume.value_or(around), found);
  };
  if (type.kind) {
    const auto [known, is_new] = found.emplace(type.kind, around);
    if (!is_new && known->second != around) known->second.reset();
    if (!is_new) return;
    for (const ComponentInfo* component : kind(type.kind).components()) fields(component->object());
  }
  if (type.object) fields(type.object());
}

std::string component_section(const Kind& kind, const ComponentInfo& component, const Rows& common,
                              std::optional<Resume> around) {
  const ObjectInfo& object = component.object();
  std::string text = fmt::format("\n### {}: {}\n\n{}\n", kind.name(), component.name, prose(object.doc));
  Rows rows = rows_of(object, around);
  std::erase_if(rows,
                [&](const std::string& row) { return std::find(common.begin(), common.end(), row) != common.end(); });
  if (!rows.empty()) text += "\n" + table(rows);
  for (const std::string& example : object.examples) text += fmt::format("\n```yaml\n{}\n```\n", example);
  return text;
}

std::string kind_section(const Kind& kind, std::optional<Resume> around) {
  const std::vector<const ComponentInfo*> components = kind.components();
  std::vector<std::string> links;
  for (const ComponentInfo* info : components)
    links.push_back(fmt::format("[{}](#{}-{})", info->name, kind.name(), info->name));
  std::string text = fmt::format("\n## {}\n\n{}\n", kind.name(), join(links, ", "));
  const Rows common = common_rows(components, around);
  if (!common.empty()) text += fmt::format("\nEvery {} has\n\n{}", kind.name(), table(common));
  for (const ComponentInfo* info : components) text += component_section(kind, *info, common, around);
  return text;
}

constexpr const char* legend = R"(# Reference

`scripts/generate_docs` writes this file; `trainctl schema --markdown` prints it.

A dot in a key stands for a map inside of a map; `<name>` is a name of your choice, `<n>` an item of a list. A key without a
default may be left out. `trainer.log_every` is a key of the file; the keys of a component stand beside its `type`.

**On resume** says what `resume` does with a changed value: *safe* is taken, *forced* is taken with `--force`, *fixed* is
refused. A *live* key is a number that a policy may drive while training (`target: optimizer.lr`).
)";

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

std::string markdown_reference(const TypeInfo& root) {
  std::string text = fmt::format("{}\n## The file\n\n{}\n\n{}", legend, root.object().doc,
                                 table(rows_of(root.object(), Resume::fixed)));
  ResumeOfKinds around;
  find_kinds(root, Resume::fixed, around);
  for (const Kind* kind : kinds()) text += kind_section(*kind, around[kind->name()]);
  return text;
}

}  // namespace trainctl
