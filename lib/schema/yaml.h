// YAML text to Node and back, JSON to Node and back.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "schema/diagnostics.h"
#include "schema/node.h"

namespace trainctl {

/// Bounds that hold before anything else looks at a text.
struct YamlLimits {
  std::size_t bytes = 2u << 20;
  std::size_t nodes = 100'000;  ///< after aliases are expanded
  int depth = 100;
};

/// Reads a file of at most `limits.bytes`. A missing or unreadable file, a directory, one that is too large are errors
/// at the place where the file was asked for (an `extends`), if anywhere; the result is then null.
std::shared_ptr<const SourceText> read_source(const std::filesystem::path& path, const Source& asked_at,
                                              Diagnostics& diagnostics, const YamlLimits& limits = {});

/// Parses one YAML document. Faults of the text (syntax, duplicate keys, bad UTF-8, bounds) go to `diagnostics`; the
/// tree is what could be read. The document starts at byte `first_byte` of the text (on its first line).
Node parse_yaml(std::shared_ptr<const SourceText> source, Diagnostics& diagnostics, const YamlLimits& limits = {},
                std::size_t first_byte = 0);

/// The same for a text or a file; throws Error(config) that lists every fault.
Node parse_yaml_text(std::string text, std::string name = "text");
Node parse_yaml_file(const std::filesystem::path& path);

/// Writes a tree as YAML that parse_yaml reads back as an equal tree.
std::string to_yaml(const Node& node);
/// The same in one line, in flow style: `{type: conv2d, kernel_size: [3, 3]}`.
std::string to_yaml_flow(const Node& node);

/// JSON of a tree: plain scalars become numbers and booleans where YAML 1.2's core schema says so.
nlohmann::ordered_json to_json(const Node& node);
Node from_json(const nlohmann::ordered_json& json);

}  // namespace trainctl
