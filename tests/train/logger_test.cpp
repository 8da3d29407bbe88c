#include "train/logger.h"

#include <doctest/doctest.h>

#include "base/temp_folder.h"

using namespace trainctl;

namespace {

StepRecord line(std::int64_t step) {
  return {.step = step, .epoch = 1, .samples = step, .values = {{"train/loss", 1.0}}};
}
HistoryRecord report(std::int64_t step) {
  return {.epoch = 1, .step = step, .samples = step, .values = {{"val/loss", 1.0}}, .seconds = {}};
}

/// What a new logger finds of a run, told to go no further than `to`.
Logger::Reach found(const RunPaths& paths, const Logger::Reach& to) {
  const Component<Logger> logger("tensorboard");
  return logger->open(paths, to);
}

}  // namespace

TEST_CASE("a logger takes back what a checkpoint does not know, lines and reports each for themselves") {
  const testing::TempFolder folder;
  const RunPaths paths{folder.path()};
  {
    const Component<Logger> logger("tensorboard");
    CHECK(logger->open(paths, {}).line == -1);
    for (const int step : {4, 8, 12, 16}) {
      logger->line(line(step));
      if (step % 8 == 0) logger->report(report(step));
    }
  }
  struct Case {
    Logger::Reach to, left;
  };
  for (const Case& c : {Case{{99, 99}, {16, 16}},
                        {{16, 8}, {16, 8}},  // a stop within the validation at 16
                        {{14, 8}, {12, 8}},
                        {{8, -1}, {8, -1}},
                        {{-1, -1}, {-1, -1}}}) {
    const Logger::Reach left = found(paths, c.to);
    CHECK(left.line == c.left.line);
    CHECK(left.report == c.left.report);
  }
  CHECK(std::filesystem::is_empty(paths.tensorboard()));
}
