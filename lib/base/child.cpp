#include "base/child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

#include "base/error.h"
#include "base/file.h"

namespace trainctl {
namespace {

[[noreturn]] void run(const std::function<std::string()>& work, unsigned seconds, int out) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM}) std::signal(signal, SIG_DFL);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::alarm(seconds);
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null >= 0) ::dup2(null, STDERR_FILENO);
  int status = 1;
  try {
    const std::string result = work();
    status = write_all(out, bytes_of(result)) == 0 ? 0 : 1;
  } catch (...) {
  }
  ::_exit(status);  // no destructors: files, locks and threads are the parent's
}

std::string read_to_end(int fd) {
  std::string all;
  std::array<char, 1 << 16> piece;
  while (true) {
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return all;
    all.append(piece.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

std::optional<std::string> run_in_child(const std::function<std::string()>& work, unsigned seconds) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    fail(ErrorKind::environment, "cannot open a pipe: {}", std::generic_category().message(errno));
  }
  const Fd in(ends[0]);
  Fd out(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) fail(ErrorKind::environment, "cannot start a process: {}", std::generic_category().message(errno));
  if (child == 0) run(work, seconds, out.get());
  out.close();
  std::string result = read_to_end(in.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return {};
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return {};
  return result;
}

}  // namespace trainctl
