// What the schemas say of themselves: text for `describe`, JSON Schema for editors, Markdown for the reference.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "schema/registry.h"
#include "schema/type.h"

namespace trainctl {

/// One component for a terminal: what it does, its parameters with type, range, default and unit, an example.
std::string describe_text(const Kind& kind, const ComponentInfo& component);
nlohmann::ordered_json describe_json(const Kind& kind, const ComponentInfo& component);

/// JSON Schema (draft 2020-12) of a whole spec file, every registered component among its definitions. Partial files
/// that `extends` completes pass too: a file with `extends` may leave out keys, and a component without `type` is
/// checked by its key names only. A name that stands for no component passes where the file itself may name some (the
/// blocks of a model).
nlohmann::ordered_json json_schema(const TypeInfo& root, const std::string& title);

/// The whole reference in Markdown: every key of the file, then every kind with its components. Keys without a resume
/// class of their own show that of the place where they stand, as far as it is the same everywhere.
std::string markdown_reference(const TypeInfo& root);

}  // namespace trainctl
