#include "data/idx.h"

#include "data/data_files.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

constexpr std::uint8_t idx_u8 = 0x08;
constexpr std::uint8_t idx_i32 = 0x0c;

template <typename T>
std::vector<T> values(const Column& column, std::size_t count) {
  return {column.as<T>(), column.as<T>() + count};
}

std::string open_error(const TempFolder& folder, std::string_view bytes) {
  const auto path = folder.write("x", bytes);
  return message_of(ErrorKind::data, [&] { open_idx(path)->load(); });
}

}  // namespace

TEST_CASE("idx: images of bytes, raw and gzip alike") {
  const TempFolder folder;
  const std::string elements = counting_bytes(5 * 4 * 3);
  const std::string file = idx_file(idx_u8, {5, 4, 3}, elements);
  const auto raw = open_idx(folder.write("raw", file));
  const auto compressed = open_idx(folder.write("compressed", gzip(file)));
  CHECK(raw->reads_parts());
  CHECK_FALSE(compressed->reads_parts());
  for (const ArrayFile* array : {raw.get(), compressed.get()}) {
    CHECK(array->info().dtype == DType::u8);
    CHECK(array->info().dims == std::vector<std::int64_t>{5, 1, 4, 3});
    const Column column = array->load();
    CHECK(column.field.shape == Shape{1, 4, 3});
    CHECK(std::memcmp(column.data(), elements.data(), elements.size()) == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(column.data()) % HostBytes::alignment == 0);
  }
}

TEST_CASE("idx: every element type is converted from big-endian") {
  const TempFolder folder;
  const auto load = [&](std::uint8_t type, std::string_view elements) {
    return open_idx(folder.write("x", idx_file(type, {3}, elements)))->load();
  };
  using I32 = std::vector<std::int32_t>;
  CHECK(values<std::int32_t>(load(0x09, "\x01\xff\x80"), 3) == I32{1, -1, -128});
  CHECK(values<std::int32_t>(load(0x0b, big_endian<std::int16_t>({1, -2, 300})), 3) == I32{1, -2, 300});
  CHECK(values<std::int32_t>(load(idx_i32, big_endian<std::int32_t>({1, -2, 70000})), 3) == I32{1, -2, 70000});
  CHECK(values<float>(load(0x0d, big_endian<float>({1.5F, -2, 1e10F})), 3) == std::vector<float>{1.5F, -2, 1e10F});
  CHECK(values<float>(load(0x0e, big_endian<double>({1.5, -2, 0.1})), 3) == std::vector<float>{1.5F, -2, 0.1F});
}

TEST_CASE("idx: a file cut anywhere is refused with the place") {
  const TempFolder folder;
  const std::string file = idx_file(idx_u8, {5, 4, 3}, counting_bytes(60));
  for (std::size_t length = 0; length < file.size(); ++length) {
    const std::string message = open_error(folder, file.substr(0, length));
    CHECK(contains(message, fmt::format("truncated: ends at byte {}", length)));
    CHECK(contains(message, folder.text()));
  }
  const std::string short_inside = gzip(file.substr(0, file.size() - 1));
  CHECK(contains(open_error(folder, short_inside), "truncated: contents end at byte 75, its header promises 76"));
  const std::string compressed = gzip(file);
  for (std::size_t length = 2; length < compressed.size(); ++length) {
    CHECK(contains(open_error(folder, compressed.substr(0, length)), "truncated"));
  }
}

TEST_CASE("idx: trailing bytes are refused") {
  const TempFolder folder;
  const std::string file = idx_file(idx_u8, {2, 2}, "abcde");
  CHECK(contains(open_error(folder, file), "too long: ends at byte 17, its header promises 16"));
  CHECK(contains(open_error(folder, gzip(file)), "too long: contents end at byte 17, its header promises 16"));
}

TEST_CASE("idx: a wrong magic number, type or extent is refused") {
  const TempFolder folder;
  CHECK(contains(open_error(folder, "PNG\r data"), "not an IDX file: magic number 0x504e470d at byte 0"));
  CHECK(contains(open_error(folder, idx_file(0x0a, {1}, "a")), "not an IDX file"));
  CHECK(contains(open_error(folder, idx_file(idx_u8, {}, "a")), "scalar"));
  CHECK(contains(open_error(folder, idx_file(idx_u8, {3, 0}, "")), "extent 0 of axis 1"));
  CHECK(contains(open_error(folder, idx_file(idx_u8, {1, 1, 1, 1, 1, 1, 1}, "a")), "7 axes"));
}

