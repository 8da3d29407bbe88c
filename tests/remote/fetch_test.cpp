#include "remote/fetch.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "fake_store.h"
#include "remote/copier.h"
#include "remote/remote_url.h"
#include "store/checkpoint_store.h"
#include "store/history.h"
#include "store/sample_checkpoint.h"

namespace fs = std::filesystem;
using namespace trainctl;
using namespace trainctl::testing;

namespace {

/// A run with real checkpoints, copied.
struct CopiedRun : SampleRun {
  FakeStore store;

  CopiedRun() {
    CheckpointStore checkpoints(paths.checkpoints());
    for (const int step : {10, 20, 30}) {
      SampleModel model(step);
      CheckpointContents contents = model.contents();
      History history;
      history.best = HistoryBest{"val/loss", "min", 0.5, 1, 20};
      contents.history_json = history.to_json();
      checkpoints.save(step, contents, step == 20, {.last = 0});
    }
    copy();
  }
  void copy() {
    Copier copier(store, paths, sample_key);
    copier.claim();
    while (!copier.round([] { return false; }).complete) {
    }
  }
};

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

}  // namespace

TEST_CASE("a fetched run is the one that was copied, links and all, and goes on with its copy") {
  CopiedRun run;
  const TempFolder machine;
  const Fetched fetched = fetch_run(run.store, sample_key, machine / "runs/cnn-1");
  const RunPaths there{machine / "runs/cnn-1"};
  CHECK(fetched.step == 30);
  CHECK(fetched.files == run.files().size());
  for (const auto& [name, bytes] : run.files()) CHECK(read_file(there.root / name) == bytes);
  CHECK(fs::read_symlink(there.checkpoints() / "last.h5") == "step-00000030.h5");
  CHECK(fs::read_symlink(there.checkpoints() / "best.h5") == "step-00000020.h5");
  CHECK(names_in(machine / "runs") == std::vector<std::string>{"cnn-1"});

  run.store.calls.clear();
  Copier copier(run.store, there, "ignored/name");
  copier.claim();
  CHECK(copier.round([] { return false; }).complete);
  CHECK(run.store.calls == std::vector<std::string>{"put copy.json"});  // nothing is copied twice
}

TEST_CASE("a fetch writes over nothing, and leaves nothing where it fails") {
  CopiedRun run;
  const TempFolder machine;
  const auto expect = [&](ErrorKind kind, const std::string& text) {
    try {
      fetch_run(run.store, sample_key, machine / "cnn-1");
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.kind() == kind);
      CHECK_MESSAGE(std::string(error.what()).find(text) != std::string::npos, error.what());
    }
  };
  SUBCASE("something is there") {
    fs::create_directory(machine / "cnn-1");
    expect(ErrorKind::usage, "--output");
    CHECK(names_in(machine.path()) == std::vector<std::string>{"cnn-1"});
    return;
  }
  SUBCASE("no run") {
    run.store.objects.clear();
    expect(ErrorKind::data, "there is no run");
  }
  SUBCASE("no config") {
    run.store.objects.erase("project/cnn-1/config.yaml");
    expect(ErrorKind::data, "config.yaml");
  }
  SUBCASE("the store goes") {
    run.store.before = [&](const std::string& call) {
      if (call == "get" && run.store.asked > 20) throw RemoteError(RemoteError::Cause::unreachable, "gone");
    };
    run.store.asked = 18;
    expect(ErrorKind::environment, "gone");
  }
  SUBCASE("no checkpoint is whole") {
    for (auto& [key, bytes] : run.store.objects)
      if (key.ends_with(".h5")) bytes[bytes.size() / 2] ^= 1;
    expect(ErrorKind::data, "no checkpoint");
  }
  CHECK(names_in(machine.path()).empty());
}

TEST_CASE("a damaged checkpoint is left out, and the one before it counts") {
  CopiedRun run;
  const TempFolder machine;
  auto& bytes = run.store.objects.at("project/cnn-1/" + SampleRun::checkpoint_name(30));
  bytes[bytes.size() - 1] ^= 1;
  CHECK(fetch_run(run.store, sample_key, machine / "cnn-1").step == 20);
  const RunPaths there{machine / "cnn-1"};
  CHECK(!fs::exists(there.root / SampleRun::checkpoint_name(30)));
  CHECK(fs::read_symlink(there.checkpoints() / "last.h5") == "step-00000020.h5");
}

TEST_CASE("objects whose names lead elsewhere are not fetched") {
  CopiedRun run;
  const TempFolder machine;
  for (const char* name :
       {"../../evil", "/evil", "a//evil", "./evil", "run.lock", "remote.json", "a/../evil", ".evil", "a\nevil"})
    run.store.objects["project/cnn-1/" + std::string(name)] = "evil";
  fetch_run(run.store, sample_key, machine / "runs/cnn-1");
  for (const auto& entry : fs::recursive_directory_iterator(machine.path()))
    CHECK(entry.path().string().find("evil") == std::string::npos);
  CHECK(read_file(machine / "runs/cnn-1/run.lock") != "evil");
}

TEST_CASE("a run that is copied meanwhile is fetched as far as it is then") {
  CopiedRun run;
  const TempFolder machine;
  bool changed = false;
  run.store.before = [&](const std::string& call) {
    if (call != "get" || std::exchange(changed, true)) return;
    // Between list and get: a newer checkpoint, retention, longer steps.
    SampleModel model(40);
    CheckpointStore(run.paths.checkpoints()).save(40, model.contents(), false, {.last = 1, .best = true});
    run.write("steps.jsonl", "{}\n{}\n");
    run.copy();
  };
  CHECK(fetch_run(run.store, sample_key, machine / "cnn-1").step == 40);
  CHECK(read_file(machine / "cnn-1/steps.jsonl") == "{}\n{}\n");
}

TEST_CASE("URLs of stores and of runs") {
  const TempFolder machine;
  const std::string base = "file://" + machine.path().string();
  CHECK(is_remote_url("s3://bucket/x"));
  CHECK(!is_remote_url("runs/examples/cnn-1"));
  const RemoteRun run = remote_run_at(base + "/project/cnn-1/");
  CHECK(run.key == "project/cnn-1");
  CHECK(run.remote->open()->url(run.key) == base + "/project/cnn-1");
  CHECK(run.remote.type() == "folder");
  CHECK(remote_at(base, {.set = {"remote.wait=3 s", "optimizer.lr=1"}, .unset = {}})->wait.seconds == 3.0);
  for (const char* url : {"file:///cnn-1", "nowhere", "s3:/b/p/cnn-1", "file://", "://a/b/c/d"})
    CHECK_THROWS_AS(remote_run_at(url), Error);
  CHECK_THROWS_WITH_AS(remote_at("ftp://host/x"), doctest::Contains("file://"), Error);
  CHECK_THROWS_WITH_AS(remote_at(base, {.set = {"remote.pathh=3"}, .unset = {}}), doctest::Contains("path"),
                       ConfigError);
}
