#include "experiment/remote_runs.h"
#include "remote/remote_url.h"
#include "run_command.h"

namespace trainctl::app {
namespace {

class Resume final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("RUN", run_, "The run directory, or the URL of a copy, which is fetched first.");
    arguments.overrides(options_.overrides);
    arguments.option("--more", more_, "DURATION",
                     "Train longer than trainer.max by so much, as in --more \"10 epochs\".");
    arguments.flag("--force", options_.force, "Take changes that may change the results.");
    arguments.option("--output", output_, "DIR",
                     "With a URL: the run directory; by default runs/<project>/<name>-<n>.");
    arguments.device(options_.device);
    arguments.example("trainctl resume runs/examples/fashion-mnist-lenet-1");
    arguments.example("trainctl resume runs/examples/fashion-mnist-lenet-1 --more \"10 epochs\"");
    arguments.example("trainctl resume s3://bucket/runs/examples/fashion-mnist-lenet-1");
  }

  int run(const Globals& globals) override {
    const bool is_url = is_remote_url(run_);
    if (!is_url && !output_.empty())
      fail(ErrorKind::usage, "--output: goes with the URL of a copy; a run stays in place");
    if (!more_.empty()) options_.more = parse_progress(more_);
    options_.argv = globals.argv;
    options_.run = run_;
    return run_and_show(globals, [&](Observer& observer) {
      if (is_url) fetch();
      return resume(options_, observer);
    });
  }

 private:
  void fetch() {
    FetchOptions fetch{.url = run_, .output = {}, .overrides = options_.overrides};
    if (!output_.empty()) fetch.output = output_;
    ToResume resume = run_to_resume(fetch);
    options_.run = std::move(resume.run);
    options_.overrides = std::move(resume.overrides);
  }

  ResumeOptions options_;
  std::string run_, more_, output_;
};

}  // namespace

std::unique_ptr<Command> make_resume() {
  return std::make_unique<Resume>();
}

}  // namespace trainctl::app
