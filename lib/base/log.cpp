#include "base/log.h"

#include <limits.h>
#include <poll.h>
#include <spdlog/formatter.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/dist_sink.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <mutex>
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

/// stderr, never waited for: where a pipe is full because nobody reads it, lines are left out until there is room
/// again.
class TerminalSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void set_colour(bool colour) { colour_ = colour; }

 private:
  /// A pipe that poll() calls writable takes this much at once.
  static constexpr std::size_t piece = PIPE_BUF;
  static constexpr int patience_ms = 1000;

  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t buffer;
    formatter_->format(message, buffer);
    std::string text(buffer.data(), buffer.size());
    if (colour_ && message.color_range_end > message.color_range_start) {
      text.insert(message.color_range_end, "\033[m");
      text.insert(message.color_range_start,
                  message.level >= spdlog::level::err ? "\033[1m\033[31m" : "\033[33m\033[1m");
    }
    if (left_out_ > 0) {
      const std::string note = fmt::format("... {} lines were left out: nobody read them\n", left_out_);
      if (!put(note)) return void(++left_out_);
      left_out_ = 0;
    }
    if (!put(text)) ++left_out_;
  }
  void flush_() override {}

  /// False if there is no room; waits for some, but only the first time.
  bool put(std::string_view text) {
    while (!text.empty()) {
      pollfd wanted{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
      if (::poll(&wanted, 1, left_out_ > 0 ? 0 : patience_ms) == 0) return false;
      const ssize_t written = ::write(STDERR_FILENO, text.data(), std::min(text.size(), piece));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return true;  // closed or broken: nobody can be told
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }

  bool colour_ = false;
  std::int64_t left_out_ = 0;
};

struct State {
  State()
      : terminal(std::make_shared<TerminalSink>()),
        files(std::make_shared<spdlog::sinks::dist_sink_mt>()),
        logger("trainctl", {terminal, files}) {
    terminal->set_formatter(std::make_unique<TerminalFormatter>());
    logger.set_error_handler([](const std::string&) {});  // a full disk under the log does not stop the run
    logger.flush_on(spdlog::level::debug);                // the last lines before a kill are the ones that matter
  }
  std::shared_ptr<TerminalSink> terminal;
  std::shared_ptr<spdlog::sinks::dist_sink_mt> files;  ///< may change while other threads log
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
  s.terminal->set_colour(colour);
}

void open_file(const std::filesystem::path& path) try {
  auto file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
  file->set_formatter(
      std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%SZ %-7l %v", spdlog::pattern_time_type::utc));
  state().files->set_sinks({std::move(file)});
} catch (const spdlog::spdlog_ex& error) {
  fail(ErrorKind::environment, "{}: cannot open the log file: {}", path.string(), error.what());
}

void close_file() {
  state().files->set_sinks({});
}

bool enabled(Level level) {
  return state().logger.should_log(to_spdlog(level));
}

void write(Level level, std::string_view line) {
  state().logger.log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace trainctl::log
