#include "experiment/folds.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "report/text_table.h"
#include "schema/json_text.h"
#include "store/json_values.h"

namespace trainctl {
namespace {

using Json = nlohmann::ordered_json;

/// The number of folds that every subset with folds has.
std::int64_t folds_of(const ExperimentSpec& spec) {
  std::int64_t folds = 0;
  for (const SplitSpec* split : {&spec.data.train, spec.data.val ? &*spec.data.val : nullptr}) {
    if (!split || !split->subset || split->subset->folds == 0) continue;
    if (folds != 0 && folds != split->subset->folds) {
      fail(ErrorKind::usage, "--fold all: data.train has {} folds and data.val {}; give both the same number", folds,
           split->subset->folds);
    }
    folds = split->subset->folds;
  }
  if (folds > 0) return folds;
  fail(
      ErrorKind::usage,
      "--fold all: neither data.train nor data.val has folds; give both a subset such as {{folds: 5}}, with part: rest "
      "in data.train");
}

bool is_measured(std::string_view name) {
  return name.starts_with("train/") || name.starts_with("val/");
}

FoldsResult::Run with_history(RunResult result) {
  const History history = History::read(RunPaths{result.directory}.history());
  FoldsResult::Run run{.result = std::move(result), .last = {}, .best = {}};
  if (!history.records.empty()) run.last = history.records.back();
  for (const HistoryRecord& record : history.records)
    if (history.best && record.step == history.best->step) run.best = record;
  return run;
}

std::filesystem::path summary_path(const TrainOptions& options, const ExperimentSpec& spec) {
  if (options.output) return *options.output / "folds.json";
  return spec.output.root.value / spec.output.project / (spec.name + "-folds.json");
}

Json json_of(const std::vector<FoldStatistic>& statistics) {
  Json json = Json::object();
  for (const FoldStatistic& statistic : statistics) {
    Json values = Json::array();
    for (const double value : statistic.values) values.push_back(number_to_json(value));
    json[statistic.name] = {{"mean", number_to_json(statistic.mean)},
                            {"deviation", number_to_json(statistic.deviation)},
                            {"values", std::move(values)}};
  }
  return json;
}

void add_rows(TextTable& table, const FoldsResult& result, const std::vector<FoldStatistic>& statistics,
              const std::string& what) {
  const auto row = [&](std::string first, auto number) {
    std::vector<std::string> cells{std::move(first)};
    for (const FoldStatistic& statistic : statistics) cells.push_back(fmt::format("{:.5g}", number(statistic)));
    table.add(std::move(cells));
  };
  for (std::size_t fold = 0; fold < result.runs.size(); ++fold)
    row(fmt::format("{} fold {}", what, fold), [&](const FoldStatistic& s) { return s.values[fold]; });
  row(what + " mean", [](const FoldStatistic& s) { return s.mean; });
  row(what + " deviation", [](const FoldStatistic& s) { return s.deviation; });
}

}  // namespace

std::vector<FoldStatistic> fold_statistics(const std::vector<HistoryRecord>& records) {
  std::vector<FoldStatistic> statistics;
  if (records.empty()) return statistics;
  for (const auto& [name, first] : records.front().values) {
    if (!is_measured(name)) continue;
    FoldStatistic statistic{.name = name, .values = {}};
    for (const HistoryRecord& record : records)
      if (const auto value = find_value(record.values, name)) statistic.values.push_back(*value);
    if (statistic.values.size() != records.size()) continue;
    const auto count = static_cast<double>(records.size());
    for (const double value : statistic.values) statistic.mean += value / count;
    double squares = 0.0;
    for (const double value : statistic.values) squares += (value - statistic.mean) * (value - statistic.mean);
    statistic.deviation = records.size() > 1 ? std::sqrt(squares / (count - 1.0)) : 0.0;
    statistics.push_back(std::move(statistic));
  }
  return statistics;
}

std::string FoldsResult::to_json() const {
  Json json{{"format", "trainctl-folds"},
            {"version", 1},
            {"status", finished() ? "finished" : "interrupted"},
            {"folds", Json::array()}};
  for (std::size_t fold = 0; fold < runs.size(); ++fold) {
    const Run& run = runs[fold];
    Json entry{{"fold", fold},
               {"run", run.result.directory.string()},
               {"status", run.result.outcome.finished ? "finished" : "interrupted"},
               {"epoch", run.last.epoch},
               {"step", run.last.step},
               {"values", values_to_json(run.last.values)}};
    if (run.best)
      entry["best"] = {
          {"epoch", run.best->epoch}, {"step", run.best->step}, {"values", values_to_json(run.best->values)}};
    json["folds"].push_back(std::move(entry));
  }
  json["final"] = json_of(final);
  json["best"] = json_of(best);
  json["exit_code"] = exit_code();
  return json_text(json, 2) + "\n";
}

std::string FoldsResult::table() const {
  if (final.empty()) return "";
  std::vector<TextTable::Column> columns{{""}};
  for (const FoldStatistic& statistic : final) columns.push_back({statistic.name, TextTable::Align::right});
  TextTable table(columns);
  add_rows(table, *this, final, "final");
  if (!best.empty()) add_rows(table, *this, best, "best");
  return table.text();
}

FoldsResult train_folds(const TrainOptions& options, Observer& observer) {
  if (options.dry_run) fail(ErrorKind::usage, "--fold all: a dry run takes one fold, such as --fold 0");
  const ExperimentSpec spec = load_experiment(options.config, options.overrides).spec;
  FoldsResult result;
  result.folds = folds_of(spec);
  if (options.output) std::filesystem::create_directories(*options.output);
  for (std::int64_t fold = 0; fold < result.folds; ++fold) {
    log::info("fold {} of {}", fold, result.folds);
    TrainOptions one = options;
    one.fold = fold;
    one.name_suffix = fmt::format("-fold{}", fold);
    if (options.output) one.output = *options.output / fmt::format("fold{}", fold);
    result.runs.push_back(with_history(train(one, observer)));
    if (!result.runs.back().result.outcome.finished) return result;
  }
  std::vector<HistoryRecord> last, best;
  for (const FoldsResult::Run& run : result.runs) {
    last.push_back(run.last);
    if (run.best) best.push_back(*run.best);
  }
  result.final = fold_statistics(last);
  if (best.size() == result.runs.size()) result.best = fold_statistics(best);
  result.summary = summary_path(options, spec);
  write_file_atomic(result.summary, result.to_json());
  return result;
}

}  // namespace trainctl
