// Keeps a copy of a run in a store while the run goes on, in a thread of its own.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "remote/copier.h"

namespace trainctl {

/// Whoever trains only calls notify(). Rounds of copying begin at most every `every_s`; where one fails, it is tried
/// again after pauses that grow, and that is told when it begins and when it ends. The thread runs when no other wants
/// the processor (SCHED_IDLE), and pauses where it costs the others time all the same (Pace), until finish() waits for
/// it.
class Mirror {
 public:
  struct Options {
    double every_s = 30.0;
    double first_pause_s = 1.0;  ///< after a failure; doubled with each that follows
    double longest_pause_s = 300.0;
  };
  struct End {
    bool complete = false;
    Copier::Left left;
    std::vector<std::string> missing;
    std::string reason;  ///< why it is not complete; empty if time was over
  };

  Mirror(std::unique_ptr<ObjectStore> store, const RunPaths& paths, const std::string& key, const Options& options);
  /// Ends what is under way; nothing half copied replaces what was whole.
  ~Mirror();
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  std::string url() const { return url_; }
  /// Makes the place the run's in the thread, and waits for that up to so many seconds. Throws what somebody has to act
  /// on first: a RemoteError `refused`, PlaceTaken. False if that is not known yet; the thread goes on, and it is what
  /// warns of a store that does not answer.
  bool claim(double seconds);
  /// There is something to copy. Never waits.
  void notify();
  /// Copies what is left, trying again for up to so many seconds or until `give_up`; the mirror then rests.
  End finish(double seconds, const std::function<bool()>& give_up);

 private:
  enum class Stage { idle, finishing, leaving };

  void start(bool background);
  void set_stage(Stage stage);
  /// Ends the thread, whatever it does.
  void leave();
  /// Sleeps, but not beyond the work in the background.
  void sleep_in_background(double seconds);
  /// Rounds when notified, until finish() or the end.
  void work_in_background();
  /// Rounds one after another, until all is there or it is of no use.
  void work_to_the_end();
  /// A round, after claim() if need be, or that alone. False if it failed; pause_s_ then says how long not to try
  /// again.
  bool attempt(bool claim_alone);
  /// Hands a failure to a claim() that waits; false if none does.
  bool pass_on(std::exception_ptr failure);
  void note_failure(const std::string& what, bool definite);
  void note_success(const Copier::Round& round);
  bool is_to_leave();
  /// False if time is over first.
  bool wait_until_done(double end_s, const std::function<bool()>& give_up, bool tell);

  std::unique_ptr<ObjectStore> store_;
  Options options_;
  Copier copier_;
  std::string url_;
  std::thread thread_;
  bool background_ = true;

  std::mutex mutex_;  ///< of what follows; held for moments only
  std::condition_variable wake_, done_;
  Stage stage_ = Stage::idle;
  bool notified_ = false;
  bool thread_done_ = true;
  bool claim_awaited_ = false, claim_tried_ = false;
  std::exception_ptr claim_failure_;

  // The thread's own, to be read when it has ended.
  bool claimed_ = false;
  bool complete_ = false, more_ = false, stuck_ = false;  ///< of the last round
  bool failing_ = false, refused_ = false, useless_ = false;
  double pause_s_ = 0.0;
  std::string failure_;
  std::vector<std::string> told_unreadable_;
};

}  // namespace trainctl
