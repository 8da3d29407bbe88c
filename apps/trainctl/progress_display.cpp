#include "progress_display.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

namespace trainctl::app {
namespace {

constexpr double redraw_s = 0.1;
constexpr int bar_width = 24;

std::size_t terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

// Only what goes out without waiting: a stopped terminal must not stop training.
void offer(const std::string& text) {
  pollfd stream{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (::poll(&stream, 1, 0) == 1 && (stream.revents & POLLOUT)) (void)write_all(STDERR_FILENO, bytes_of(text));
}

std::string bar_text(double share) {
  const int full = std::clamp(static_cast<int>(share * bar_width), 0, bar_width);
  return std::string(static_cast<std::size_t>(full), '=') +
         std::string(static_cast<std::size_t>(bar_width - full), ' ');
}

}  // namespace

ProgressDisplay::ProgressDisplay(bool bar) : bar_(bar) {}

ProgressDisplay::~ProgressDisplay() {
  clear();
}

void ProgressDisplay::started(const Schedule& schedule, const Position& position) {
  schedule_ = schedule;
  position_ = position;
  epochs_ = (schedule.total_steps + schedule.steps_per_epoch - 1) / schedule.steps_per_epoch;
  rate_since_s_ = monotonic_seconds();
  rate_samples_ = position.samples;
  const std::string from = position.step > 0 ? fmt::format(", going on at step {}", position.step) : "";
  log::info("training for {} steps of {} samples, {} an epoch{}", schedule.total_steps, schedule.batch_samples,
            schedule.steps_per_epoch, from);
}

void ProgressDisplay::step(const Position& position) {
  position_ = position;
  if (due()) draw(training_line(position, last_draw_s_));
}

void ProgressDisplay::logged(const StepRecord& record) {
  if (const auto loss = find_value(record.values, "train/loss")) loss_ = fmt::format("  train/loss {:.4g}", *loss);
}

void ProgressDisplay::validating(std::int64_t done, std::int64_t samples) {
  if (!due()) return;
  const double share = static_cast<double>(done) / static_cast<double>(samples);
  draw(
      fmt::format("epoch {}/{}  [{}]  validating {}/{}", position_.epoch + 1, epochs_, bar_text(share), done, samples));
}

void ProgressDisplay::reported(const HistoryRecord& record, bool is_best) {
  clear();
  std::string line = fmt::format("epoch {}/{}  step {}", record.epoch, epochs_, record.step);
  for (const auto& [name, value] : record.values) line += fmt::format("  {} {:.4g}", name, value);
  double seconds = 0.0;
  for (const auto& [phase, time] : record.seconds) seconds += time;
  log::info("{}  {:.1f} s{}", line, seconds, is_best ? "  best so far" : "");
  rate_since_s_ = monotonic_seconds();  // validation is no part of the rate of training
  rate_samples_ = record.samples;
}

void ProgressDisplay::saved(const std::filesystem::path& path) {
  if (!log::enabled(log::Level::debug)) return;
  clear();
  log::debug("saved {}", path.string());
}

std::string ProgressDisplay::training_line(const Position& position, double now) {
  const double elapsed = now - rate_since_s_;
  const double rate = static_cast<double>(position.samples - rate_samples_) / std::max(elapsed, 1e-3);
  samples_per_s_ = samples_per_s_ == 0.0 ? rate : 0.9 * samples_per_s_ + 0.1 * rate;
  rate_since_s_ = now;
  rate_samples_ = position.samples;
  const auto left = static_cast<double>((schedule_.total_steps - position.step) * schedule_.batch_samples);
  const std::string eta = samples_per_s_ > 0.0 ? human_duration(left / samples_per_s_) : "?";
  const double share = static_cast<double>(position.offset) / static_cast<double>(schedule_.samples_per_epoch);
  return fmt::format("epoch {}/{}  [{}]  step {}/{}  {:.0f} samples/s{}  eta {}", position.epoch + 1, epochs_,
                     bar_text(share), position.step, schedule_.total_steps, samples_per_s_, loss_, eta);
}

bool ProgressDisplay::due() {
  if (!bar_) return false;
  const double now = monotonic_seconds();
  if (now - last_draw_s_ < redraw_s) return false;
  last_draw_s_ = now;
  return true;
}

// The cursor goes back to the line's start, so that a warning overwrites the bar rather than follows it.
void ProgressDisplay::draw(const std::string& line) {
  offer(line.substr(0, terminal_columns() - 1) + "\033[K\r");
  drawn_ = true;
}

void ProgressDisplay::clear() {
  if (drawn_) offer("\033[K");
  drawn_ = false;
}

}  // namespace trainctl::app
