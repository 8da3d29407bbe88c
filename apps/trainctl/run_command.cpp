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

void show(const FoldsResult& result, bool json) {
  if (json) return print(result.to_json());
  for (const FoldsResult::Run& run : result.runs) print(run.result.directory.string() + "\n");
  print(result.table());
}

/// Runs `work` with signals handled and its progress shown.
template <typename Result>
Result watched(const Globals& globals, const std::function<Result(Observer&)>& work) {
  signals::install();
  ProgressDisplay display(!globals.quiet && !globals.no_color && log::fancy_terminal(STDERR_FILENO));
  return work(display);
}

/// The result stands even where it cannot be printed.
template <typename Result>
int shown(const Globals& globals, const Result& result) {
  try {
    show(result, globals.json);
  } catch (const Error& error) {
    log::warn("{}", error.what());
  }
  return result.exit_code();
}

}  // namespace

int run_and_show(const Globals& globals, const std::function<RunResult(Observer&)>& work) {
  const RunResult result = watched(globals, work);
  return shown(globals, result);
}

int run_and_show_folds(const Globals& globals, const std::function<FoldsResult(Observer&)>& work) {
  const FoldsResult result = watched(globals, work);
  if (result.finished())
    log::info("finished: {} folds; their values are in {}", result.folds, result.summary.string());
  else
    log::info("stopped in fold {}; run the same again with --resume auto to go on", result.runs.size() - 1);
  return shown(globals, result);
}

}  // namespace trainctl::app
