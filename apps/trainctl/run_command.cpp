#include "run_command.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/signals.h"
#include "output.h"
#include "progress_display.h"
#include "store/json_values.h"

namespace trainctl::app {
namespace {

Json json_of(const RunResult& result) {
  const Outcome& outcome = result.outcome;
  Json json;
  json["run"] = result.directory.string();
  json["status"] = outcome.finished ? "finished" : "interrupted";
  json["reason"] = outcome.reason;
  json["was_finished"] = result.was_finished;
  json["epoch"] = outcome.last.epoch;
  json["step"] = outcome.last.step;
  json["samples"] = outcome.last.samples;
  json["values"] = values_to_json(outcome.last.values);
  json["exit_code"] = result.exit_code();
  return json;
}

void show(const RunResult& result, bool json) {
  if (json) return print_json(json_of(result));
  if (!result.directory.empty()) print(result.directory.string() + "\n");
  print_values(result.outcome.last.values);
}

}  // namespace

int run_and_show(const Globals& globals, const std::function<RunResult(Observer&)>& work) {
  signals::install();
  RunResult result;
  {
    ProgressDisplay display(!globals.quiet && !globals.no_color && log::fancy_terminal(STDERR_FILENO));
    result = work(display);
  }
  const char* advice = result.exit_code() == 0 ? "" : "; the state is saved, run the same again to go on";
  log::info("{}: {}{}", result.outcome.finished ? "finished" : "stopped", result.outcome.reason, advice);
  try {
    show(result, globals.json);
  } catch (const Error& error) {
    log::warn("{}", error.what());
  }
  return result.exit_code();
}

}  // namespace trainctl::app
