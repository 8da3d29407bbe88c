#include "remote/copier.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "fake_store.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

const auto stay = [] { return false; };

/// Where something stands among the calls; a test fails if it is not there once.
std::ptrdiff_t place_of(const FakeStore& store, const std::string& call) {
  REQUIRE_MESSAGE(std::ranges::count(store.calls, call) == 1, call);
  return std::ranges::find(store.calls, call) - store.calls.begin();
}

void round_until_complete(Copier& copier) {
  for (int i = 0; i < 20; ++i)
    if (copier.round(stay).complete) return;
  FAIL("never complete");
}

std::string put(int step) {
  return "put " + SampleRun::checkpoint_name(step);
}

}  // namespace

TEST_CASE("a copy holds every file of a run but locks, links, hidden files and its own record") {
  SampleRun run;
  FakeStore store;
  run.checkpoint(10, true);
  run.write("samples/train.txt", "1\n");
  run.write("results/val.json", "{}");
  run.write(".hidden", "x");
  run.write("checkpoints/.step-00000020.h5.17.tmp", "half");
  Copier copier(store, run.paths, sample_key);
  copier.claim();
  CHECK(copier.round(stay).complete);
  auto files = run.files();
  files.erase(".hidden");
  files.erase("checkpoints/.step-00000020.h5.17.tmp");
  CHECK(copy_in(store) == files);
  CHECK(copier.left().files == 0);
  CHECK(store.objects.contains("project/cnn-1/copy.json"));

  store.calls.clear();
  const int asked = store.asked;
  CHECK(copier.round(stay).complete);
  CHECK(store.calls.empty());
  CHECK(store.asked == asked);  // nothing new: not even a question

  run.write("history.json", "{\"more\": 1}");
  run.write("samples/train.txt", "2\n");  // as long as before
  CHECK(copier.round(stay).complete);
  CHECK(store.calls == std::vector<std::string>{"put samples/train.txt", "put history.json"});
}

TEST_CASE("what a checkpoint needs goes before it, the newest and the best before others, and the rest after") {
  SampleRun run;
  FakeStore store;
  for (const int step : {10, 20, 30, 40, 50}) run.checkpoint(step, step == 20);
  Copier copier(store, run.paths, sample_key);
  copier.claim();
  const Copier::Round first = copier.round(stay);
  CHECK(!first.complete);
  CHECK(first.more);
  const std::vector<std::string> order{"put copy.json", "put config.yaml", "put steps.jsonl",  put(50),
                                       put(20),         put(40),           "put history.json", "put log.txt"};
  CHECK(store.calls == order);
  round_until_complete(copier);
  CHECK(place_of(store, put(30)) < place_of(store, put(10)));
  CHECK(copy_in(store) == run.files());
}

TEST_CASE("a checkpoint that retention lets go before its turn is never sent, one that goes meanwhile is no error") {
  SampleRun run;
  FakeStore store;
  for (const int step : {10, 20, 30}) run.checkpoint(step);
  Copier copier(store, run.paths, sample_key);
  copier.claim();
  store.before = [&](const std::string& call) {
    if (call == put(30)) run.remove(SampleRun::checkpoint_name(10));
    if (call == put(20)) {
      run.remove(SampleRun::checkpoint_name(20));
      throw Error(ErrorKind::data, "cannot open");
    }
  };
  const Copier::Round round = copier.round(stay);
  CHECK(round.unreadable.empty());
  CHECK(round.complete);
  CHECK(copy_in(store) == run.files());
}

TEST_CASE("a checkpoint that arrived though its answer was lost goes when it is let go") {
  SampleRun run;
  FakeStore store;
  Copier copier(store, run.paths, sample_key);
  copier.claim();
  round_until_complete(copier);
  run.checkpoint(10, true);
  store.after = [&](const std::string& call) {
    if (call == put(10)) throw RemoteError(RemoteError::Cause::unreachable, "no answer");
  };
  bool gone_meanwhile = false;
  SUBCASE("later") {}
  SUBCASE("meanwhile") {
    gone_meanwhile = true;
    store.amid = [&](const std::string& call) {
      if (call == put(10)) run.remove(SampleRun::checkpoint_name(10));
    };
  }
  if (gone_meanwhile)
    copier.round(stay);
  else
    CHECK_THROWS_AS(copier.round(stay), RemoteError);
  CHECK(store.objects.contains(std::string(sample_key) + "/" + SampleRun::checkpoint_name(10)));
  run.checkpoint(20, true);
  run.remove(SampleRun::checkpoint_name(10));
  round_until_complete(copier);
  CHECK(copy_in(store) == run.files());
}

