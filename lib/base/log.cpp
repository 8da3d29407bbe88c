#include "base/log.h"

#include <spdlog/formatter.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/error.h"

namespace trainctl::log {
namespace {

constexpr std::array<std::string_view, 5> level_names{"debug", "info", "warn", "error", "off"};

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warn:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
    case Level::off:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

// Plain lines for what goes well; a coloured "warning:" or "error:" in front of what does not.
class TerminalFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    (message.level >= spdlog::level::warn ? alarming_ : plain_).format(message, out);
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<TerminalFormatter>(); }

 private:
  spdlog::pattern_formatter plain_{"%v"};
  spdlog::pattern_formatter alarming_{"%^%l:%$ %v"};
};

using TerminalSink = spdlog::sinks::ansicolor_stderr_sink_mt;

struct State {
  State() : terminal(std::make_shared<TerminalSink>()), logger("trainctl", terminal) {
    terminal->set_formatter(std::make_unique<TerminalFormatter>());
    logger.set_error_handler([](const std::string&) {});  // a full disk under the log does not stop the run
    logger.flush_on(spdlog::level::debug);                // the last lines before a kill are the ones that matter
  }
  std::shared_ptr<TerminalSink> terminal;
  spdlog::logger logger;
};

State& state() {
  static State instance;
  return instance;
}

}  // namespace

Level level_from_name(std::string_view name) {
  for (std::size_t i = 0; i < level_names.size(); ++i) {
    if (level_names[i] == name) return static_cast<Level>(i);
  }
  fail(ErrorKind::usage, "unknown log level '{}'; choose debug, info, warn, error or off", name);
}

bool fancy_terminal(int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return ::isatty(fd) && !(no_color && *no_color) && term && std::string_view(term) != "dumb";
}

void configure(const Options& options) {
  State& s = state();
  const auto level = to_spdlog(options.level);
  s.logger.set_level(level);
  s.terminal->set_level(options.quiet ? std::max(level, spdlog::level::warn) : level);
  const bool colour = options.colour && fancy_terminal(STDERR_FILENO);
  s.terminal->set_color_mode(colour ? spdlog::color_mode::always : spdlog::color_mode::never);
}

void open_file(const std::filesystem::path& path) try {
  close_file();
  auto file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
  file->set_formatter(
      std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%SZ %-7l %v", spdlog::pattern_time_type::utc));
  state().logger.sinks().push_back(std::move(file));
} catch (const spdlog::spdlog_ex& error) {
  fail(ErrorKind::environment, "{}: cannot open the log file: {}", path.string(), error.what());
}

void close_file() {
  state().logger.sinks().resize(1);
}

bool enabled(Level level) {
  return state().logger.should_log(to_spdlog(level));
}

void write(Level level, std::string_view line) {
  state().logger.log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace trainctl::log
