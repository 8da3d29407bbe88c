#include "data/hdf5_array.h"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

#include "base/error.h"

namespace trainctl {
namespace {

// Owns an HDF5 identifier.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&&) = delete;
  operator hid_t() const { return id_; }
  bool ok() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// While it lives this thread alone uses HDF5, which is not thread-safe, prints nothing of its own and loads no plugins.
class Quiet {
 public:
  Quiet() : alone_(mutex()) {
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    H5PLget_loading_state(&plugins_);
    H5PLset_loading_state(0);
  }
  ~Quiet() {
    H5PLset_loading_state(plugins_);
    H5Eset_auto2(H5E_DEFAULT, function_, data_);
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }

  std::lock_guard<std::mutex> alone_;
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
  unsigned plugins_ = 0;
};

class Hdf5Array final : public ArrayFile {
 public:
  Hdf5Array(const std::filesystem::path& path, std::string name) : file_(path), name_(std::move(name)) {
    origin_ = path.string() + ":" + name_;
    const Quiet quiet;
    const Handle file = open_file();
    const Handle dataset = open_dataset(file);
    read_type(dataset);
    read_extents(dataset);
    check_storage(dataset);
  }

  Column load() const override {
    const Quiet quiet;
    const Handle file = open_file();
    const Handle dataset = open_dataset(file);
    Column column{.field = {.dtype = info_.dtype, .shape = Shape(std::span(info_.dims).subspan(1))}};
    column.storage = HostBytes(static_cast<std::size_t>(info_.samples()) * column.field.sample_bytes());
    if (H5Dread(dataset, memory_type(), H5S_ALL, H5S_ALL, H5P_DEFAULT, column.storage.data()) < 0) {
      fail(ErrorKind::data, "{}: damaged: HDF5 cannot read its elements", origin_);
    }
    return column;
  }

  ~Hdf5Array() override {
    const Quiet quiet;
    open_.reset();
  }

  bool reads_parts() const override { return true; }

  /// Past HDF5 where the file holds the elements as they are; else by HDF5, one thread after another.
  void read(std::int64_t first, std::int64_t count, std::byte* out) const override {
    if (stored_at_) return ArrayFile::read(first, count, out);
    const Quiet quiet;
    if (!open_) open_.emplace(*this);
    std::array<hsize_t, H5S_MAX_RANK> start{}, extents{};
    std::copy(info_.dims.begin(), info_.dims.end(), extents.begin());
    start[0] = static_cast<hsize_t>(first);
    extents[0] = static_cast<hsize_t>(count);
    const Handle from(H5Dget_space(open_->dataset), H5Sclose);
    const Handle to(H5Screate_simple(static_cast<int>(info_.dims.size()), extents.data(), nullptr), H5Sclose);
    if (H5Sselect_hyperslab(from, H5S_SELECT_SET, start.data(), nullptr, extents.data(), nullptr) < 0 ||
        H5Dread(open_->dataset, memory_type(), to, from, H5P_DEFAULT, out) < 0) {
      fail(ErrorKind::data, "{}: damaged: HDF5 cannot read samples {} to {}", origin_, first, first + count - 1);
    }
  }

 protected:
  std::optional<StoredArray> stored() const override {
    if (!stored_at_) return std::nullopt;
    return StoredArray{&file_, *stored_at_};
  }

 private:
  /// Kept open from read to read, with the chunks that were read last.
  struct Open {
    Handle file;
    Handle dataset;
    explicit Open(const Hdf5Array& array) : file(array.open_file()), dataset(array.open_dataset(file)) {}
  };

  [[noreturn]] void refuse(std::string_view what) const { fail(ErrorKind::data, "{}: {}", origin_, what); }

  Handle open_file() const {
    const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_file_locking(access, false, true);  // reading needs no lock, and some network file systems have none
    Handle file(H5Fopen(file_.path().c_str(), H5F_ACC_RDONLY, access), H5Fclose);
    if (!file.ok()) {
      fail(ErrorKind::data, "{}: not an HDF5 file, or damaged or truncated (it has {} bytes)", file_.path().string(),
           file_.size());
    }
    return file;
  }

