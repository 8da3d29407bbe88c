#include "experiment/bench.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "base/clock.h"
#include "base/error.h"
#include "base/signals.h"
#include "train/averaging.h"
#include "train/session.h"

namespace trainctl {
namespace {

/// Seconds since this process was started, by the kernel's own record (resolution 1/100 s), refined by nothing: good to
/// 10 ms.
double seconds_since_process_start() {
  std::ifstream stat("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(stat)), {});
  const auto after_name = text.rfind(')');
  if (after_name == std::string::npos) return 0.0;
  long long start_ticks = 0;
  int field = 2;
  for (const char* at = text.c_str() + after_name + 1; *at && field < 22; ++at) {
    if (*at == ' ' && ++field == 22) start_ticks = std::atoll(at + 1);
  }
  std::ifstream uptime("/proc/uptime");
  double up = 0.0;
  uptime >> up;
  return up - static_cast<double>(start_ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double peak_rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

/// Training updates one after another, without validation, policies' reports or files.
class Stepper {
 public:
  explicit Stepper(Session& session)
      : session_(session), averaging_(session), sampler_(session.blueprint().sampler("train")) {}

  /// One update; returns its samples.
  std::int64_t step() {
    const Blueprint& blueprint = session_.blueprint();
    const std::int64_t batch = sampler_.options().batch_size;
    if (offset_ + batch > sampler_.epoch_samples()) {
      offset_ = 0;
      ++epoch_;
    }
    if (offset_ == 0) session_.set_epoch("train", epoch_);
    ScalarRow& scalars = session_.scalars();
    for (const DrivenValue& driven : blueprint.driven()) {
      if (driven.policy) scalars.set(driven.path, static_cast<float>(driven.at(step_, blueprint.schedule())));
    }
    averaging_.set_rates(step_ + 1);
    session_.bring("train", epoch_, offset_);
    scalars.set("position", offset_);
    scalars.set("step", step_);
    for (int entry = 0; entry < blueprint.entries(); ++entry)
      session_.program({Phase::whole, "train", batch, entry}).run();
    offset_ += batch;
    ++step_;
    return batch;
  }

  /// The loss of the last update, from the running sums.
  double loss() {
    const double sum = session_.read_sums("train").front();
    const double loss = (sum - sum_) / static_cast<double>(sampler_.options().batch_size);
    sum_ = sum;
    return loss;
  }

 private:
  Session& session_;
  Averaging averaging_;
  const Sampler& sampler_;
  std::int64_t epoch_ = 0, offset_ = 0, step_ = 0;
  double sum_ = 0.0;
};

/// Updates that take about a second.
int steps_in_a_second(Stepper& stepper, Device& device) {
  const double start = monotonic_seconds();
  constexpr int tried = 3;
  for (int i = 0; i < tried; ++i) stepper.step();
  device.synchronize();
  return static_cast<int>(std::clamp(tried / (monotonic_seconds() - start), 3.0, 2000.0)) + 1;
}

}  // namespace

BenchResult bench(const BenchOptions& options) {
  Experiment experiment = load_experiment(options.config, options.overrides);
  experiment.spec.fitted.reset();
  ExperimentSpec& spec = experiment.spec;
  const auto device = open_device(options.device.empty() ? spec.trainer.device : options.device,
                                  static_cast<int>(spec.trainer.threads));
  PreparedBlueprint prepared = prepare_blueprint(spec, describe_data(spec, {"train"}), *device);
  try_alternatives(prepared, *device);
  Session session(*device, *prepared.blueprint, {"train"}, std::move(prepared.plans), std::move(prepared.choices));
  session.initialise();
  Stepper stepper(session);

  BenchResult result;
  result.device = device->description();
  result.threads = device->threads();
  result.batch = spec.data.train.batch_size;
  stepper.step();
  result.losses.push_back(stepper.loss());
  device->synchronize();
  result.first_step_s = seconds_since_process_start();

  const int steps = options.steps > 0 ? options.steps : steps_in_a_second(stepper, *device);
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    std::int64_t samples = 0;
    const double start = monotonic_seconds();
    for (int i = 1; i < steps; ++i) {
      if (signals::stop_requested()) fail(ErrorKind::interrupted, "the benchmark was stopped by a signal");
      samples += stepper.step();
      if (repeat == 0) result.losses.push_back(stepper.loss());
    }
    device->synchronize();
    result.samples_per_s.push_back(static_cast<double>(samples) / (monotonic_seconds() - start));
  }
  std::vector<double> sorted = result.samples_per_s;
  std::ranges::sort(sorted);
  result.median_samples_per_s = sorted[sorted.size() / 2];
  result.peak_rss_mib = peak_rss_mib();
  result.peak_device_mib = static_cast<double>(device->peak_bytes()) / (1 << 20);
  result.arena_bytes = session.programs().arena_bytes();
  result.state_bytes = session.state().bytes();

  if (!options.ops) return result;
  Program& program = session.program({Phase::whole, "train", result.batch});
  for (const StepTime& time : program.profile(std::min(steps, device->concurrent() ? 5 : 100))) {
    result.ops.push_back({.op = std::string(time.step->op->name()),
                          .path = time.step->path,
                          .implementation = time.step->kernel->name + " " + time.step->plan.implementation,
                          .median_s = time.median_s,
                          .flops = time.step->cost.flops,
                          .bytes = time.step->cost.bytes,
                          .reference = time.step->kernel->priority == priority::reference});
  }
  return result;
}

}  // namespace trainctl
