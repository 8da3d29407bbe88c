#include "experiment/check.h"

#include "arguments.h"
#include "base/signals.h"
#include "output.h"

namespace trainctl::app {
namespace {

class Check final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("CONFIG", config_, "The experiment, a YAML file.");
    arguments.overrides(options_.overrides);
    arguments.device(options_.device);
    arguments.flag("--no-data", no_data_, "Check the config alone, on a machine that does not have its data.");
    arguments.example("trainctl check experiment.yaml");
    arguments.example("trainctl check experiment.yaml --set model.layers.0.out_channels=64");
  }

  int run(const Globals& globals) override {
    signals::install();
    options_.config = config_;
    options_.read_data = !no_data_;
    const CheckReport report = check(options_);
    const std::string& text = globals.json ? report.json : report.text;
    print(text.ends_with('\n') ? text : text + "\n");
    return 0;
  }

 private:
  CheckOptions options_;
  std::string config_;
  bool no_data_ = false;
};

}  // namespace

std::unique_ptr<Command> make_check() {
  return std::make_unique<Check>();
}

}  // namespace trainctl::app
