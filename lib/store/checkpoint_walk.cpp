#include "store/checkpoint_walk.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "store/hdf5.h"

namespace trainctl {
namespace {

using hdf5::Handle;

// Far above what models have; bounds the time that a hostile file takes.
constexpr std::size_t max_objects = 100'000;
constexpr int max_depth = 16;
constexpr std::size_t max_path_bytes = 4096;
constexpr std::size_t max_attributes = 1000;
constexpr std::size_t max_attribute_bytes = 64 << 10;

// Lets HDF5's core driver use bytes of ours where they are.
H5FD_file_image_callbacks_t borrow(const std::byte* image) {
  H5FD_file_image_callbacks_t callbacks{};
  callbacks.image_malloc = [](size_t, H5FD_file_image_op_t, void* image) { return image; };
  callbacks.image_memcpy = [](void* to, const void*, size_t, H5FD_file_image_op_t, void*) { return to; };
  callbacks.image_realloc = [](void*, size_t, H5FD_file_image_op_t, void*) -> void* { return nullptr; };
  callbacks.image_free = [](void*, H5FD_file_image_op_t, void*) -> herr_t { return 0; };
  callbacks.udata_copy = [](void* image) { return image; };
  callbacks.udata_free = [](void*) -> herr_t { return 0; };
  callbacks.udata = const_cast<std::byte*>(image);
  return callbacks;
}

struct Link {
  std::string name;
  H5L_type_t type;
  haddr_t address;
};

class Walk {
 public:
  Walk(ByteSpan file, const std::string& source) : file_bytes_(file.size()), source_(source) {
    hdf5::prepare();
    open(file);
    const Handle root(check(H5Oopen(file_.get(), "/", H5P_DEFAULT), "the root group"));
    read_attributes(root.get());
    visit_group(root.get(), "", 0);
    std::ranges::sort(index_.arrays, {}, &CheckpointReader::Entry::path);
  }
  CheckpointIndex take() { return std::move(index_); }

 private:
  [[noreturn]] void refuse(const std::string& path, const std::string& why) const {
    fail(ErrorKind::data, "{}: {}: {}; trainctl writes no such thing, so the file is not loaded", source_, path, why);
  }
  template <typename Status>
  Status check(Status status, const std::string& path) const {
    if (status < 0) fail(ErrorKind::data, "{}: {}: HDF5 cannot read it: {}", source_, path, hdf5::reason());
    return status;
  }

  void open(ByteSpan file);
  void visit_group(hid_t group, const std::string& path, int depth);
  std::vector<Link> links_of(hid_t group, const std::string& path) const;
  void visit_link(hid_t group, const Link& link, const std::string& path, int depth);
  void visit_dataset(hid_t dataset, const std::string& path);
  void check_storage(hid_t dataset, const std::string& path) const;
  Shape shape_of(hid_t space, const std::string& path) const;
  TensorType type_of(hid_t dataset, const std::string& path) const;
  void read_attributes(hid_t root);
  Attribute read_attribute(hid_t attribute, const std::string& path) const;

  std::uint64_t file_bytes_;
  const std::string& source_;
  Handle file_;
  std::set<haddr_t> seen_;
  CheckpointIndex index_;
};

void Walk::open(ByteSpan file) {
  const Handle access(check(H5Pcreate(H5P_FILE_ACCESS), "properties"));
  auto callbacks = borrow(file.data());
  check(H5Pset_fapl_core(access.get(), 64 << 10, false), "properties");
  check(H5Pset_file_image_callbacks(access.get(), &callbacks), "properties");
  check(H5Pset_file_image(access.get(), callbacks.udata, file.size()), "properties");
  check(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), "properties");
  file_ = Handle(check(H5Fopen("checkpoint", H5F_ACC_RDONLY, access.get()), "the file"));
  const Handle creation(check(H5Fget_create_plist(file_.get()), "the file"));
  hsize_t user_block = 0;
  check(H5Pget_userblock(creation.get(), &user_block), "the file");
  if (user_block != hdf5::user_block_bytes) refuse("the file", "has a user block of another size");
}

// Collects without looking: C++ exceptions must not pass through HDF5.
std::vector<Link> Walk::links_of(hid_t group, const std::string& path) const {
  // A group's links may be compressed as a whole.
  const Handle properties(check(H5Gget_create_plist(group), path));
  if (check(H5Pget_nfilters(properties.get()), path) != 0) refuse(path, "is compressed or filtered");
  std::vector<Link> links;
  const auto collect = [](hid_t, const char* name, const H5L_info_t* info, void* out) -> herr_t {
    auto& links = *static_cast<std::vector<Link>*>(out);
    try {
      links.push_back({name, info->type, info->type == H5L_TYPE_HARD ? info->u.address : HADDR_UNDEF});
    } catch (...) {
      return -1;
    }
    return links.size() > max_objects ? 1 : 0;
  };
  hsize_t position = 0;
  check(H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, &position, collect, &links), path);
  return links;
}

