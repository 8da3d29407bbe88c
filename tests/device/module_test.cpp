#include "device/module.h"

#include <doctest/doctest.h>

#include <unistd.h>
#include <cstdlib>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "device/kernel.h"

using namespace trainctl;

namespace {

const char* const elsewhere = std::getenv("TRAINCTL_TEST_MODULES");
const std::filesystem::path folder = elsewhere ? elsewhere : TRAINCTL_TEST_MODULES;

struct TempFolder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("trainctl-modules-" + std::to_string(::getpid()));
  TempFolder() { std::filesystem::create_directories(path); }
  ~TempFolder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("a module registers its kernels when it is loaded, once") {
  CHECK(KernelRegistry::instance().find("module_op", "cpu").empty());
  load_module(folder / "module_good.so");
  load_module(folder / "module_good.so");
  REQUIRE(KernelRegistry::instance().find("module_op", "cpu").size() == 1);
  CHECK(KernelRegistry::instance().find("module_op", "cpu")[0]->name == "from_module");
  CHECK(modules().size() == 1);
  CHECK(modules()[0].name == "good");
}

TEST_CASE("a module of another build is refused before its code runs") {
  const TempFolder temp;
  std::ifstream file(folder / "module_missing_symbol.so", std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const auto at = bytes.find(build_id());
  REQUIRE(at != std::string::npos);
  bytes[at] = bytes[at] == 'x' ? 'y' : 'x';
  std::ofstream(temp.path / "old.so", std::ios::binary) << bytes;
  CHECK_THROWS_WITH_AS(load_module(temp.path / "old.so"), doctest::Contains("built for another trainctl"), Error);
}

TEST_CASE("what is no module, is missing, or lacks a symbol is refused by its reason") {
  const TempFolder temp;
  std::ofstream(temp.path / "text.so") << "hello";
  CHECK_THROWS_WITH_AS(load_module(temp.path / "text.so"), doctest::Contains("not a trainctl module"), Error);
  CHECK_THROWS_WITH_AS(load_module(temp.path / "absent.so"), doctest::Contains("cannot be read"), Error);
  CHECK_THROWS_WITH_AS(load_module(folder / "module_missing_symbol.so"), doctest::Contains("that_is_nowhere"), Error);
}

TEST_CASE("a folder's faults are kept for doctor") {
  const TempFolder temp;
  std::ofstream(temp.path / "broken.so") << "hello";
  const auto before = modules().size();
  load_modules(temp.path);
  load_modules(temp.path / "nowhere");
  REQUIRE(modules().size() == before + 1);
  CHECK(modules().back().problem.find("not a trainctl module") != std::string::npos);
}
