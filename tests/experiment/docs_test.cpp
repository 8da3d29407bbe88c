// The examples under configs/: they read, and editors find their schema.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "schema/resolve.h"
#include "source_dir.h"
#include "train/spec.h"

namespace fs = std::filesystem;
using namespace trainctl;

namespace {

const fs::path root = test::source_dir();

/// Every YAML file below a folder.
std::vector<fs::path> yaml_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  return files;
}

/// Models are pieces that other configs extend.
bool is_fragment(const fs::path& config) {
  return config.parent_path() == root / "configs/models";
}

std::string first_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

}  // namespace

TEST_CASE("every config names its schema in the first line, by a path that leads there") {
  const std::string comment = "# yaml-language-server: $schema=";
  std::size_t seen = 0;
  for (const fs::path& config : yaml_files(root / "configs")) {
    CAPTURE(config.string());
    const std::string line = first_line(config);
    if (is_fragment(config)) {
      CHECK(!line.starts_with(comment));  // its missing sections would be errors
      continue;
    }
    ++seen;
    REQUIRE(line.starts_with(comment));
    const fs::path schema = config.parent_path() / line.substr(comment.size());
    REQUIRE(fs::exists(schema));
    CHECK(fs::equivalent(schema, root / "docs/trainctl.schema.json"));
  }
  CHECK(seen >= 8);
}

TEST_CASE("every config and golden experiment reads") {
  std::size_t seen = 0;
  for (const char* folder : {"configs", "tests/golden"}) {
    for (const fs::path& config : yaml_files(root / folder)) {
      if (is_fragment(config)) continue;
      CAPTURE(config.string());
      ++seen;
      CHECK_NOTHROW(parse<ExperimentSpec>(load_spec(config)));
    }
  }
  CHECK(seen >= 20);
}
