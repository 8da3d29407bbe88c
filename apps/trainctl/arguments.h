// The command line, read by CLI11, which stays behind this header.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "command.h"

namespace CLI {
class App;
}

namespace trainctl {
struct Overrides;
}

namespace trainctl::app {

/// Declares the arguments of one command. What is bound is filled in before the command runs and keeps its value where
/// the command line says nothing.
class Arguments {
 public:
  explicit Arguments(CLI::App& app) : app_(app) {}

  void positional(const char* name, std::string& into, const char* doc, bool required = true);
  /// One or more, or if not `required` any number.
  void positionals(const char* name, std::vector<std::string>& into, const char* doc, bool required = true);
  void option(const char* name, std::string& into, const char* placeholder, const char* doc);
  /// May be given several times.
  void option(const char* name, std::vector<std::string>& into, const char* placeholder, const char* doc);
  /// A number of at least 1.
  void option(const char* name, int& into, const char* doc);
  void option(const char* name, double& into, const char* doc);
  void choice(const char* name, std::string& into, const std::vector<std::string>& choices, const char* doc);
  void flag(const char* name, bool& into, const char* doc);
  void example(const char* command_line);

  /// RUN|CHECKPOINT, --checkpoint and --weights; see choose_checkpoint().
  void checkpoint(std::string& target, std::string& name, std::string& weights);
  /// --set and --unset.
  void overrides(Overrides& into);
  /// --device; empty where the config decides.
  void device(std::string& into);

 private:
  CLI::App& app_;
  std::string examples_;
};

/// What the command line asks for: a command to run, or a text to print.
struct Request {
  Globals globals;
  std::unique_ptr<Command> command;
  std::string text;  ///< of --help and --version
};

/// Reads the command line. Throws a usage Error; `globals.json` of `request` is right even then.
void read_command_line(int argc, char** argv, Request& request);

}  // namespace trainctl::app
