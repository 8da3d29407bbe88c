// Preloaded by exactness_test.py: counts the calls that write files, and at one of them kills the process or lets the
// call fail. And by s3_test.py: sets the clock.
//   FAULT_AT=n        the call, from 1
//   FAULT_KIND=kill|ENOSPC|EIO
//   FAULT_COUNT=file  where the number of calls is written at the end
//   CLOCK_AHEAD=s     seconds that time() is ahead
#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>

namespace {

std::atomic<int> calls{0};

// Whether this call is to fail; does not return from a kill.
bool fault() {
  const char* at = std::getenv("FAULT_AT");
  const char* kind = std::getenv("FAULT_KIND");
  if (++calls != (at ? std::atoi(at) : -1) || !kind) return false;
  if (std::string_view(kind) == "kill") ::kill(::getpid(), SIGKILL);
  errno = std::string_view(kind) == "EIO" ? EIO : ENOSPC;
  return true;
}

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

struct Tell {
  ~Tell() {
    const char* path = std::getenv("FAULT_COUNT");
    std::FILE* file = path ? std::fopen(path, "w") : nullptr;
    if (!file) return;
    std::fprintf(file, "%d\n", calls.load());
    std::fclose(file);
  }
} tell;

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t count) {
  static auto* const next = real<ssize_t(int, const void*, size_t)>("write");
  return fd > STDERR_FILENO && fault() ? -1 : next(fd, bytes, count);
}

int fsync(int fd) {
  static auto* const next = real<int(int)>("fsync");
  return fault() ? -1 : next(fd);
}

int rename(const char* from, const char* to) noexcept {
  static auto* const next = real<int(const char*, const char*)>("rename");
  return fault() ? -1 : next(from, to);
}

time_t time(time_t* result) noexcept {
  static auto* const next = real<time_t(time_t*)>("time");
  static const char* const ahead = std::getenv("CLOCK_AHEAD");
  const time_t now = next(nullptr) + (ahead ? std::atoi(ahead) : 0);
  if (result) *result = now;
  return now;
}
}
