#include "base/file.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <string>

#include "base/error.h"
#include "base/faults.h"
#include "base/temp_folder.h"

namespace fs = std::filesystem;
using namespace trainctl;
using trainctl::testing::FaultPlan;
using trainctl::testing::in_child;
using trainctl::testing::InjectFaults;
using trainctl::testing::TempFolder;

namespace {

int entries(const fs::path& folder) {
  return static_cast<int>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

// The kind and text of the Error that `work` ends with.
std::pair<ErrorKind, std::string> error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {ErrorKind::internal, "no error"};
}

}  // namespace

TEST_CASE("a file is written and replaced whole") {
  const TempFolder folder;
  const fs::path path = folder / "a.txt";
  write_file_atomic(path, "old");
  CHECK(read_file(path) == "old");
  const std::array parts{bytes_of("new"), bytes_of(""), bytes_of(" text")};
  write_file_atomic(path, parts);
  CHECK(read_file(path) == "new text");
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("reading says what is wrong with a path") {
  const TempFolder folder;
  const auto missing = error_of([&] { read_file(folder / "none"); });
  CHECK(missing.first == ErrorKind::data);
  CHECK(missing.second.find((folder / "none").string()) != std::string::npos);
  CHECK(missing.second.find("No such file") != std::string::npos);
  CHECK(error_of([&] { read_file(folder.path()); }).first == ErrorKind::data);

  write_file_atomic(folder / "five", "12345");
  CHECK(read_file(folder / "five", 5) == "12345");
  CHECK(error_of([&] { read_file(folder / "five", 4); }).first == ErrorKind::data);

  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(error_of([&] { read_file(folder / "pipe"); }).first == ErrorKind::data);
}

TEST_CASE("short writes and interrupted calls give a correct file") {
  const TempFolder folder;
  const std::string text(1000, 'x');
  InjectFaults faults({.longest_write = 7, .interrupt_every_other = true});
  write_file_atomic(folder / "a", text);
  CHECK(read_file(folder / "a") == text);
  CHECK(faults.plan().calls > 1000 / 7);
}

TEST_CASE("any call that fails leaves the old file and no other") {
  const TempFolder folder;
  const fs::path path = folder / "a";
  int failures = 0;
  for (const int code : {ENOSPC, EDQUOT, EROFS, EACCES, EIO}) {
    for (int call = 0;; ++call) {
      write_file_atomic(path, "old");
      int calls = 0;
      const auto [kind, text] = error_of([&] {
        const InjectFaults faults({.fail_call = call, .code = code});
        try {
          write_file_atomic(path, "new");
        } catch (...) {
          calls = faults.plan().calls;
          throw;
        }
        calls = faults.plan().calls;
      });
      CHECK(entries(folder.path()) == 1);
      if (call >= calls) {
        CHECK(text == "no error");
        break;
      }
      // The last call closes the folder, which no longer matters; before it the folder is opened and made durable.
      if (text == "no error") {
        CHECK(call == calls - 1);
        continue;
      }
      ++failures;
      CHECK(kind == ErrorKind::environment);
      CHECK(text.find(std::generic_category().message(code)) != std::string::npos);
      const std::string now = read_file(path);
      CHECK((now == "old" || (now == "new" && text.find("folder") != std::string::npos)));
    }
  }
  CHECK(failures == 5 * 7);  // open, write, fsync, close, rename; open and fsync of the folder
}

TEST_CASE("a failed fsync is not tried again") {
  const TempFolder folder;
  FaultPlan plan{.fail_call = 2, .code = EIO};
  const InjectFaults faults(plan);
  CHECK(error_of([&] { write_file_atomic(folder / "a", "x"); }).first == ErrorKind::environment);
  CHECK(faults.plan().fsyncs == 0);
  CHECK(faults.plan().calls == 4);  // open, write, fsync, close: nothing was renamed
}

TEST_CASE("a disk that is full at any byte is noticed") {
  const TempFolder folder;
  const std::string text(100, 'n');
  write_file_atomic(folder / "a", "old");
  for (std::uint64_t free_bytes = 0; free_bytes < text.size(); ++free_bytes) {
    const InjectFaults faults({.code = ENOSPC, .disk_bytes = free_bytes});
    const auto [kind, message] = error_of([&] { write_file_atomic(folder / "a", text); });
    CHECK(kind == ErrorKind::environment);
    CHECK(message.find("No space left") != std::string::npos);
    CHECK(read_file(folder / "a") == "old");
    CHECK(entries(folder.path()) == 1);
  }
}

TEST_CASE("killed at any call, the file is the old or the new one") {
  const TempFolder folder;
  const fs::path path = folder / "a";
  bool saw_old = false, saw_new = false;
  for (const bool after : {false, true}) {
    for (int call = 0;; ++call) {
      write_file_atomic(path, "old");
      const int status = in_child([&] {
        const InjectFaults faults(after ? FaultPlan{.kill_after = call} : FaultPlan{.kill_before = call});
        write_file_atomic(path, "new");
      });
      const std::string now = read_file(path);
      CHECK((now == "old" || now == "new"));
      (now == "old" ? saw_old : saw_new) = true;
      if (status == 0) break;
      CHECK(status == -SIGKILL);
      const int others = entries(folder.path()) - 1;
      CHECK(remove_temporaries(folder.path()) == others);
      CHECK(entries(folder.path()) == 1);
    }
  }
  CHECK(saw_old);
  CHECK(saw_new);
}

TEST_CASE("the limit of a file's size is an error like a full disk") {
  const TempFolder folder;
  CHECK(in_child([&] {
          ::signal(SIGXFSZ, SIG_IGN);
          const rlimit limit{1000, 1000};
          ::setrlimit(RLIMIT_FSIZE, &limit);
          const auto [kind, text] = error_of([&] { write_file_atomic(folder / "a", std::string(5000, 'x')); });
          if (kind != ErrorKind::environment || text.find("ulimit -f") == std::string::npos) ::_exit(1);
        }) == 0);
  CHECK(entries(folder.path()) == 0);
}

#if !defined(__SANITIZE_ADDRESS__)  // which ends the process where memory ends
TEST_CASE("a file beyond the memory is an environment error") {
  const TempFolder folder;
  std::ofstream(folder / "huge") << "x";
  fs::resize_file(folder / "huge", std::uintmax_t{8} << 30);  // sparse
  CHECK(in_child([&] {
          const rlimit limit{rlim_t{1} << 30, rlim_t{1} << 30};
          ::setrlimit(RLIMIT_AS, &limit);
          const auto [kind, text] = error_of([&] { read_bytes(folder / "huge", std::uint64_t{1} << 40); });
          if (kind != ErrorKind::environment || text.find("too little memory") == std::string::npos) ::_exit(1);
        }) == 0);
}
#endif

TEST_CASE("an unwritable or missing folder is an environment error") {
  const TempFolder folder;
  CHECK(error_of([&] { write_file_atomic(folder / "none" / "a", "x"); }).first == ErrorKind::environment);
}

TEST_CASE("links are replaced") {
  const TempFolder folder;
  replace_symlink("one", folder / "link");
  replace_symlink("two", folder / "link");
  CHECK(fs::read_symlink(folder / "link") == "two");
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("an Fd closes once and moves") {
  const TempFolder folder;
  write_file_atomic(folder / "a", "x");
  const InjectFaults faults({});
  {
    Fd first(file_ops().open((folder / "a").c_str(), 0, 0));
    Fd second(std::move(first));
    CHECK(!first);
    CHECK(second);
    first = std::move(second);
    CHECK(first.close() == 0);
    CHECK(first.close() == 0);
  }
  CHECK(faults.plan().calls == 2);
}
