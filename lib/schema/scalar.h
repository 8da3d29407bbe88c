// What the text of a plain scalar means under YAML 1.2's core schema.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace trainctl {

/// `true`, `True`, `TRUE` and the same of false. `on`, `yes`, `1` are not booleans.
std::optional<bool> boolean_of(std::string_view text);
/// `12`, `-3`, `0x1F`, `0o17`; not `010`, `1_000`, `1e3`, nor what does not fit 64 bits.
std::optional<std::int64_t> integer_of(std::string_view text);
/// `1`, `1.5`, `.5`, `1e-3`, `.inf`, `.nan`; not `010`, `1,5`, nor what overflows a double.
std::optional<double> number_of(std::string_view text);
/// Empty, `~`, `null`, `Null`, `NULL`.
bool is_null_text(std::string_view text);

}  // namespace trainctl
