#include "train/trainer.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/error.h"
#include "base/signals.h"

namespace trainctl {

Trainer::Trainer(Session& session, const RunPaths& paths, SnapshotFacts facts, Observer& observer)
    : session_(session),
      paths_(paths),
      facts_(std::move(facts)),
      observer_(observer),
      averaging_(session),
      snapshot_(session),
      checkpoints_(paths.checkpoints()) {
  for (const DrivenValue& driven : session.blueprint().driven()) {
    driven_slots_.push_back(driven.policy ? session.scalars().slot(driven.path) : -1);
  }
  position_slot_ = session.scalars().slot("position");
  step_slot_ = session.scalars().slot("step");
  weight_slot_ = session.scalars().slot("batch_weight");
}

void Trainer::begin() {
  session_.initialise();
  checkpoints_.prepare();
  steps_log_.emplace(paths_.steps(), 0);
  history_.write(paths_.history());
  open_loggers(session_.blueprint().spec().loggers, paths_, 0, history_);
}

void Trainer::resume(const CheckpointReader& reader) {
  host_ = HostState::from_json(reader.state_json(), reader.path().string());
  if (!snapshot_.restore(reader)) {
    host_.logged_sums.clear();  // of other metrics: the next line of steps.jsonl is of the whole epoch
    host_.logged_samples = 0;
  }
  history_ = History::from_json(reader.history_json(), reader.path().string());
  for (const auto& [name, policy] : session_.blueprint().spec().policies) {
    if (const auto found = host_.policies.find(name); found != host_.policies.end()) policy->restore(found->second);
  }
  checkpoints_.prepare();
  saved_step_ = host_.position.step;
  std::optional<std::int64_t> best;
  if (history_.best) best = history_.best->step;
  checkpoints_.rewind(host_.position.step, best);
  steps_log_.emplace(paths_.steps(), host_.position.step);
  history_.status = host_.finished ? "finished" : "running";
  history_.stop_reason = host_.reason;
  history_.write(paths_.history());
  open_loggers(session_.blueprint().spec().loggers, paths_, host_.position.step, history_);
}

Outcome Trainer::run() {
  const Schedule& schedule = session_.blueprint().schedule();
  started_s_ = last_save_s_ = monotonic_seconds();
  const bool was_finished = host_.finished;
  // A policy had ended the run, and a signal came before all was done.
  if (!was_finished && !host_.reason.empty()) requests_.ask_stop(host_.reason);
  host_.finished = false;
  host_.reason.clear();
  history_.status = "running";
  history_.stop_reason.clear();
  observer_.started(schedule, host_.position);
  Position& at = host_.position;
  if (at.doing == Position::Doing::train && !history_.records.empty() && history_.records.back().step == at.step)
    announce();                      // what the last report was to bring about may not have been done
  if (was_finished) requests_ = {};  // it is to go on all the same
  if (!was_finished) tell_results();
  while (true) {
    if (at.doing == Position::Doing::train) {
      if (requests_.stop) return finish(requests_.stop_reason);
      if (at.step >= schedule.total_steps) return finish(fmt::format("reached trainer.max after {} steps", at.step));
      const Interrupt interrupt = train_until_report();
      if (interrupt != Interrupt::none) return stop(interrupt);
      check_losses();
      at.doing = Position::Doing::validate;
    }
    if (!validate()) return stop(interrupted());
    report();
    if (at.offset == schedule.samples_per_epoch) end_epoch();
    at.doing = Position::Doing::train;
    if (requests_.stop || at.step >= schedule.total_steps) continue;
    save_if_due(improved_);
    announce();
    tell_results();
    if (requests_.stop) return finish(requests_.stop_reason);
    if (const Interrupt interrupt = interrupted(); interrupt != Interrupt::none) return stop(interrupt);
  }
}

Trainer::Interrupt Trainer::interrupted() const {
  if (signals::stop_requested()) return Interrupt::stop;
  const auto& limit = session_.blueprint().spec().trainer.time_limit;
  if (limit && monotonic_seconds() - started_s_ >= limit->seconds) return Interrupt::time;
  return Interrupt::none;
}

bool Trainer::report_due() const {
  const Schedule& schedule = session_.blueprint().schedule();
  const Position& at = host_.position;
  const std::int64_t every = schedule.steps(session_.blueprint().spec().trainer.validate_every);
  return at.offset == schedule.samples_per_epoch || at.step >= schedule.total_steps ||
         at.step % std::max<std::int64_t>(1, every) == 0;
}

Trainer::Interrupt Trainer::train_until_report() {
  const TrainerSpec& spec = session_.blueprint().spec().trainer;
  const std::int64_t log_every = std::max<std::int64_t>(1, session_.blueprint().schedule().steps(spec.log_every));
  Position& at = host_.position;
  session_.set_epoch("train", at.epoch);
  if (at.offset == 0) {
    clear_training_sums();
    host_.health.uncounted = 0;
  }
  const double start = monotonic_seconds();
  Interrupt interrupt = Interrupt::none;
  while (interrupt == Interrupt::none) {
    update();
    if (at.step % log_every == 0) log_step();
    observer_.step(at);
    if (report_due()) break;
    interrupt = interrupted();
    if (interrupt != Interrupt::none) break;
    save_if_due(false);
    tell_results();
  }
  session_.device().synchronize();
  if (report_due()) measure();
  train_s_ += monotonic_seconds() - start;
  return report_due() ? Interrupt::none : interrupt;
}

void Trainer::set_driven(std::int64_t step) {
  const auto& driven = session_.blueprint().driven();
  for (std::size_t i = 0; i < driven.size(); ++i) {
    if (driven_slots_[i] < 0) continue;
    session_.scalars().set(driven_slots_[i], static_cast<float>(driven[i].at(step, session_.blueprint().schedule())));
  }
}

void Trainer::run_batch(Phase phase, std::int64_t samples, std::int64_t update_samples, int entry) {
  Position& at = host_.position;
  ScalarRow& scalars = session_.scalars();
  session_.bring("train", at.epoch, at.offset);
  scalars.set(position_slot_, at.offset);
  scalars.set(step_slot_, at.batch);
  scalars.set(weight_slot_, static_cast<float>(static_cast<double>(samples) / static_cast<double>(update_samples)));
  session_.program({phase, "train", samples, entry, "", session_.blueprint().stage_at(at.step)}).run();
  at.offset += samples;
  at.samples += samples;
  ++at.batch;
}

void Trainer::update() {
  const Sampler& sampler = session_.blueprint().sampler("train");
  const std::int64_t accumulate = session_.blueprint().spec().trainer.accumulate;
  set_driven(host_.position.step);
  averaging_.set_rates(host_.position.step + 1);
  const std::int64_t left = sampler.epoch_samples() - host_.position.offset;
  const std::int64_t update_samples = std::min(left, accumulate * sampler.options().batch_size);
  const std::int64_t batches = (update_samples + sampler.options().batch_size - 1) / sampler.options().batch_size;
  accumulated_ = batches > 1;
  const Position start = host_.position;
  for (int entry = 0; entry < session_.blueprint().entries(); ++entry) {
    host_.position = start;  // each program of the update sees the same batches
    for (std::int64_t i = 0; i < batches; ++i) {
      const Phase phase = batches == 1      ? Phase::whole
                          : i == 0          ? Phase::begin
                          : i + 1 < batches ? Phase::accumulate
                                            : Phase::finish;
      run_batch(phase, sampler.batch_samples(host_.position.offset), update_samples, entry);
    }
  }
  ++host_.position.step;
}

void Trainer::log_step() {
  const Position& at = host_.position;
  if (!check_losses()) return;
  const std::vector<double> sums = session_.read_sums("train");
  std::vector<double> since = sums;
  for (std::size_t i = 0; i < host_.logged_sums.size(); ++i) since[i] -= host_.logged_sums[i];
  StepRecord record{.step = at.step, .epoch = at.epoch + 1, .samples = at.samples, .values = {}};
  for (const Measured& value :
       session_.measure("train", since, static_cast<double>(at.offset - host_.logged_samples))) {
    record.values.emplace_back(value.name, value.value);
  }
  for (const DrivenValue& driven : session_.blueprint().driven()) {
    record.values.emplace_back(driven.shown_as, driven.at(at.step - 1, session_.blueprint().schedule()));
  }
  host_.logged_sums = sums;
  host_.logged_samples = at.offset;
  steps_log_->append(record);
  for (const auto& [name, logger] : session_.blueprint().spec().loggers) logger->line(record);
  observer_.logged(record);
}

bool Trainer::refresh_averages(bool all) {
  const std::int64_t step = host_.position.step;
  const std::string& used = session_.blueprint().spec().trainer.evaluate.name;
  const auto asked = [&] { return interrupted() != Interrupt::none; };
  if (all) return averaging_.refresh_all(step, asked);
  return used == model_weights || averaging_.refresh(used, step, asked);
}

bool Trainer::validate() {
  validation_sums_.clear();
  const Blueprint& blueprint = session_.blueprint();
  const Schedule& schedule = blueprint.schedule();
  Position& at = host_.position;
  if (!blueprint.spec().data.val) return true;
  const std::int64_t every = std::max<std::int64_t>(1, schedule.steps(blueprint.spec().trainer.validate_every));
  if (at.step % every != 0 && at.step < schedule.total_steps) return true;

  const double start = monotonic_seconds();
  const Sampler& sampler = blueprint.sampler("val");
  session_.set_epoch("val", 0);
  set_driven(at.step - 1);  // as the last update had them; a resume may begin here
  if (at.validated == 0) {
    session_.clear_sums("val");
    if (!refresh_averages(false)) return false;
  }
  while (at.validated < sampler.epoch_samples()) {
    if (interrupted() != Interrupt::none) return false;
    const std::int64_t samples = sampler.batch_samples(at.validated);
    session_.bring("val", 0, at.validated);
    session_.scalars().set(position_slot_, at.validated);
    session_.program(blueprint.evaluation("val", samples)).run();
    at.validated += samples;
    observer_.validating(at.validated, sampler.epoch_samples());
  }
  at.validated = 0;
  validation_sums_ = session_.read_sums("val");
  validate_s_ += monotonic_seconds() - start;
  return true;
}

void Trainer::report() {
  const Blueprint& blueprint = session_.blueprint();
  const Position& at = host_.position;
  HistoryRecord record{.epoch = at.epoch + 1, .step = at.step, .samples = at.samples, .values = {}, .seconds = {}};
  check_skipped();
  const std::vector<double> sums = session_.read_sums("train");
  for (const Measured& value : session_.measure("train", sums, static_cast<double>(at.offset - host_.health.uncounted)))
    record.values.emplace_back(value.name, value.value);
  if (!validation_sums_.empty()) {
    const auto samples = static_cast<double>(blueprint.sampler("val").epoch_samples());
    for (const Measured& value : session_.measure("val", validation_sums_, samples))
      record.values.emplace_back(value.name, value.value);
  }
  for (const DrivenValue& driven : blueprint.driven())
    record.values.emplace_back(driven.shown_as, driven.at(at.step - 1, blueprint.schedule()));
  if (blueprint.spec().trainer.on_nan == OnNan::rollback)
    record.values.emplace_back("rollbacks", static_cast<double>(host_.health.rollbacks));
  std::vector<double> added;
  for (const auto& [name, policy] : blueprint.spec().policies) {
    for (const double value : policy->added()) added.push_back(value);
  }
  for (std::size_t i = 0; i < added.size(); ++i) record.values.emplace_back(blueprint.added_names()[i], added[i]);
  record.seconds = {{"train", train_s_}, {"validate", validate_s_}};
  train_s_ = validate_s_ = 0.0;

  HistoryRecord seen = record;
  for (const auto& [name, policy] : blueprint.spec().policies) {
    policy->report(seen, requests_);
    host_.policies[name] = policy->state();
    // What one policy changes, the next sees.
    for (const DrivenValue& driven : blueprint.driven()) {
      const auto shown = std::ranges::find(seen.values, driven.shown_as, &NamedValues::value_type::first);
      shown->second = driven.at(at.step - 1, blueprint.schedule());
    }
  }
  improved_ = false;
  if (blueprint.spec().checkpoint && blueprint.spec().checkpoint->keep.best) {
    const BestSpec& best = *blueprint.spec().checkpoint->keep.best;
    const auto value = find_value(record.values, best.monitor.name);
    const bool better = value && !std::isnan(*value) &&
                        (!history_.best || std::isnan(history_.best->value) ||
                         (best.mode == Mode::min ? *value < history_.best->value : *value > history_.best->value));
    if (better)
      history_.best = {best.monitor.name, best.mode == Mode::min ? "min" : "max", *value, record.epoch, record.step};
    improved_ = better;
  }
  history_.records.push_back(record);
  history_.write(paths_.history());
  for (const auto& [name, logger] : blueprint.spec().loggers) logger->report(record);
  observer_.reported(record, improved_);
}

void Trainer::measure() {
  for (const auto& [name, policy] : session_.blueprint().spec().policies) {
    policy->measure(session_.state(), accumulated_);
    host_.policies[name] = policy->state();
  }
  const std::int64_t last = history_.records.empty() ? 0 : history_.records.back().step;
  for (const auto& [name, logger] : session_.blueprint().spec().loggers) {
    logger->measure(session_.state(), session_.blueprint().schedule(), host_.position.step, last, accumulated_);
  }
}

void Trainer::announce() {
  if (history_.records.empty()) return;
  const HistoryRecord& record = history_.records.back();
  for (const auto& [name, policy] : session_.blueprint().spec().policies) {
    policy->happened({.policy = name,
                      .record = record,
                      .run = paths_.root,
                      .epoch = host_.position.offset == 0,
                      .best = history_.best && history_.best->step == record.step,
                      .end = host_.finished},
                     requests_);
  }
}

void Trainer::end_epoch() {
  ++host_.position.epoch;
  host_.position.offset = 0;
}

}  // namespace trainctl
