// `values:` of a spec: numbers that several parameters share by name.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "schema/diagnostics.h"
#include "schema/type.h"
#include "schema/values.h"

namespace trainctl {

/// What a name of a value begins with where a parameter gives one: "values.alpha".
inline constexpr std::string_view values_prefix = "values.";

/// Numbers by name; null removes one that a base file has.
using ValueTable = OrderedMap<std::optional<Live>>;

/// Gives every parameter that `visit` shows, and that names an entry of `values`, its number. Notes an error for a name
/// that does not exist (with the nearest), a number out of the parameter's range, a value that nothing uses (if
/// all could be read), and one that is not a number.
void link_values(const ValueTable& values, const std::function<void(const TypeInfo::LiveVisitor&)>& visit,
                 Diagnostics& diagnostics);

}  // namespace trainctl
