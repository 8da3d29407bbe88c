// Averages of the weights while a session trains.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "train/session.h"

namespace trainctl {

/// Tells programs how much averages take up, and computes their running statistics anew. What it does follows from the
/// number of updates and the weights alone, so nothing of it is saved.
class Averaging {
 public:
  explicit Averaging(Session& session);

  /// Before the update that makes `steps` of them.
  void set_rates(std::int64_t steps);
  /// Computes the running statistics of an average anew if it says so, when `steps` updates are done, and as long as no
  /// update follows only once: the mean over the batches of the first epoch (all, or `refresh_batches`), as PyTorch's
  /// update_bn has it, but without dropout. The model's own stay. False if `interrupted` said so; it is then to be done
  /// again from the beginning.
  bool refresh(std::string_view average, std::int64_t steps, const std::function<bool()>& interrupted);
  /// Of all averages.
  bool refresh_all(std::int64_t steps, const std::function<bool()>& interrupted);

 private:
  bool refresh(std::size_t index, std::int64_t steps, const std::function<bool()>& interrupted);

  Session& session_;
  std::vector<int> slots_;
  std::vector<bool> fresh_;  ///< refreshed since the last update
};

}  // namespace trainctl
