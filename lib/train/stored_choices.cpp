#include "train/stored_choices.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "schema/json_text.h"

namespace trainctl {

std::string choices_to_json(const Choices& choices) {
  return json_text(choices);
}

Choices choices_from_json(std::string_view text, std::string_view source) {
  if (text.empty()) return {};
  try {
    return parse_json(text).get<Choices>();
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::data, "{}: its choices of implementations cannot be read ({}); use an older checkpoint", source,
         error.what());
  }
}

Choices choices_of(const CheckpointReader& reader) {
  return choices_from_json(reader.choices_json(), reader.path().string());
}

}  // namespace trainctl
