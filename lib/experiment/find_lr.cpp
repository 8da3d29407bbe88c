#include "experiment/find_lr.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/signals.h"
#include "base/text.h"
#include "experiment/experiment.h"
#include "train/session.h"

namespace trainctl {
namespace {

constexpr double memory = 0.95;         // share of the exponential mean that a new loss leaves
constexpr double explosion = 4.0;       // times the least smoothed loss
constexpr std::size_t first_steps = 5;  // at least so many losses are where it begins
constexpr double least_fall = 0.01;     // share of where the loss begins that a fall must exceed
constexpr double least_deviations = 3;  // and of the deviation that chance alone would bring

/// The path of the number that is meant: a learning rate, if none is named. Where a value of `values` stands for it,
/// that value's.
std::string target_of(ExperimentSpec& spec, std::string wanted) {
  if (wanted.empty() && spec.optimizer) wanted = "optimizer.lr";
  if (wanted.empty()) {
    std::vector<std::string> names;
    for (const auto& [name, optimizer] : spec.optimizers) names.push_back(fmt::format("optimizers.{}.lr", name));
    if (names.size() > 1)
      fail(ErrorKind::usage, "there are several optimizers: give --target one of {}", join(names, ", "));
    wanted = names[0];
  }
  std::map<std::string, std::string> paths;
  visit_live(spec, "", [&](Live& live, const std::string& path) { paths[path] = live.path; });
  if (const auto found = paths.find(wanted); found != paths.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [path, driven] : paths) names.push_back(path);
  fail(ErrorKind::usage, "--target: '{}' is not a number that a policy can drive.{}", wanted,
       suggestion(wanted, names));
}

/// Makes the target grow over the test, in place of what drives it in the spec.
void drive(ExperimentSpec& spec, const std::string& target, const FindLrOptions& options) {
  std::erase_if(spec.policies.items, [&](const auto& item) { return item.second->target() == target; });
  const std::int64_t last = options.steps - 1;
  Node policy = Node::map();
  const auto set = [&](const char* key, const std::string& text) { policy.set(key, Node::scalar(text)); };
  set("type", options.linear ? "linear" : "exponential");
  set("target", target);
  if (options.linear) {
    set("start", number_text(options.start));
    set("end", number_text(options.end));
  } else {
    set("initial", number_text(options.start));
    set("multiplier", number_text(options.end / options.start));
    set("every", fmt::format("{} steps", last));
    set("continuous", "true");
  }
  set("over", fmt::format("{} steps", last));
  Component<Policy> component;
  Diagnostics diagnostics;
  component.read(policy, {}, diagnostics);
  diagnostics.throw_if_any();
  spec.policies.items.insert(spec.policies.items.begin(), {"find-lr", std::move(component)});
}

/// Updates as training makes them, and the value of the last one.
class Stepper {
 public:
  Stepper(Session& session, const std::string& monitor) : session_(session) {
    const auto& reported = session.blueprint().assembly().reported("train");
    std::vector<std::string> names;
    for (const auto& each : reported) names.push_back(each.name);
    const std::string wanted = !monitor.empty() ? monitor : names.size() == 1 ? names[0] : "loss";
    const auto found = std::ranges::find(names, wanted);
    if (found == names.end()) {
      fail(ErrorKind::usage, "training does not report '{}'.{} Give --monitor one of {}.", wanted,
           suggestion(wanted, names), join(names, ", "));
    }
    index_ = static_cast<std::size_t>(found - names.begin());
    monitor_ = wanted;
  }
  const std::string& monitor() const { return monitor_; }

  /// One update; returns the monitored value of its batches.
  double step() {
    Blueprint& blueprint = session_.blueprint();
    const Sampler& sampler = blueprint.sampler("train");
    if (offset_ == 0) {
      session_.set_epoch("train", epoch_);
      session_.clear_sums("train");
    }
    for (const DrivenValue& driven : blueprint.driven()) {
      if (driven.policy)
        session_.scalars().set(driven.path, static_cast<float>(driven.at(step_, blueprint.schedule())));
    }
    const std::vector<double> before = session_.read_sums("train");
    const std::int64_t samples =
        std::min(sampler.epoch_samples() - offset_, blueprint.spec().trainer.accumulate * sampler.options().batch_size);
    const std::int64_t batch = batch_;
    for (int entry = 0; entry < blueprint.entries(); ++entry) {
      batch_ = batch;  // each program of the update sees the same batches
      run(entry, samples);
    }
    offset_ += samples;
    if (offset_ == sampler.epoch_samples()) offset_ = 0, ++epoch_;
    ++step_;
    std::vector<double> sums = session_.read_sums("train");
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] -= before[i];
    return session_.measure("train", sums, static_cast<double>(samples))[index_].value;
  }

