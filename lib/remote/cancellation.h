// An end to waiting, asked for by another thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace trainctl {

/// Once cancelled, for good.
class Cancellation {
 public:
  void cancel() {
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
    }
    changed_.notify_all();
  }
  bool cancelled() const { return cancelled_; }
  /// Sleeps; false as soon as it is cancelled.
  bool sleep(double seconds) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return cancelled_.load(); });
  }

 private:
  std::atomic<bool> cancelled_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace trainctl
