#include "store/run_directory.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/faults.h"
#include "base/temp_folder.h"
#include "schema/json_text.h"
#include "store/provenance.h"

namespace fs = std::filesystem;
using namespace trainctl;
using namespace trainctl::testing;

namespace {

template <typename Work>
std::pair<ErrorKind, std::string> error_of(Work work) {
  try {
    work();
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {ErrorKind::internal, "no error"};
}

RunDirectory new_run(const fs::path& root, const char* name = "cnn") {
  RunDirectory run = RunDirectory::allocate(root, "examples", name);
  run.write_config("resolved: 1\n", "given: 1\n");
  return run;
}

}  // namespace

TEST_CASE("runs are numbered and found newest first") {
  const TempFolder root;
  CHECK(find_runs(root.path(), "examples", "cnn").empty());
  for (int i = 0; i < 11; ++i) new_run(root.path());
  new_run(root.path(), "cnn-2");
  const auto runs = find_runs(root.path(), "examples", "cnn");
  REQUIRE(runs.size() == 11);
  CHECK(runs.front() == root / "examples/cnn-11");
  CHECK(runs.back() == root / "examples/cnn-1");
  CHECK(read_file(runs.front() / "config.yaml") == "resolved: 1\n");
  CHECK(read_file(runs.front() / "config.orig.yaml") == "given: 1\n");
  // A number is never given twice, even if an older run was removed.
  fs::remove_all(runs.back());
  CHECK(new_run(root.path()).paths().root == root / "examples/cnn-12");
}

TEST_CASE("a run that never had its config leaves nothing") {
  const TempFolder root;
  { const RunDirectory run = RunDirectory::allocate(root.path(), "examples", "cnn"); }
  CHECK_FALSE(fs::exists(root / "examples/cnn-1"));
  {
    RunDirectory run = RunDirectory::allocate(root.path(), "examples", "cnn");
    const InjectFaults faults({.fail_call = 8, .code = ENOSPC});  // in the second of the two configs
    CHECK(error_of([&] { run.write_config("a", "b"); }).first == ErrorKind::environment);
  }
  CHECK_FALSE(fs::exists(root / "examples/cnn-1"));
  fs::create_directory(root / "mine");
  { const RunDirectory run = RunDirectory::create_at(root / "mine"); }
  CHECK(fs::is_empty(root / "mine"));
  { RunDirectory moved = RunDirectory::create_at(root / "new/deep"); }
  CHECK_FALSE(fs::exists(root / "new/deep"));
}

TEST_CASE("an output folder is new, empty or refused with advice") {
  const TempFolder root;
  RunDirectory::create_at(root / "a").write_config("x", "y");
  const auto [kind, text] = error_of([&] { RunDirectory::create_at(root / "a"); });
  CHECK(kind == ErrorKind::usage);
  CHECK(text.find("trainctl resume") != std::string::npos);
  write_file_atomic(root / "file", "x");
  CHECK(error_of([&] { RunDirectory::create_at(root / "file"); }).first == ErrorKind::usage);
  CHECK(error_of([&] { RunDirectory::create_at(root / "file/below"); }).first == ErrorKind::environment);
  // What a start left that was killed before its config.
  CHECK(in_child([&] {
          const RunDirectory run = RunDirectory::create_at(root / "killed");
          ::raise(SIGKILL);
        }) == -SIGKILL);
  RunDirectory::create_at(root / "killed").write_config("x", "y");
  CHECK(fs::exists(root / "killed/config.yaml"));
}

TEST_CASE("names that would leave the folder are config errors") {
  const TempFolder root;
  for (const char* name : {"", ".", "..", "a/b", "../x", ".hidden"}) {
    CHECK(error_of([&] { RunDirectory::allocate(root.path(), "p", name); }).first == ErrorKind::config);
    CHECK(error_of([&] { RunDirectory::allocate(root.path(), name, "n"); }).first == ErrorKind::config);
  }
}

TEST_CASE("one process at a time works on a run") {
  const TempFolder root;
  std::optional<RunDirectory> run(new_run(root.path()));
  const fs::path path = run->paths().root;
  CHECK(read_status(run->paths()).locked);
  const auto [kind, text] = error_of([&] { RunDirectory::open(path); });
  CHECK(kind == ErrorKind::environment);
  CHECK(text.find("held by pid") != std::string::npos);
  run.reset();
  CHECK_FALSE(read_status({path}).locked);
  write_file_atomic(path / ".history.json.1.tmp", "left by a kill");
  const RunDirectory again = RunDirectory::open(path);
  CHECK_FALSE(fs::exists(path / ".history.json.1.tmp"));
}

TEST_CASE("opening what is no run is a data error and leaves no trace") {
  const TempFolder root;
  CHECK(error_of([&] { RunDirectory::open(root.path()); }).first == ErrorKind::data);
  CHECK(error_of([&] { RunDirectory::open(root / "none"); }).first == ErrorKind::data);
  CHECK(fs::is_empty(root.path()));
  // One that is just being made is found, and held.
  const RunDirectory run = RunDirectory::allocate(root.path(), "examples", "cnn");
  CHECK(find_runs(root.path(), "examples", "cnn").size() == 1);
  CHECK(error_of([&] { RunDirectory::open(run.paths().root); }).first == ErrorKind::environment);
}

TEST_CASE("meta.json keeps every start and how it ended") {
  const TempFolder root;
  RunDirectory run = new_run(root.path());
  CHECK(read_status(run.paths()).status == "");
  ::setenv("SLURM_JOB_ID", "4711", 1);
  ::setenv("SLURM_JWT", "secret-token", 1);
  run.record_start(
      {"train", {"trainctl", "train", "a.yaml"}, "0.1.0", "release", "cpu", 2, {{"HDF5", "1.10.8"}}, {}, {}, true, 0});
  ::unsetenv("SLURM_JOB_ID");
  ::unsetenv("SLURM_JWT");
  CHECK(read_status(run.paths()).status == "running");
  CHECK_FALSE(read_status(run.paths()).exit_code);
  run.record_end("interrupted", 85);
  run.record_start({.command = "resume",
                    .argv = {},
                    .version = "0.1.0",
                    .build = "",
                    .device = "",
                    .libraries = {},
                    .modules = {},
                    .sources = {},
                    .from_step = 42});
  run.record_end("finished", 0);

  const RunStatus status = read_status(run.paths());
  CHECK(status.finished());
  CHECK(status.exit_code == 0);
  CHECK(status.starts == 2);
  const std::string text = read_file(run.paths().meta());
  const auto meta = parse_json(text);
  CHECK(meta["starts"][0]["batch"]["SLURM_JOB_ID"] == "4711");
  CHECK(text.find("secret-token") == std::string::npos);
  CHECK(meta["starts"][0]["argv"][2] == "a.yaml");
  CHECK(meta["starts"][0]["exit_code"] == 85);
  CHECK(meta["starts"][1]["from_step"] == 42);
  CHECK(meta["starts"][1]["host"] == host_name());
  CHECK(meta["starts"][1]["ended"].get<std::string>().ends_with("Z"));
}

TEST_CASE("a damaged meta.json does not stop a resume") {
  const TempFolder root;
  RunDirectory run = new_run(root.path());
  for (const char* text :
       {"", "{", "[]", "{\"format\": \"trainctl-run\", \"starts\": 3, \"status\": \"\", \"exit_code\": null}"}) {
    write_file_atomic(run.paths().meta(), text);
    CHECK(read_status(run.paths()).status == "");
    run.record_start({});
    CHECK(read_status(run.paths()).starts == 1);
  }
}

TEST_CASE("the commit is read from git's files") {
  const TempFolder folder;
  const std::string one(40, '1'), two(40, '2');
  CHECK_FALSE(git_commit(folder.path()));
  fs::create_directories(folder / "tree/.git/refs/heads");
  fs::create_directories(folder / "tree/sub/sub");
  const auto commit = [&] { return git_commit(folder / "tree/sub/sub").value_or("none"); };
  CHECK(commit() == "none");
  write_file_atomic(folder / "tree/.git/HEAD", one + "\n");
  CHECK(commit() == one);
  write_file_atomic(folder / "tree/.git/HEAD", "ref: refs/heads/main\n");
  write_file_atomic(folder / "tree/.git/packed-refs",
                    "# pack-refs\n" + one + " refs/heads/main\n" + two + " refs/heads/other\n");
  CHECK(commit() == one);
  write_file_atomic(folder / "tree/.git/refs/heads/main", two + "\n");
  CHECK(commit() == two);
  // A linked work tree.
  fs::create_directories(folder / "tree/.git/worktrees/w");
  fs::create_directory(folder / "linked");
  write_file_atomic(folder / "linked/.git", "gitdir: " + (folder / "tree/.git/worktrees/w").string() + "\n");
  write_file_atomic(folder / "tree/.git/worktrees/w/HEAD", "ref: refs/heads/other\n");
  write_file_atomic(folder / "tree/.git/worktrees/w/commondir", "../..\n");
  CHECK(git_commit(folder / "linked") == two);
}