 private:
  void run(int entry, std::int64_t update_samples) {
    const Sampler& sampler = session_.blueprint().sampler("train");
    for (std::int64_t done = 0; done < update_samples; ++batch_) {
      const std::int64_t samples = sampler.batch_samples(offset_ + done);
      const bool first = done == 0, last = done + samples == update_samples;
      session_.bring("train", epoch_, offset_ + done);
      session_.scalars().set("position", offset_ + done);
      session_.scalars().set("step", batch_);
      session_.scalars().set("batch_weight",
                             static_cast<float>(static_cast<double>(samples) / static_cast<double>(update_samples)));
      const Phase phase = first && last ? Phase::whole
                          : first       ? Phase::begin
                          : last        ? Phase::finish
                                        : Phase::accumulate;
      session_.program({phase, "train", samples, entry, "", session_.blueprint().stage_at(step_)}).run();
      done += samples;
    }
  }

  Session& session_;
  std::string monitor_;
  std::size_t index_ = 0;
  std::int64_t epoch_ = 0, offset_ = 0, step_ = 0, batch_ = 0;
};

const DrivenValue& driven_value(const Blueprint& blueprint, const std::string& target) {
  return *std::ranges::find(blueprint.driven(), target, &DrivenValue::path);
}

/// The test itself, on a session at its start.
void sweep(Session& session, int steps, FindLrResult& result) {
  Stepper stepper(session, result.monitor);
  result.monitor = stepper.monitor();
  const DrivenValue& driven = driven_value(session.blueprint(), result.target);
  double mean = 0.0, share = 1.0, least = INFINITY;
  for (int step = 0; step < steps; ++step) {
    if (signals::stop_requested()) fail(ErrorKind::interrupted, "the test was stopped by a signal");
    const double value = driven.at(step, session.blueprint().schedule());
    const double loss = stepper.step();
    if (!std::isfinite(loss)) {
      if (step == 0) {
        fail(ErrorKind::diverged, "{} is not finite at the very first step, before {} could matter; look at the data",
             result.monitor, result.target);
      }
      result.stopped = fmt::format("{} is not finite at {} = {:.3g}", result.monitor, result.target, value);
      return;
    }
    mean = memory * mean + (1.0 - memory) * loss;
    share *= memory;
    const double smoothed = mean / (1.0 - share);
    result.points.push_back({value, loss, smoothed});
    if (result.points.size() > first_steps && smoothed > explosion * least) {
      result.stopped = fmt::format("{} is more than {} times its least at {} = {:.3g}", result.monitor, explosion,
                                   result.target, value);
      return;
    }
    least = std::min(least, smoothed);
  }
  result.stopped = fmt::format("{} steps are done", steps);
}

}  // namespace

void suggest(FindLrResult& result) {
  const auto& points = result.points;
  const std::size_t beginning = std::max(first_steps, points.size() / 20);
  if (points.size() <= beginning) return;
  const auto least = std::ranges::min_element(points.begin() + static_cast<std::ptrdiff_t>(beginning), points.end(), {},
                                              &FindLrPoint::smoothed);
  double begun = 0.0, squares = 0.0;
  for (std::size_t i = 0; i < beginning; ++i) begun += points[i].loss / static_cast<double>(beginning);
  for (auto at = points.begin() + 1; at <= least; ++at) squares += std::pow(at->loss - (at - 1)->loss, 2);
  // Differences of neighbours tell the noise of a loss, whatever its trend; a mean of n losses has 1/n of its variance.
  const double variance = squares / 2.0 / static_cast<double>(least - points.begin());
  const double deviation =
      std::sqrt(variance * (1.0 / static_cast<double>(beginning) + (1.0 - memory) / (1.0 + memory)));
  const double fall = begun - least->smoothed;
  if (!(fall > least_fall * std::abs(begun)) || !(fall > least_deviations * deviation)) return;
  result.tenth_of_minimum = least->value / 10.0;
  double steepest = 0.0;
  for (auto at = points.begin() + static_cast<std::ptrdiff_t>(beginning); at <= least && at + 1 != points.end(); ++at) {
    const double slope =
        ((at + 1)->smoothed - (at - 1)->smoothed) / (std::log((at + 1)->value) - std::log((at - 1)->value));
    if (slope >= steepest) continue;
    steepest = slope;
    result.steepest = at->value;
  }
}

FindLrResult find_lr(const FindLrOptions& options) {
  if (!(options.start > 0.0) || !(options.end > options.start) || !std::isfinite(options.end))
    fail(ErrorKind::usage, "--start must be above 0 and --end above --start");
  if (options.steps < 10) fail(ErrorKind::usage, "--steps must be at least 10");
  Experiment experiment = load_experiment(options.config, options.overrides);
  experiment.spec.fitted.reset();
  ExperimentSpec& spec = experiment.spec;
  spec.trainer.on_nan = OnNan::stop;  // a loss that is not finite is what ends the search
  FindLrResult result;
  result.target = target_of(spec, options.target);
  result.monitor = options.monitor;
  drive(spec, result.target, options);
  const auto device = open_device(options.device.empty() ? spec.trainer.device : options.device,
                                  static_cast<int>(spec.trainer.threads));
  PreparedBlueprint prepared = prepare_blueprint(spec, describe_data(spec, {"train"}), *device);
  try_alternatives(prepared, *device);
  Session session(*device, *prepared.blueprint, {"train"}, std::move(prepared.plans), std::move(prepared.choices));
  session.reserve();
  session.load_initial_weights();
  session.initialise();
  sweep(session, options.steps, result);
  suggest(result);
  return result;
}

}  // namespace trainctl
