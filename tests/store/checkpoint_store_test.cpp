#include "store/checkpoint_store.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <cerrno>
#include <fstream>
#include <set>
#include <string>

#include "base/error.h"
#include "base/faults.h"
#include "base/temp_folder.h"
#include "store/sample_checkpoint.h"

namespace fs = std::filesystem;
using namespace trainctl;
using namespace trainctl::testing;

namespace {

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

fs::path save(CheckpointStore& store, std::int64_t step, bool is_best = false, Retention retention = {.last = 0}) {
  SampleModel model(step);
  return store.save(step, model.contents(), is_best, retention);
}

void flip_a_bit(const fs::path& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(3000);
  const char old = static_cast<char>(file.get());
  file.seekp(3000);
  file.put(static_cast<char>(old ^ 1));
}

// The step that a checkpoint's contents tell.
std::int64_t step_within(const CheckpointReader& reader) {
  SampleModel model(0);
  reader.load(model.arrays());
  CHECK(model == SampleModel(model.batches[0]));
  return model.batches[0];
}

struct Store : TempFolder, CheckpointStore {
  Store() : CheckpointStore(path() / "checkpoints") { prepare(); }
};

}  // namespace

TEST_CASE("saving moves the links and keeps what retention says") {
  Store store;
  const Retention retention{.last = 2, .best = true};
  CHECK(save(store, 10, true, retention).filename() == "step-00000010.h5");
  for (const int step : {20, 30, 40}) save(store, step, false, retention);
  CHECK(names_in(store.folder()) ==
        std::set<std::string>{"best.h5", "last.h5", "step-00000010.h5", "step-00000030.h5", "step-00000040.h5"});
  CHECK(store.best()->step == 10);
  CHECK(store.last()->step == 40);
  CHECK(fs::read_symlink(store.folder() / "last.h5") == "step-00000040.h5");
  CHECK(step_within(open_checkpoint(store.folder() / "last.h5")) == 40);

  save(store, 50, true, retention);
  save(store, 60, false, retention);
  CHECK(store.best()->step == 50);
  CHECK(names_in(store.folder()).count("step-00000010.h5") == 0);

  save(store, 70, false, {.last = 1, .best = false});
  CHECK(names_in(store.folder()) == std::set<std::string>{"best.h5", "last.h5", "step-00000070.h5"});
  CHECK_FALSE(store.best());  // dangles
}