TEST_CASE("idx: extents whose product overflows are refused before anything is allocated") {
  const TempFolder folder;
  const std::uint32_t most = 0xffffffff;
  CHECK(contains(open_error(folder, idx_file(idx_u8, {most, most, most, most}, "a")), "impossibly large"));
  CHECK(contains(open_error(folder, idx_file(idx_i32, {0x40000000, 0x40000000, 4}, "a")), "impossibly large"));
  CHECK(contains(open_error(folder, idx_file(idx_u8, {0x80000000, 1}, "a")), "at most 2^31 - 1"));
  CHECK(contains(open_error(folder, idx_file(idx_u8, {0x10000, 0x10000}, "a")), "promises 4294967308"));
  CHECK(contains(open_error(folder, gzip(idx_file(idx_u8, {0x10000, 0x10000}, "a"))), "promises 4294967308"));
}

TEST_CASE("idx: missing files, folders and pipes are refused") {
  const TempFolder folder;
  CHECK(contains(message_of(ErrorKind::data, [&] { open_idx(folder / "none"); }), "none"));
  CHECK(contains(message_of(ErrorKind::data, [&] { open_idx(folder / ""); }), "not a regular file"));
}

TEST_CASE("idx dataset: fields, and the same samples from memory and from the file") {
  const TempFolder folder;
  folder.write("x", idx_file(idx_u8, {4, 2, 2}, counting_bytes(16)));
  folder.write("y", idx_file(idx_u8, {4}, std::string("\2\0\1\2", 4)));
  const std::string files = fmt::format("type: idx, input: {0}/x, target: {0}/y", folder.text());
  const auto component = dataset("{" + files + "}");
  const DatasetInfo info = component->describe();
  CHECK(info.samples == 4);
  CHECK(info.field("input").shape == Shape{1, 2, 2});
  CHECK(info.field("input").classes == 0);
  CHECK(info.field("target").dtype == DType::i64);
  CHECK(info.field("target").shape.rank() == 0);
  CHECK(info.field("target").classes == 3);
  CHECK(dataset("{" + files + ", classes: 7}")->describe().field("target").classes == 7);
  CHECK(dataset("{" + files + ", shape: [4]}")->describe().field("input").shape == Shape{4});

  const Table table = component->load();
  CHECK(values<std::int64_t>(table.column("target"), 4) == std::vector<std::int64_t>{2, 0, 1, 2});
  const auto stored = component->open();
  CHECK(dynamic_cast<Table*>(stored.get()) == nullptr);
  CHECK(stored->digest() == table.digest());
  const std::vector<std::int32_t> ids{3, 0, 1, 2, 0};
  std::vector<std::byte> a(ids.size() * 4);
  std::vector<std::byte> b(ids.size() * 4);
  table.read(0, ids, a.data());
  stored->read(0, ids, b.data());
  CHECK(a == b);
  CHECK(std::to_integer<int>(a[0]) == 12);
}

TEST_CASE("idx dataset: labels out of range and counts that differ are refused with the index") {
  const TempFolder folder;
  folder.write("x", idx_file(idx_u8, {3, 2, 2}, counting_bytes(12)));
  folder.write("y", idx_file(idx_u8, {3}, std::string("\1\0\3", 3)));
  folder.write("negative", idx_file(0x09, {3}, std::string("\1\xff\3", 3)));
  folder.write("four", idx_file(idx_u8, {4}, std::string("\1\0\3\1", 4)));
  const auto load = [&](std::string_view target, std::string_view more) {
    const std::string spec =
        fmt::format("{{type: idx, input: {0}/x, target: {0}/{1}{2}}}", folder.text(), target, more);
    dataset(spec)->load();
  };
  CHECK(contains(message_of(ErrorKind::data, [&] { load("y", ", classes: 3"); }),
                 "/y: sample 2 has the label 3, outside of [0, 3)"));
  CHECK(contains(message_of(ErrorKind::data, [&] { load("negative", ""); }), "sample 1 has the label -1"));
  const std::string message = message_of(ErrorKind::data, [&] { load("four", ""); });
  CHECK(contains(message, "/x holds 3 samples but"));
  CHECK(contains(message, "/four holds 4"));
  CHECK(contains(message_of(ErrorKind::config, [&] { load("y", ", shape: [5]"); }), "shape"));
}

TEST_CASE("a file that shrinks while it is read is an error, not a signal") {
  const TempFolder folder;
  const auto path = folder.write("x", idx_file(idx_u8, {4, 2, 2}, counting_bytes(16)));
  const auto source = dataset(fmt::format("{{type: idx, input: {}}}", path.string()))->open();
  std::filesystem::resize_file(path, 20);
  std::vector<std::byte> out(4);
  const std::vector<std::int32_t> last{3};
  CHECK(contains(message_of(ErrorKind::data, [&] { source->read(0, last, out.data()); }), "truncated"));
}
