#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "store/checkpoint.h"
#include "store/checkpoint_index.h"
#include "store/hdf5.h"
#include "store/user_block.h"

namespace trainctl {
namespace {

constexpr std::uint64_t max_file_bytes = std::uint64_t{1} << 40;

}  // namespace

CheckpointReader open_checkpoint(const std::filesystem::path& path) {
  return decode_checkpoint(read_bytes(path, max_file_bytes), path);
}

CheckpointReader decode_checkpoint(Bytes bytes, std::filesystem::path path) {
  CheckpointReader reader;
  const std::string source = path.string();
  reader.digest_ = verify_user_block(bytes.span(), source);
  reader.bytes_ = std::move(bytes);
  CheckpointIndex index = index_checkpoint(reader.bytes_.span(), source);
  for (std::size_t i = 0; i < hdf5::text_paths.size(); ++i) {
    const auto found = index.texts.find(hdf5::text_paths[i]);
    if (found == index.texts.end() && i >= hdf5::required_texts) continue;
    if (found == index.texts.end()) fail(ErrorKind::data, "{}: holds no /{}", source, hdf5::text_paths[i]);
    const ByteSpan text = reader.bytes_of(found->second);
    std::string& kept = reader.texts_[i];
    kept.assign(reinterpret_cast<const char*>(text.data()), text.size());
    kept.resize(std::min(kept.find('\0'), kept.size()));
  }
  reader.arrays_ = std::move(index.arrays);
  reader.attributes_ = std::move(index.attributes);
  reader.path_ = std::move(path);
  return reader;
}

const CheckpointReader::Entry* CheckpointReader::find(std::string_view path) const {
  const auto found =
      std::ranges::lower_bound(arrays_, path, {}, [](const Entry& e) -> std::string_view { return e.path; });
  return found != arrays_.end() && found->path == path ? &*found : nullptr;
}

ByteSpan CheckpointReader::bytes_of(const Entry& entry) const {
  return bytes_.span().subspan(entry.offset, entry.type.bytes());
}

void CheckpointReader::read(const StoredArray& into) const {
  const Entry* entry = find(into.path);
  if (!entry) fail(ErrorKind::data, "{}: holds no array {}", path_.string(), into.path);
  if (entry->type != into.view.type) {
    fail(ErrorKind::data, "{}: {} is {}, expected {}", path_.string(), into.path, entry->type.text(),
         into.view.type.text());
  }
  const ByteSpan bytes = bytes_of(*entry);
  if (!bytes.empty()) std::memcpy(into.view.data, bytes.data(), bytes.size());
}

void CheckpointReader::load(std::span<const StoredArray> into, std::string_view prefix) const {
  std::string differences;
  std::vector<std::string_view> expected;
  for (const StoredArray& array : into) {
    expected.push_back(array.path);
    const Entry* entry = find(array.path);
    if (!entry) {
      differences += fmt::format("\n  {}: missing, expected {}", array.path, array.view.type.text());
    } else if (entry->type != array.view.type) {
      differences += fmt::format("\n  {}: {}, expected {}", array.path, entry->type.text(), array.view.type.text());
    }
  }
  std::ranges::sort(expected);
  for (const Entry& entry : arrays_) {
    if (entry.path.starts_with(prefix) && !std::ranges::binary_search(expected, std::string_view(entry.path))) {
      differences += fmt::format("\n  {}: {}, not expected", entry.path, entry.type.text());
    }
  }
  if (!differences.empty()) {
    fail(ErrorKind::data, "{}: does not belong to this experiment:{}", path_.string(), differences);
  }
  for (const StoredArray& array : into) read(array);
}

const std::string& CheckpointReader::text_attribute(const std::string& name) const {
  const auto found = attributes_.find(name);
  const auto* text = found == attributes_.end() ? nullptr : std::get_if<std::string>(&found->second);
  if (!text) fail(ErrorKind::data, "{}: has no text attribute {}", path_.string(), name);
  return *text;
}

std::int64_t CheckpointReader::int_attribute(const std::string& name) const {
  const auto found = attributes_.find(name);
  const auto* number = found == attributes_.end() ? nullptr : std::get_if<std::int64_t>(&found->second);
  if (!number) fail(ErrorKind::data, "{}: has no integer attribute {}", path_.string(), name);
  return *number;
}

}  // namespace trainctl
