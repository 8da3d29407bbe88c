// steps.jsonl: the values of single steps, one JSON object a line, appended while a run goes on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "store/history.h"

namespace trainctl {

struct StepRecord {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  std::int64_t samples = 0;
  NamedValues values;
};

/// The open log of a run. I/O failures are environment Errors; a line is in the file whole or not at all.
class StepsLog {
 public:
  /// Opens (creating) the log and cuts it back to steps <= `step`, dropping a torn last line with all that follows it;
  /// 0 empties it.
  StepsLog(std::filesystem::path path, std::int64_t step);

  void append(const StepRecord& record);
  /// Makes the lines durable; before a checkpoint that relies on them.
  void sync();

  /// The whole lines of a log, up to the first damaged one; empty if there is no file.
  static std::vector<StepRecord> read(const std::filesystem::path& path);

 private:
  std::filesystem::path path_;
  Fd fd_;
  std::uint64_t size_bytes_ = 0;
};

}  // namespace trainctl