TEST_CASE("the order is that of the steps, past eight digits and whatever the clock") {
  Store store;
  for (const std::int64_t step : {std::int64_t{123'456'789'012}, std::int64_t{99'999'999}, std::int64_t{5}})
    save(store, step);
  fs::last_write_time(store.folder() / "step-00000005.h5", fs::file_time_type::clock::now() + std::chrono::hours(24));
  CHECK(store.list()[0].step == 123'456'789'012);
  CHECK(store.list()[2].step == 5);
  CHECK(store.newest_valid()->file.step == 123'456'789'012);
}

TEST_CASE("a damaged checkpoint is passed over for the next older one, by name and reason") {
  Store store;
  for (const int step : {10, 20, 30}) save(store, step);
  flip_a_bit(store.folder() / "step-00000030.h5");
  fs::resize_file(store.folder() / "step-00000020.h5", 4000);
  const auto found = store.newest_valid();
  REQUIRE(found);
  CHECK(found->file.step == 10);
  CHECK(step_within(found->reader) == 10);
  REQUIRE(found->refused.size() == 2);
  CHECK(found->refused[0].path.filename() == "step-00000030.h5");
  CHECK(contains(found->refused[0].reason, "SHA-256"));
  CHECK(contains(found->refused[1].reason, "cut short"));
}

TEST_CASE("no checkpoint is no error, only damaged ones are") {
  Store store;
  CHECK_FALSE(store.newest_valid());
  CHECK_FALSE(CheckpointStore("/nowhere/at/all").newest_valid());
  save(store, 10);
  flip_a_bit(store.folder() / "step-00000010.h5");
  const std::string message = data_error_of([&] { store.newest_valid(); });
  CHECK(contains(message, "no checkpoint is usable"));
  CHECK(contains(message, "step-00000010.h5"));
}

TEST_CASE("only regular files with the right name count") {
  Store store;
  save(store, 10);
  fs::create_symlink("step-00000010.h5", store.folder() / "step-00000099.h5");
  fs::create_directory(store.folder() / "step-00000098.h5");
  for (const char* name : {"step-97.h5", "step-0000009x.h5", "step-00000096.h5.bak", "step--0000095.h5"}) {
    write_file_atomic(store.folder() / name, "x");
  }
  CHECK(store.list().size() == 1);
  CHECK(store.newest_valid()->refused.empty());
  // Links that leave the folder are not followed.
  fs::remove(store.folder() / "best.h5");
  fs::create_symlink("../step-00000010.h5", store.folder() / "best.h5");
  CHECK_FALSE(store.best());
}

TEST_CASE("a folder of checkpoints that is a link is refused") {
  const TempFolder folder;
  fs::create_directory(folder / "real");
  fs::create_directory_symlink("real", folder / "checkpoints");
  CheckpointStore store(folder / "checkpoints");
  CHECK_THROWS_AS(store.prepare(), Error);
}

TEST_CASE("rewinding forgets the steps after it") {
  Store store;
  for (const int step : {10, 20, 30}) save(store, step, step == 30);
  flip_a_bit(store.folder() / "step-00000030.h5");
  store.rewind(20, 10);
  CHECK(names_in(store.folder()) ==
        std::set<std::string>{"best.h5", "last.h5", "step-00000010.h5", "step-00000020.h5"});
  CHECK(store.last()->step == 20);
  CHECK(store.best()->step == 10);
  // Retention counts from here on, not from the file that was damaged.
  save(store, 25, false, {.last = 2, .best = false});
  CHECK(store.list().size() == 2);
  store.rewind(20, std::nullopt);
  CHECK(names_in(store.folder()) == std::set<std::string>{"last.h5", "step-00000020.h5"});
}

TEST_CASE("killed at any call of a save, the newest whole checkpoint loads") {
  bool saw_old = false, saw_new = false;
  for (const bool after : {false, true}) {
    for (int call = 0;; ++call) {
      Store store;
      save(store, 10, true);
      save(store, 20);
      const int status = in_child([&] {
        const InjectFaults faults(after ? FaultPlan{.kill_after = call} : FaultPlan{.kill_before = call});
        save(store, 30, true, {.last = 1, .best = true});
      });
      const auto found = store.newest_valid();
      REQUIRE(found);
      CHECK(found->refused.empty());
      CHECK((found->file.step == 20 || found->file.step == 30));
      CHECK(step_within(found->reader) == found->file.step);
      // The links lag behind at worst, and never point at nothing.
      REQUIRE(store.last());
      REQUIRE(store.best());
      CHECK(store.last()->step <= found->file.step);
      CHECK(step_within(open_checkpoint(store.best()->path)) == store.best()->step);
      (found->file.step == 20 ? saw_old : saw_new) = true;
      store.prepare();
      for (const std::string& name : names_in(store.folder())) CHECK(name.ends_with(".h5"));
      if (status == 0) break;
      CHECK(status == -SIGKILL);
    }
  }
  CHECK(saw_old);
  CHECK(saw_new);
}

TEST_CASE("a save that fails at any call leaves the older checkpoints and no litter") {
  for (const int code : {ENOSPC, EIO, EROFS}) {
    int failures = 0;
    for (int call = 0;; ++call) {
      Store store;
      save(store, 10, true);
      save(store, 20);
      bool failed = false;
      int calls = 0;
      {
        const InjectFaults faults({.fail_call = call, .code = code});
        try {
          save(store, 30);
        } catch (const Error& error) {
          CHECK(error.kind() == ErrorKind::environment);
          CHECK(contains(error.what(), (store.folder()).string()));
          failed = true;
        }
        calls = faults.plan().calls;
      }
      failures += failed;
      for (const std::string& name : names_in(store.folder())) CHECK(name.ends_with(".h5"));
      const auto found = store.newest_valid();
      CHECK(found->refused.empty());
      CHECK(step_within(found->reader) == found->file.step);
      CHECK(fs::exists(store.folder() / "step-00000020.h5"));
      CHECK(store.last()->step <= found->file.step);
      if (!failed && call >= calls) break;
    }
    CHECK(failures >= 7);
  }
}

TEST_CASE("a disk that fills at any KiB keeps the older checkpoint, and more space mends it") {
  Store store;
  save(store, 20);
  const auto size = fs::file_size(store.folder() / "step-00000020.h5");
  for (std::uint64_t free_bytes = 0; free_bytes < size; free_bytes += 1024) {
    const InjectFaults faults({.code = ENOSPC, .disk_bytes = free_bytes});
    CHECK_THROWS_AS(save(store, 30), Error);
    CHECK(names_in(store.folder()) == std::set<std::string>{"last.h5", "step-00000020.h5"});
  }
  save(store, 30);
  CHECK(store.newest_valid()->file.step == 30);
}

TEST_CASE("short writes and interrupts give the same file") {
  Store store;
  SampleModel model(20);
  {
    const InjectFaults faults({.longest_write = 100, .interrupt_every_other = true});
    store.save(20, model.contents(), false, {});
  }
  CHECK(read_file(store.folder() / "step-00000020.h5") == encode_checkpoint(model.contents()).text());
}

TEST_CASE("a checkpoint that cannot be read now is not passed over") {
  Store store;
  save(store, 10);
  save(store, 20);
  CHECK(in_child([&] {
          const int next = ::dup(0);
          ::close(next);
          const rlimit one = {static_cast<rlim_t>(next) + 1, static_cast<rlim_t>(next) + 1};
          ::setrlimit(RLIMIT_NOFILE, &one);  // enough to list the folder and read the file, too little to index it
          try {
            (void)store.newest_valid();
          } catch (const Error& error) {
            ::_exit(error.kind() == ErrorKind::environment ? 7 : 8);
          }
        }) == 7);
}
