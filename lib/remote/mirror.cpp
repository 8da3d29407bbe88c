#include "remote/mirror.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <utility>

#include "base/byte_count.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "remote/pace.h"

namespace trainctl {
namespace {

constexpr double first_tell_s = 1.0, tell_every_s = 10.0;  // what is left, to who waits
constexpr std::chrono::milliseconds look_every{50};

using Seconds = std::chrono::duration<double>;

/// Signals are for the thread that trains.
void block_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

/// From here on this thread runs only where a processor has nothing else to do. There is no way back without
/// privileges.
void yield_to_all_others() {
  const sched_param none{};
  if (sched_setscheduler(0, SCHED_IDLE, &none) != 0) log::debug("copying: SCHED_IDLE is not available");
}

}  // namespace

Mirror::Mirror(std::unique_ptr<ObjectStore> store, const RunPaths& paths, const std::string& key,
               const Options& options)
    : store_(std::move(store)), options_(options), copier_(*store_, paths, key), url_(copier_.url()) {}

Mirror::~Mirror() {
  leave();
}

void Mirror::start(bool background) {
  background_ = background;
  thread_done_ = false;
  thread_ = std::thread([this] {
    block_signals();
    if (background_) {
      yield_to_all_others();
      work_in_background();
    } else {
      work_to_the_end();
    }
    const std::lock_guard lock(mutex_);
    thread_done_ = true;
    done_.notify_all();
  });
}

void Mirror::set_stage(Stage stage) {
  const std::lock_guard lock(mutex_);
  stage_ = stage;
  wake_.notify_all();
}

void Mirror::leave() {
  if (!thread_.joinable()) return;
  set_stage(Stage::leaving);
  {
    const std::lock_guard lock(mutex_);
    if (!thread_done_) store_->cancel();
  }
  thread_.join();
}

bool Mirror::claim(double seconds) {
  std::unique_lock lock(mutex_);
  claim_awaited_ = true;
  start(true);
  done_.wait_for(lock, Seconds(seconds), [&] { return claim_tried_; });
  claim_awaited_ = false;
  if (claim_failure_) std::rethrow_exception(claim_failure_);
  return claim_tried_;
}

void Mirror::notify() {
  if (!thread_.joinable()) start(true);
  const std::lock_guard lock(mutex_);
  notified_ = true;
  wake_.notify_all();
}

bool Mirror::is_to_leave() {
  const std::lock_guard lock(mutex_);
  return background_ ? stage_ != Stage::idle : stage_ == Stage::leaving;
}

void Mirror::note_failure(const std::string& what, bool definite) {
  if (!failing_)
    log::warn("{}: not copied for now: {}; {}copying is tried again", url_, what,
              background_ && !is_to_leave() ? "training goes on, and " : "");
  else if (what != failure_)
    log::debug("{}: {}", url_, what);
  failing_ = true;
  refused_ = definite;
  failure_ = what;
  pause_s_ = definite ? options_.longest_pause_s
                      : std::clamp(2.0 * pause_s_, options_.first_pause_s, options_.longest_pause_s);
}

void Mirror::note_success(const Copier::Round& round) {
  if (failing_) log::info("{}: copying goes on", url_);
  failing_ = refused_ = false;
  failure_.clear();
  pause_s_ = 0.0;
  complete_ = round.complete;
  more_ = round.more;
  stuck_ = !round.unreadable.empty();
  for (const std::string& problem : round.unreadable) {
    failure_ = problem;
    if (std::ranges::find(told_unreadable_, problem) != told_unreadable_.end()) continue;
    log::warn("not copied: {}", problem);
    told_unreadable_.push_back(problem);
  }
}

bool Mirror::attempt(bool claim_alone) {
  try {
    if (!claimed_) copier_.claim();
    claimed_ = true;
    if (!claim_alone) note_success(copier_.round([this] { return is_to_leave(); }));
    return true;
  } catch (const RemoteError& error) {
    if (error.cause() == RemoteError::Cause::cancelled) return false;
    if (claim_alone && error.cause() == RemoteError::Cause::refused && pass_on(std::current_exception())) return false;
    note_failure(error.what(), error.cause() == RemoteError::Cause::refused);
  } catch (const PlaceTaken& error) {
    if (claim_alone && pass_on(std::current_exception())) return false;
    log::warn("{}; the run itself goes on without copies", error.what());
    failure_ = error.what();
    useless_ = true;
  } catch (const std::exception& error) {
    note_failure(error.what(), false);
  }
  return false;
}

bool Mirror::pass_on(std::exception_ptr failure) {
  const std::lock_guard lock(mutex_);
  if (!claim_awaited_) return false;
  claim_failure_ = std::move(failure);
  return true;
}

void Mirror::sleep_in_background(double seconds) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, Seconds(seconds), [&] { return stage_ != Stage::idle; });
}

