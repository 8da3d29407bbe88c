#include <nlohmann/json.hpp>

#include "arguments.h"
#include "base/byte_count.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "experiment/remote_runs.h"
#include "output.h"

namespace trainctl::app {
namespace {

class Fetch final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("URL", options_.url, "A copy of a run: its store's URL, then <project>/<name>-<n>.");
    arguments.option("--output", output_, "DIR", "The run directory to make; by default runs/<project>/<name>-<n>.");
    arguments.overrides(options_.overrides);
    arguments.example("trainctl fetch s3://bucket/runs/examples/fashion-mnist-lenet-1");
    arguments.example("trainctl fetch s3://bucket/runs/examples/cnn-1 --set remote.endpoint=https://s3.example.org");
  }

  int run(const Globals& globals) override {
    signals::install();
    if (!output_.empty()) options_.output = output_;
    const FetchedRun fetched = fetch_run(options_);
    log::info("{}, {}; {}", counted(fetched.what.files, "file"), human_bytes(static_cast<double>(fetched.what.bytes)),
              fetched.what.step < 0 ? std::string("no checkpoint yet")
                                    : fmt::format("the newest checkpoint is of step {}", fetched.what.step));
    if (globals.json) {
      print_json(
          {{"run", fetched.folder.string()},
           {"files", fetched.what.files},
           {"bytes", fetched.what.bytes},
           {"step", fetched.what.step < 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(fetched.what.step)}});
    } else {
      print(fetched.folder.string() + "\n");
    }
    return 0;
  }

 private:
  FetchOptions options_;
  std::string output_;
};

}  // namespace

std::unique_ptr<Command> make_fetch() {
  return std::make_unique<Fetch>();
}

}  // namespace trainctl::app
