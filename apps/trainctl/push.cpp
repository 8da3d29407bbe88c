#include <nlohmann/json.hpp>

#include "arguments.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "experiment/remote_runs.h"
#include "output.h"

namespace trainctl::app {
namespace {

class Push final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("RUN", run_, "The run directory.");
    arguments.option(
        "--to", options_.to, "URL",
        "The store, below which the run lies as <project>/<name>-<n>; by default as the run's `remote` says.");
    arguments.overrides(options_.overrides);
    arguments.example("trainctl push runs/examples/fashion-mnist-lenet-1");
    arguments.example("trainctl push runs/examples/fashion-mnist-lenet-1 --to s3://bucket/runs");
  }

  int run(const Globals& globals) override {
    signals::install();
    options_.run = run_;
    const Pushed pushed = push_run(options_);
    log::info("copied {}; everything is there", counted(pushed.files, "file"));
    if (globals.json)
      print_json({{"url", pushed.url}, {"files", pushed.files}});
    else
      print(pushed.url + "\n");
    return 0;
  }

 private:
  PushOptions options_;
  std::string run_;
};

}  // namespace

std::unique_ptr<Command> make_push() {
  return std::make_unique<Push>();
}

}  // namespace trainctl::app
