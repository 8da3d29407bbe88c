// What goes to stdout.
#pragma once

#include <exception>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "store/history.h"

namespace trainctl::app {

/// Writes to stdout. Throws an environment Error if it cannot be written there.
void print(std::string_view text);
void print_json(const nlohmann::ordered_json& json);
/// "name value" lines.
void print_values(const NamedValues& values);

/// Says on stderr, with `json` as a document on stdout too, what ended the command. Returns its exit code.
int report_failure(std::exception_ptr failure, bool json);

}  // namespace trainctl::app