TEST_CASE("old checkpoints go when the newest and the best are there, and never one of these") {
  SampleRun run;
  FakeStore store;
  run.checkpoint(10, true);
  run.checkpoint(20);
  Copier copier(store, run.paths, sample_key);
  copier.claim();
  round_until_complete(copier);
  run.checkpoint(30, true);
  run.checkpoint(40);
  run.remove(SampleRun::checkpoint_name(10));
  run.remove(SampleRun::checkpoint_name(20));
  run.remove("log.txt");

  SUBCASE("in order") {
    store.calls.clear();
    round_until_complete(copier);
    CHECK(copy_in(store) == run.files());
    for (const int step : {10, 20}) {
      const auto removed = place_of(store, "remove " + SampleRun::checkpoint_name(step));
      CHECK(place_of(store, put(30)) < removed);
      CHECK(place_of(store, put(40)) < removed);
    }
  }
  SUBCASE("the best does not arrive") {
    store.before = [&](const std::string& call) {
      if (call == put(30)) throw RemoteError(RemoteError::Cause::unreachable, "gone");
    };
    CHECK_THROWS_AS(copier.round(stay), RemoteError);
    for (const int step : {10, 20, 40}) CHECK(copy_in(store).contains(SampleRun::checkpoint_name(step)));
  }
  SUBCASE("the best is let go before its turn") {
    store.before = [&](const std::string& call) {
      if (call != put(30) || !std::filesystem::exists(run.paths.root / SampleRun::checkpoint_name(30))) return;
      run.checkpoint(50, true);
      run.remove(SampleRun::checkpoint_name(30));
      throw Error(ErrorKind::data, "cannot open");
    };
    copier.round(stay);
    for (const int step : {10, 20, 40}) CHECK(copy_in(store).contains(SampleRun::checkpoint_name(step)));
    round_until_complete(copier);
    CHECK(copy_in(store) == run.files());
  }
  SUBCASE("training is faster than the store") {
    // The newest and the best when the round begins are gone when it ends; they stay until others have arrived.
    store.before = [&](const std::string& call) {
      if (call != "put history.json") return;
      for (const int step : {30, 40}) run.remove(SampleRun::checkpoint_name(step));
      run.checkpoint(50, true);
    };
    run.write("history.json", "{\"more\": 1}");
    store.calls.clear();
    copier.round(stay);
    const auto there = copy_in(store);
    CHECK(!there.contains(SampleRun::checkpoint_name(10)));
    CHECK(there.contains(SampleRun::checkpoint_name(40)));
    store.before = [](const std::string&) {};
    round_until_complete(copier);
    CHECK(copy_in(store) == run.files());
  }
}

TEST_CASE("a later process goes on where one was killed, at whatever call") {
  for (int kill_at = 1; kill_at < 30; ++kill_at) {
    CAPTURE(kill_at);
    SampleRun run;
    FakeStore store;
    for (const int step : {10, 20, 30}) run.checkpoint(step, step == 10);
    struct Killed {};
    int calls = 0;
    store.before = [&](const std::string&) {
      if (++calls == kill_at) throw Killed();
    };
    bool killed = false;
    try {
      Copier copier(store, run.paths, sample_key);
      copier.claim();
      round_until_complete(copier);
    } catch (const Killed&) {
      killed = true;
    }
    run.checkpoint(40);
    run.remove(SampleRun::checkpoint_name(20));
    store.calls.clear();
    store.before = [](const std::string&) {};
    Copier copier(store, run.paths, sample_key);
    copier.claim();
    round_until_complete(copier);
    CHECK(copy_in(store) == run.files());
    if (!killed) {
      CHECK(std::ranges::count(store.calls, put(30)) == 0);  // it was there
      break;
    }
    REQUIRE(kill_at < 29);
  }
}

TEST_CASE("what was lost in the store, or there under an unfinished name, is put again") {
  SampleRun run;
  FakeStore store;
  run.checkpoint(10);
  {
    Copier copier(store, run.paths, sample_key);
    copier.claim();
    round_until_complete(copier);
  }
  store.objects.erase("project/cnn-1/" + SampleRun::checkpoint_name(10));
  store.objects["project/cnn-1/steps.jsonl"] = "";
  store.objects["project/cnn-1/notes.txt"] = "not ours";
  store.objects["project/cnn-1/" + SampleRun::checkpoint_name(5)] = "put by one who was killed before he noted it";
  Copier copier(store, run.paths, sample_key);
  copier.claim();
  round_until_complete(copier);
  CHECK(store.objects.erase("project/cnn-1/notes.txt") == 1);
  CHECK(copy_in(store) == run.files());
}

