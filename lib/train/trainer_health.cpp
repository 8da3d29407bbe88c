// What a trainer does about numbers that are not finite: trainer.on_nan.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "train/trainer.h"

namespace trainctl {
namespace {

/// Rollbacks to the same weights, after which it is clear that they do not help.
constexpr std::int64_t most_rollbacks = 3;

/// A checkpoint to go back to.
struct RollbackTarget {
  CheckpointReader reader;
  std::int64_t step = 0;
  std::int64_t updates = 0;  ///< that its weights hold
};

/// The newest whole checkpoint that is not known to lead nowhere.
std::optional<RollbackTarget> rollback_target(const CheckpointStore& checkpoints, const Health& health) {
  for (const CheckpointStore::File& file : checkpoints.list()) {
    try {
      CheckpointReader reader = open_checkpoint(file.path);
      const HostState then = HostState::from_json(reader.state_json(), file.path.string());
      const std::int64_t step = then.position.step, updates = step - then.health.lost;
      if (step > health.dead_until || updates < health.dead_from)
        return RollbackTarget{std::move(reader), step, updates};
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;  // a damaged one is passed over
    }
  }
  return {};
}

}  // namespace

void Trainer::diverged(std::string reason) {
  history_.status = "diverged";
  history_.stop_reason = std::move(reason);
  history_.write(paths_.history());
  const bool saved = !checkpoints_.list().empty();
  fail(ErrorKind::diverged, "{}; {}. Lower optimizer.lr, add a warm-up, or set trainer.clip_grad_norm, and start again",
       history_.stop_reason,
       saved ? "checkpoints saved before are kept in " + paths_.checkpoints().string() : "nothing was saved before");
}

void Trainer::clear_training_sums() {
  session_.clear_sums("train");
  host_.logged_sums.clear();
  host_.logged_samples = host_.position.offset;
  host_.health.cleared_step = host_.position.step;
  host_.health.skipped = 0;
}

bool Trainer::losses_finite() const {
  return std::ranges::all_of(session_.read_sums("train"), [](double sum) { return std::isfinite(sum); });
}

bool Trainer::check_losses() {
  if (losses_finite()) return true;
  const Position& at = host_.position;
  not_finite(fmt::format("the loss is not finite since step {} (epoch {})",
                         host_.health.cleared_step + session_.finite_updates() + 1, at.epoch + 1));
  return false;
}

void Trainer::not_finite(const std::string& what) {
  if (session_.blueprint().spec().trainer.on_nan != OnNan::rollback) diverged(what);
  Health& health = host_.health;
  auto target = rollback_target(checkpoints_, health);
  if (!target) diverged(what + ", and there is no checkpoint yet that a rollback could lead to");
  if (target->updates == health.rollback_to && health.rollbacks_to_it == most_rollbacks) {
    health.dead_from = health.rollback_to;
    health.dead_until = host_.position.step;
    target = rollback_target(checkpoints_, health);
    if (!target) diverged(fmt::format("{}, after {} rollbacks to the same weights", what, most_rollbacks));
  }
  health.rollbacks_to_it = target->updates == health.rollback_to ? health.rollbacks_to_it + 1 : 1;
  health.rollback_to = target->updates;
  health.lost = host_.position.step - target->updates;
  ++health.rollbacks;
  log::warn("{}; the state of the checkpoint of step {} is taken, and training goes on with the next batch", what,
            target->step);
  snapshot_.restore(target->reader);
  clear_training_sums();
  health.uncounted = host_.position.offset;
}

void Trainer::check_skipped() {
  std::int64_t skipped = 0;
  std::size_t at = 0;
  const std::vector<double> sums = session_.read_sums("train");
  for (const auto& reported : session_.blueprint().assembly().reported("train")) {
    if (reported.skipped) skipped = std::max(skipped, static_cast<std::int64_t>(sums[at]));
    at += reported.numbers;
  }
  const std::int64_t now = skipped - host_.health.skipped;
  if (now == 0) return;
  const std::int64_t before = history_.records.empty() ? 0 : history_.records.back().step;
  const std::int64_t updates = host_.position.step - before;
  if (now >= updates)
    diverged(fmt::format("all {} updates up to step {} were skipped, since their loss or gradients are not finite", now,
                         host_.position.step));
  log::warn("{} of the {} updates up to step {} were skipped, since their loss or gradients are not finite", now,
            updates, host_.position.step);
  host_.health.skipped = skipped;
}

}  // namespace trainctl
