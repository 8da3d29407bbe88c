#include "run_command.h"

namespace trainctl::app {
namespace {

class Resume final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("RUN", run_, "The run directory.");
    arguments.overrides(options_.overrides);
    arguments.option("--more", more_, "DURATION",
                     "Train longer than trainer.max by so much, as in --more \"10 epochs\".");
    arguments.flag("--force", options_.force, "Take changes that may change the results.");
    arguments.device(options_.device);
    arguments.example("trainctl resume runs/examples/fashion-mnist-lenet-1");
    arguments.example("trainctl resume runs/examples/fashion-mnist-lenet-1 --more \"10 epochs\"");
  }

  int run(const Globals& globals) override {
    options_.run = run_;
    if (!more_.empty()) options_.more = parse_progress(more_);
    options_.argv = globals.argv;
    return run_and_show(globals, [&](Observer& observer) { return resume(options_, observer); });
  }

 private:
  ResumeOptions options_;
  std::string run_, more_;
};

}  // namespace

std::unique_ptr<Command> make_resume() {
  return std::make_unique<Resume>();
}

}  // namespace trainctl::app
