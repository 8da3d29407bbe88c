#include <doctest/doctest.h>

#include <algorithm>

#include "base/file.h"
#include "base/temp_folder.h"
#include "remote/remote_url.h"

namespace fs = std::filesystem;
using namespace trainctl;
using namespace trainctl::testing;

namespace {

RemoteError::Cause cause_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const RemoteError& error) {
    return error.cause();
  }
  FAIL("no error");
  return RemoteError::Cause::cancelled;
}

}  // namespace

TEST_CASE("a folder keeps objects as files") {
  const TempFolder folder;
  fs::create_directory(folder / "copies");
  const auto store = remote_at("file://" + (folder / "copies").string())->open();
  const std::string large(3'000'001, 'x');
  write_file_atomic(folder / "a", large);
  write_file_atomic(folder / "b", "");
  store->put("p/r-1/a", folder / "a");
  store->put("p/r-1/sub/b", folder / "b");
  store->put("p/r-11/b", folder / "b");
  CHECK(read_file(folder / "copies/p/r-1/a") == large);
  write_file_atomic(folder / "copies/p/r-1/.a.17.tmp", "half");

  const auto next = remote_at("file://" + (folder / "copies").string())->open();
  next->put("p/r-1/a", folder / "a");
  CHECK(!fs::exists(folder / "copies/p/r-1/.a.17.tmp"));  // of one that was killed

  const auto list = store->list("p/r-1/");
  REQUIRE(list.size() == 2);
  CHECK(list[0].key == "p/r-1/a");
  CHECK(list[0].bytes == large.size());
  CHECK(list[1].key == "p/r-1/sub/b");
  CHECK(store->list("p/r-1").size() == 3);
  CHECK(store->list("q/").empty());
  CHECK(store->find("p/r-1/a")->bytes == large.size());
  CHECK(!store->find("p/r-1/c"));

  store->get("p/r-1/a", folder / "fetched");
  CHECK(read_file(folder / "fetched") == large);
  CHECK(cause_of([&] { store->get("p/r-1/c", folder / "c"); }) == RemoteError::Cause::missing);
  CHECK(!fs::exists(folder / "c"));
  store->put("p/r-1/a", folder / "b");
  CHECK(store->find("p/r-1/a")->bytes == 0);
  store->remove("p/r-1/a");
  store->remove("p/r-1/a");
  CHECK(!store->find("p/r-1/a"));
  CHECK_THROWS_AS(store->put("../a", folder / "a"), Error);
  CHECK_THROWS_AS(store->put("p/r-1/a", folder / "no such file"), Error);

  store->cancel();
  CHECK(cause_of([&] { store->put("p/r-1/a", folder / "a"); }) == RemoteError::Cause::cancelled);
}

TEST_CASE("a folder that is not there is refused, not made") {
  const TempFolder folder;
  const auto store = remote_at("file://" + (folder / "share").string())->open();
  write_file_atomic(folder / "a", "a");
  CHECK(cause_of([&] { store->list("p/"); }) == RemoteError::Cause::refused);
  CHECK(cause_of([&] { store->put("p/a", folder / "a"); }) == RemoteError::Cause::refused);
  CHECK(!fs::exists(folder / "share"));
}
