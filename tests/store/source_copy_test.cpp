#include "store/source_copy.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/temp_folder.h"

using namespace trainctl;
namespace fs = std::filesystem;

namespace {

struct Tree {
  testing::TempFolder folder;
  fs::path root = fs::canonical(folder.path());
  Tree() {
    for (const char* file :
         {"a.cpp", "b.h", "sub/c.cpp", "sub/deep/d.cpp", ".git/e.cpp", "runs/r-1/f.cpp", "notes.txt"}) {
      fs::create_directories((root / file).parent_path());
      write_file_atomic(root / file, std::string("text of ") + file);
    }
    write_file_atomic(root / "runs/r-1/run.lock", "");
    fs::create_symlink("/etc/hostname", root / "link.cpp");
    fs::create_directory_symlink("/etc", root / "outside");
  }
  std::vector<std::string> found(const std::vector<std::string>& patterns) const {
    std::vector<fs::path> paths;
    for (const auto& pattern : patterns) paths.push_back(root / pattern);
    std::vector<std::string> names;
    for (const auto& file : find_sources(paths).files) names.push_back(file.string());
    return names;
  }
};
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("patterns find regular files, once each; not hidden ones, links, or what lies in runs") {
  const Tree tree;
  CHECK(tree.found({"*.cpp"}) == Names{"a.cpp"});
  CHECK(tree.found({"**/*.cpp", "a.cpp", "?.h"}) == Names{"a.cpp", "b.h", "sub/c.cpp", "sub/deep/d.cpp"});
  CHECK(tree.found({"sub/**/d.*"}) == Names{"d.cpp"});
  CHECK(tree.found({"*/c.cpp", "notes.txt"}) == Names{"notes.txt", "sub/c.cpp"});
  CHECK(find_sources({}).files.empty());
}

TEST_CASE("a pattern that names no file is refused, and so is too much") {
  const Tree tree;
  for (const char* pattern : {"*.rs", "link.cpp", "outside", "sub", "*/hostname"})
    CHECK_THROWS_WITH_AS(tree.found({"a.cpp", pattern}), doctest::Contains("names no file"), Error);
  write_file_atomic(tree.root / "large.bin", std::string(SourceFiles::max_bytes, 'x'));
  CHECK(tree.found({"large.bin"}).size() == 1);
  CHECK_THROWS_WITH_AS(tree.found({"large.bin", "a.cpp"}), doctest::Contains("16 MiB"), Error);
}

TEST_CASE("copies keep their paths and say what they hold") {
  const Tree tree;
  const SourceFiles sources = find_sources({tree.root / "sub/**/*.cpp"});
  CHECK(sources.base == tree.root / "sub");
  const auto digests = copy_sources(sources, tree.root / "copy");
  CHECK(digests.size() == 2);
  CHECK(digests.at("deep/d.cpp") == sha256_hex(std::string_view("text of sub/deep/d.cpp")));
  CHECK(read_file(tree.root / "copy/deep/d.cpp") == "text of sub/deep/d.cpp");
}
