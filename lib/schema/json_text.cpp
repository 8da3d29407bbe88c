#include "schema/json_text.h"

#include <nlohmann/json.hpp>

namespace trainctl {

using nlohmann::ordered_json;

ordered_json parse_json(std::string_view text) {
  return ordered_json::parse(text);
}

ordered_json parse_json_or_discard(std::string_view text) {
  return ordered_json::parse(text, nullptr, false);
}

std::string json_text(const ordered_json& json, int indent) {
  return json.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace trainctl
