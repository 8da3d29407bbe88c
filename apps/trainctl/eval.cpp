#include <nlohmann/json.hpp>

#include "arguments.h"
#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "experiment/evaluate.h"
#include "experiment/restored.h"
#include "output.h"
#include "store/json_values.h"

namespace trainctl::app {
namespace {

class Eval final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.checkpoint(target_, checkpoint_, options_.weights);
    arguments.option("--split", options_.split, "NAME",
                     "train, val or test; by default test where the config has it, else val.");
    arguments.option("--config", config_, "CONFIG",
                     "Data, loss and metrics from this config; the model must be the same.");
    arguments.option("--package", options_.packages, "TYPE|{type: ...}",
                     "A result package, several if given more often; by default those of the config's `results`.");
    arguments.option("--target", options_.field, "FIELD",
                     "The field that results hold predictions against; by default that of the step's first loss.");
    arguments.option("--output", output_, "DIR",
                     "Writes results there: <split>.json, <split>_predictions.h5 and plots.");
    arguments.overrides(options_.overrides);
    arguments.device(options_.device);
    arguments.example("trainctl eval runs/examples/fashion-mnist-lenet-1");
    arguments.example("trainctl eval runs/examples/fashion-mnist-lenet-1 --package classification --output report");
    arguments.example("trainctl eval runs/examples/fashion-mnist-lenet-1/checkpoints/last.h5 --split train --json");
  }

  int run(const Globals& globals) override {
    signals::install();
    options_.target = choose_checkpoint(target_, checkpoint_, options_.weights);
    if (!config_.empty()) options_.config = config_;
    if (!output_.empty()) options_.output = output_;
    if (output_.empty() && !options_.packages.empty())
      fail(ErrorKind::usage, "--package: say with --output where its results are to be written");
    if (output_.empty() && !options_.field.empty())
      fail(ErrorKind::usage, "--target: say with --output where results are to be written");
    const EvaluateResult result = evaluate(options_);
    log::info("{}: epoch {}, step {}, weights '{}'; {} samples of '{}' in {:.2f} s", result.checkpoint.string(),
              result.epoch, result.step, result.weights, result.samples, result.split, result.seconds);
    if (result.results) log::info("results: {}", result.results->string());
    if (!globals.json) {
      print_values(result.values);
      return 0;
    }
    nlohmann::ordered_json document{{"checkpoint", result.checkpoint.string()},
                                    {"split", result.split},
                                    {"weights", result.weights},
                                    {"epoch", result.epoch},
                                    {"step", result.step},
                                    {"samples", result.samples},
                                    {"values", values_to_json(result.values)},
                                    {"seconds", result.seconds}};
    if (result.results) document["results"] = result.results->string();
    print_json(document);
    return 0;
  }

 private:
  EvaluateOptions options_;
  std::string target_, config_, checkpoint_, output_;
};

}  // namespace

std::unique_ptr<Command> make_eval() {
  return std::make_unique<Eval>();
}

}  // namespace trainctl::app
