// Background work costs the other threads little, whatever they have to wait for because of it.
#include "remote/pace.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

using namespace trainctl;

namespace {

/// A machine on which other threads wait for cores: a little always, and more while the thread works or a server has
/// something left to do for it.
struct Machine {
  double usual = 0.02;     ///< seconds waited in each second
  double cost = 0.0;       ///< more of them in each second of work
  double late_s = 0.0;     ///< for so long after work they cost the same
  bool sleepless = false;  ///< whoever sleeps is woken at once
  double now = 0.0, waited = 0.0, left = 0.0, slept = 0.0;

  void pass(double seconds, double costly) {
    now += seconds;
    waited += usual * seconds + cost * costly;
  }
  void work(double seconds) {
    pass(seconds, seconds);
    left = late_s;
  }
  void sleep(double seconds) {
    if (sleepless) return;
    const double costly = std::min(seconds, left);
    left -= costly;
    slept += seconds;
    pass(seconds, costly);
  }
  Pace::Clock clock() {
    return {.now_s = [this] { return now; },
            .waited_s = [this] { return waited; },
            .sleep_s = [this](double seconds) { sleep(seconds); }};
  }
  /// Works in pieces for so long, pauses included; returns how much it worked.
  double keep_busy(double seconds) {
    double worked = 0.0;
    for (const double end = now + seconds; now < end; worked += 0.001) {
      work(0.001);
      Pace::keep();
    }
    return worked;
  }
  double excess() const { return waited - usual * now; }
};

}  // namespace

TEST_CASE("work that costs nothing is not held up") {
  Machine machine;
  Pace pace(machine.clock());
  machine.sleep(5.0);
  pace.begin();
  machine.slept = 0.0;
  CHECK(machine.keep_busy(60.0) > 59.9);
  CHECK(machine.slept == 0.0);
}

TEST_CASE("work that costs others time is held up until it costs little") {
  for (const double late_s : {0.0, 0.1, 0.3}) {
    for (const double usual : {0.0, 0.02, 0.5}) {
      CAPTURE(late_s);
      CAPTURE(usual);
      Machine machine{.usual = usual, .cost = 0.2, .late_s = late_s};
      Pace pace(machine.clock());
      machine.sleep(5.0);
      pace.begin();
      const double worked = machine.keep_busy(600.0);
      const double allowed = Pace::share + usual / 20.0;
      CHECK(machine.excess() < 1.5 * allowed * machine.now);
      CHECK(worked > 0.1 * allowed / machine.cost * machine.now);
      if (late_s == 0.0) CHECK(worked > 0.9 * allowed / machine.cost * 600.0);
    }
  }
}

TEST_CASE("what is usual is learnt while the thread rests, and from pauses") {
  Machine machine;
  Pace pace(machine.clock());
  pace.begin();  // before anything is known
  machine.keep_busy(60.0);
  machine.slept = 0.0;
  CHECK(machine.keep_busy(60.0) > 59.0);
  pace.rest();
  machine.usual = 0.3;
  machine.sleep(30.0);
  pace.begin();
  machine.slept = 0.0;
  CHECK(machine.keep_busy(60.0) > 59.0);
}

TEST_CASE("a pause ends when its sleep does, and there is none at rest, nor for another thread") {
  Machine machine{.cost = 1.0};
  Pace pace(machine.clock());
  machine.work(1.0);
  Pace::keep();
  CHECK(machine.slept == 0.0);
  machine.sleep(5.0);
  pace.begin();
  machine.slept = 0.0;
  std::thread([&] { machine.keep_busy(1.0); }).join();
  CHECK(machine.slept == 0.0);
  machine.sleepless = true;
  machine.keep_busy(1.0);
  machine.sleepless = false;
  machine.keep_busy(1.0);
  CHECK(machine.slept > 0.0);
}

TEST_CASE("threads that want one core wait for it, and the kernel tells") {
  if (!std::filesystem::exists("/proc/self/schedstat")) {
    MESSAGE("skipped: this kernel has no /proc/self/schedstat");
    return;
  }
  CoreWaits waits;
  CHECK(waits.seconds() == 0.0);
  cpu_set_t core;
  CPU_ZERO(&core);
  CPU_SET(sched_getcpu(), &core);
  std::atomic<bool> stop = false;
  std::atomic<int> begun = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      sched_setaffinity(0, sizeof core, &core);
      ++begun;
      while (!stop) {
      }
    });
  }
  while (begun < 2) std::this_thread::yield();
  const double before = waits.seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const double after = waits.seconds();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(after - before > 0.1);
  CHECK(after - before < 3.0);
}
