#include "remote/copy_record.h"

#include <fmt/core.h>

#include <random>

#include "base/error.h"
#include "base/log.h"
#include "schema/json_text.h"
#include "store/json_values.h"

namespace trainctl {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view record_format = "trainctl-remote";
constexpr std::string_view marker_format = "trainctl-copy";
constexpr int version = 1;

std::string drawn() {
  std::random_device device;
  std::string text;
  for (int i = 0; i < 4; ++i) text += fmt::format("{:08x}", device());
  return text;
}

void expect_format(const Json& json, std::string_view format) {
  if (json.at("format") != format) throw std::invalid_argument("it is of another format");
  if (json.at("version").get<int>() > version) throw std::invalid_argument("a newer version of trainctl wrote it");
}

CopyRecord record_of(const Json& json) {
  expect_format(json, record_format);
  CopyRecord record{.run = json.at("run"), .copy = json.at("copy"), .key = json.at("key"), .places = {}};
  for (const auto& [url, entry] : json.at("places").items()) {
    CopyRecord::Place& place = record.places[url];
    for (const auto& [name, stamp] : entry.at("files").items())
      place.files[name] = {.bytes = stamp.at("bytes"), .mtime_ns = stamp.at("mtime_ns"), .inode = stamp.at("inode")};
    place.missing = entry.at("missing").get<std::vector<std::string>>();
  }
  return record;
}

}  // namespace

CopyRecord CopyRecord::fresh(std::string key) {
  return {.run = drawn(), .copy = drawn(), .key = std::move(key), .places = {}};
}

std::optional<CopyRecord> CopyRecord::read(const RunPaths& paths) {
  const fs::path path = paths.root / file_name;
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  try {
    return record_of(parse_json(read_file(path)));
  } catch (const Json::exception& damage) {
    log::warn("{}: is damaged and passed over: {}", path.string(), damage.what());
  } catch (const std::invalid_argument& damage) {
    log::warn("{}: is passed over: {}", path.string(), damage.what());
  }
  return {};
}

void CopyRecord::write(const RunPaths& paths) const {
  Json json{{"format", record_format}, {"version", version}, {"run", run}, {"copy", copy}, {"key", key},
            {"places", Json::object()}};
  for (const auto& [url, place] : places) {
    Json& entry = json["places"][url];
    entry["missing"] = place.missing;
    entry["files"] = Json::object();
    for (const auto& [name, stamp] : place.files)
      entry["files"][name] = {{"bytes", stamp.bytes}, {"mtime_ns", stamp.mtime_ns}, {"inode", stamp.inode}};
  }
  write_file_atomic(paths.root / file_name, json_text(json, 1) + "\n");
}

std::string CopyMarker::to_json() const {
  const Json json{{"format", marker_format}, {"version", version}, {"run", run}, {"copy", copy}, {"host", host},
                  {"since", since}};
  return json_text(json, 1) + "\n";
}

CopyMarker CopyMarker::from_json(std::string_view text, std::string_view source) {
  try {
    const Json json = parse_json(text);
    expect_format(json, marker_format);
    return {.run = json.at("run"), .copy = json.at("copy"), .host = json.at("host"), .since = json.at("since")};
  } catch (const std::exception& damage) {  // Json's, or ours
    fail(ErrorKind::data, "{}: cannot be read ({})", source, damage.what());
  }
}

}  // namespace trainctl
