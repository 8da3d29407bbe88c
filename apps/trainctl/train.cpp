#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "run_command.h"

namespace trainctl::app {
namespace {

class Train final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("CONFIG", config_, "The experiment, a YAML file.");
    arguments.overrides(options_.overrides);
    arguments.option("--output", output_, "DIR",
                     "The run directory itself, absent or empty; by default <root>/<project>/<name>-<n>.");
    arguments.device(options_.device);
    arguments.choice(
        "--resume", resume_, {"auto"},
        "Continue the newest run of this project and name that agrees with the config; start one if there is none.");
    arguments.option("--fold", fold_, "NUMBER|all",
                     "Train with this fold of data.train.subset and data.val.subset, counted from 0; all: with one "
                     "after another, each in a run of its own, and sum up.");
    arguments.flag("--dry-run", options_.dry_run,
                   "Check, compile, run one training and one validation batch, write nothing.");
    arguments.example("trainctl train experiment.yaml");
    arguments.example(
        "trainctl train experiment.yaml --set optimizer.lr=2e-3 --set trainer.max='5 epochs' --unset policies.stop");
    arguments.example("trainctl train experiment.yaml --fold all --resume auto");
    arguments.example(
        "trainctl train experiment.yaml --resume auto     # in a batch job: run it again after exit code 85");
  }

  int run(const Globals& globals) override {
    options_.config = config_;
    if (!output_.empty()) options_.output = output_;
    options_.resume_auto = resume_ == "auto";
    options_.argv = globals.argv;
    if (fold_ == "all")
      return run_and_show_folds(globals, [&](Observer& observer) { return train_folds(options_, observer); });
    if (!fold_.empty()) options_.fold = parse_fold();
    return run_and_show(globals, [&](Observer& observer) { return train(options_, observer); });
  }

 private:
  std::int64_t parse_fold() const {
    std::int64_t fold = 0;
    const char* end = fold_.data() + fold_.size();
    const auto [stop, error] = std::from_chars(fold_.data(), end, fold);
    if (error == std::errc() && stop == end && fold >= 0) return fold;
    fail(ErrorKind::usage, "--fold: expected a number from 0, or all, got '{}'", printable(fold_));
  }

  TrainOptions options_;
  std::string config_, output_, resume_, fold_;
};

}  // namespace

std::unique_ptr<Command> make_train() {
  return std::make_unique<Train>();
}

}  // namespace trainctl::app
