#include "data/hdf5_array.h"

#include <hdf5.h>

#include "data/data_files.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

// A new HDF5 file; datasets are added, and it is closed at the end of the scope.
class Hdf5Writer {
 public:
  explicit Hdf5Writer(const std::filesystem::path& path, hsize_t userblock = 0) {
    const hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(creation, userblock);
    file_ = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, H5P_DEFAULT);
    H5Pclose(creation);
    REQUIRE(file_ >= 0);
  }
  ~Hdf5Writer() { H5Fclose(file_); }
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;
  hid_t file() const { return file_; }

  template <typename T>
  void add(const char* name, hid_t stored, hid_t memory, std::vector<hsize_t> dims, const std::vector<T>& values,
           bool compress = false) {
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    if (compress) {
      H5Pset_chunk(creation, static_cast<int>(dims.size()), dims.data());
      H5Pset_shuffle(creation);
      H5Pset_deflate(creation, 6);
    }
    create(name, stored, dims, creation, memory, values.data());
    H5Pclose(creation);
  }

  void create(const char* name, hid_t stored, const std::vector<hsize_t>& dims, hid_t creation, hid_t memory = -1,
              const void* values = nullptr) {
    const hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    const hid_t space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
    const hid_t set = H5Dcreate2(file_, name, stored, space, links, creation, H5P_DEFAULT);
    REQUIRE(set >= 0);
    if (values) H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(links);
  }

 private:
  hid_t file_;
};

std::string open_error(const std::filesystem::path& path, const std::string& name) {
  return message_of(ErrorKind::data, [&] { open_hdf5(path, name)->load(); });
}

template <typename T>
std::vector<T> load(const std::filesystem::path& path, const std::string& name, std::size_t count) {
  const Column column = open_hdf5(path, name)->load();
  return {column.as<T>(), column.as<T>() + count};
}

}  // namespace

TEST_CASE("hdf5: element types of any byte order, plain and compressed") {
  const TempFolder folder;
  const auto path = folder / "x.h5";
  const std::vector<std::int32_t> ints{1, -2, 3, 70000};
  const std::vector<double> doubles{1.5, -2, 0.1, 4};
  {
    Hdf5Writer writer(path);
    writer.add<std::uint8_t>("u8", H5T_STD_U8LE, H5T_NATIVE_UINT8, {4}, {1, 2, 3, 255});
    writer.add("group/i32be", H5T_STD_I32BE, H5T_NATIVE_INT32, {2, 2}, ints);
    writer.add("i64", H5T_STD_I64LE, H5T_NATIVE_INT32, {4}, ints);
    writer.add<std::int32_t>("i16", H5T_STD_I16LE, H5T_NATIVE_INT32, {4}, {1, -2, 3, 4});
    writer.add("f64", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, {4, 1}, doubles);
    writer.add("packed", H5T_IEEE_F32LE, H5T_NATIVE_DOUBLE, {2, 2}, doubles, true);
  }
  CHECK(load<std::uint8_t>(path, "u8", 4) == std::vector<std::uint8_t>{1, 2, 3, 255});
  CHECK(load<std::int32_t>(path, "group/i32be", 4) == ints);
  CHECK(load<std::int32_t>(path, "/group/i32be", 4) == ints);
  CHECK(load<std::int64_t>(path, "i64", 4) == std::vector<std::int64_t>{1, -2, 3, 70000});
  CHECK(load<std::int32_t>(path, "i16", 4) == std::vector<std::int32_t>{1, -2, 3, 4});
  CHECK(load<float>(path, "f64", 4) == std::vector<float>{1.5F, -2, 0.1F, 4});
  CHECK(load<float>(path, "packed", 4) == std::vector<float>{1.5F, -2, 0.1F, 4});
  CHECK(open_hdf5(path, "group/i32be")->info().dims == std::vector<std::int64_t>{2, 2});
}

