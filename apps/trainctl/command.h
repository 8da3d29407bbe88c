// What every command of trainctl has in common.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace trainctl::app {

class Arguments;

/// Flags that stand before or after any command.
struct Globals {
  bool json = false;   ///< stdout is one JSON document
  bool quiet = false;  ///< stderr shows warnings and errors only
  bool no_color = false;
  std::string log_level = "info";
  std::vector<std::string> modules;  ///< shared objects with components of the user's
  std::vector<std::string> argv;     ///< the whole command line
};

/// One command: declares its arguments, then runs. Results go to stdout by print(), all else to the log.
class Command {
 public:
  virtual ~Command() = default;
  virtual void declare(Arguments& arguments) = 0;
  /// Returns the exit code; errors are thrown.
  virtual int run(const Globals& globals) = 0;
};

std::unique_ptr<Command> make_train();
std::unique_ptr<Command> make_resume();
std::unique_ptr<Command> make_eval();
std::unique_ptr<Command> make_predict();
std::unique_ptr<Command> make_check();
std::unique_ptr<Command> make_ls();
std::unique_ptr<Command> make_describe();
std::unique_ptr<Command> make_schema();
std::unique_ptr<Command> make_push();
std::unique_ptr<Command> make_fetch();
std::unique_ptr<Command> make_history();
std::unique_ptr<Command> make_inspect();
std::unique_ptr<Command> make_find_lr();
std::unique_ptr<Command> make_bench();
std::unique_ptr<Command> make_doctor();

}  // namespace trainctl::app
