#include "base/signals.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>

namespace trainctl::signals {
namespace {

constexpr std::array stopping{SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
// SIGXFSZ: ignored, so that writing beyond `ulimit -f` is an error of the write.
constexpr std::array ignored{SIGPIPE, SIGXFSZ};

std::atomic<int> stop_signal_number{0};
std::atomic<bool> save_wanted{false};
std::atomic<bool> patient{false};  ///< the next stop signal does not end the process
std::atomic<int> stop_signals{0};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free,
              "only lock-free atomics may be used in a signal handler");

extern "C" void on_stop(int signal) {
  int none = 0;
  const bool first = stop_signal_number.compare_exchange_strong(none, signal);
  if (!first && !patient.exchange(false)) ::_exit(128 + signal);
  ++stop_signals;
}

extern "C" void on_save(int) {
  save_wanted = true;
}

void set_action(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

}  // namespace

void install() {
  for (const int signal : stopping) set_action(signal, on_stop);
  for (const int signal : ignored) set_action(signal, SIG_IGN);
  set_action(SIGHUP, on_save);
}

bool stop_requested() {
  return stop_signal_number.load(std::memory_order_relaxed) != 0;
}

int stop_signal() {
  return stop_signal_number;
}

Patience::Patience() {
  stop_signals = 0;
  patient = true;
}

Patience::~Patience() {
  patient = false;
}

bool Patience::hurried() const {
  return stop_signals.load(std::memory_order_relaxed) != 0;
}

bool take_save_request() {
  return save_wanted.load(std::memory_order_relaxed) && save_wanted.exchange(false);
}

void reset() {
  for (const int signal : stopping) set_action(signal, SIG_DFL);
  for (const int signal : ignored) set_action(signal, SIG_DFL);
  set_action(SIGHUP, SIG_DFL);
  stop_signal_number = 0;
  save_wanted = false;
}

}  // namespace trainctl::signals