TEST_CASE("a place that holds another run is refused, and nothing there is touched") {
  SampleRun first, second;
  FakeStore store;
  Copier copier(store, first.paths, sample_key);
  copier.claim();
  round_until_complete(copier);
  const auto before = store.objects;
  Copier other(store, second.paths, sample_key);
  CHECK_THROWS_WITH_AS(other.claim(), doctest::Contains("holds another run"), PlaceTaken);
  CHECK(store.objects == before);
  store.objects.erase("project/cnn-1/copy.json");
  CHECK_THROWS_AS(Copier(store, second.paths, sample_key).claim(), PlaceTaken);
  // A marker alone is what a start leaves that was killed before its run had a file.
  store.objects = {{"project/cnn-1/copy.json", before.at("project/cnn-1/copy.json")}};
  CHECK_NOTHROW(other.claim());
}

TEST_CASE("of two folders of one run the one that goes on has the place") {
  SampleRun run, moved;
  FakeStore store;
  run.checkpoint(10);
  Copier here(store, run.paths, sample_key);
  here.claim();
  round_until_complete(here);
  // As a fetch makes it: the same run, another folder.
  CopyRecord record = *CopyRecord::read(run.paths);
  record.copy = "elsewhere";
  record.write(moved.paths);
  moved.checkpoint(10);
  moved.checkpoint(20);
  Copier there(store, moved.paths, sample_key);
  there.claim();
  round_until_complete(there);
  CHECK(copy_in(store) == moved.files());

  run.write("history.json", "{\"late\": 1}");
  CHECK_THROWS_WITH_AS(here.round(stay), doctest::Contains("another folder of this run"), PlaceTaken);
  Copier late(store, run.paths, sample_key);
  run.checkpoint(30);  // gone on further here, but from behind the copy
  CHECK_THROWS_WITH_AS(late.claim(), doctest::Contains("to step 20"), PlaceTaken);
  CHECK(copy_in(store) == moved.files());
  Copier again(store, run.paths, sample_key);
  again.claim();
  round_until_complete(again);
  CHECK(copy_in(store) == run.files());
}

TEST_CASE("a file that changes while it is put is put again") {
  SampleRun run;
  FakeStore store;
  Copier copier(store, run.paths, sample_key);
  copier.claim();
  store.amid = [&](const std::string& call) {
    if (call == "put history.json") run.write("history.json", "[]");  // as long as before
  };
  CHECK(!copier.round(stay).complete);
  store.amid = [](const std::string&) {};
  CHECK(copier.round(stay).complete);
  CHECK(copy_in(store) == run.files());
}

TEST_CASE("what a store that is away lacks is in the record") {
  SampleRun run;
  FakeStore store;
  Copier copier(store, run.paths, sample_key);
  copier.claim();
  round_until_complete(copier);
  CHECK(CopyRecord::read(run.paths)->places.begin()->second.missing.empty());
  run.checkpoint(40);
  store.before = [](const std::string&) { throw RemoteError(RemoteError::Cause::unreachable, "no answer"); };
  CHECK_THROWS_AS(copier.round(stay), RemoteError);
  const auto missing = CopyRecord::read(run.paths)->places.begin()->second.missing;
  CHECK(std::ranges::count(missing, SampleRun::checkpoint_name(40)) == 1);
}

TEST_CASE("a file that cannot be read is told, and does not keep the others") {
  SampleRun run;
  FakeStore store;
  Copier copier(store, run.paths, sample_key);
  copier.claim();
  store.before = [](const std::string& call) {
    if (call == "put config.yaml") throw Error(ErrorKind::environment, "config.yaml: input/output error");
  };
  const Copier::Round round = copier.round(stay);
  CHECK(round.unreadable == std::vector<std::string>{"config.yaml: input/output error"});
  CHECK(!round.complete);
  CHECK(copier.missing() == std::vector<std::string>{"config.yaml"});
  CHECK(CopyRecord::read(run.paths)->places.begin()->second.missing == std::vector<std::string>{"config.yaml"});
}

TEST_CASE("two processes do not copy one run at once") {
  SampleRun run;
  FakeStore store;
  Copier copier(store, run.paths, sample_key);
  copier.claim();
  const FileLock lock(run.paths.root / CopyRecord::lock_name);
  CHECK_THROWS_WITH_AS(copier.round(stay), doctest::Contains("held by"), Error);
}

TEST_CASE("a damaged record is passed over") {
  SampleRun run;
  for (const char* text : {"", "{", "[]", "{\"format\": \"trainctl-remote\", \"version\": 2}", "{\"format\": 3}"}) {
    run.write(CopyRecord::file_name, text);
    CHECK(!CopyRecord::read(run.paths));
  }
  CopyRecord record = CopyRecord::fresh(sample_key);
  record.places["s3://b/k"] = {.files = {{"a", {1, -2, 3}}}, .missing = {"x"}};
  record.write(run.paths);
  const auto read = CopyRecord::read(run.paths);
  REQUIRE(read);
  CHECK(read->run == record.run);
  CHECK(read->key == sample_key);
  CHECK(read->places.at("s3://b/k").files == record.places.at("s3://b/k").files);
  CHECK(read->places.at("s3://b/k").missing == std::vector<std::string>{"x"});
}
