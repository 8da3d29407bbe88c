#include "base/streamed_file.h"

#include <doctest/doctest.h>

#include <cerrno>

#include "base/error.h"
#include "base/faults.h"
#include "base/temp_folder.h"

namespace fs = std::filesystem;
using namespace trainctl;
using trainctl::testing::InjectFaults;
using trainctl::testing::TempFolder;

namespace {

int entries(const fs::path& folder) {
  return static_cast<int>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

void write_lines(const fs::path& path, int lines) {
  StreamedFile file(path);
  for (int i = 0; i < lines; ++i) file.write(fmt::format("line {}\n", i));
  file.finish();
}

}  // namespace

TEST_CASE("a file written in pieces takes its place when it is whole") {
  const TempFolder folder;
  const fs::path path = folder / "a.txt";
  write_file_atomic(path, "old");
  {
    StreamedFile file(path);
    file.write(std::string(3 << 20, 'x'));
    CHECK(read_file(path) == "old");
  }
  CHECK(entries(folder.path()) == 1);
  CHECK(read_file(path) == "old");
  write_lines(path, 300000);
  const std::string text = read_file(path);
  CHECK(text.starts_with("line 0\nline 1\n"));
  CHECK(text.ends_with("line 299999\n"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 300000);
  write_lines(path, 0);
  CHECK(read_file(path).empty());
}

TEST_CASE("a call that fails while a file is written in pieces leaves the old file and no other") {
  const TempFolder folder;
  const fs::path path = folder / "a";
  int failures = 0;
  for (int call = 0;; ++call) {
    write_file_atomic(path, "old");
    const InjectFaults faults({.fail_call = call, .code = ENOSPC});
    std::string said;
    try {
      write_lines(path, 200000);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::environment);
      said = error.what();
    }
    CHECK(entries(folder.path()) == 1);
    if (call >= faults.plan().calls) break;
    if (said.empty()) continue;  // what closes the folder
    ++failures;
    const std::string now = read_file(path);
    CHECK((now == "old" || said.find("folder") != std::string::npos));
  }
  CHECK(failures >= 6);
}
