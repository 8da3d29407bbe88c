#include <algorithm>
#include <cstring>
#include <new>

#include "base/error.h"
#include "store/checkpoint.h"
#include "store/hdf5.h"
#include "store/user_block.h"

namespace trainctl {
namespace {

using hdf5::Handle;

constexpr std::size_t max_attribute_bytes = 32 << 10;

// The file as HDF5's core driver builds it, in memory of ours: handed over at the end, not copied.
struct Image {
  Bytes bytes;  // size: the capacity
  bool out_of_memory = false;

  void* resize(std::size_t size) {
    if (size <= bytes.size) return bytes.data.get();
    // Zeroed, so that gaps in the file hold no stray memory and equal contents give equal bytes.
    std::unique_ptr<std::byte[]> larger(new (std::nothrow) std::byte[size]());
    if (!larger) {
      out_of_memory = true;
      return nullptr;
    }
    if (bytes.size) std::memcpy(larger.get(), bytes.data.get(), bytes.size);
    bytes = {std::move(larger), size};
    return bytes.data.get();
  }
};

H5FD_file_image_callbacks_t callbacks_of(Image& image) {
  H5FD_file_image_callbacks_t callbacks{};
  callbacks.image_malloc = [](size_t size, H5FD_file_image_op_t, void* image) {
    return static_cast<Image*>(image)->resize(size);
  };
  callbacks.image_memcpy = [](void* to, const void* from, size_t size, H5FD_file_image_op_t, void*) {
    return std::memmove(to, from, size);
  };
  callbacks.image_realloc = [](void*, size_t size, H5FD_file_image_op_t, void* image) {
    return static_cast<Image*>(image)->resize(size);
  };
  callbacks.image_free = [](void*, H5FD_file_image_op_t, void*) -> herr_t { return 0; };
  callbacks.udata_copy = [](void* image) { return image; };
  callbacks.udata_free = [](void*) -> herr_t { return 0; };
  callbacks.udata = &image;
  return callbacks;
}

class Encoder {
 public:
  explicit Encoder(std::size_t expected_bytes);

  void array(const StoredArray& array);
  void text(const char* path, const std::string& text);
  void attribute(const std::string& name, const Attribute& value);
  Bytes finish();

 private:
  // Any failure here is memory that ran out or a fault of ours.
  template <typename Status>
  Status check(Status status, const std::string& what) {
    if (status >= 0) return status;
    if (image_.out_of_memory) fail(ErrorKind::environment, "out of memory for the checkpoint ({})", what);
    fail(ErrorKind::internal, "checkpoint: cannot store {}: {}", what, hdf5::reason());
  }
  void dataset(const std::string& path, hid_t type, hid_t space, const void* data);

  Image image_;
  Handle file_, link_properties_, dataset_properties_;
};

Encoder::Encoder(std::size_t expected_bytes) {
  hdf5::prepare();
  const Handle access(check(H5Pcreate(H5P_FILE_ACCESS), "properties"));
  const auto callbacks = callbacks_of(image_);
  // The driver grows its image by this increment, so that one allocation does.
  check(H5Pset_fapl_core(access.get(), expected_bytes, false), "properties");
  check(H5Pset_file_image_callbacks(access.get(), const_cast<H5FD_file_image_callbacks_t*>(&callbacks)), "properties");
  check(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), "properties");
  const Handle creation(check(H5Pcreate(H5P_FILE_CREATE), "properties"));
  check(H5Pset_userblock(creation.get(), hdf5::user_block_bytes), "properties");
  check(H5Pset_obj_track_times(creation.get(), false), "properties");
  file_ = Handle(check(H5Fcreate("checkpoint", H5F_ACC_TRUNC, creation.get(), access.get()), "the file"));