TEST_CASE("hdf5 dataset: the same samples from memory and from the file, user block or not") {
  const TempFolder folder;
  std::vector<float> values(40);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  for (const hsize_t userblock : {0, 512}) {
    const auto path = folder / "x.h5";
    {
      Hdf5Writer writer(path, userblock);
      writer.add("train/x", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {10, 4}, values);
      writer.add<std::int32_t>("train/y", H5T_STD_I32LE, H5T_NATIVE_INT32, {10}, {0, 1, 2, 3, 4, 0, 1, 2, 3, 4});
    }
    const auto component =
        dataset(fmt::format("{{type: hdf5, path: {}, input: train/x, target: train/y}}", path.string()));
    CHECK(component->describe().samples == 10);
    CHECK(component->describe().field("target").classes == 5);
    const Table table = component->load();
    const auto source = component->open();
    CHECK(dynamic_cast<Table*>(source.get()) == nullptr);
    CHECK(source->digest() == table.digest());
    float sample[4];
    const std::vector<std::int32_t> ids{7};
    source->read(0, ids, reinterpret_cast<std::byte*>(sample));
    CHECK(sample[0] == 28.0F);
    const auto alone = dataset(fmt::format("{{type: hdf5, path: {}, input: train/x, target: null}}", path.string()));
    CHECK(alone->describe().fields.size() == 1);
    CHECK_THROWS_AS(dataset(fmt::format("{{type: hdf5, path: {}, target: ''}}", path.string())), ConfigError);
  }
}

TEST_CASE("hdf5 dataset: rows of compressed, converted and further arrays are read one by one") {
  const TempFolder folder;
  std::vector<double> values(60);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.5 * static_cast<double>(i);
  {
    Hdf5Writer writer(folder / "x.h5");
    writer.add("input", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, {10, 2, 3}, values, true);
    writer.add<std::int32_t>("target", H5T_STD_I32LE, H5T_NATIVE_INT32, {10}, {0, 1, 2, 3, 4, 0, 1, 2, 3, 4});
    writer.add<std::int32_t>("id", H5T_STD_I32LE, H5T_NATIVE_INT32, {10}, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0});
  }
  const auto set =
      dataset(fmt::format("{{type: hdf5, path: {}, fields: {{id: {{array: id}}}}}}", (folder / "x.h5").string()));
  const Table table = set->load();
  const auto source = set->open();
  REQUIRE(dynamic_cast<Table*>(source.get()) == nullptr);
  CHECK(source->digest() == table.digest());
  const std::vector<std::int32_t> ids{7, 8, 2, 2, 9};
  for (std::size_t field = 0; field < 3; ++field) {
    std::vector<std::byte> expected(ids.size() * table.info().fields[field].sample_bytes()), read(expected.size());
    table.read(field, ids, expected.data());
    source->read(field, ids, read.data());
    CHECK(read == expected);
  }
}

TEST_CASE("hdf5: missing names, groups and other types are refused") {
  const TempFolder folder;
  const auto path = folder / "x.h5";
  {
    Hdf5Writer writer(path);
    writer.add<double>("group/x", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, {2}, {1, 2});
    writer.add<std::uint64_t>("u64", H5T_STD_U64LE, H5T_NATIVE_UINT64, {2}, {1, 2});
    const hid_t text = H5Tcopy(H5T_C_S1);
    writer.create("text", text, {2}, H5P_DEFAULT);
    H5Tclose(text);
  }
  CHECK(contains(open_error(path, "y"), "x.h5:y: the file has no 'y'"));
  CHECK(contains(open_error(path, "group/y"), "the file has no 'group/y'"));
  CHECK(contains(open_error(path, "group"), "not a dataset"));
  CHECK(contains(open_error(path, "text"), "neither integers nor floats"));
  CHECK(contains(open_error(path, "u64"), "unsigned 64-bit"));
  CHECK(contains(open_error(folder / "none.h5", "x"), "none.h5"));
  CHECK(contains(open_error(folder.write("junk.h5", "junk"), "x"), "not an HDF5 file"));
}

