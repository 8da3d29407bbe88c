// What the schemas say of themselves: text for `describe`, JSON Schema for editors, Markdown for the reference.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "schema/registry.h"
#include "schema/type.h"

namespace trainctl {

/// One component for a terminal: what it does, its parameters with type, range, default and unit, an example.
std::string describe_text(const Kind& kind, const ComponentInfo& component);
nlohmann::ordered_json describe_json(const Kind& kind, const ComponentInfo& component);

/// JSON Schema (draft 2020-12) of a whole spec file, every registered component among its definitions. Partial files
/// that `extends` completes pass too: a component without `type` is checked by its key names only.
nlohmann::ordered_json json_schema(const TypeInfo& root, const std::string& title);

/// A Markdown table of an object's fields; nested objects follow as rows with dotted names. Fields without a resume
/// class of their own show that of the section around them, as far as it is known.
std::string markdown_table(const ObjectInfo& object, std::optional<Resume> around = std::nullopt);
/// The whole reference: the spec's sections, then every kind with its components.
std::string markdown_reference(const TypeInfo& root);

}  // namespace trainctl