void Mirror::work_in_background() {
  Pace pace([this](double seconds) { sleep_in_background(seconds); });
  std::unique_lock lock(mutex_);
  if (claim_awaited_) {
    lock.unlock();
    attempt(true);
    lock.lock();
    claim_tried_ = true;
    done_.notify_all();
  }
  bool began = false, again = false;
  double not_before_s = monotonic_seconds() + pause_s_;
  while (stage_ == Stage::idle && !useless_) {
    if (!notified_ && !(began && again)) {
      wake_.wait(lock);
      continue;
    }
    if (const double left = not_before_s - monotonic_seconds(); left > 0.0) {
      wake_.wait_for(lock, Seconds(left));
      continue;
    }
    notified_ = false;
    began = true;
    lock.unlock();
    const double begin_s = monotonic_seconds();
    pace.begin();
    const bool good = attempt(false);
    pace.rest();
    again = !good || more_;
    not_before_s = !good ? monotonic_seconds() + pause_s_ : more_ ? 0.0 : begin_s + options_.every_s;
    lock.lock();
  }
}

void Mirror::work_to_the_end() {
  pause_s_ = 0.0;
  while (!is_to_leave() && !useless_) {
    const bool good = attempt(false);
    if (good && (complete_ || stuck_)) return;
    if (good) continue;
    if (refused_) return;
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, Seconds(pause_s_), [&] { return stage_ == Stage::leaving; });
  }
}

bool Mirror::wait_until_done(double end_s, const std::function<bool()>& give_up, bool tell) {
  double tell_s = monotonic_seconds() + first_tell_s;
  std::unique_lock lock(mutex_);
  while (!done_.wait_for(lock, look_every, [&] { return thread_done_; })) {
    const double now_s = monotonic_seconds();
    if (now_s >= end_s || give_up()) return false;
    if (!tell || now_s < tell_s) continue;
    tell_s = now_s + tell_every_s;
    const Copier::Left left = copier_.left();
    log::info("{}: still to be copied: {} ({}); at most {} more", url_, counted(left.files, "file"),
              human_bytes(static_cast<double>(left.bytes)), human_duration(end_s - now_s));
  }
  return true;
}

Mirror::End Mirror::finish(double seconds, const std::function<bool()>& give_up) {
  const double end_s = monotonic_seconds() + seconds;
  set_stage(Stage::finishing);
  bool in_time = true;
  if (thread_.joinable()) {
    in_time = wait_until_done(end_s, give_up, true);
    if (!in_time) leave();
    if (thread_.joinable()) thread_.join();
  }
  if (in_time && !useless_) {
    start(false);
    in_time = wait_until_done(end_s, give_up, true);
    if (!in_time) leave();
    if (thread_.joinable()) thread_.join();
  }
  End end{.complete = complete_ && in_time && !failing_ && !useless_, .left = {}, .missing = {}, .reason = failure_};
  if (end.complete) return end;
  try {
    end.missing = copier_.missing();
    end.left = copier_.left();
  } catch (const Error& error) {
    end.reason = error.what();
  }
  return end;
}

}  // namespace trainctl
