// Two queues of work as a GPU has them, for tests: what is enqueued runs later, in the worst order that marks allow.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "base/error.h"

namespace toy {

class Queues {
 public:
  enum class Name : std::uint8_t { launches, copies };
  /// Which of the two is infinitely fast: it runs at once what it may. The other one runs only when it must.
  enum class Fast : std::uint8_t { launches, copies };

  explicit Queues(Fast fast) : fast_(fast) {}

  void add(Name name, std::function<void()> work) { push(name, {.work = std::move(work)}); }
  int make_event() {
    recorded_.push_back(0);
    reached_.push_back(0);
    return static_cast<int>(recorded_.size()) - 1;
  }
  /// The event is reached when all that the queue has been given so far is done.
  void record(int event, Name name) { push(name, {.event = event, .time = ++recorded_[event], .waits = false}); }
  /// What the queue is given from now on waits for the event as it was recorded last.
  void wait(int event, Name name) { push(name, {.event = event, .time = recorded_[event], .waits = true}); }
  bool reached(int event) const { return reached_[event] == recorded_[event]; }
  void run_until_reached(int event) {
    while (!reached(event)) trainctl::require(step(), "the queues wait for each other");
  }
  void run_until_idle(Name name) {
    while (!queue(name).empty()) trainctl::require(step(), "the queues wait for each other");
  }

 private:
  struct Item {
    std::function<void()> work = {};
    int event = -1;
    std::uint64_t time = 0;
    bool waits = false;
  };
  std::deque<Item>& queue(Name name) { return queues_[static_cast<int>(name)]; }
  void push(Name name, Item item) {
    queue(name).push_back(std::move(item));
    while (run(static_cast<Name>(fast_))) {
    }
  }
  /// One more item, if the queue's first waits for nothing.
  bool run(Name name) {
    if (queue(name).empty()) return false;
    Item& first = queue(name).front();
    if (first.waits && reached_[first.event] < first.time) return false;
    const Item item = std::move(first);
    queue(name).pop_front();
    if (item.work) item.work();
    if (item.event >= 0 && !item.waits) reached_[item.event] = item.time;
    return true;
  }
  bool step() {
    const bool launches = fast_ == Fast::launches;
    return run(launches ? Name::launches : Name::copies) || run(launches ? Name::copies : Name::launches);
  }

  Fast fast_;
  std::deque<Item> queues_[2];
  std::vector<std::uint64_t> recorded_, reached_;  // by event
};

}  // namespace toy
