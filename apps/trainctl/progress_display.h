// How a run shows itself on stderr: a bar on a terminal, one line per report everywhere.
#pragma once

#include <cstdint>
#include <string>

#include "train/trainer.h"

namespace trainctl::app {

/// Reports are lines of the log, and so in log.txt too. The bar is drawn at most ten times a second, only on a
/// terminal, and never waits for a terminal that does not take it.
class ProgressDisplay final : public Observer {
 public:
  explicit ProgressDisplay(bool bar);
  ~ProgressDisplay() override;

  void started(const Schedule& schedule, const Position& position) override;
  void step(const Position& position) override;
  void logged(const StepRecord& record) override;
  void validating(std::int64_t done, std::int64_t samples) override;
  void reported(const HistoryRecord& record, bool is_best) override;
  void saved(const std::filesystem::path& path) override;

 private:
  bool due();
  void draw(const std::string& line);
  void clear();
  std::string training_line(const Position& position, double now);

  bool bar_;
  bool drawn_ = false;
  double last_draw_s_ = 0.0;
  double rate_since_s_ = 0.0;  ///< when `rate_samples_` was the position
  std::int64_t rate_samples_ = 0;
  double samples_per_s_ = 0.0;  ///< smoothed
  std::string loss_;            ///< "train/loss 0.31", as last logged
  Schedule schedule_;
  std::int64_t epochs_ = 0;
  Position position_;
};

}  // namespace trainctl::app
