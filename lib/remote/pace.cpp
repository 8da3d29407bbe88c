#include "remote/pace.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

#include "base/clock.h"

namespace trainctl {
namespace {

constexpr double window_s = 0.05;        // of work, between two looks; or
constexpr double looks_apart = 50.0;     // so many times what a look takes, where there are many threads
constexpr double longest_pause_s = 1.0;  // a server shall not take the connection for dead
constexpr double settling_s = 0.5;       // a server may still work for the thread so long after it
constexpr double shortest_rest_s = 0.2;  // from which on it tells what is usual
constexpr double learning_s = 5.0;       // in which what is usual is learnt anew
constexpr double most_credit_s = 0.1;

thread_local Pace* of_this_thread = nullptr;

}  // namespace

double CoreWaits::seconds() {
  const int self = static_cast<int>(::gettid());
  std::error_code none;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", none)) {
    const std::string name = task.path().filename();
    int thread = 0;
    std::from_chars(name.data(), name.data() + name.size(), thread);
    double ran_ns = 0.0, waited_ns = 0.0;
    if (thread == self || !(std::ifstream(task.path() / "schedstat") >> ran_ns >> waited_ns)) continue;
    const auto [known, added] = waited_.try_emplace(thread, waited_ns);
    if (!added) sum_ += 1e-9 * std::max(0.0, waited_ns - std::exchange(known->second, waited_ns));
  }
  return sum_;
}

Pace::Pace(std::function<void(double)> sleep_s)
    : Pace(Clock{.now_s = monotonic_seconds,
                 .waited_s = [waits = CoreWaits()]() mutable { return waits.seconds(); },
                 .sleep_s = std::move(sleep_s)}) {}

Pace::Pace(Clock clock) : clock_(std::move(clock)) {
  pass();
  of_this_thread = this;
}

Pace::~Pace() {
  of_this_thread = nullptr;
}

Pace::Window Pace::pass() {
  const double begin_s = clock_.now_s(), waited_s = clock_.waited_s(), now_s = clock_.now_s();
  look_s_ = now_s - begin_s;
  return {now_s - std::exchange(at_s_, now_s), waited_s - std::exchange(waited_at_s_, waited_s)};
}

void Pace::charge(const Window& window) {
  debt_ += window.waited - (usual_ + allowed()) * window.seconds;
  debt_ = std::max(debt_, -most_credit_s);
}

void Pace::learn(const Window& window) {
  if (window.seconds < shortest_rest_s) return;
  const double rate = window.waited / window.seconds;
  usual_ += (rate - usual_) * (known_ ? std::min(1.0, window.seconds / learning_s) : 1.0);
  known_ = true;
}

void Pace::begin() {
  learn(pass());
  working_ = true;
}

void Pace::rest() {
  charge(pass());
  working_ = false;
}

void Pace::keep() {
  Pace* pace = of_this_thread;
  if (!pace || !pace->working_ || pace->clock_.now_s() - pace->at_s_ < std::max(window_s, looks_apart * pace->look_s_))
    return;
  pace->charge(pace->pass());
  pace->pause();
}

void Pace::pause() {
  while (debt_ > 0.0) {
    const double pause_s = std::clamp(debt_ / allowed(), shortest_rest_s, longest_pause_s);
    const double settling = std::min(pause_s, settling_s);
    clock_.sleep_s(settling);
    const Window first = pass();
    charge(first);
    if (first.seconds < 0.9 * settling) return;  // woken
    if (pause_s - settling < shortest_rest_s) continue;
    clock_.sleep_s(pause_s - settling);
    const Window second = pass();
    learn(second);
    debt_ = std::max(debt_ - allowed() * second.seconds, -most_credit_s);
    if (second.seconds < 0.9 * (pause_s - settling)) return;
  }
}

}  // namespace trainctl
