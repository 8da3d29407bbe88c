#include "base/command.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/temp_folder.h"

using namespace trainctl;
using How = CommandEnd::How;

namespace {

struct Ran {
  CommandEnd end;
  std::vector<std::string> lines;
};

Ran run(
    Command command, const std::function<bool()>& stop = [] { return false; }) {
  Ran ran;
  ran.end = run_command(
      command, [&](std::string_view line) { ran.lines.emplace_back(line); }, stop);
  return ran;
}

Ran shell(const std::string& text, double timeout_s = 0.0) {
  return run({.argv = {"sh", "-c", text}, .timeout_s = timeout_s});
}

}  // namespace

TEST_CASE("a command's end is told, its output comes line by line, and it has no input") {
  const Ran ran = shell("echo one; echo two >&2; cat; printf three; exit 7");
  CHECK(ran.end.how == How::exited);
  CHECK(ran.end.code == 7);
  CHECK(ran.end.text(0) == "exit status 7");
  CHECK(ran.lines == std::vector<std::string>{"one", "two", "three"});
  CHECK(shell("true").end.ok());
  const Ran killed = shell("kill -9 $$");
  CHECK(killed.end.how == How::signalled);
  CHECK(killed.end.code == SIGKILL);
}

TEST_CASE("more output than a pipe holds arrives whole, a long line in pieces") {
  const Ran many = shell("seq 1 100000");
  REQUIRE(many.lines.size() == 100000);
  CHECK(many.lines.back() == "100000");
  const Ran wide = shell("head -c 10000 /dev/zero | tr '\\0' x");
  REQUIRE(wide.lines.size() == 3);
  CHECK(wide.lines[0].size() + wide.lines[1].size() + wide.lines[2].size() == 10000);
}

TEST_CASE("the environment is ours and more; signals are as a program expects them") {
  ::setenv("COMMAND_TEST_OLD", "old", 1);
  ::setenv("COMMAND_TEST_BOTH", "old", 1);
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  const Ran ran =
      run({.argv = {"sh", "-c", "echo $COMMAND_TEST_OLD $COMMAND_TEST_BOTH $COMMAND_TEST_NEW; kill -PIPE $$"},
           .environment = {{"COMMAND_TEST_NEW", "a b=c"}, {"COMMAND_TEST_BOTH", "new"}}});
  std::signal(SIGPIPE, before);
  CHECK(ran.lines == std::vector<std::string>{"old new a b=c"});
  CHECK(ran.end.how == How::signalled);
  CHECK(ran.end.code == SIGPIPE);
}

TEST_CASE("what does not end in time is ended, asked first, with all that it started") {
  const testing::TempFolder folder;
  const std::string file = (folder.path() / "asked").string();
  const Ran polite = shell("trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.01; done", 0.3);
  CHECK(polite.end.how == How::timed_out);
  CHECK(polite.end.text(0.3) == "no end within 0.3 s");
  REQUIRE(polite.lines.size() >= 2);
  CHECK(polite.lines.front() == "ready");
  CHECK(polite.lines.back() == "asked");  // between them the shell may tell that its sleep was ended
  // One that does not listen: killed, and so is its child, which would otherwise hold the pipe.
  const Ran stubborn = shell("trap '' TERM; sleep 1000 & echo $!; while :; do sleep 1000; done", 0.1);
  CHECK(stubborn.end.how == How::timed_out);
  REQUIRE(stubborn.lines.size() == 1);
  const pid_t child = std::stoi(stubborn.lines[0]);
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  if (handle < 0) {
    CHECK(errno == ESRCH);  // it has ended, and init has taken note of it
  } else {
    pollfd ended{handle, POLLIN, 0};
    CHECK(::poll(&ended, 1, 5000) == 1);
    ::close(handle);
  }
}

TEST_CASE("a stop does not wait, and what runs on in the background is not waited for") {
  int asked = 0;
  const Ran stopped = run({.argv = {"sleep", "1000"}}, [&] { return ++asked > 2; });
  CHECK(stopped.end.how == How::stopped);
  const Ran left = shell("sleep 1000 & echo $!");
  CHECK(left.end.ok());
  REQUIRE(left.lines.size() == 1);
  CHECK(::kill(std::stoi(left.lines[0]), SIGKILL) == 0);
}

TEST_CASE("programs are found by PATH or path; a missing one is no crash") {
  CHECK(find_program("sh").ends_with("/sh"));
  CHECK(find_program("/bin/sh") == "/bin/sh");
  CHECK(find_program("no-such-program-anywhere").empty());
  CHECK(find_program("").empty());
  CHECK(find_program("/tmp").empty());
  const Ran missing = run({.argv = {"no-such-program-anywhere"}});
  CHECK(missing.end.how == How::not_started);
  CHECK(missing.end.text(0).starts_with("cannot be started: "));
}