  // Goes down the name step by step, through hard links alone.
  Handle open_dataset(hid_t file) const {
    for (std::size_t end = 0; end != std::string::npos;) {
      end = name_.find('/', end + 1);
      const std::string part = name_.substr(0, end);
      H5L_info_t link{};
      if (H5Lget_info(file, part.c_str(), &link, H5P_DEFAULT) < 0) {
        refuse(fmt::format("the file has no '{}'; `h5ls -r {}` lists what it has", part, file_.path().string()));
      }
      if (link.type != H5L_TYPE_HARD) refuse("soft and external links are not followed; name the dataset itself");
    }
    constexpr std::size_t cached_slots = 4099,
                          cached_bytes = std::size_t{64} << 20;  // of whole chunks, when read in parts
    const Handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
    H5Pset_chunk_cache(access, cached_slots, cached_bytes, H5D_CHUNK_CACHE_W0_DEFAULT);
    Handle dataset(H5Dopen2(file, name_.c_str(), access), H5Dclose);
    if (!dataset.ok()) refuse("not a dataset");
    return dataset;
  }

  void read_type(hid_t dataset) {
    const Handle type(H5Dget_type(dataset), H5Tclose);
    const H5T_class_t type_class = H5Tget_class(type);
    const std::size_t bytes = H5Tget_size(type);
    if (type_class == H5T_FLOAT) {
      info_.dtype = DType::f32;
    } else if (type_class != H5T_INTEGER) {
      refuse("its elements are neither integers nor floats");
    } else if (const bool is_signed = H5Tget_sign(type) != H5T_SGN_NONE; bytes == 1 && !is_signed) {
      info_.dtype = DType::u8;
    } else if (bytes < 4 || (bytes == 4 && is_signed)) {
      info_.dtype = DType::i32;
    } else if (bytes == 8 && !is_signed) {
      refuse("its elements are unsigned 64-bit integers; save them as int64");
    } else {
      info_.dtype = DType::i64;
    }
    element_bytes_ = bytes;
    is_native_ = H5Tequal(type, memory_type()) > 0;
  }

  void read_extents(hid_t dataset) {
    const Handle space(H5Dget_space(dataset), H5Sclose);
    const int rank = H5Sget_simple_extent_ndims(space);
    std::array<hsize_t, H5S_MAX_RANK> dims{};
    if (rank < 0 || H5Sget_simple_extent_dims(space, dims.data(), nullptr) < 0) refuse("its extents cannot be read");
    for (const hsize_t extent : std::span(dims).first(static_cast<std::size_t>(rank))) {
      info_.dims.push_back(static_cast<std::int64_t>(extent));
    }
  }

  // What may be in the file, and whether it can hold what the extents promise.
  void check_storage(hid_t dataset) {
    const std::uint64_t bytes = checked_bytes(info_.dims, element_bytes_, origin_);
    const Handle creation(H5Dget_create_plist(dataset), H5Pclose);
    const H5D_layout_t layout = H5Pget_layout(creation);
    if (layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED && layout != H5D_COMPACT) refuse("is a virtual dataset");
    if (H5Pget_external_count(creation) != 0) refuse("keeps its elements in other files");
    const int filters = H5Pget_nfilters(creation);
    for (int i = 0; i < filters; ++i) {
      unsigned flags = 0;
      unsigned config = 0;
      std::size_t values = 0;
      const H5Z_filter_t filter =
          H5Pget_filter2(creation, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config);
      if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32) {
        refuse(fmt::format("is stored with filter {}; gzip and shuffle are handled", static_cast<int>(filter)));
      }
    }
    constexpr std::uint64_t deflate_max_ratio = 1032;
    const std::uint64_t stored = H5Dget_storage_size(dataset);
    if (stored > file_.size() || bytes > stored * (filters > 0 ? deflate_max_ratio : 1)) {
      refuse(fmt::format("truncated: its extents promise {} bytes, but {} are stored", bytes, stored));
    }
    if (layout != H5D_CONTIGUOUS || !is_native_) return;
    if (const haddr_t at = H5Dget_offset(dataset); at != HADDR_UNDEF) stored_at_ = at;
  }

  hid_t memory_type() const {
    switch (info_.dtype) {
      case DType::u8:
        return H5T_NATIVE_UINT8;
      case DType::i32:
        return H5T_NATIVE_INT32;
      case DType::i64:
        return H5T_NATIVE_INT64;
      default:
        return H5T_NATIVE_FLOAT;
    }
  }

  InputFile file_;
  std::string name_;
  std::size_t element_bytes_ = 0;
  bool is_native_ = false;
  std::optional<std::uint64_t> stored_at_;
  mutable std::optional<Open> open_;
};

}  // namespace

std::unique_ptr<ArrayFile> open_hdf5(const std::filesystem::path& path, const std::string& name) {
  return std::make_unique<Hdf5Array>(path, name);
}

}  // namespace trainctl
