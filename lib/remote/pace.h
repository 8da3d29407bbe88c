// Background work that leaves the cores to those who train.
#pragma once

#include <functional>
#include <map>

namespace trainctl {

/// How long the other threads of this process were ready to run and had no core, as the kernel tells in
/// /proc/self/task/*/schedstat.
class CoreWaits {
 public:
  /// Seconds of all of them together, from some moment on; always 0 where the kernel does not tell.
  double seconds();

 private:
  std::map<int, double> waited_;  // by thread
  double sum_ = 0.0;
};

/// Bounds what the work of a thread costs the other threads of its process. A thread that yields to all others still
/// takes cores from them now and then, and so does a server on the same machine that works for it. What they wait for
/// cores beyond what is usual while the thread rests is kept below `share` of the time and a twentieth of that, by
/// pauses. One for a thread, in whose functions keep() is then called between pieces of work.
class Pace {
 public:
  /// Caches that grow cold and memory that is busy cost several times as much more, in proportion.
  static constexpr double share = 0.001;

  /// Where time comes from, for tests.
  struct Clock {
    std::function<double()> now_s;
    std::function<double()> waited_s;     ///< CoreWaits::seconds
    std::function<void(double)> sleep_s;  ///< may return early: then there is no more pause
  };
  /// Of the calling thread, for as long as it lives. It begins at rest.
  explicit Pace(std::function<void(double)> sleep_s);
  explicit Pace(Clock clock);
  Pace(const Pace&) = delete;
  Pace& operator=(const Pace&) = delete;
  ~Pace();

  /// Between begin() and rest() keep() pauses. What others wait for meanwhile is laid to the thread's charge; what they
  /// wait for at rest is usual.
  void begin();
  void rest();
  /// Pauses the calling thread, if it has a pace and has cost too much.
  static void keep();

 private:
  struct Window {
    double seconds = 0.0, waited = 0.0;
  };
  /// Seconds in each second that the thread may cost.
  double allowed() const { return share + usual_ / 20.0; }
  /// What passed since the last call.
  Window pass();
  void charge(const Window& window);
  void learn(const Window& window);
  void pause();

  Clock clock_;
  bool working_ = false;
  double at_s_ = 0.0, waited_at_s_ = 0.0;
  double look_s_ = 0.0;  ///< what looking at the threads took
  double usual_ = 0.0;   ///< seconds waited in each second at rest
  bool known_ = false;   ///< that is
  double debt_ = 0.0;    ///< seconds that were waited for too much; below 0: that may be
};

}  // namespace trainctl
