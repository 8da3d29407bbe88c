#include "experiment/copies.h"

#include "base/byte_count.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"

namespace trainctl {
namespace {

/// How long a fresh run waits for a store's first answer.
constexpr double first_answer_s = 10.0;
constexpr std::size_t most_names = 5;

class Notifying final : public Observer {
 public:
  Notifying(Observer& inner, Mirror& mirror) : inner_(inner), mirror_(mirror) {}
  void started(const Schedule& schedule, const Position& at) override {
    inner_.started(schedule, at);
    log::info("copies go to {}", mirror_.url());
    mirror_.notify();
  }
  void step(const Position& at) override { inner_.step(at); }
  void logged(const StepRecord& record) override { inner_.logged(record); }
  void validating(std::int64_t done, std::int64_t samples) override { inner_.validating(done, samples); }
  void reported(const HistoryRecord& record, bool is_best) override {
    inner_.reported(record, is_best);
    mirror_.notify();
  }
  void saved(const std::filesystem::path& path) override {
    inner_.saved(path);
    mirror_.notify();
  }

 private:
  Observer& inner_;
  Mirror& mirror_;
};

std::string names_text(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < most_names; ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > most_names) text += fmt::format(" and {} more", names.size() - most_names);
  return text;
}

}  // namespace

std::string remote_key(const ExperimentSpec& spec, const RunPaths& paths) {
  std::error_code error;
  std::filesystem::path root = std::filesystem::weakly_canonical(paths.root, error);
  if (error || root.empty()) root = paths.root;
  const std::string folder = root.filename().string();
  const bool named = folder.starts_with(spec.name + "-");
  return spec.output.project + "/" + (named ? folder : spec.name + "-" + folder);
}

RunCopies::RunCopies(const ExperimentSpec& spec, const RunPaths& paths, Start start, Observer& observer)
    : paths_(paths), observer_(&observer) {
  if (!spec.remote || !*spec.remote) return;
  const Remote& remote = **spec.remote;
  wait_s_ = remote.wait.seconds;
  stop_wait_s_ = remote.stop_wait.seconds;
  try {
    mirror_ = std::make_unique<Mirror>(remote.open(), paths, remote_key(spec, paths),
                                       Mirror::Options{.every_s = remote.every.seconds});
    if (start == Start::fresh && !mirror_->claim(first_answer_s)) {
      log::warn("{}: no answer yet; training goes on, and copying is tried again", mirror_->url());
    }
  } catch (const Error& error) {
    if (start == Start::fresh) throw;
    log::warn("{}; the run goes on without copies", error.what());
    mirror_.reset();
    return;
  }
  own_observer_ = std::make_unique<Notifying>(observer, *mirror_);
  observer_ = own_observer_.get();
}

RunCopies::~RunCopies() = default;

RunResult RunCopies::until_copied(const std::function<RunResult()>& work) {
  if (!mirror_) return work();
  try {
    RunResult result = work();
    wait(result.outcome.finished && !result.was_finished ? wait_s_ : stop_wait_s_);
    return result;
  } catch (...) {
    wait(stop_wait_s_);
    throw;
  }
}

void RunCopies::wait(double seconds) {
  const signals::Patience patience;
  const double begin_s = monotonic_seconds();
  const Mirror::End end = mirror_->finish(seconds, [&] { return patience.hurried(); });
  if (end.complete) {
    log::info("{}: everything is copied", mirror_->url());
    return;
  }
  const std::string why = !end.reason.empty() ? end.reason
                          : patience.hurried()
                              ? "a signal ended the wait"
                              : fmt::format("not done within {}", human_duration(monotonic_seconds() - begin_s));
  log::warn("{}: not copied: {} ({}): {}. Missing: {}. `trainctl push {}` copies what is left, as does a resume",
            mirror_->url(), counted(end.left.files, "file"), human_bytes(static_cast<double>(end.left.bytes)), why,
            names_text(end.missing), paths_.root.string());
}

}  // namespace trainctl