void Walk::visit_group(hid_t group, const std::string& path, int depth) {
  if (depth > max_depth) refuse(path, "is nested too deeply");
  for (const Link& link : links_of(group, path.empty() ? "/" : path)) {
    const std::string inner = path.empty() ? link.name : path + "/" + link.name;
    if (std::ranges::any_of(link.name, [](unsigned char c) { return c < ' '; }))
      refuse(path, "holds an unprintable name");
    if (inner.size() > max_path_bytes) refuse(inner.substr(0, 80) + "...", "has too long a name");
    if (link.type == H5L_TYPE_EXTERNAL) refuse(inner, "is a link to another file");
    if (link.type != H5L_TYPE_HARD) refuse(inner, "is a symbolic link");
    if (!seen_.insert(link.address).second) refuse(inner, "is a second link to an object");
    if (seen_.size() > max_objects) refuse(inner, fmt::format("there are more than {} objects", max_objects));
    visit_link(group, link, inner, depth);
  }
}

void Walk::visit_link(hid_t group, const Link& link, const std::string& path, int depth) {
  const Handle object(check(H5Oopen(group, link.name.c_str(), H5P_DEFAULT), path));
  H5O_info_t info;
  check(H5Oget_info(object.get(), &info), path);
  if (info.num_attrs != 0) refuse(path, "has attributes");
  switch (H5Iget_type(object.get())) {
    case H5I_GROUP:
      visit_group(object.get(), path, depth + 1);
      break;
    case H5I_DATASET:
      visit_dataset(object.get(), path);
      break;
    default:
      refuse(path, "is neither a group nor a data set");
  }
}

void Walk::check_storage(hid_t dataset, const std::string& path) const {
  const Handle properties(check(H5Dget_create_plist(dataset), path));
  switch (H5Pget_layout(properties.get())) {
    case H5D_CONTIGUOUS:
      break;
    case H5D_VIRTUAL:
      refuse(path, "is a virtual data set, whose data are elsewhere");
    default:
      refuse(path, "is not stored in one piece");
  }
  if (check(H5Pget_external_count(properties.get()), path) != 0) refuse(path, "has its data in another file");
  if (check(H5Pget_nfilters(properties.get()), path) != 0) refuse(path, "is compressed or filtered");
}

Shape Walk::shape_of(hid_t space, const std::string& path) const {
  if (H5Sget_simple_extent_type(space) == H5S_SCALAR) return {};
  if (H5Sget_simple_extent_type(space) != H5S_SIMPLE) refuse(path, "has no extent");
  const int rank = check(H5Sget_simple_extent_ndims(space), path);
  if (rank > Shape::max_rank) refuse(path, fmt::format("has {} axes", rank));
  std::array<hsize_t, Shape::max_rank> dims{};
  check(H5Sget_simple_extent_dims(space, dims.data(), nullptr), path);
  Shape shape;
  std::uint64_t elements = 1;
  for (int axis = 0; axis < rank; ++axis) {
    // No file of this length can hold more; the product of such numbers does not overflow 128 bits, let alone pass the
    // check.
    if (dims[axis] > file_bytes_ || __builtin_mul_overflow(elements, dims[axis], &elements) || elements > file_bytes_) {
      refuse(path, "is declared larger than the whole file");
    }
    shape.push_back(static_cast<std::int64_t>(dims[axis]));
  }
  return shape;
}

