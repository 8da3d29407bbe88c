#include "train/logger.h"

#include <algorithm>

namespace trainctl {
namespace {

/// Lines and reports that a logger lacks, by step; a line comes before the report of its step.
void catch_up(Logger& logger, const Logger::Reach& has, const std::vector<StepRecord>& lines, const History& history) {
  auto line = std::ranges::upper_bound(lines, has.line, {}, &StepRecord::step);
  auto report = std::ranges::upper_bound(history.records, has.report, {}, &HistoryRecord::step);
  while (line != lines.end() || report != history.records.end()) {
    if (report == history.records.end() || (line != lines.end() && line->step <= report->step))
      logger.line(*line++);
    else
      logger.report(*report++);
  }
}

}  // namespace

void Logger::measure(const StateStore&, const Schedule&, std::int64_t, std::int64_t, bool) {}

void open_loggers(const Named<Logger>& loggers, const RunPaths& paths, std::int64_t step, const History& history) {
  if (loggers.items.empty()) return;
  const std::vector<StepRecord> lines = StepsLog::read(paths.steps());
  for (const auto& [name, logger] : loggers) {
    const Logger::Reach has = logger->open(
        paths, {.line = step > 0 ? step : -1, .report = history.records.empty() ? -1 : history.records.back().step});
    catch_up(*logger, has, lines, history);
  }
}

}  // namespace trainctl
