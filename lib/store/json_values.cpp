#include "store/json_values.h"

#include <cmath>
#include <limits>
#include <stdexcept>

namespace trainctl {

Json number_to_json(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

double number_from_json(const Json& json) {
  if (json.is_number()) return json.get<double>();
  if (json == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (json == "Infinity") return std::numeric_limits<double>::infinity();
  if (json == "-Infinity") return -std::numeric_limits<double>::infinity();
  throw std::invalid_argument("a value is not a number");
}

Json values_to_json(const NamedValues& values) {
  Json object = Json::object();
  for (const auto& [name, value] : values) object[name] = number_to_json(value);
  return object;
}

NamedValues values_from_json(const Json& json) {
  if (!json.is_object()) throw std::invalid_argument("values are not an object");
  NamedValues values;
  for (const auto& [name, value] : json.items()) values.emplace_back(name, number_from_json(value));
  return values;
}

}  // namespace trainctl