TensorType Walk::type_of(hid_t dataset, const std::string& path) const {
  const Handle type(check(H5Dget_type(dataset), path));
  const Handle space(check(H5Dget_space(dataset), path));
  const Shape shape = shape_of(space.get(), path);
  if (H5Tget_class(type.get()) == H5T_STRING) {
    if (std::ranges::find(hdf5::text_paths, path) == hdf5::text_paths.end()) refuse(path, "is a text");
    if (H5Tis_variable_str(type.get()) != 0 || shape.rank() != 0) refuse(path, "is not one text of fixed length");
    return {DType::u8, {static_cast<std::int64_t>(H5Tget_size(type.get()))}};
  }
  for (const DType dtype : hdf5::stored_dtypes) {
    if (H5Tequal(type.get(), hdf5::file_type(dtype)) > 0) return {dtype, shape};
  }
  refuse(path, "has an element type that is not stored");
}

void Walk::visit_dataset(hid_t dataset, const std::string& path) {
  check_storage(dataset, path);  // before anything that could follow a reference out of the file
  CheckpointReader::Entry entry{path, type_of(dataset, path)};
  const std::uint64_t size = entry.type.bytes();
  if (size > file_bytes_ || H5Dget_storage_size(dataset) != size) {
    refuse(path, "has another size than its shape says");
  }
  if (size > 0) {
    const haddr_t offset = H5Dget_offset(dataset);
    if (offset == HADDR_UNDEF || offset < hdf5::user_block_bytes || offset > file_bytes_ - size) {
      refuse(path, "lies outside of the file");
    }
    entry.offset = offset;
  }
  const bool is_text = std::ranges::find(hdf5::text_paths, path) != hdf5::text_paths.end();
  if (is_text) {
    index_.texts.emplace(path, std::move(entry));
  } else {
    index_.arrays.push_back(std::move(entry));
  }
}

void Walk::read_attributes(hid_t root) {
  H5O_info_t info;
  check(H5Oget_info(root, &info), "/");
  if (info.num_attrs > max_attributes) refuse("/", "has too many attributes");
  seen_.insert(info.addr);
  for (hsize_t i = 0; i < info.num_attrs; ++i) {
    const Handle attribute(
        check(H5Aopen_by_idx(root, ".", H5_INDEX_NAME, H5_ITER_NATIVE, i, H5P_DEFAULT, H5P_DEFAULT), "an attribute"));
    std::array<char, 256> name{};
    if (check(H5Aget_name(attribute.get(), name.size(), name.data()), "an attribute") >=
        static_cast<ssize_t>(name.size())) {
      refuse(name.data(), "has too long a name");
    }
    index_.attributes[name.data()] = read_attribute(attribute.get(), name.data());
  }
}

Attribute Walk::read_attribute(hid_t attribute, const std::string& path) const {
  const Handle type(check(H5Aget_type(attribute), path));
  const Handle space(check(H5Aget_space(attribute), path));
  if (H5Sget_simple_extent_type(space.get()) != H5S_SCALAR) refuse(path, "is not a single value");
  if (H5Tequal(type.get(), H5T_STD_I64LE) > 0) {
    std::int64_t number = 0;
    check(H5Aread(attribute, H5T_STD_I64LE, &number), path);
    return number;
  }
  const std::size_t size = H5Tget_size(type.get());
  if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get()) != 0 || size > max_attribute_bytes) {
    refuse(path, "is neither a whole number nor a short text");
  }
  std::string text(size, '\0');
  check(H5Aread(attribute, type.get(), text.data()), path);
  text.resize(std::min(text.find('\0'), size));
  return text;
}

}  // namespace

CheckpointIndex walk_checkpoint(ByteSpan file, const std::string& source) {
  return Walk(file, source).take();
}

}  // namespace trainctl
