#include "train/stored_choices.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace trainctl {

std::string choices_to_json(const Choices& choices) {
  return nlohmann::json(choices).dump();
}

Choices choices_from_json(std::string_view text, std::string_view source) {
  if (text.empty()) return {};
  try {
    return nlohmann::json::parse(text).get<Choices>();
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::data, "{}: its choices of implementations cannot be read ({}); use an older checkpoint", source,
         error.what());
  }
}

}  // namespace trainctl
