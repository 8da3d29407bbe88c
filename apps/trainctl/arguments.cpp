#include "arguments.h"

#include <fmt/core.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "base/version.h"
#include "schema/resolve.h"

namespace trainctl::app {
namespace {

struct Entry {
  const char* name;
  const char* summary;
  std::unique_ptr<Command> (*make)();
};

constexpr Entry entries[] = {
    {"train", "Train the experiment of a config.", make_train},
    {"resume", "Continue a run exactly where it stopped.", make_resume},
    {"eval", "Measure a checkpoint on a split of the data.", make_eval},
    {"predict", "Write what a checkpoint's model answers to new data.", make_predict},
    {"check", "Show every error of a config, or its layers, programs and memory.", make_check},
    {"ls", "List what a config can be made of.", make_ls},
    {"describe", "Describe one component and its parameters.", make_describe},
    {"schema", "Print the JSON Schema of a config, for editors.", make_schema},
    {"push", "Bring the copy of a run in a store up to date.", make_push},
    {"fetch", "Get a run from a store.", make_fetch},
    {"history", "Show what runs have measured, as a table, CSV or plot.", make_history},
    {"inspect", "Verify a checkpoint and show what is in it.", make_inspect},
    {"find-lr", "Find a learning rate: train with a growing one and watch the loss.", make_find_lr},
    {"bench", "Measure how fast a config trains, and where the time goes.", make_bench},
    {"doctor", "Show the build, its libraries and the devices found.", make_doctor},
};

constexpr const char* closing = R"(Examples:
  trainctl check configs/fashion_mnist_lenet.yaml
  trainctl train configs/fashion_mnist_lenet.yaml --set optimizer.lr=2e-3
  trainctl resume runs/examples/fashion-mnist-lenet-1 --more "5 epochs"
  trainctl history runs/examples/fashion-mnist-lenet-1 --plot curves.svg

Exit codes: 0 finished, 1 internal error, 2 wrong usage, 3 invalid config, 4 data or checkpoint missing or damaged,
5 diverged, 6 environment (trying again may help), 85 stopped with its state saved (run the same command again).)";

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.emplace_back(entry.name);
  return names;
}

std::size_t command_name_index(const std::string& name) {
  const auto found = std::ranges::find_if(entries, [&](const Entry& entry) { return entry.name == name; });
  return static_cast<std::size_t>(found - std::begin(entries));
}

