#include "remote/mirror.h"

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "base/clock.h"
#include "fake_store.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

const auto never = [] { return false; };
const auto unreachable = [](const std::string&) { throw RemoteError(RemoteError::Cause::unreachable, "no answer"); };
const auto refused = [](const std::string&) { throw RemoteError(RemoteError::Cause::refused, "no such bucket"); };
constexpr Mirror::Options quick{.every_s = 0.0, .first_pause_s = 0.001, .longest_pause_s = 0.01};

std::unique_ptr<Mirror> mirror(FakeStore& store, const SampleRun& run, const Mirror::Options& options = quick) {
  return std::make_unique<Mirror>(std::make_unique<Borrowed>(store), run.paths, sample_key, options);
}

template <typename Condition>
void wait_for(Condition condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

std::size_t count(FakeStore& store) {
  const std::lock_guard lock(store.mutex);
  return store.objects.size();
}

}  // namespace

TEST_CASE("a mirror copies when told to, and the rest at the end") {
  SampleRun run;
  FakeStore store;
  const auto copies = mirror(store, run);
  CHECK(copies->claim(60.0));
  CHECK(count(store) == 1);  // the marker; the run's own files are for later
  copies->notify();
  wait_for([&] { return count(store) == 5; });
  run.checkpoint(10);
  const Mirror::End end = copies->finish(60.0, never);
  CHECK(end.complete);
  CHECK(copy_in(store) == run.files());
}

TEST_CASE("without a notification nothing is asked of the store, and the end copies all") {
  SampleRun run;
  FakeStore store;
  const auto copies = mirror(store, run);
  CHECK(store.asked == 0);
  CHECK(copies->finish(60.0, never).complete);
  CHECK(copy_in(store) == run.files());
}

TEST_CASE("a claim that somebody has to act on is thrown, one without an answer is not") {
  SampleRun run;
  FakeStore store;
  SUBCASE("refused") {
    store.before = refused;
    CHECK_THROWS_WITH_AS(mirror(store, run)->claim(60.0), "no such bucket", RemoteError);
  }
  SUBCASE("taken") {
    store.objects["project/cnn-1/config.yaml"] = "another";
    CHECK_THROWS_AS(mirror(store, run)->claim(60.0), PlaceTaken);
  }
  SUBCASE("unreachable") {
    store.before = unreachable;
    const auto copies = mirror(store, run);
    CHECK(copies->claim(60.0));  // it was asked, and the log has the answer
    store.before = [](const std::string&) {};
    copies->notify();
    CHECK(copies->finish(60.0, never).complete);
  }
  SUBCASE("no answer at all") {
    store.before = [&](const std::string&) { store.hang(); };
    CHECK(!mirror(store, run)->claim(0.01));  // and its end does not hang
  }
  CHECK(!std::filesystem::exists(run.paths.root / CopyRecord::file_name) ==
        !store.objects.contains("project/cnn-1/log.txt"));
}

TEST_CASE("failures are tried again until they end") {
  SampleRun run;
  FakeStore store;
  std::atomic<int> failures{0};
  store.before = [&](const std::string& call) {
    if (call.starts_with("put") && ++failures <= 5) throw RemoteError(RemoteError::Cause::unreachable, "no answer");
  };
  const auto copies = mirror(store, run);
  copies->notify();
  wait_for([&] { return count(store) == 5; });
  CHECK(failures > 5);
  CHECK(copies->finish(60.0, never).complete);
}

TEST_CASE("notifications do not shorten the pause after a failure") {
  SampleRun run;
  FakeStore store;
  store.before = unreachable;
  const auto copies = mirror(store, run, {.every_s = 0.0, .first_pause_s = 3600.0, .longest_pause_s = 3600.0});
  copies->notify();
  wait_for([&] { return store.asked == 1; });
  for (int i = 0; i < 50; ++i) {
    copies->notify();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(store.asked == 1);
  store.before = [](const std::string&) {};
  CHECK(copies->finish(60.0, never).complete);  // the end does
}

TEST_CASE("rounds keep their distance") {
  SampleRun run;
  FakeStore store;
  const auto copies = mirror(store, run, {.every_s = 3600.0});
  copies->notify();
  wait_for([&] { return count(store) == 5; });
  run.write("history.json", "{\"more\": 1}");
  for (int i = 0; i < 20; ++i) {
    copies->notify();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(store.objects.at("project/cnn-1/history.json") == "{}");
  CHECK(copies->finish(60.0, never).complete);
  CHECK(copy_in(store) == run.files());
}

TEST_CASE("the end gives up when it is told to, when time is over, and at once where somebody has to act") {
  SampleRun run;
  FakeStore store;
  const auto copies = mirror(store, run);
  SUBCASE("told") {
    store.before = [&](const std::string& call) {
      if (call == "put history.json") store.hang();
    };
    const Mirror::End end = copies->finish(3600.0, [&] { return count(store) >= 3; });
    CHECK(!end.complete);
    CHECK(end.missing == std::vector<std::string>{"history.json", "log.txt"});
    CHECK(end.left.files == 2);
    CHECK(store.cancelled);
  }
  SUBCASE("time") {
    store.before = unreachable;
    const double begin = monotonic_seconds();
    const Mirror::End end = copies->finish(0.1, never);
    CHECK(monotonic_seconds() - begin >= 0.1);
    CHECK(!end.complete);
    CHECK(end.reason == "no answer");
    CHECK(end.missing.size() == 4);
  }
  SUBCASE("refused") {
    store.before = refused;
    const Mirror::End end = copies->finish(3600.0, never);
    CHECK(!end.complete);
    CHECK(end.reason == "no such bucket");
  }
  SUBCASE("in the background too") {
    store.before = [&](const std::string&) { store.hang(); };
    copies->notify();
    wait_for([&] { return store.asked == 1; });
    CHECK(!copies->finish(0.05, never).complete);
  }
}

TEST_CASE("a mirror whose place another folder has taken over leaves it alone") {
  SampleRun run;
  FakeStore store;
  const auto copies = mirror(store, run);
  CHECK(copies->claim(60.0));
  copies->notify();
  wait_for([&] { return count(store) == 5; });
  store.objects["project/cnn-1/copy.json"] = CopyMarker{.run = "x", .copy = "y", .host = "h", .since = "s"}.to_json();
  run.checkpoint(10);
  const auto before = store.objects;
  const Mirror::End end = copies->finish(60.0, never);
  CHECK(!end.complete);
  CHECK(end.reason.find("another run") != std::string::npos);
  CHECK(store.objects == before);
}
