#include "store/checkpoint_index.h"

#include <nlohmann/json.hpp>

#include "base/child.h"
#include "base/error.h"
#include "store/hdf5.h"

namespace trainctl {
namespace {

using Json = nlohmann::json;
using Entry = CheckpointReader::Entry;

constexpr unsigned max_seconds = 60;

Json entry_to_json(const Entry& entry) {
  const auto dims = entry.type.shape.dims();
  return {entry.path, static_cast<int>(entry.type.dtype), std::vector<std::int64_t>(dims.begin(), dims.end()),
          entry.offset};
}

Entry entry_from_json(const Json& json, std::uint64_t file_bytes) {
  Entry entry{
      json.at(0).get<std::string>(), {static_cast<DType>(json.at(1).get<int>()), {}}, json.at(3).get<std::uint64_t>()};
  std::uint64_t bytes = 0;
  bool fits = hdf5::file_type(entry.type.dtype) >= 0 && json.at(2).size() <= Shape::max_rank;
  if (fits) bytes = size_bytes(entry.type.dtype);
  for (std::size_t axis = 0; fits && axis < json.at(2).size(); ++axis) {
    const auto extent = json.at(2).at(axis).get<std::int64_t>();
    entry.type.shape.push_back(extent);
    fits = extent >= 0 && !__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes);
  }
  if (!fits || bytes > file_bytes || entry.offset > file_bytes - bytes)
    throw std::out_of_range("an array outside of the file");
  return entry;
}

std::string encode(const CheckpointIndex& index) {
  Json json{
      {"arrays", Json::array()}, {"texts", Json::array()}, {"numbers", Json::object()}, {"strings", Json::object()}};
  for (const Entry& entry : index.arrays) json["arrays"].push_back(entry_to_json(entry));
  for (const auto& [path, entry] : index.texts) json["texts"].push_back(entry_to_json(entry));
  for (const auto& [name, value] : index.attributes) {
    if (const auto* text = std::get_if<std::string>(&value)) {
      json["strings"][name] = *text;
    } else {
      json["numbers"][name] = std::get<std::int64_t>(value);
    }
  }
  std::string bytes;
  Json::to_cbor(json, bytes);  // unlike JSON text it carries strings that are not UTF-8
  return bytes;
}

CheckpointIndex decode(const Json& json, std::uint64_t file_bytes) {
  CheckpointIndex index;
  for (const Json& entry : json.at("arrays")) index.arrays.push_back(entry_from_json(entry, file_bytes));
  for (const Json& json_entry : json.at("texts")) {
    Entry entry = entry_from_json(json_entry, file_bytes);
    index.texts.emplace(entry.path, std::move(entry));
  }
  for (const auto& [name, value] : json.at("numbers").items()) index.attributes[name] = value.get<std::int64_t>();
  for (const auto& [name, value] : json.at("strings").items()) index.attributes[name] = value.get<std::string>();
  return index;
}

}  // namespace

CheckpointIndex index_checkpoint(ByteSpan file, const std::string& source) {
  const auto walk = [&] {
    try {
      return encode(walk_checkpoint(file, source));
    } catch (const Error& error) {
      std::string bytes;
      Json::to_cbor(Json{{"refused", error.what()}}, bytes);
      return bytes;
    }
  };
  const auto answer = run_in_child(walk, max_seconds);
  if (!answer) fail(ErrorKind::data, "{}: is damaged in a way that HDF5 does not survive", source);
  std::string refused;
  try {
    const Json json = Json::from_cbor(*answer);
    if (!json.contains("refused")) return decode(json, file.size());
    refused = json.at("refused").get<std::string>();
  } catch (const std::exception& error) {
    refused = fmt::format("{}: is damaged: {}", source, error.what());
  }
  throw Error(ErrorKind::data, refused);
}

}  // namespace trainctl
