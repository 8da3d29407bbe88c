#include <nlohmann/json.hpp>

#include "arguments.h"
#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "experiment/predict.h"
#include "experiment/restored.h"
#include "output.h"

namespace trainctl::app {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const PredictedOutput& output) {
  Json json{{"name", output.name.empty() ? "output" : output.name},
            {"shape", std::vector<std::int64_t>(output.shape.begin(), output.shape.end())}};
  json["classes"] = output.link == Link::none ? Json() : Json(output.labels());
  return json;
}

class Predict final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.checkpoint(target_, checkpoint_, options_.weights);
    arguments.positionals("INPUT", options_.inputs,
                          "Samples without targets: files or folders of the kind that the experiment reads, or a data "
                          "set as in '{type: npy, input: new.npy}'; several are read one after another.",
                          false);
    arguments.option("--output", output_, "FILE", "Where predictions are written: .h5 or .csv.");
    arguments.option("--split", options_.split, "NAME",
                     "Whose transforms and data set tell how INPUT is read, by default test, else val, else train; "
                     "without INPUT, whose data are predicted.");
    arguments.option("--batch-size", batch_size_, "Samples at a time; by default the split's.");
    arguments.overrides(options_.overrides);
    arguments.device(options_.device);
    arguments.example("trainctl predict runs/examples/iris-1 flowers.csv --output species.csv");
    arguments.example("trainctl predict runs/examples/digits-1 scans/ --output digits.h5");
    arguments.example("trainctl predict runs/examples/digits-1 --split test --output test.h5");
  }

  int run(const Globals& globals) override {
    signals::install();
    if (output_.empty()) fail(ErrorKind::usage, "say with --output FILE.h5 or FILE.csv where predictions are written");
    options_.target = choose_checkpoint(target_, checkpoint_, options_.weights);
    options_.output = output_;
    options_.batch_size = batch_size_;
    const PredictResult result = predict(options_);
    log::info("{}: epoch {}, step {}, weights '{}'; {} samples in {:.2f} s", result.checkpoint.string(), result.epoch,
              result.step, result.weights, result.samples, result.seconds);
    if (!globals.json) {
      print(result.output.string() + "\n");
      return 0;
    }
    Json outputs = Json::array();
    for (const PredictedOutput& output : result.outputs) outputs.push_back(json_of(output));
    print_json({{"checkpoint", result.checkpoint.string()},
                {"weights", result.weights},
                {"epoch", result.epoch},
                {"step", result.step},
                {"split", result.split},
                {"samples", result.samples},
                {"output", result.output.string()},
                {"outputs", outputs},
                {"seconds", result.seconds}});
    return 0;
  }

 private:
  PredictOptions options_;
  std::string target_, output_, checkpoint_;
  int batch_size_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_predict() {
  return std::make_unique<Predict>();
}

}  // namespace trainctl::app
