#include "base/log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/faults.h"
#include "base/file.h"
#include "base/temp_folder.h"

using namespace trainctl;
using trainctl::testing::in_child;
using trainctl::testing::TempFolder;

namespace {

// What `work` writes to stderr, in a child.
std::string stderr_of(const TempFolder& folder, const std::function<void()>& work) {
  const auto path = folder / "stderr";
  CHECK(in_child([&] {
          const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
          ::dup2(fd, STDERR_FILENO);
          work();
        }) == 0);
  return read_file(path);
}

void say_everything() {
  log::debug("d {}", 1);
  log::info("i {}", 2);
  log::warn("w {}", 3);
  log::error("e {}", 4);
}

}  // namespace

TEST_CASE("stderr shows plain lines from the level up") {
  const TempFolder folder;
  const auto with = [&](log::Options options) {
    return stderr_of(folder, [&] {
      log::configure(options);
      say_everything();
    });
  };
  CHECK(with({}) == "i 2\nwarning: w 3\nerror: e 4\n");
  CHECK(with({.level = log::Level::debug}) == "d 1\ni 2\nwarning: w 3\nerror: e 4\n");
  CHECK(with({.level = log::Level::error}) == "error: e 4\n");
  CHECK(with({.level = log::Level::off}) == "");
  CHECK(with({.quiet = true}) == "warning: w 3\nerror: e 4\n");
}

TEST_CASE("the file has what quiet keeps from stderr, with time and level") {
  const TempFolder folder;
  const auto path = folder / "log.txt";
  write_file_atomic(path, "before\n");
  const std::string shown = stderr_of(folder, [&] {
    log::configure({.quiet = true});
    log::open_file(path);
    log::info("kept");
    log::close_file();
    log::info("not kept");
  });
  CHECK(shown == "");
  const std::string text = read_file(path);
  CHECK(text.starts_with("before\n2"));
  CHECK(text.find("Z info    kept\n") != std::string::npos);
  CHECK(text.find("not kept") == std::string::npos);
}

TEST_CASE("a log that cannot be opened is an environment error; one that cannot be written is none") {
  const TempFolder folder;
  CHECK(in_child([&] {
          try {
            log::open_file("/proc/none/log.txt");
          } catch (const Error& error) {
            ::_exit(error.kind() == ErrorKind::environment ? 7 : 8);
          }
        }) == 7);
  const std::string shown = stderr_of(folder, [&] {
    log::open_file("/dev/full");
    log::info("still shown");
  });
  CHECK(shown == "still shown\n");
}

TEST_CASE("levels have names") {
  CHECK(log::level_from_name("debug") == log::Level::debug);
  CHECK(log::level_from_name("off") == log::Level::off);
  CHECK_THROWS_AS(log::level_from_name("loud"), Error);
}

TEST_CASE("a pipe or file is no fancy terminal") {
  CHECK_FALSE(log::fancy_terminal(-1));
}

TEST_CASE("a full stderr that nobody reads is not waited for, and what was left out is told later") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const std::string line(1000, 'x');
  CHECK(in_child([&] {
          ::dup2(ends[1], STDERR_FILENO);
          for (int i = 0; i < 200; ++i) log::info("{}", line);  // three times what the pipe takes
          char buffer[4096];
          std::string read_back;
          pollfd waiting{.fd = ends[0], .events = POLLIN, .revents = 0};
          while (::poll(&waiting, 1, 0) == 1)
            read_back.append(buffer, static_cast<std::size_t>(::read(ends[0], buffer, sizeof buffer)));
          log::info("there is room again");
          while (::poll(&waiting, 1, 0) == 1)
            read_back.append(buffer, static_cast<std::size_t>(::read(ends[0], buffer, sizeof buffer)));
          const auto lines = std::ranges::count(read_back, '\n');
          const std::string told = fmt::format("... {} lines were left out: nobody read them\n", 200 - (lines - 2));
          if (read_back.find(told + "there is room again\n") == std::string::npos) ::_exit(1);
        }) == 0);
  ::close(ends[0]);
  ::close(ends[1]);
}
