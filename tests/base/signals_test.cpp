#include "base/signals.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/faults.h"

using namespace trainctl;
using trainctl::testing::in_child;

namespace {

void expect(bool condition) {
  if (!condition) ::_exit(1);
}

}  // namespace

TEST_CASE("the first stop signal sets a flag, the second ends the process") {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) {
    CHECK(in_child([&] {
            signals::install();
            expect(!signals::stop_requested());
            expect(signals::stop_signal() == 0);
            ::raise(signal);
            expect(signals::stop_requested());
            expect(signals::stop_signal() == signal);
            ::raise(SIGTERM);
            ::_exit(2);
          }) == 128 + SIGTERM);
  }
}

TEST_CASE("with patience one more stop signal asks for hurry, and the next ends the process") {
  CHECK(in_child([] {
          signals::install();
          ::raise(SIGTERM);
          {
            const signals::Patience patience;
            expect(!patience.hurried());
            ::raise(SIGINT);
            expect(patience.hurried());
            expect(signals::stop_signal() == SIGTERM);
          }
          const signals::Patience patience;
          expect(!patience.hurried());
          ::raise(SIGINT);
          ::raise(SIGUSR1);
          ::_exit(2);
        }) == 128 + SIGUSR1);
  CHECK(in_child([] {
          signals::install();
          { const signals::Patience patience; }
          ::raise(SIGTERM);
          ::raise(SIGTERM);
          ::_exit(2);
        }) == 128 + SIGTERM);
}

TEST_CASE("SIGHUP asks for one save and stops nothing") {
  CHECK(in_child([] {
          signals::install();
          expect(!signals::take_save_request());
          ::raise(SIGHUP);
          ::raise(SIGHUP);
          expect(signals::take_save_request());
          expect(!signals::take_save_request());
          expect(!signals::stop_requested());
        }) == 0);
}

TEST_CASE("a closed pipe is an error of the write") {
  CHECK(in_child([] {
          signals::install();
          int ends[2];
          expect(::pipe(ends) == 0);
          ::close(ends[0]);
          expect(::write(ends[1], "x", 1) < 0 && errno == EPIPE);
        }) == 0);
}

TEST_CASE("reset gives the default actions back") {
  CHECK(in_child([] {
          signals::install();
          ::raise(SIGTERM);
          signals::reset();
          expect(!signals::stop_requested());
          ::raise(SIGTERM);
        }) == -SIGTERM);
}
