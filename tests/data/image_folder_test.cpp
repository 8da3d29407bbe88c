#include "data/data_files.h"
#include "data/image_files.h"
#include "data/source_digest.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

/// Three classes of PNG and JPEG files; picture i of a class is a ramp that begins with 10 + 3 i.
void write_pictures(const TempFolder& folder) {
  for (const char* name : {"cat", "ant", "bee/wild", "bee", ".hidden"})
    std::filesystem::create_directories(folder / name);
  const auto png = [](int phase) { return png_file(6, 8, PngKind::rgb, ramp(6, 8, 3, phase)); };
  folder.write("ant/2.png", png(6));
  folder.write("ant/1.PNG", png(3));
  folder.write("bee/wild/a.png", png(9));
  folder.write("bee/z.png", png(0));
  folder.write("cat/x.jpeg", jpeg_file(6, 8, 3, ramp(6, 8, 3, 12)));
  folder.write("cat/notes.txt", "not a picture");
  folder.write(".hidden/1.png", png(99));
  folder.write("cat/.thumb.png", "");
}

Component<Dataset> folder_set(const TempFolder& folder, std::string_view rest = "") {
  return dataset(fmt::format("{{type: image_folder, root: {}{}}}", folder.text(), rest));
}

std::vector<std::int64_t> labels(const Table& table) {
  const auto* at = table.column("target").as<std::int64_t>();
  return {at, at + table.samples()};
}

}  // namespace

TEST_CASE("image_folder: classes by name, files by path, planes of bytes; the same for any number of threads") {
  const TempFolder folder;
  write_pictures(folder);
  const DatasetInfo info = folder_set(folder)->describe();
  CHECK(info.samples == 5);
  CHECK(info.field("input").dtype == DType::u8);
  CHECK(info.field("input").shape == Shape{3, 6, 8});
  CHECK(info.field("target").class_names == std::vector<std::string>{"ant", "bee", "cat"});
  std::string digest;
  for (const int threads : {1, 2, 7}) {
    const Table table = folder_set(folder, fmt::format(", threads: {}", threads))->load();
    CHECK(labels(table) == std::vector<std::int64_t>{0, 0, 1, 1, 2});
    const auto* bytes = table.column("input").as<std::uint8_t>();
    const std::size_t sample = 3 * 6 * 8;
    CHECK(int{bytes[0]} == 13);           // ant/1.PNG
    CHECK(int{bytes[sample]} == 16);      // ant/2.png
    CHECK(int{bytes[2 * sample]} == 19);  // bee/wild/a.png
    CHECK(int{bytes[3 * sample]} == 10);  // bee/z.png
    const std::vector<std::uint8_t> first = ramp(6, 8, 3, 3);
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t i = 0; i < 48; ++i) CHECK(bytes[c * 48 + i] == first[i * 3 + c]);
    if (digest.empty()) digest = table.digest();
    CHECK(table.digest() == digest);
  }
  const Column target = folder_set(folder)->load_field("target");
  CHECK(target.as<std::int64_t>()[4] == 2);
  CHECK(folder_set(folder)->load_field("input").field.shape == Shape{3, 6, 8});
}

TEST_CASE("image_folder: pictures that are read one by one are those of memory; a damaged one is named then") {
  const TempFolder folder;
  write_pictures(folder);
  const auto set = folder_set(folder, ", decode: {size: [4, 5]}");
  const Table table = set->load();
  const auto source = set->open();
  REQUIRE(dynamic_cast<Table*>(source.get()) == nullptr);
  CHECK(source->digest() == table.digest());
  CHECK(sampled_digest(*source) == sampled_digest(table));
  const std::vector<std::int32_t> ids{4, 0, 4};
  for (const std::size_t field : {0U, 1U}) {
    std::vector<std::byte> expected(3 * table.info().fields[field].sample_bytes()), read(expected.size());
    table.read(field, ids, expected.data());
    source->read(field, ids, read.data());
    CHECK(read == expected);
  }
  folder.write("bee/z.png", "not a picture");
  std::vector<std::byte> sample(60);
  const std::vector<std::int32_t> bad{3};
  CHECK(contains(message_of(ErrorKind::data, [&] { source->read(0, bad, sample.data()); }), "bee/z.png: neither"));
}

