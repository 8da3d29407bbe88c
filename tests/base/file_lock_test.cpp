#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/faults.h"
#include "base/file.h"
#include "base/temp_folder.h"

using namespace trainctl;
using trainctl::testing::in_child;
using trainctl::testing::TempFolder;

TEST_CASE("a held lock refuses others and says who holds it") {
  const TempFolder folder;
  const auto path = folder / "run.lock";
  CHECK_FALSE(FileLock::is_held(path));
  std::optional<FileLock> lock(path);
  CHECK(FileLock::is_held(path));
  const pid_t holder = ::getpid();
  const auto try_it = [&] {
    try {
      const FileLock second(path);
    } catch (const Error& error) {
      const std::string expected = "held by pid " + std::to_string(holder) + " on ";
      ::_exit(error.kind() == ErrorKind::environment && std::string(error.what()).find(expected) != std::string::npos
                  ? 7
                  : 8);
    }
  };
  CHECK(in_child(try_it) == 7);
  CHECK_THROWS_AS(FileLock{path}, Error);  // in the same process too
  FileLock moved = std::move(*lock);
  lock.reset();
  CHECK(FileLock::is_held(path));
}

TEST_CASE("a lock ends with its holder") {
  const TempFolder folder;
  const auto path = folder / "run.lock";
  { const FileLock lock(path); }
  CHECK_FALSE(FileLock::is_held(path));
  CHECK(in_child([&] {
          const FileLock lock(path);
          ::raise(SIGKILL);
        }) == -SIGKILL);
  CHECK(read_file(path).starts_with("pid "));
  CHECK_FALSE(FileLock::is_held(path));
  const FileLock taken(path);
  CHECK(read_file(path).starts_with("pid " + std::to_string(::getpid()) + " on "));
}

TEST_CASE("a lock whose folder is missing is an environment error") {
  const TempFolder folder;
  try {
    const FileLock lock(folder / "none" / "run.lock");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::environment);
  }
}
