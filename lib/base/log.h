// The log: lines for people on stderr and, with time and level, in a run's log.txt. stdout is never touched.
#pragma once

#include <fmt/core.h>

#include <filesystem>
#include <string_view>
#include <utility>

namespace trainctl::log {

enum class Level { debug, info, warn, error, off };

/// The level of a name as on the command line: debug, info, warn, error, off. Throws a usage Error naming them.
Level level_from_name(std::string_view name);

struct Options {
  Level level = Level::info;  ///< the least level that is written
  bool quiet = false;         ///< stderr shows warnings and errors only; the file keeps `level`
  bool colour = true;         ///< allow colour; it is used on a terminal only and never with NO_COLOR set
};

/// Sets up stderr. May be called again.
void configure(const Options& options);
/// Appends all further lines to `path` too. Throws an environment Error if it cannot be opened; a disk that fills later
/// does not stop the run.
void open_file(const std::filesystem::path& path);
void close_file();

/// Whether coloured or redrawn output on file descriptor `fd` is welcome: a terminal that is not dumb, NO_COLOR unset
/// or empty.
bool fancy_terminal(int fd);

/// Whether a line of this level would go anywhere.
bool enabled(Level level);
void write(Level level, std::string_view line);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warn)) write(Level::warn, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace trainctl::log