void add_globals(CLI::App& app, Globals& globals) {
  app.add_flag("--json", globals.json, "Print one JSON document on stdout, errors included.");
  app.add_flag("-q,--quiet", globals.quiet, "Show only warnings and errors on stderr.");
  app.add_option("--log-level", globals.log_level, "Least level that is logged: debug, info, warn, error, off.")
      ->option_text("LEVEL");
  app.add_option("--module", globals.modules, "Load components of your own from a shared object. Repeatable.")
      ->allow_extra_args(false)
      ->option_text("FILE");
  app.add_flag("--no-color", globals.no_color, "Neither colour nor a progress bar, even on a terminal.");
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* level = &app; level; level = level->get_parent()) {
    for (const CLI::Option* option : level->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

/// The words of the command line that nothing took, as advice.
std::string unexpected(const std::vector<std::string>& words, const CLI::App& app) {
  std::vector<std::string> parts;
  for (const std::string& word : words) {
    const bool is_option = word.starts_with("-");
    const std::string name = word.substr(0, word.find('='));
    parts.push_back(
        fmt::format("unexpected {} '{}'.{}", is_option ? "option" : "argument", printable(word),
                    is_option && !nearest(name, option_names(app)).empty() ? suggestion(name, option_names(app)) : ""));
  }
  return join(parts, " ");
}

[[noreturn]] void fail_usage(const CLI::App& app, const CLI::ParseError& error) {
  const auto chosen = app.get_subcommands();
  const std::vector<std::string> extras = app.remaining(true);
  if (chosen.empty()) {
    const auto word = std::ranges::find_if(extras, [](const std::string& w) { return !w.starts_with("-"); });
    if (word != extras.end()) {
      fail(ErrorKind::usage, "unknown command '{}'.{}", printable(*word), suggestion(*word, command_names()));
    }
    if (!extras.empty()) fail(ErrorKind::usage, "{}", unexpected(extras, app));
    fail(ErrorKind::usage, "a command is missing: {}; `trainctl --help` says more", join(command_names(), ", "));
  }
  const CLI::App& command = *chosen.front();
  const std::string message = extras.empty() ? error.what() : unexpected(extras, command);
  fail(ErrorKind::usage, "{}: {}; `trainctl {} --help` says more", command.get_name(), message, command.get_name());
}

}  // namespace

void Arguments::positional(const char* name, std::string& into, const char* doc, bool required) {
  app_.add_option(name, into, doc)->required(required)->option_text(" ");
}

void Arguments::positionals(const char* name, std::vector<std::string>& into, const char* doc, bool required) {
  app_.add_option(name, into, doc)->required(required)->option_text("...");
}

void Arguments::option(const char* name, std::string& into, const char* placeholder, const char* doc) {
  app_.add_option(name, into, doc)->option_text(placeholder);
}

void Arguments::option(const char* name, std::vector<std::string>& into, const char* placeholder, const char* doc) {
  app_.add_option(name, into, doc)->allow_extra_args(false)->option_text(placeholder);
}

void Arguments::option(const char* name, int& into, const char* doc) {
  app_.add_option(name, into, doc)->check(CLI::Range(1, 1'000'000'000))->option_text("N");
}

void Arguments::option(const char* name, double& into, const char* doc) {
  app_.add_option(name, into, doc)->option_text("X");
}

void Arguments::choice(const char* name, std::string& into, const std::vector<std::string>& choices, const char* doc) {
  app_.add_option(name, into, doc)->check(CLI::IsMember(choices))->option_text(join(choices, "|"));
}

void Arguments::flag(const char* name, bool& into, const char* doc) {
  app_.add_flag(name, into, doc);
}

void Arguments::example(const char* command_line) {
  examples_ += fmt::format("{}  {}", examples_.empty() ? "Examples:\n" : "\n", command_line);
  app_.footer(examples_ +
              "\n\nAnd everywhere: --json, --quiet, --log-level LEVEL, --no-color, --module FILE; `trainctl --help` "
              "says what they do.");
}

void Arguments::checkpoint(std::string& target, std::string& name, std::string& weights) {
  positional("RUN|CHECKPOINT", target, "A run directory (its best checkpoint, else its last) or a checkpoint file.");
  option("--checkpoint", name, "NAME",
         "Of a run: best, last, or a file below its checkpoints; by default the best, else the last.");
  option("--weights", weights, "NAME",
         "model, or the name of an average, by default as trainer.evaluate says; or best or last, as --checkpoint.");
}

void Arguments::overrides(Overrides& into) {
  option("--set", into.set, "KEY=VALUE", "Change a value of the config, as in --set optimizer.lr=2e-3. Repeatable.");
  option("--unset", into.unset, "KEY", "Remove a key of the config. Repeatable.");
}

void Arguments::device(std::string& into) {
  choice("--device", into, {"cpu", "cuda", "auto"}, "Where it runs; by default as the config says.");
}

void read_command_line(int argc, char** argv, Request& request) {
  request.globals.argv.assign(argv, argv + argc);
  CLI::App app("Deep-learning experiments from a YAML file.", "trainctl");
  app.set_version_flag("--version", fmt::format("trainctl {} ({})", version_text(), build_text()));
  add_globals(app, request.globals);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(closing);
  std::vector<std::unique_ptr<Command>> commands;
  for (const Entry& entry : entries) {
    Arguments arguments(*app.add_subcommand(entry.name, entry.summary));
    commands.push_back(entry.make());
    commands.back()->declare(arguments);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForVersion& version) {
    request.text = fmt::format("{}\n", version.what());
    return;
  } catch (const CLI::CallForHelp&) {
    request.text = app.help();  // of the command, where one was given
    return;
  } catch (const CLI::ParseError& error) {
    // Parsing ended before every flag was seen.
    request.globals.json |= std::ranges::find(request.globals.argv, "--json") != request.globals.argv.end();
    fail_usage(app, error);
  }
  const auto chosen = command_name_index(app.get_subcommands().front()->get_name());
  request.command = std::move(commands[chosen]);
}

}  // namespace trainctl::app