TEST_CASE("image_folder: chosen classes and one size for all") {
  const TempFolder folder;
  write_pictures(folder);
  const Table table = folder_set(folder, ", classes: [cat, ant], decode: {size: [4, 5], color: gray}")->load();
  CHECK(labels(table) == std::vector<std::int64_t>{0, 1, 1});
  CHECK(table.info().field("input").shape == Shape{1, 4, 5});
  CHECK(table.info().field("target").classes == 2);
  folder.write("bee/big.png", png_file(9, 9, PngKind::rgb, ramp(9, 9, 3)));
  CHECK(contains(message_of(ErrorKind::data, [&] { folder_set(folder)->load(); }),
                 "big.png: is 9 x 9 pixels (height x width), the first file 6 x 8; give a size under 'decode'"));
  CHECK(folder_set(folder, ", decode: {size: 6}")->load().samples() == 6);
}

TEST_CASE("image_folder: a damaged file is an error that names the first; skip_damaged leaves them out") {
  const TempFolder folder;
  write_pictures(folder);
  const std::string whole = png_file(6, 8, PngKind::rgb, ramp(6, 8, 3));
  folder.write("ant/1.PNG", whole.substr(0, whole.size() / 2));
  folder.write("bee/wild/b.png", "");
  folder.write("cat/w.jpg", "\xff\xd8 and nothing more");
  for (const int threads : {1, 3}) {
    const std::string message = message_of(ErrorKind::data, [&] {
      folder_set(folder, fmt::format(", threads: {}, decode: {{size: 6}}", threads))->load();
    });
    CHECK(contains(message, "ant/1.PNG: damaged PNG at byte"));
  }
  const auto skipping = folder_set(folder, ", skip_damaged: true");
  CHECK(skipping->describe().samples == 4);
  const Table table = skipping->load();
  CHECK(labels(table) == std::vector<std::int64_t>{0, 1, 1, 2});
  CHECK(int{table.column("input").as<std::uint8_t>()[0]} == 16);
  CHECK(int{table.column("input").as<std::uint8_t>()[144]} == 19);
  CHECK(skipping->load_field("target").as<std::int64_t>()[3] == 2);
  for (const char* file : {"ant/2.png", "bee/wild/a.png", "bee/z.png", "cat/x.jpeg"}) folder.write(file, "no");
  CHECK(contains(message_of(ErrorKind::data, [&] { skipping->load(); }), "neither a JPEG nor a PNG"));
  CHECK(contains(
      message_of(ErrorKind::data, [&] { folder_set(folder, ", skip_damaged: true, decode: {size: 6}")->load(); }),
      "none of its 7 files can be decoded"));
}

TEST_CASE("image_folder: folders that are missing, empty or listed wrongly are refused") {
  const TempFolder folder;
  CHECK(contains(message_of(ErrorKind::data, [&] { folder_set(folder)->describe(); }), "holds no folders"));
  write_pictures(folder);
  CHECK(contains(message_of(ErrorKind::data, [&] { folder_set(folder, ", classes: [ant, bea]")->describe(); }),
                 "has no folder 'bea', which 'classes' lists. Did you mean 'bee'?"));
  std::filesystem::create_directories(folder / "dog");
  CHECK(contains(message_of(ErrorKind::data, [&] { folder_set(folder)->describe(); }), "dog: holds no .jpg"));
  CHECK(folder_set(folder, ", classes: [ant, dog]")->describe().samples == 2);
  CHECK(contains(message_of(ErrorKind::config, [&] { folder_set(folder, ", classes: [ant, ant]"); }), "listed twice"));
  CHECK(contains(message_of(ErrorKind::data, [&] { dataset("{type: image_folder, root: /nowhere/at/all}")->load(); }),
                 "/nowhere/at/all"));
}
