// trainctl: deep-learning experiments from a YAML file.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "arguments.h"
#include "base/error.h"
#include "base/log.h"
#include "experiment/modules.h"
#include "output.h"

namespace {

// A stream that the caller closed would give its number to the next file opened, and what is printed would land there.
void keep_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) (void)!::open("/dev/null", O_RDWR);
  }
}

// OpenMP's threads spin between loops, which is right when each has a core and ruinous when cores are shared: a thread
// that was preempted is then waited for by spinning. A bound of about half a millisecond costs nothing measurable in
// the first case. libgomp reads it before main.
void bound_spinning(char** argv) {
  if (::getenv("GOMP_SPINCOUNT") || ::getenv("OMP_WAIT_POLICY")) return;
  ::setenv("GOMP_SPINCOUNT", "10000", 1);
  ::execv("/proc/self/exe", argv);  // where this fails, the program runs as it is
}

}  // namespace

int main(int argc, char** argv) {
  using namespace trainctl;
  bound_spinning(argv);
  keep_standard_streams();
  app::Request request;
  try {
    app::read_command_line(argc, argv, request);
    const app::Globals& globals = request.globals;
    log::configure(
        {.level = log::level_from_name(globals.log_level), .quiet = globals.quiet, .colour = !globals.no_color});
    if (!request.command) {
      app::print(request.text);
      return 0;
    }
    for (const std::string& module : globals.modules) load_user_module(module);
    return request.command->run(globals);
  } catch (...) {
    return app::report_failure(std::current_exception(), request.globals.json);
  }
}
