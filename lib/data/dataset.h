// A dataset: where samples come from. `describe` reads no more than headers, `load` brings all samples into host
// memory, `open` reads them on demand for data that should not be held whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/field.h"
#include "data/host_bytes.h"

namespace trainctl {

class Sha256;
template <typename Interface>
class Component;

/// Samples that can be copied out by their number, from several threads at once.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual const DatasetInfo& info() const = 0;
  /// Copies samples `ids` of field number `field` to `out`, one after another (ids.size() * sample_bytes bytes).
  /// Allocates nothing. Throws a data Error if a file under it has become shorter or cannot be read.
  virtual void read(std::size_t field, std::span<const std::int32_t> ids, std::byte* out) const = 0;
  /// SHA-256 (hex) of the fields and the contents; equal for equal data, whatever file format it came from. Costs a
  /// pass over the data: run it beside other work.
  virtual std::string digest() const = 0;
};

/// All samples of one field, contiguous: sample i starts at data() + i * field.sample_bytes().
struct Column {
  Field field;
  HostBytes storage{};
  std::size_t offset = 0;  ///< where the samples start in `storage` (a file's header may stand before them)

  const std::byte* data() const { return storage.data() + offset; }
  std::byte* data() { return storage.data() + offset; }
  template <typename T>
  const T* as() const {
    return reinterpret_cast<const T*>(data());
  }
};

/// A dataset in host memory.
class Table final : public SampleSource {
 public:
  Table(std::int64_t samples, std::vector<Column> columns);

  const DatasetInfo& info() const override { return info_; }
  std::int64_t samples() const { return info_.samples; }
  const std::vector<Column>& columns() const { return columns_; }
  /// Throws a config Error that lists the names there are.
  const Column& column(std::string_view name) const { return columns_[info_.index_of(name)]; }
  /// Gives one column away, as the table goes.
  Column take(std::string_view name) && { return std::move(columns_[info_.index_of(name)]); }
  void read(std::size_t field, std::span<const std::int32_t> ids, std::byte* out) const override;
  std::string digest() const override;
  void add_to(Sha256& digest) const;

 private:
  DatasetInfo info_;
  std::vector<Column> columns_;
};

/// Interface of the `dataset` components.
struct Dataset {
  static constexpr const char* kind = "dataset";
  virtual ~Dataset() = default;

  /// Number of samples and fields, from headers and file sizes where the format allows. Throws a data Error if a file
  /// is missing or cannot be what it should be.
  virtual DatasetInfo describe() const = 0;
  /// Reads and checks everything. The result's info equals describe(). Throws a data Error with file and offset.
  virtual Table load() const = 0;
  /// The values of one field alone, as load() has them, at less cost where the format allows. Folds, groups and weights
  /// ask for targets. Throws a config Error that lists the fields there are.
  virtual Column load_field(std::string_view name) const;
  /// Samples read when asked for, where the format allows that; else a loaded table.
  virtual std::unique_ptr<SampleSource> open() const;
  /// The samples at `place`, a file or folder, as this data set would read them but for their targets: what a model is
  /// to predict. `inputs` are the fields that it is given, as they were when it was trained. A config Error where this
  /// kind of data set does not lie at one place, or other fields than `input` do not.
  virtual Component<Dataset> inputs_at(const std::filesystem::path& place, const std::vector<Field>& inputs) const;
  /// The files of the samples, where each has one of its own; else nothing.
  virtual std::vector<std::string> files() const { return {}; }
};

/// A config Error unless `inputs` is the field `input` alone; `type` is the data set that lies at one place.
void expect_input_alone(const std::vector<Field>& inputs, std::string_view type);

}  // namespace trainctl
