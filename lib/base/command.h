// Other programs, run as children: with a time limit, their output line by line.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trainctl {

/// A program to run.
struct Command {
  std::vector<std::string> argv;  ///< the program, searched in PATH, and its arguments
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< in addition to this process's
  double timeout_s = 0.0;                                             ///< it is ended after that; 0: never
};

/// How a command ended.
struct CommandEnd {
  enum class How { exited, signalled, timed_out, stopped, not_started };
  How how = How::exited;
  int code = 0;  ///< the exit status, the signal, or the errno of a failed start
  bool ok() const { return how == How::exited && code == 0; }
  /// "exit status 3", "no end within 10 s".
  std::string text(double timeout_s) const;
};

/// The file that a program's name stands for, by PATH if it has no '/'; empty if there is none that may be executed.
std::string find_program(std::string_view name);

/// Runs a command and waits for it. It has no input; each line of its output, stdout and stderr alike, goes to `line`
/// (long ones in pieces). Where it does not end in time, or `stop` becomes true, its process group is asked to end
/// and, two seconds later, killed. It dies with this process, if it has not left its group.
CommandEnd run_command(const Command& command, const std::function<void(std::string_view line)>& line,
                       const std::function<bool()>& stop);

}  // namespace trainctl
