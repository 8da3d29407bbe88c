// What a trainer saves, when, and how a run ends: finished, or stopped to go on later.
#include <algorithm>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "train/stored_choices.h"
#include "train/trainer.h"

namespace trainctl {
namespace {

const char* name(Position::Doing doing) {
  return doing == Position::Doing::train ? "training" : "validation";
}

}  // namespace

void Trainer::save_if_due(bool improved) {
  const auto& checkpoint = session_.blueprint().spec().checkpoint;
  bool due = improved || signals::take_save_request() || (results_due() && host_.position.step != saved_step_);
  if (checkpoint) {
    for (const auto& every : checkpoint->every) {
      if (const auto* progress = std::get_if<Progress>(&every)) {
        const std::int64_t steps = std::max<std::int64_t>(1, session_.blueprint().schedule().steps(*progress));
        due |= host_.position.step % steps == 0 && host_.position.step != saved_step_;
      } else {
        due |= monotonic_seconds() - last_save_s_ >= std::get<WallTime>(every).seconds;
      }
    }
  }
  if (due) save(improved, false);
}

bool Trainer::results_due() const {
  const auto& results = session_.blueprint().spec().results;
  if (!results || !results->every || host_.position.step == 0) return false;
  return host_.position.step % std::max<std::int64_t>(1, session_.blueprint().schedule().steps(*results->every)) == 0;
}

void Trainer::tell_results() {
  if (results_due() && saved_step_ == host_.position.step && !host_.finished) observer_.results_due(saved_step_);
}

void Trainer::save(bool improved, bool must) {
  if (facts_.choices_json.empty()) {
    facts_.data_digest = session_.data_digest();
    facts_.choices_json = choices_to_json(session_.choices());
  }
  check_losses();
  CheckpointContents contents = snapshot_.take(host_, history_, facts_);
  if (!snapshot_.finite()) {
    not_finite(fmt::format("a weight is not finite at step {}", host_.position.step));
    contents = snapshot_.take(host_, history_, facts_);
  }
  const auto& checkpoint = session_.blueprint().spec().checkpoint;
  Retention retention{.last = 2, .best = false};
  if (checkpoint)
    retention = {.last = checkpoint->keep.all ? 0 : static_cast<int>(checkpoint->keep.last),
                 .best = checkpoint->keep.best.has_value()};
  try {
    steps_log_->sync();
    for (const auto& [name, logger] : session_.blueprint().spec().loggers) logger->flush();
    const auto path = checkpoints_.save(host_.position.step, contents, improved, retention);
    saved_step_ = host_.position.step;
    last_save_s_ = monotonic_seconds();
    observer_.saved(path);
  } catch (const Error& error) {
    if (must || error.kind() != ErrorKind::environment) throw;
    last_save_s_ = monotonic_seconds();
    log::error("checkpoint of step {} not saved: {}; training goes on, older checkpoints stand", host_.position.step,
               error.what());
  }
}

Outcome Trainer::finish(std::string reason) {
  host_.reason = requests_.stop ? reason : "";
  if (!refresh_averages(true)) return stop(interrupted());
  host_.finished = true;
  host_.reason = reason;
  history_.status = "finished";
  history_.stop_reason = reason;
  save(improved_, true);
  history_.write(paths_.history());
  announce();
  return {true, std::move(reason), history_.records.empty() ? HistoryRecord{} : history_.records.back()};
}

Outcome Trainer::stop(Interrupt why) {
  const std::string reason =
      why == Interrupt::time ? std::string("trainer.time_limit is reached")
                             : fmt::format("signal {} during {}", signals::stop_signal(), name(host_.position.doing));
  // A rollback is for the moments at which an uninterrupted run would find it due.
  if (session_.blueprint().spec().trainer.on_nan == OnNan::rollback && !losses_finite())
    log::warn("the loss is not finite: nothing is saved, and a resume goes on from the newest checkpoint");
  else
    save(false, true);
  history_.status = "interrupted";
  history_.stop_reason = reason;
  history_.write(paths_.history());
  return {false, reason, history_.records.empty() ? HistoryRecord{} : history_.records.back()};
}

}  // namespace trainctl
