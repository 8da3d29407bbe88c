// One checkpoint: an HDF5 file that h5py opens and that proves by itself that it is whole.
//
// The first 512 bytes (HDF5's user block) are text: format, length and SHA-256 of what follows. Arrays lie at their
// paths as contiguous little-endian data sets, texts at /experiment, /history, /state/scalars, /fields and /choices,
// attributes on the root group.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/file.h"
#include "device/types.h"

namespace trainctl {

/// An array and its place in a checkpoint: "model/0.weight", "optimizer/default/exp_avg/0.weight". The memory is the
/// caller's, row-major. f32, f64, i32, i64 and u8 can be stored.
struct StoredArray {
  std::string path;
  TensorView view;
};

/// Versions, hashes, thread count: small facts of a checkpoint. A text has at most 32 KiB and no NUL.
using Attribute = std::variant<std::int64_t, std::string>;

struct CheckpointContents {
  std::vector<StoredArray> arrays;
  std::string experiment_yaml;  ///< the resolved experiment, complete
  std::string history_json;     ///< the history up to this position
  std::string state_json;       ///< epoch, step, phase, position, best values, policies' states
  std::string fields_json{};    ///< what samples of the training data are; not stored if empty
  std::string choices_json{};   ///< implementations that programs took; not stored if empty
  std::map<std::string, Attribute> attributes;
};

/// The bytes of the file, user block included; the same for the same contents.
Bytes encode_checkpoint(const CheckpointContents& contents);
/// Writes encode_checkpoint() as write_file_atomic does, errors included.
void write_checkpoint(const std::filesystem::path& path, const CheckpointContents& contents);

/// A checkpoint that passed every check that needs no knowledge of the model: whole by its hash; hard links, groups and
/// plain data sets of known types only; every array inside the file.
class CheckpointReader {
 public:
  struct Entry {
    std::string path;
    TensorType type;
    std::uint64_t offset = 0;  ///< of its first byte in the file
  };

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t file_bytes() const { return bytes_.size; }
  /// SHA-256 of what follows the user block, in hex.
  const std::string& digest() const { return digest_; }

  /// The arrays, sorted by path.
  const std::vector<Entry>& arrays() const { return arrays_; }
  /// nullptr if there is no such array.
  const Entry* find(std::string_view path) const;
  /// The array's bytes, little-endian and row-major, within the file in memory.
  ByteSpan bytes_of(const Entry& entry) const;
  /// Reads one array. Throws a data Error if it is missing or not of the view's type.
  void read(const StoredArray& into) const;
  /// Reads all of `into` after checking that they are the file's arrays under `prefix` ("model/") and no others, with
  /// their types; otherwise a data Error lists everything that differs and nothing is read.
  void load(std::span<const StoredArray> into, std::string_view prefix = "") const;

  const std::string& experiment_yaml() const { return texts_[0]; }
  const std::string& history_json() const { return texts_[1]; }
  const std::string& state_json() const { return texts_[2]; }
  /// Empty in files of older versions.
  const std::string& fields_json() const { return texts_[3]; }
  const std::string& choices_json() const { return texts_[4]; }
  const std::map<std::string, Attribute>& attributes() const { return attributes_; }
  /// The attribute's text or number. Throws a data Error if it is missing or of the other kind.
  const std::string& text_attribute(const std::string& name) const;
  std::int64_t int_attribute(const std::string& name) const;

 private:
  friend CheckpointReader decode_checkpoint(Bytes bytes, std::filesystem::path path);
  CheckpointReader() = default;

  std::filesystem::path path_;
  Bytes bytes_;
  std::string digest_;
  std::vector<Entry> arrays_;
  std::array<std::string, 5> texts_;  // experiment, history, state, fields, choices
  std::map<std::string, Attribute> attributes_;
};

/// Reads a file into memory and verifies it there, so that what was checked is what is used. A damaged, hostile or
/// foreign file is a data Error; one that cannot be read now, an environment Error.
CheckpointReader open_checkpoint(const std::filesystem::path& path);
/// The same of bytes in memory; `path` is for messages.
CheckpointReader decode_checkpoint(Bytes bytes, std::filesystem::path path);

}  // namespace trainctl
