#include "store/steps_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "schema/json_text.h"
#include "store/json_values.h"

namespace trainctl {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t max_file_bytes = std::uint64_t{4} << 30;

StepRecord parse(std::string_view line) {
  const Json json = parse_json(line);
  return {json.at("step").get<std::int64_t>(), json.at("epoch").get<std::int64_t>(),
          json.at("samples").get<std::int64_t>(), values_from_json(json.at("values"))};
}

std::string line_of(const StepRecord& record) {
  Json json;
  json["step"] = record.step;
  json["epoch"] = record.epoch;
  json["samples"] = record.samples;
  json["values"] = values_to_json(record.values);
  return json_text(json) + "\n";
}

// Calls `take` for each whole line until it says no or a line is damaged; returns the bytes of those taken.
std::size_t for_each_line(std::string_view text, const std::function<bool(StepRecord)>& take) {
  std::size_t taken = 0;
  while (true) {
    const std::size_t end = text.find('\n', taken);
    if (end == std::string_view::npos) return taken;
    try {
      if (!take(parse(text.substr(taken, end - taken)))) return taken;
    } catch (const std::exception&) {  // nlohmann's or ours: the line is not what append() writes
      return taken;
    }
    taken = end + 1;
  }
}

}  // namespace

StepsLog::StepsLog(fs::path path, std::int64_t step) : path_(std::move(path)) {
  // Readable too: cutting back needs what is there.
  fd_ = Fd(file_ops().open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!fd_) fail(ErrorKind::environment, "{}: cannot open: {}", path_.string(), std::generic_category().message(errno));
  const Bytes old = read_bytes(path_, max_file_bytes);
  size_bytes_ = for_each_line(old.text(), [&](const StepRecord& record) { return record.step <= step; });
  if (::ftruncate(fd_.get(), static_cast<off_t>(size_bytes_)) != 0) fail_io(path_, "cut back", errno);
}

void StepsLog::append(const StepRecord& record) {
  const std::string line = line_of(record);
  if (const int code = write_all(fd_.get(), bytes_of(line))) {
    // The next line must not be glued to half of this one.
    if (::ftruncate(fd_.get(), static_cast<off_t>(size_bytes_)) != 0)
      log::warn("{}: holds a torn line", path_.string());
    fail_io(path_, "append", code);
  }
  size_bytes_ += line.size();
}

void StepsLog::sync() {
  if (const int code = sync_file(fd_.get())) fail_io(path_, "write to the disk", code);
}

std::vector<StepRecord> StepsLog::read(const fs::path& path) {
  std::vector<StepRecord> records;
  std::error_code error;
  if (!fs::exists(path, error)) return records;
  for_each_line(read_bytes(path, max_file_bytes).text(), [&](StepRecord record) {
    records.push_back(std::move(record));
    return true;
  });
  return records;
}

}  // namespace trainctl
