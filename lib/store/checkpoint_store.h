// The checkpoints of a run: step-00000469.h5 ..., with last.h5 and best.h5 as links to them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "store/checkpoint.h"

namespace trainctl {

/// Which checkpoints stay: the newest `last` by step (0: all), and always the one best.h5 points at if `best`.
struct Retention {
  int last = 2;
  bool best = true;
};

/// A folder of checkpoints. Their order is that of their steps; clocks play no part. Methods that change the folder are
/// for the holder of the run's lock.
class CheckpointStore {
 public:
  struct File {
    std::filesystem::path path;
    std::int64_t step = 0;
  };
  struct Refused {
    std::filesystem::path path;
    std::string reason;
  };
  struct Found {
    File file;
    CheckpointReader reader;
    std::vector<Refused> refused;  ///< newer ones that are damaged, newest first
  };

  /// The step of "step-00000469.h5"; nothing for any other name.
  static std::optional<std::int64_t> step_of(const std::string& file_name);

  /// Does not touch the disk.
  explicit CheckpointStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const std::filesystem::path& folder() const { return folder_; }

  /// Creates the folder if missing and removes what killed writers left.
  void prepare();
  /// Writes step-<step>.h5, then moves last.h5 (and best.h5), then removes what `retention` lets go. An environment
  /// Error leaves the older checkpoints and links as they were.
  std::filesystem::path save(std::int64_t step, const CheckpointContents& contents, bool is_best, Retention retention);
  /// Makes the folder what it was when the checkpoint of `step` was saved: removes newer ones, points last.h5 at it and
  /// best.h5 at that of `best_step` (removed if that is none or gone). For a resume, once its checkpoint is chosen and
  /// read.
  void rewind(std::int64_t step, std::optional<std::int64_t> best_step);

  /// All files named as checkpoints, newest first, whole or not.
  std::vector<File> list() const;
  /// The newest whole checkpoint. nullopt if there are none at all; a data Error with every reason if all are damaged;
  /// an environment Error if a newer one cannot be read now.
  std::optional<Found> newest_valid() const;
  /// What best.h5 or last.h5 points at, if it is a checkpoint of this folder.
  std::optional<File> best() const { return linked("best.h5"); }
  std::optional<File> last() const { return linked("last.h5"); }

 private:
  std::optional<File> linked(const char* link) const;
  std::filesystem::path file_path(std::int64_t step) const;
  void apply(Retention retention, std::int64_t newest);

  std::filesystem::path folder_;
};

/// Opens a checkpoint file, or of a run the best one, else the newest whole one. A data Error if there is none.
CheckpointReader open_run_or_checkpoint(const std::filesystem::path& target);

}  // namespace trainctl
