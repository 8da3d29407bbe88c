// An array in a file, whatever the format, and the dataset that an input array and a target array make.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "data/input_file.h"

namespace trainctl {

/// Element type, after conversion to one that we have, and extents; the first one counts the samples.
struct ArrayInfo {
  DType dtype = DType::f32;
  std::vector<std::int64_t> dims;

  std::int64_t samples() const { return dims.front(); }
};

/// Where a file holds the elements just as they are delivered, so that samples can be read from it one by one.
struct StoredArray {
  const InputFile* file = nullptr;
  std::uint64_t offset = 0;
};

/// An open file (or a named part of one) that holds an array. Opening has checked the header and the file's length.
class ArrayFile {
 public:
  virtual ~ArrayFile() = default;
  const ArrayInfo& info() const { return info_; }
  /// What messages call it: the path, with the part's name where it has one.
  const std::string& origin() const { return origin_; }
  /// All elements, as a column without a name whose shape is the array's own.
  virtual Column load() const = 0;
  /// Whether read() gives samples without the rest: where the file holds them as they are delivered, or its format
  /// does.
  virtual bool reads_parts() const { return stored().has_value(); }
  /// Copies samples [first, first + count) to `out`, from several threads at once. A data Error if they cannot be read.
  virtual void read(std::int64_t first, std::int64_t count, std::byte* out) const;
  /// Bytes of one sample.
  std::size_t sample_bytes() const;

 protected:
  virtual std::optional<StoredArray> stored() const { return std::nullopt; }
  ArrayInfo info_;
  std::string origin_;
};

/// Checks extents that a file declares, before anything is allocated: none is zero or negative, there are not too many,
/// and the bytes of the whole neither overflow nor exceed 2^47. Gives those bytes. Throws a data Error that names
/// `origin`.
std::uint64_t checked_bytes(const std::vector<std::int64_t>& dims, std::size_t element_bytes,
                            const std::string& origin);

/// An array beside input and target: another input, another target, a group, a weight. Integers with `classes` are
/// class indices and delivered as i64; all else is delivered as it is.
struct NamedArray {
  std::string name;
  std::unique_ptr<ArrayFile> file;
  std::int64_t classes = 0;
};

/// What an array's file becomes as a dataset of the fields `input`, `target`, if there is one, and others by name.
/// A target of integers holds class indices and is delivered as i64; one of floats holds values.
struct ArrayPair {
  std::unique_ptr<ArrayFile> input;
  std::unique_ptr<ArrayFile> target;      ///< may be null
  std::vector<std::int64_t> input_shape;  ///< of one sample; empty: the file's own
  std::int64_t classes = 0;               ///< 0: one more than the largest label
  std::vector<NamedArray> others{};

  DatasetInfo describe() const;
  Table load() const;
  Column load_field(std::string_view name) const;
  /// The input stays in its file where parts of that can be read; all else is loaded.
  static std::unique_ptr<SampleSource> open(ArrayPair pair);
};

/// Base of the datasets that consist of two arrays.
struct ArrayDataset : Dataset {
  DatasetInfo describe() const override { return arrays().describe(); }
  Table load() const override { return arrays().load(); }
  Column load_field(std::string_view name) const override { return arrays().load_field(name); }
  std::unique_ptr<SampleSource> open() const override { return ArrayPair::open(arrays()); }

 protected:
  /// Opens the files.
  virtual ArrayPair arrays() const = 0;
};

}  // namespace trainctl
