// Small text helpers: nearest names for messages, numbers written so that they read back exactly.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace trainctl {

/// Number of single-character insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`
/// (optimal string alignment distance). Names longer than 64 bytes are compared by their first 64.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate that `name` was probably meant to be, or an empty text when none is near enough.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

/// A sentence to append to "unknown ..." : " Did you mean 'kernel_size'?", or " Known: a, b, c." when nothing is near
/// and the list is short, or nothing.
std::string suggestion(std::string_view name, const std::vector<std::string>& candidates);

/// `text` in one line fit for a terminal: control characters escaped, and cut to about `limit` bytes.
std::string printable(std::string_view text, std::size_t limit = 80);

/// Shortest decimal text that reads back as exactly `value`; infinities and NaN as YAML writes them (".inf", ".nan").
std::string number_text(double value);

std::string_view trimmed(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

/// "1 error", "3 errors".
std::string counted(std::size_t count, std::string_view noun);

}  // namespace trainctl
