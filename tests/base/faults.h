// Faults injected into the calls that write files, and children that are killed in them.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <functional>
#include <limits>

#include "base/file.h"

namespace trainctl::testing {

/// What goes wrong, and at which of the counted calls (open, write, fsync, close, rename; from 0).
struct FaultPlan {
  static constexpr int never = -1;

  int kill_before = never;                                               ///< SIGKILL instead of that call
  int kill_after = never;                                                ///< SIGKILL right after that call
  int fail_call = never;                                                 ///< that call fails with `code`
  int code = 0;                                                          ///< errno of a failure
  std::uint64_t disk_bytes = std::numeric_limits<std::uint64_t>::max();  ///< writes beyond fail with `code`
  std::size_t longest_write = std::numeric_limits<std::size_t>::max();   ///< writes are cut to it
  bool interrupt_every_other = false;  ///< each call first fails with EINTR (but rename)

  int calls = 0;  ///< counted so far
  int fsyncs = 0;
};

/// Puts a plan in force for its lifetime. One at a time.
class InjectFaults {
 public:
  explicit InjectFaults(FaultPlan plan) : saved_(file_ops()) {
    state() = {plan, saved_, false};
    file_ops() = {open, write, fsync, close, rename};
  }
  InjectFaults(const InjectFaults&) = delete;
  ~InjectFaults() { file_ops() = saved_; }
  const FaultPlan& plan() const { return state().plan; }

 private:
  struct State {
    FaultPlan plan;
    FileOps real;
    bool interrupted;
  };
  static State& state() {
    static State instance;
    return instance;
  }

  template <typename Call>
  static auto counted(bool interruptible, Call call) -> decltype(call()) {
    State& s = state();
    if (interruptible && s.plan.interrupt_every_other && (s.interrupted = !s.interrupted)) {
      errno = EINTR;
      return -1;
    }
    const int index = s.plan.calls++;
    if (index == s.plan.kill_before) ::raise(SIGKILL);
    if (index == s.plan.fail_call) {
      errno = s.plan.code;
      return -1;
    }
    const auto result = call();
    if (index == s.plan.kill_after) ::raise(SIGKILL);
    return result;
  }

  static int open(const char* path, int flags, mode_t mode) {
    return counted(false, [&] { return state().real.open(path, flags, mode); });
  }
  static ssize_t write(int fd, const void* bytes, std::size_t count) {
    return counted(true, [&]() -> ssize_t {
      FaultPlan& plan = state().plan;
      if (plan.disk_bytes == 0) {
        errno = plan.code;
        return -1;
      }
      const std::size_t allowed = std::min({count, plan.longest_write, static_cast<std::size_t>(plan.disk_bytes)});
      const ssize_t written = state().real.write(fd, bytes, allowed);
      if (written > 0) plan.disk_bytes -= static_cast<std::uint64_t>(written);
      return written;
    });
  }
  static int fsync(int fd) {
    return counted(true, [&] {
      ++state().plan.fsyncs;
      return state().real.fsync(fd);
    });
  }
  static int close(int fd) {
    // A descriptor is gone even where its close fails.
    return counted(false, [&] { return state().real.close(fd); });
  }
  static int rename(const char* from, const char* to) {
    return counted(false, [&] { return state().real.rename(from, to); });
  }

  FileOps saved_;
};

/// Runs `work` in a child process. Returns its exit status (0: it came to its end), or minus the signal that killed it.
inline int in_child(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 0;
    try {
      work();
    } catch (...) {
      status = 99;
    }
    ::_exit(status);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace trainctl::testing
