#include "data/data_files.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

/// `count` records of `labels` label bytes and a picture; sample i has the labels i, i + 1, ... modulo `classes`.
std::string records(int count, int labels, int classes, int first = 0) {
  std::string out;
  for (int i = first; i < first + count; ++i) {
    for (int k = 0; k < labels; ++k) out += static_cast<char>((i + k) % classes);
    std::string picture = counting_bytes(3072);
    picture[0] = static_cast<char>(i);
    out += picture;
  }
  return out;
}

std::string names(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += fmt::format("name{}\n", i);
  return out + "\n";
}

void write_cifar10(const TempFolder& folder, const std::string& inside) {
  std::filesystem::create_directories(folder / inside);
  for (int i = 0; i < 5; ++i) folder.write(fmt::format("{}data_batch_{}.bin", inside, i + 1), records(4, 1, 10, 4 * i));
  folder.write(inside + "test_batch.bin", records(3, 1, 10));
  folder.write(inside + "batches.meta.txt", names(10));
}

std::string spec(const TempFolder& folder, const char* type, std::string_view rest = "") {
  return fmt::format("{{type: {}, root: {}{}}}", type, folder.text(), rest);
}

}  // namespace

TEST_CASE("cifar10: the batches in order, from the folder or the one that the archive unpacks to") {
  for (const std::string inside : {"", "cifar-10-batches-bin/"}) {
    const TempFolder folder;
    write_cifar10(folder, inside);
    const auto train = dataset(spec(folder, "cifar10"));
    CHECK(train->describe().samples == 20);
    CHECK(train->describe().field("target").class_names[3] == "name3");
    const Table table = train->load();
    CHECK(table.column("input").field.shape == Shape{3, 32, 32});
    for (std::size_t i = 0; i < 20; ++i) {
      CHECK(table.column("target").as<std::int64_t>()[i] == static_cast<std::int64_t>(i % 10));
      CHECK(table.column("input").as<std::uint8_t>()[i * 3072] == i);
      CHECK(table.column("input").as<std::uint8_t>()[i * 3072 + 3071] == 3071 % 251);
    }
    CHECK(dataset(spec(folder, "cifar10", ", split: test"))->load().samples() == 3);
    CHECK(train->load_field("target").as<std::int64_t>()[19] == 9);
  }
}

TEST_CASE("cifar100: fine or coarse labels") {
  const TempFolder folder;
  folder.write("train.bin", records(5, 2, 20));
  folder.write("test.bin", records(2, 2, 20));
  folder.write("coarse_label_names.txt", names(20));
  const Table fine = dataset(spec(folder, "cifar100"))->load();
  CHECK(fine.column("target").field.classes == 100);
  CHECK(fine.column("target").field.class_names.empty());
  CHECK(fine.column("target").as<std::int64_t>()[2] == 3);
  CHECK(fine.column("input").as<std::uint8_t>()[2 * 3072] == 2);
  const Table coarse = dataset(spec(folder, "cifar100", ", labels: coarse, split: test"))->load();
  CHECK(coarse.column("target").as<std::int64_t>()[1] == 1);
  CHECK(coarse.column("target").field.class_names.size() == 20);
}

TEST_CASE("cifar: missing, cut and mislabelled files are refused with their place") {
  const TempFolder folder;
  const auto message = [&](std::string_view rest) {
    return message_of(ErrorKind::data, [&] { dataset(spec(folder, "cifar10", rest))->load(); });
  };
  CHECK(contains(message(""), "data_batch_1.bin: not found, nor"));
  write_cifar10(folder, "");
  std::string damaged = records(4, 1, 10);
  folder.write("data_batch_3.bin", damaged.substr(0, damaged.size() - 1));
  CHECK(contains(message(""), "data_batch_3.bin: 12291 bytes are no whole number of records of 3073"));
  damaged[2 * 3073] = 10;
  folder.write("data_batch_3.bin", damaged);
  CHECK(contains(message(""), "data_batch_3.bin: byte 6146: the label 10 lies outside of [0, 10)"));
  folder.write("test_batch.bin", "");
  CHECK(contains(message(", split: test"), "test_batch.bin: 0 bytes"));
  folder.write("batches.meta.txt", names(9));
  CHECK(contains(message(""), "batches.meta.txt: holds 9 names; 10 classes were expected"));
}
