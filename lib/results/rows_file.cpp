#include "results/rows_file.h"

#include <fcntl.h>

#include <cerrno>

#include "base/error.h"
#include "base/file.h"
#include "store/hdf5.h"

namespace trainctl {

namespace fs = std::filesystem;
using hdf5::Handle;

namespace {

// At exit HDF5 would close again what it could not write to a full disk, and crash. All that we open we close.
[[maybe_unused]] const herr_t no_work_at_exit = H5dont_atexit();

}  // namespace

struct RowsFile::File {
  TemporaryFile temporary;  ///< outlives what holds it open
  std::vector<Field> fields;
  Handle file, links;
  std::vector<Handle> datasets;

  File(fs::path path, std::vector<Field> fields_in) : temporary(std::move(path)), fields(std::move(fields_in)) {}

  template <typename Status>
  Status check(Status status, const char* action) const {
    if (status >= 0) return status;
    const int code = errno;
    const std::string why = hdf5::reason();
    if (code == ENOSPC || code == EDQUOT || code == EFBIG || code == EIO) fail_write(temporary.target(), action, code);
    fail(ErrorKind::environment, "{}: cannot {}: {}", temporary.target().string(), action, why);
  }
};

RowsFile::RowsFile(fs::path path, std::vector<Field> fields, std::int64_t rows)
    : file_(std::make_unique<File>(std::move(path), std::move(fields))) {
  File& own = *file_;
  hdf5::prepare();
  own.links = Handle(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(own.links.get(), 1);
  errno = 0;
  own.file =
      Handle(own.check(H5Fcreate(own.temporary.path().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), "create"));
  for (const Field& field : own.fields) {
    std::vector<hsize_t> extents{static_cast<hsize_t>(rows)};
    for (const std::int64_t extent : field.shape) extents.push_back(static_cast<hsize_t>(extent));
    const Handle space(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr));
    own.datasets.emplace_back(own.check(H5Dcreate2(own.file.get(), field.name.c_str(), hdf5::file_type(field.dtype),
                                                   space.get(), own.links.get(), H5P_DEFAULT, H5P_DEFAULT),
                                        "write"));
  }
}

RowsFile::~RowsFile() = default;

void RowsFile::add_texts(const std::string& name, const std::vector<std::string>& texts) {
  const File& own = *file_;
  const Handle type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), H5T_VARIABLE);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  const hsize_t count = texts.size();
  const Handle space(H5Screate_simple(1, &count, nullptr));
  std::vector<const char*> pointers;
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  errno = 0;
  const Handle dataset(own.check(
      H5Dcreate2(own.file.get(), name.c_str(), type.get(), space.get(), own.links.get(), H5P_DEFAULT, H5P_DEFAULT),
      "write"));
  own.check(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()), "write");
}

void RowsFile::write(std::size_t field, std::int64_t first, std::int64_t count, const void* values) {
  const File& own = *file_;
  std::vector<hsize_t> start{static_cast<hsize_t>(first)}, extents{static_cast<hsize_t>(count)};
  for (const std::int64_t extent : own.fields[field].shape) {
    start.push_back(0);
    extents.push_back(static_cast<hsize_t>(extent));
  }
  const Handle memory(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr));
  const Handle place(H5Dget_space(own.datasets[field].get()));
  H5Sselect_hyperslab(place.get(), H5S_SELECT_SET, start.data(), nullptr, extents.data(), nullptr);
  errno = 0;
  own.check(H5Dwrite(own.datasets[field].get(), hdf5::file_type(own.fields[field].dtype), memory.get(), place.get(),
                     H5P_DEFAULT, values),
            "write");
}

void RowsFile::finish() {
  File& own = *file_;
  errno = 0;
  own.datasets.clear();
  own.check(H5Fflush(own.file.get(), H5F_SCOPE_GLOBAL), "write");
  own.file = Handle();
  const Fd fd(::open(own.temporary.path().c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) fail_write(own.temporary.target(), "write", errno);
  if (const int code = sync_file(fd.get())) fail_write(own.temporary.target(), "write to the disk", code);
  own.temporary.take_place();
}

}  // namespace trainctl
