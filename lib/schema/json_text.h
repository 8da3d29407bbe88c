// JSON from text and to text. nlohmann's parser and printer are templates that take a second to compile, so they are
// instantiated in json_text.cpp alone; whoever parses or prints calls it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace trainctl {

/// Throws a nlohmann::json::exception that says where the text is no JSON.
nlohmann::ordered_json parse_json(std::string_view text);
/// A value that `is_discarded()`, so no object, where the text is no JSON.
nlohmann::ordered_json parse_json_or_discard(std::string_view text);
/// On one line, or with a line for each element, indented by so many spaces. What is no UTF-8 is replaced.
std::string json_text(const nlohmann::ordered_json& json, int indent = -1);

}  // namespace trainctl
