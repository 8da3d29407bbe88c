// Types of parameters beyond C++'s own: pairs, durations, paths, numbers that a policy may drive, ordered maps.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schema/node.h"

namespace trainctl {

/// Two values, written as one (`3`) or as both (`[3, 5]`).
template <typename T>
struct Pair {
  T first{};
  T second{};
  bool operator==(const Pair&) const = default;
};

/// A name of something that is only known when the whole spec has been read, with the place where it was written for
/// the message if there is no such thing.
struct Reference {
  std::string name;
  Source source;
};

struct Constraint;

/// A number that a policy may drive while training. `path` is its place in the spec ("optimizer.lr",
/// "model.layers.3.p"), by which a policy's `target` finds it. Where the spec writes the name of an entry of `values`
/// ("values.alpha") instead of a number, `path` is that entry's, so that all that name it are driven together, and
/// `value` is not a number until link_values() has found it.
struct Live {
  double value = 0.0;
  std::string path;
  std::string name;                                ///< "values.alpha", or empty for a number of its own
  Source source{};                                 ///< where it was written
  const std::vector<Constraint>* range = nullptr;  ///< what the field that was read demands of the number

  Live() = default;
  Live(double v) : value(v) {}  // NOLINT: a plain number is a Live that nobody drives
  operator double() const { return value; }
};

/// A duration in training's own measure: `3 epochs`, `500 steps`, `100000 samples`. One step = one optimizer update.
struct Progress {
  enum class Unit { epochs, steps, samples };
  double count = 0.0;  ///< whole for steps and samples; `0.5 epochs` is allowed
  Unit unit = Unit::epochs;
  bool operator==(const Progress&) const = default;
};
std::string to_text(const Progress& progress);
/// Reads "3 epochs"; throws Error(usage) otherwise. For arguments of the command line.
Progress parse_progress(std::string_view text);

/// A wall time: `45 s`, `30 min`, `11 h 30 min`, `2 d`.
struct WallTime {
  double seconds = 0.0;
  bool operator==(const WallTime&) const = default;
};
std::string to_text(const WallTime& time);

/// A path as the user wrote it and as it is used: absolute, relative ones starting at the folder of the file that
/// wrote them, those from the command line at the working directory.
struct Path {
  std::filesystem::path value;
  Path() = default;
  Path(std::filesystem::path v) : value(std::move(v)) {}  // NOLINT: defaults read `Path root = "runs"`
  Path(const char* v) : value(v) {}                       // NOLINT
  operator const std::filesystem::path&() const { return value; }
  std::string string() const { return value.string(); }
  bool empty() const { return value.empty(); }
};

/// Names to values, in the order in which the names first appeared.
template <typename T>
struct OrderedMap {
  std::vector<std::pair<std::string, T>> items;

  auto begin() const { return items.begin(); }
  auto end() const { return items.end(); }
  auto begin() { return items.begin(); }
  auto end() { return items.end(); }
  bool empty() const { return items.empty(); }
  std::size_t size() const { return items.size(); }
  const T* find(std::string_view name) const {
    for (const auto& [key, value] : items)
      if (key == name) return &value;
    return nullptr;
  }
};

/// Text with `${secret:NAME}` replaced from the environment. Call it where the value is used and keep no copy that is
/// written anywhere. Throws Error(environment) when the variable is not set.
std::string reveal(std::string_view text);

/// The names of an enum as specs write them. To be specialised:
///   template <> struct EnumNames<Mode> {
///     static constexpr EnumName<Mode> names[] = {{Mode::min, "min"}, {Mode::max, "max"}};
///   };
template <typename E>
struct EnumName {
  E value;
  const char* name;
};
template <typename E>
struct EnumNames;

}  // namespace trainctl
