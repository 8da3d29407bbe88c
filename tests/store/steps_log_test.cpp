#include "store/steps_log.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"
#include "base/faults.h"
#include "base/temp_folder.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

StepRecord record(std::int64_t step) {
  return {step, 1, step * 128, {{"train/loss", 1.0 / static_cast<double>(step)}, {"lr", 0.1}}};
}

void append_text(const std::filesystem::path& path, const std::string& text) {
  write_file_atomic(path, read_file(path) + text);
}

}  // namespace

TEST_CASE("each record is one line, and comes back") {
  const TempFolder folder;
  const auto path = folder / "steps.jsonl";
  StepsLog log(path, 0);
  for (int step = 1; step <= 3; ++step) log.append(record(step));
  log.append({4, 1, 512, {{"train/loss", std::numeric_limits<double>::quiet_NaN()}}});
  log.sync();
  CHECK(read_file(path).starts_with(
      "{\"step\":1,\"epoch\":1,\"samples\":128,\"values\":{\"train/loss\":1.0,\"lr\":0.1}}\n"));
  const auto back = StepsLog::read(path);
  REQUIRE(back.size() == 4);
  CHECK(back[2].values == record(3).values);
  CHECK(std::isnan(back[3].values[0].second));
  CHECK(StepsLog::read(folder / "none").empty());
}

TEST_CASE("a resumed log equals one that was never interrupted") {
  const TempFolder folder;
  const auto path = folder / "steps.jsonl", whole = folder / "whole.jsonl";
  StepsLog uninterrupted(whole, 0);
  for (int step = 1; step <= 6; ++step) uninterrupted.append(record(step));

  for (const char* torn : {"", "{\"step\":6,\"epo", "garbage\n", "\n", "{\"step\":3}\n"}) {
    {
      StepsLog log(path, 0);
      for (int step = 1; step <= 5; ++step) log.append(record(step));
    }
    append_text(path, torn);
    StepsLog log(path, 3);
    CHECK(StepsLog::read(path).size() == 3);
    for (int step = 4; step <= 6; ++step) log.append(record(step));
    CHECK(read_file(path) == read_file(whole));
  }
}

TEST_CASE("a line that does not fit on the disk is taken back") {
  const TempFolder folder;
  const auto path = folder / "steps.jsonl";
  StepsLog log(path, 0);
  log.append(record(1));
  for (std::uint64_t free_bytes = 0; free_bytes < 60; free_bytes += 7) {
    const InjectFaults faults({.code = ENOSPC, .disk_bytes = free_bytes});
    try {
      log.append(record(2));
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::environment);
    }
  }
  log.append(record(3));
  const auto back = StepsLog::read(path);
  REQUIRE(back.size() == 2);
  CHECK(back[1].step == 3);
}

TEST_CASE("short writes give whole lines") {
  const TempFolder folder;
  StepsLog log(folder / "a", 0);
  const InjectFaults faults({.longest_write = 3, .interrupt_every_other = true});
  log.append(record(1));
  log.sync();
  CHECK(StepsLog::read(folder / "a").size() == 1);
}
