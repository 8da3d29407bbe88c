#include "experiment/find_lr.h"

#include "arguments.h"
#include "base/file.h"
#include "base/log.h"
#include "base/signals.h"
#include "output.h"
#include "report/svg_plot.h"
#include "store/json_values.h"

namespace trainctl::app {
namespace {

class FindLr final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("CONFIG", config_, "The experiment, a YAML file.");
    arguments.overrides(options_.overrides);
    arguments.device(options_.device);
    arguments.option("--start", options_.start, "The first learning rate; by default 1e-7.");
    arguments.option("--end", options_.end, "The last one; by default 10.");
    arguments.option("--steps", options_.steps, "Updates; by default 200.");
    arguments.flag("--linear", options_.linear, "Equal steps, rather than equal ratios.");
    arguments.option("--target", options_.target, "PATH",
                     "What grows, such as optimizers.generator.lr; by default the optimizer's learning rate.");
    arguments.option("--monitor", options_.monitor, "NAME", "The training value that is watched; by default the loss.");
    arguments.option("--plot", plot_, "FILE", "Also draw the curve as an SVG picture.");
    arguments.example("trainctl find-lr experiment.yaml --plot lr.svg");
  }

  int run(const Globals& globals) override {
    signals::install();
    options_.config = config_;
    const FindLrResult result = find_lr(options_);
    if (!plot_.empty()) {
      write_file_atomic(plot_, svg_plot(config_, {panel_of(result, !options_.linear)}));
      log::info("wrote {}", plot_);
    }
    if (globals.json)
      print_json(json_of(result));
    else
      print(text_of(result));
    return 0;
  }

 private:
  static Panel panel_of(const FindLrResult& result, bool log_x) {
    Curve losses{.label = result.monitor, .points = {}}, smoothed{.label = result.monitor + ", smoothed", .points = {}};
    for (const FindLrPoint& point : result.points) {
      losses.points.push_back({point.value, point.loss});
      smoothed.points.push_back({point.value, point.smoothed});
    }
    return {.x_label = result.target,
            .y_label = "train/" + result.monitor,
            .curves = {std::move(smoothed), std::move(losses)},
            .log_x = log_x};
  }

  static Json json_of(const FindLrResult& result) {
    Json points = Json::array();
    for (const FindLrPoint& point : result.points) {
      points.push_back({{"value", number_to_json(point.value)},
                        {"loss", number_to_json(point.loss)},
                        {"smoothed", number_to_json(point.smoothed)}});
    }
    Json suggestion;
    if (result.tenth_of_minimum) suggestion["tenth_of_minimum"] = *result.tenth_of_minimum;
    if (result.steepest) suggestion["steepest"] = *result.steepest;
    return {{"target", result.target},
            {"monitor", result.monitor},
            {"suggestion", std::move(suggestion)},
            {"stopped", result.stopped},
            {"points", std::move(points)}};
  }

  static std::string text_of(const FindLrResult& result) {
    std::string text = fmt::format("{} updates; {}\n", result.points.size(), result.stopped);
    if (!result.tenth_of_minimum) {
      return text + fmt::format(
                        "no suggestion: {} never fell clearly below where it began; try other bounds, more --steps, or "
                        "look at the data\n",
                        result.monitor);
    }
    if (result.steepest) text += fmt::format("steepest descent   {:.3g}\n", *result.steepest);
    return text + fmt::format("minimum / 10       {:.3g}\n", *result.tenth_of_minimum);
  }

  FindLrOptions options_;
  std::string config_, plot_;
};

}  // namespace

std::unique_ptr<Command> make_find_lr() {
  return std::make_unique<FindLr>();
}

}  // namespace trainctl::app
