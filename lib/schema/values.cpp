#include "schema/values.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "schema/duration.h"
#include "schema/scalar.h"

namespace trainctl {

namespace {

struct WallUnit {
  double seconds;
  const char* name;
  std::array<std::string_view, 4> spellings;
};
constexpr WallUnit wall_units[] = {
    {86400.0, "d", {"d", "day", "days", "d"}},
    {3600.0, "h", {"h", "hour", "hours", "h"}},
    {60.0, "min", {"min", "minute", "minutes", "mins"}},
    {1.0, "s", {"s", "sec", "second", "seconds"}},
};

// Takes "30 min" off the front: a number without sign, and a word.
bool take_quantity(std::string_view& text, double& number, std::string_view& word) {
  text = trimmed(text);
  const std::size_t end = std::min(text.find_first_not_of("0123456789.eE+"), text.size());
  // `3 epochs` without its blank: the e belongs to the word unless digits follow.
  std::string_view digits = text.substr(0, end);
  while (!digits.empty() && (digits.back() == 'e' || digits.back() == 'E')) digits.remove_suffix(1);
  const auto value = digits.starts_with('+') ? std::nullopt : number_of(digits);
  if (!value || !std::isfinite(*value)) return false;
  number = *value;
  text = trimmed(text.substr(digits.size()));
  const std::size_t letters = std::min(text.find_first_of(" 0123456789"), text.size());
  word = text.substr(0, letters);
  text.remove_prefix(letters);
  return !word.empty();
}

}  // namespace

std::optional<Progress> progress_of(std::string_view text) {
  Progress progress;
  std::string_view word;
  if (!take_quantity(text, progress.count, word) || !trimmed(text).empty()) return std::nullopt;
  if (word == "epoch" || word == "epochs")
    progress.unit = Progress::Unit::epochs;
  else if (word == "step" || word == "steps")
    progress.unit = Progress::Unit::steps;
  else if (word == "sample" || word == "samples")
    progress.unit = Progress::Unit::samples;
  else
    return std::nullopt;
  constexpr double most = 9007199254740992.0;  // 2^53: whole numbers up to here are exact
  const bool whole = progress.count == std::floor(progress.count) && progress.count <= most;
  if (progress.unit != Progress::Unit::epochs && !whole) return std::nullopt;
  return progress;
}

std::optional<WallTime> wall_time_of(std::string_view text) {
  WallTime time;
  double last_unit = INFINITY;  // units come from large to small, each once
  do {
    double number = 0.0;
    std::string_view word;
    if (!take_quantity(text, number, word)) return std::nullopt;
    const WallUnit* found = nullptr;
    for (const WallUnit& unit : wall_units)
      for (const std::string_view spelling : unit.spellings)
        if (word == spelling) found = &unit;
    if (!found || found->seconds >= last_unit) return std::nullopt;
    last_unit = found->seconds;
    time.seconds += number * found->seconds;
  } while (!trimmed(text).empty());
  return time;
}

std::string to_text(const Progress& progress) {
  constexpr const char* units[] = {"epoch", "step", "sample"};
  const bool whole = progress.count == std::floor(progress.count) && std::abs(progress.count) < 1e15;
  const std::string count =
      whole ? fmt::format("{}", static_cast<std::int64_t>(progress.count)) : number_text(progress.count);
  return fmt::format("{} {}{}", count, units[static_cast<int>(progress.unit)], progress.count == 1.0 ? "" : "s");
}

std::string to_text(const WallTime& time) {
  std::string text;
  double rest = time.seconds;
  for (const WallUnit& unit : wall_units) {
    const double count = unit.seconds == 1.0 ? rest : std::floor(rest / unit.seconds);
    rest -= count * unit.seconds;
    if (count > 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : " ",
                          count < 1e-3 ? fmt::format("{:.9f}", count) : number_text(count), unit.name);
  }
  return text.empty() ? "0 s" : text;
}

Progress parse_progress(std::string_view text) {
  if (const auto progress = progress_of(text)) return *progress;
  fail(ErrorKind::usage, "'{}' is no duration: write '3 epochs', '500 steps' or '100000 samples'.", printable(text));
}

std::string reveal(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("$${")) {
      result += "${";
      at += 3;
    } else if (rest.starts_with("${secret:") && rest.find('}') != std::string_view::npos) {
      const std::string name(rest.substr(9, rest.find('}') - 9));
      const char* value = std::getenv(name.c_str());
      if (!value)
        fail(ErrorKind::environment, "the secret {} is not in the environment: set the variable {}.", name, name);
      result += value;
      at += rest.find('}') + 1;
    } else {
      result += text[at++];
    }
  }
  return result;
}

}  // namespace trainctl
