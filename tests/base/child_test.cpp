#include "base/child.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>
#include <string>

using namespace trainctl;

TEST_CASE("a child's result comes back whole") {
  CHECK(run_in_child([] { return std::string(); }, 60) == "");
  const std::string large(1'000'000, 'x');  // more than a pipe holds
  CHECK(run_in_child([&] { return large; }, 60) == large);
}

TEST_CASE("whatever a child does, the parent goes on") {
  CHECK(run_in_child([]() -> std::string { throw std::runtime_error("no"); }, 60) == std::nullopt);
  for (const int signal : {SIGSEGV, SIGABRT, SIGKILL}) {
    CHECK(run_in_child([&] { return ::raise(signal), std::string("done"); }, 60) == std::nullopt);
  }
  CHECK(run_in_child(
            []() -> std::string {
              while (true) ::pause();
            },
            1) == std::nullopt);
}
