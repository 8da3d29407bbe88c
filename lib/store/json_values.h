// Doubles in JSON, the three that JSON lacks included. For .cpp files only.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "store/history.h"

namespace trainctl {

using Json = nlohmann::ordered_json;

/// A number; NaN and infinities as "NaN", "Infinity", "-Infinity". Finite values survive exactly.
Json number_to_json(double value);
/// The inverse. Throws std::invalid_argument.
double number_from_json(const Json& json);

Json values_to_json(const NamedValues& values);
NamedValues values_from_json(const Json& json);

}  // namespace trainctl
