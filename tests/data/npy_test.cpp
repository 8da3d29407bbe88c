#include "data/npy.h"

#include "data/data_files.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

std::string open_error(const TempFolder& folder, std::string_view bytes) {
  const auto path = folder.write("x.npy", bytes);
  return message_of(ErrorKind::data, [&] { open_npy(path)->load(); });
}

template <typename T>
std::vector<T> load(const TempFolder& folder, std::string_view file, DType dtype) {
  const auto array = open_npy(folder.write("x.npy", file));
  CHECK(array->info().dtype == dtype);
  CHECK(array->info().dims == std::vector<std::int64_t>{2, 2});
  const Column column = array->load();
  return {column.as<T>(), column.as<T>() + 4};
}

}  // namespace

TEST_CASE("npy: every element type, and every format version") {
  const TempFolder folder;
  const std::vector<float> floats{1.5F, -2.0F, 0.1F, 1e20F};
  CHECK(load<float>(folder, npy_file("<f4", "(2, 2)", raw_bytes(floats)), DType::f32) == floats);
  CHECK(load<float>(folder, npy_file("<f4", "(2, 2)", raw_bytes(floats), 2), DType::f32) == floats);
  CHECK(load<float>(folder, npy_file("<f4", "(2, 2)", raw_bytes(floats), 3), DType::f32) == floats);
  const std::string doubles = raw_bytes(std::vector<double>{1.5, -2.0, 0.1, 1e20});
  CHECK(load<float>(folder, npy_file("<f8", "(2,2)", doubles), DType::f32) == floats);
  const std::vector<std::int32_t> ints{1, -2, 3, 70000};
  CHECK(load<std::int32_t>(folder, npy_file("<i4", "(2, 2,)", raw_bytes(ints)), DType::i32) == ints);
  const std::vector<std::int64_t> longs{1, -2, 3, std::int64_t{1} << 40};
  CHECK(load<std::int64_t>(folder, npy_file("<i8", "(2, 2)", raw_bytes(longs)), DType::i64) == longs);
  const std::vector<std::uint8_t> bytes{1, 2, 3, 255};
  CHECK(load<std::uint8_t>(folder, npy_file("|u1", "(2, 2)", raw_bytes(bytes)), DType::u8) == bytes);
}

TEST_CASE("npy: more doubles than one piece are converted in order") {
  const TempFolder folder;
  std::vector<double> values(150000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  const auto array = open_npy(folder.write("x.npy", npy_file("<f8", "(150000,)", raw_bytes(values))));
  const Column column = array->load();
  bool equal = true;
  for (std::size_t i = 0; i < values.size(); ++i) equal = equal && column.as<float>()[i] == static_cast<float>(i);
  CHECK(equal);
}

TEST_CASE("npy: a file cut anywhere or too long is refused") {
  const TempFolder folder;
  const std::string file = npy_file("<i4", "(3,)", raw_bytes(std::vector<std::int32_t>{1, 2, 3}));
  for (std::size_t length = 0; length < file.size(); ++length) {
    CHECK(contains(open_error(folder, file.substr(0, length)), folder.text()));
  }
  CHECK(contains(open_error(folder, file.substr(0, file.size() - 1)),
                 "truncated: ends at byte 139, its header promises 140"));
  CHECK(contains(open_error(folder, file + "x"), "too long: ends at byte 141"));
}

TEST_CASE("npy: wrong magic, version, type, order and extents are refused") {
  const TempFolder folder;
  CHECK(contains(open_error(folder, "not numpy at all"), "not a .npy file"));
  std::string version = npy_file("<f4", "(1,)", "abcd");
  version[6] = 9;
  CHECK(contains(open_error(folder, version), "version 9 at byte 6"));
  CHECK(contains(open_error(folder, npy_file(">f4", "(1,)", "abcd")), "'>f4' are not handled"));
  CHECK(contains(open_error(folder, npy_file("|O", "(1,)", "abcd")), "'|O'"));
  CHECK(contains(open_error(folder, npy_file("|u1", "(2, 2)", "abcd", 1, "True")), "Fortran"));
  CHECK(contains(open_error(folder, npy_file("|u1", "()", "a")), "scalar"));
  CHECK(contains(open_error(folder, npy_file("|u1", "(1,)} more {'a': (1,)", "a")), "goes on after its end"));
  CHECK(contains(open_error(folder, npy_file("|u1", "(-4,)", "abcd")), "extent -4"));
  CHECK(contains(open_error(folder, npy_file("<f8", "(4294967296, 4294967296)", "a")), "impossibly large"));
  CHECK(contains(open_error(folder, npy_file("|u1", "(99999999999999999999,)", "a")), "no number"));
}

TEST_CASE("npy: damage anywhere in the header never passes for another array") {
  const TempFolder folder;
  const std::string file = npy_file("<i4", "(3,)", raw_bytes(std::vector<std::int32_t>{1, 2, 3}));
  for (std::size_t at = 0; at < 64; ++at) {
    if (at == 7) continue;  // the minor version says nothing
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    CHECK(contains(open_error(folder, damaged), "x.npy"));
  }
}

TEST_CASE("npy dataset: integers are classes, floats are values") {
  const TempFolder folder;
  folder.write("x.npy", npy_file("<f4", "(3, 2)", raw_bytes(std::vector<float>{1, 2, 3, 4, 5, 6})));
  folder.write("y.npy", npy_file("<i4", "(3,)", raw_bytes(std::vector<std::int32_t>{0, 4, 1})));
  folder.write("t.npy", npy_file("<f8", "(3,)", raw_bytes(std::vector<double>{0.5, 1, 2})));
  const auto make = [&](std::string_view rest) {
    return dataset(fmt::format("{{type: npy, input: {0}/x.npy{1}}}", folder.text(), rest));
  };
  const auto classes = make(fmt::format(", target: {}/y.npy", folder.text()));
  CHECK(classes->describe().field("target").classes == 5);
  CHECK(classes->load().column("target").as<std::int64_t>()[1] == 4);
  CHECK(classes->open()->digest() == classes->load().digest());

  const auto values = make(fmt::format(", target: {}/t.npy", folder.text()));
  CHECK(values->describe().field("target").shape == Shape{1});
  CHECK(values->describe().field("target").classes == 0);
  CHECK(values->load().column("target").as<float>()[0] == 0.5F);
  CHECK(contains(message_of(ErrorKind::config,
                            [&] { make(fmt::format(", target: {}/t.npy, classes: 3", folder.text()))->describe(); }),
                 "'classes' needs integers"));

  const auto alone = make("");
  CHECK(alone->describe().fields.size() == 1);
  CHECK_FALSE(alone->describe().has("target"));
}

TEST_CASE("the digest tells any change of the data") {
  const TempFolder folder;
  const auto digest = [&](std::string_view file) {
    folder.write("x.npy", file);
    return dataset(fmt::format("{{type: npy, input: {}/x.npy}}", folder.text()))->load().digest();
  };
  const std::string original = digest(npy_file("|u1", "(4,)", "abcd"));
  CHECK(original.size() == 64);
  CHECK(digest(npy_file("|u1", "(4,)", "abcd", 2)) == original);
  CHECK(digest(npy_file("|u1", "(4,)", "abce")) != original);
  CHECK(digest(npy_file("|u1", "(2, 2)", "abcd")) != original);
  CHECK(digest(npy_file("|u1", "(3,)", "abc")) != original);
}
