#include "base/command.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <system_error>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace trainctl {
namespace {

constexpr double grace_s = 2.0;             // between asking a command to end and killing it
constexpr std::size_t longest_line = 4096;  // bytes

// What the child does before it is another program. It shares our memory, so it calls nothing but the system.
[[noreturn]] void become(const char* path, char* const* argv, char* const* environment, int out, volatile int* error) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null > STDERR_FILENO) ::dup2(null, STDIN_FILENO);
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(path, argv, environment);
  *error = errno;
  ::_exit(127);
}

// vfork rather than fork: a copy of a large process's page tables would slow down its next steps.
pid_t start(const char* path, char* const* argv, char* const* environment, int out, volatile int* error) {
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // our handlers must not run in the child
  const pid_t child = ::vfork();
  if (child == 0) become(path, argv, environment, out, error);
  if (child < 0) *error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return child;
}

std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& more) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    const auto is_it = [&](const auto& own) { return text.substr(0, text.find('=')) == own.first; };
    if (std::find_if(more.begin(), more.end(), is_it) == more.end()) all.emplace_back(text);
  }
  for (const auto& [name, value] : more) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

// Cuts what arrives into lines.
class Lines {
 public:
  explicit Lines(const std::function<void(std::string_view)>& line) : line_(line) {}
  void take(std::string_view bytes) {
    for (const char c : bytes) {
      if (c != '\n') rest_ += c;
      if (c == '\n' || rest_.size() >= longest_line) flush();
    }
  }
  void flush() {
    if (!rest_.empty()) line_(rest_);
    rest_.clear();
  }

 private:
  const std::function<void(std::string_view)>& line_;
  std::string rest_;
};

// Reads what is there, waiting up to `wait_ms` for some. False at the end.
bool read_some(int fd, int wait_ms, Lines& lines) {
  pollfd ready{fd, POLLIN, 0};
  if (::poll(&ready, 1, wait_ms) <= 0) return true;
  std::array<char, 1 << 14> piece;
  const ssize_t got = ::read(fd, piece.data(), piece.size());
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  lines.take({piece.data(), static_cast<std::size_t>(got)});
  return got > 0;
}

bool has_ended(pid_t child) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == child;
}

// Waits for the child, ending it where it must. `exited` if it ended by itself.
CommandEnd::How wait_for_end(pid_t child, int out, double timeout_s, Lines& lines, const std::function<bool()>& stop) {
  using How = CommandEnd::How;
  How how = How::exited;
  const double begin = monotonic_seconds();
  double kill_at = 0.0;
  bool open = true;
  while (!has_ended(child)) {
    if (open)
      open = read_some(out, 20, lines);
    else
      ::usleep(2000);
    const double now = monotonic_seconds();
    if (how == How::exited) {
      if (stop()) how = How::stopped;
      if (timeout_s > 0.0 && now - begin >= timeout_s) how = How::timed_out;
      if (how == How::exited) continue;
      ::kill(-child, SIGTERM);
      kill_at = now + grace_s;
    } else if (now >= kill_at) {
      ::kill(-child, SIGKILL);
    }
  }
  if (how != How::exited) ::kill(-child, SIGKILL);  // what it started and did not end
  // What it leaves running in the background may keep the pipe open: only what is there already is read.
  for (int flags = ::fcntl(out, F_GETFL); open && ::fcntl(out, F_SETFL, flags | O_NONBLOCK) == 0;) {
    pollfd ready{out, POLLIN, 0};
    if (::poll(&ready, 1, 0) <= 0) break;
    open = read_some(out, 0, lines);
  }
  return how;
}

}  // namespace

std::string CommandEnd::text(double timeout_s) const {
  switch (how) {
    case How::exited:
      return fmt::format("exit status {}", code);
    case How::signalled:
      return fmt::format("ended by signal {}", code);
    case How::timed_out:
      return fmt::format("no end within {} s", number_text(timeout_s));
    case How::stopped:
      return "ended because the run is to stop";
    case How::not_started:
      break;
  }
  return fmt::format("cannot be started: {}", std::generic_category().message(code));
}

std::string find_program(std::string_view name) {
  const auto usable = [](const std::string& path) {
    std::error_code ignored;
    return ::access(path.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(path, ignored);
  };
  if (name.empty()) return {};
  if (name.find('/') != std::string_view::npos) return usable(std::string(name)) ? std::string(name) : std::string();
  const char* path = ::getenv("PATH");
  for (const std::string& folder : split(path ? path : "/usr/local/bin:/usr/bin:/bin", ':')) {
    const std::string candidate = (folder.empty() ? "." : folder) + "/" + std::string(name);
    if (usable(candidate)) return candidate;
  }
  return {};
}

CommandEnd run_command(const Command& command, const std::function<void(std::string_view line)>& line,
                       const std::function<bool()>& stop) {
  using How = CommandEnd::How;
  require(!command.argv.empty(), "a command without a program");
  const std::string path = find_program(command.argv[0]);
  if (path.empty()) return {How::not_started, ENOENT};
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {How::not_started, errno};
  const Fd in(ends[0]);
  Fd out(ends[1]);
  std::vector<std::string> argv = command.argv, environment = environment_with(command.environment);
  volatile int error = 0;
  const pid_t child = start(path.c_str(), pointers(argv).data(), pointers(environment).data(), out.get(), &error);
  out.close();
  if (child < 0) return {How::not_started, error};
  Lines lines(line);
  const How how = wait_for_end(child, in.get(), command.timeout_s, lines, stop);
  lines.flush();
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (error != 0) return {How::not_started, error};
  if (how != How::exited) return {how, 0};
  if (WIFSIGNALED(status)) return {How::signalled, WTERMSIG(status)};
  return {How::exited, WEXITSTATUS(status)};
}

}  // namespace trainctl