  link_properties_ = Handle(check(H5Pcreate(H5P_LINK_CREATE), "properties"));
  check(H5Pset_create_intermediate_group(link_properties_.get(), 1), "properties");
  dataset_properties_ = Handle(check(H5Pcreate(H5P_DATASET_CREATE), "properties"));
  check(H5Pset_obj_track_times(dataset_properties_.get(), false), "properties");
  check(H5Pset_alloc_time(dataset_properties_.get(), H5D_ALLOC_TIME_EARLY), "properties");
  check(H5Pset_fill_time(dataset_properties_.get(), H5D_FILL_TIME_NEVER), "properties");
}

void Encoder::dataset(const std::string& path, hid_t type, hid_t space, const void* data) {
  const Handle dataset(check(H5Dcreate2(file_.get(), path.c_str(), type, space, link_properties_.get(),
                                        dataset_properties_.get(), H5P_DEFAULT),
                             path));
  check(H5Dwrite(dataset.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), path);
}

void Encoder::array(const StoredArray& array) {
  const TensorType& type = array.view.type;
  const hid_t file_type = hdf5::file_type(type.dtype);
  if (file_type < 0) fail(ErrorKind::internal, "checkpoint: {} is {}, which is not stored", array.path, type.text());
  std::vector<hsize_t> dims(type.shape.begin(), type.shape.end());
  const Handle space(check(
      dims.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
      array.path));
  const char nothing = 0;
  dataset(array.path, file_type, space.get(), array.view.data ? array.view.data : &nothing);
}

// Texts are of fixed length: variable ones live in a heap that a reader would have to trust.
Handle text_type(std::size_t size) {
  Handle type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), std::max<std::size_t>(size, 1));
  H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

void Encoder::text(const char* path, const std::string& text) {
  const Handle type = text_type(text.size());
  const Handle space(check(H5Screate(H5S_SCALAR), path));
  dataset(path, type.get(), space.get(), text.c_str());
}

void Encoder::attribute(const std::string& name, const Attribute& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (text && (text->size() > max_attribute_bytes || text->find('\0') != std::string::npos)) {
    fail(ErrorKind::internal, "checkpoint: attribute {} is too long or holds a NUL", name);
  }
  const Handle type = text ? text_type(text->size()) : Handle(H5Tcopy(H5T_STD_I64LE));
  const Handle space(check(H5Screate(H5S_SCALAR), name));
  const Handle attribute(
      check(H5Acreate2(file_.get(), name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), name));
  const void* data = text ? static_cast<const void*>(text->c_str()) : &std::get<std::int64_t>(value);
  check(H5Awrite(attribute.get(), type.get(), data), name);
}

Bytes Encoder::finish() {
  check(H5Fflush(file_.get(), H5F_SCOPE_GLOBAL), "the file");
  // HDF5 does not count the user block here.
  const auto payload_bytes = static_cast<std::size_t>(check(H5Fget_file_image(file_.get(), nullptr, 0), "the file"));
  file_ = {};
  Bytes bytes = std::move(image_.bytes);
  require(hdf5::user_block_bytes + payload_bytes <= bytes.size,
          "HDF5 says that the checkpoint is longer than its image");
  bytes.size = hdf5::user_block_bytes + payload_bytes;
  const std::string block = make_user_block(bytes.span().subspan(hdf5::user_block_bytes));
  std::memcpy(bytes.data.get(), block.data(), block.size());
  return bytes;
}

std::size_t expected_bytes(const CheckpointContents& contents) {
  std::size_t bytes = 64 << 10;
  for (const StoredArray& array : contents.arrays) bytes += array.view.type.bytes() + 1024;
  return bytes + contents.experiment_yaml.size() + contents.history_json.size() + contents.state_json.size() +
         contents.fields_json.size() + contents.choices_json.size();
}

}  // namespace

Bytes encode_checkpoint(const CheckpointContents& contents) {
  Encoder encoder(expected_bytes(contents));
  for (const StoredArray& array : contents.arrays) encoder.array(array);
  encoder.text(hdf5::text_paths[0], contents.experiment_yaml);
  encoder.text(hdf5::text_paths[1], contents.history_json);
  encoder.text(hdf5::text_paths[2], contents.state_json);
  if (!contents.fields_json.empty()) encoder.text(hdf5::text_paths[3], contents.fields_json);
  if (!contents.choices_json.empty()) encoder.text(hdf5::text_paths[4], contents.choices_json);
  for (const auto& [name, value] : contents.attributes) encoder.attribute(name, value);
  return encoder.finish();
}

void write_checkpoint(const std::filesystem::path& path, const CheckpointContents& contents) {
  const Bytes bytes = encode_checkpoint(contents);
  const std::array parts{bytes.span()};
  write_file_atomic(path, parts);
}

}  // namespace trainctl