TEST_CASE("hdf5: links, foreign storage, virtual datasets and absurd extents are refused before they are followed") {
  const TempFolder folder;
  const auto path = folder / "x.h5";
  {
    Hdf5Writer writer(path);
    writer.add<double>("x", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, {2}, {1, 2});
    H5Lcreate_soft("/x", writer.file(), "soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external("/etc/passwd", "/x", writer.file(), "external", H5P_DEFAULT, H5P_DEFAULT);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(creation, "/etc/passwd", 0, 16);
    writer.create("outside", H5T_STD_U8LE, {16}, creation);
    H5Pclose(creation);
    const hid_t virtual_creation = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t extent = 2;
    const hid_t space = H5Screate_simple(1, &extent, nullptr);
    H5Pset_virtual(virtual_creation, space, "/tmp/other.h5", "x", space);
    writer.create("virtual", H5T_IEEE_F64LE, {2}, virtual_creation);
    H5Sclose(space);
    H5Pclose(virtual_creation);
    const hid_t late = H5Pcreate(H5P_DATASET_CREATE);
    writer.create("huge", H5T_STD_U8LE, {hsize_t{1} << 40}, late);
    writer.create("overflow", H5T_STD_U8LE, {hsize_t{1} << 31, hsize_t{1} << 30}, late);
    writer.create("empty", H5T_STD_U8LE, {0}, late);
    H5Pclose(late);
  }
  CHECK(contains(open_error(path, "soft"), "links are not followed"));
  CHECK(contains(open_error(path, "external"), "links are not followed"));
  CHECK(contains(open_error(path, "outside"), "other files"));
  CHECK(contains(open_error(path, "virtual"), "is a virtual dataset"));
  CHECK(contains(open_error(path, "huge"), "at most 2^31 - 1"));
  CHECK(contains(open_error(path, "overflow"), "impossibly large"));
  CHECK(contains(open_error(path, "empty"), "no samples"));
}

TEST_CASE("hdf5: a file cut anywhere is refused") {
  const TempFolder folder;
  const auto path = folder / "x.h5";
  {
    Hdf5Writer writer(path);
    writer.add("x", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, {2000}, std::vector<double>(2000, 1.0));
  }
  const std::uintmax_t size = std::filesystem::file_size(path);
  for (std::uintmax_t length = size - 1; length > 1000; length -= 997) {
    std::filesystem::resize_file(path, length);
    CHECK(contains(open_error(path, "x"), "x.h5"));
  }
}

TEST_CASE("hdf5 dataset: further arrays as fields of their own") {
  const TempFolder folder;
  {
    Hdf5Writer file(folder / "x.h5");
    file.add<float>("x", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {3, 2}, {1, 2, 3, 4, 5, 6});
    file.add<int>("y", H5T_STD_I32LE, H5T_NATIVE_INT, {3}, {0, 1, 0});
    file.add<int>("who/id", H5T_STD_I32LE, H5T_NATIVE_INT, {3}, {70, 80, 70});
    file.add<float>("importance", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {3}, {0.5F, 1, 2});
    file.add<float>("short", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {2}, {0.5F, 1});
  }
  const auto set = [&](std::string_view fields) {
    return dataset(
        fmt::format("{{type: hdf5, path: {}, input: x, target: y, fields: {}}}", (folder / "x.h5").string(), fields));
  };
  const auto two = set("{patient: {array: who/id}, second: {array: y, classes: 4}, weight: {array: importance}}");
  const Table table = two->load();
  CHECK(table.column("patient").as<std::int32_t>()[1] == 80);
  CHECK(table.column("second").as<std::int64_t>()[1] == 1);
  CHECK(table.column("second").field.classes == 4);
  CHECK(table.column("weight").as<float>()[2] == 2.0F);
  CHECK(two->load_field("patient").as<std::int32_t>()[2] == 70);
  CHECK(two->open()->info().fields.size() == 5);
  const DatasetInfo info = two->describe();
  REQUIRE(info.fields.size() == table.info().fields.size());
  for (std::size_t i = 0; i < info.fields.size(); ++i) {
    CHECK(info.fields[i].name == table.info().fields[i].name);
    CHECK(info.fields[i].shape == table.info().fields[i].shape);
    CHECK(info.fields[i].dtype == table.info().fields[i].dtype);
  }
  CHECK(contains(message_of(ErrorKind::data, [&] { set("{weight: {array: short}}")->describe(); }),
                 "holds 3 samples but"));
  CHECK(contains(message_of(ErrorKind::config, [&] { set("{weight: {array: importance, classes: 3}}")->load(); }),
                 "'classes' needs integers"));
  CHECK(contains(message_of(ErrorKind::data, [&] { set("{second: {array: y, classes: 1}}")->load(); }),
                 "sample 1 has the label 1, outside of [0, 1)"));
  CHECK(contains(message_of(ErrorKind::config, [&] { set("{input: {array: y}}"); }), "a key of its own"));
}
