#include "data/data_files.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

const std::filesystem::path fashion = "/usr/share/datasets/fashion-mnist";

bool fashion_is_here() {
  if (std::filesystem::exists(fashion / "train-images-idx3-ubyte.gz")) return true;
  MESSAGE("SKIPPED: ", fashion.string(), " is not there (Debian package dataset-fashion-mnist)");
  return false;
}

void write_four(const TempFolder& folder) {
  const auto write = [&](const std::string& prefix, std::uint32_t samples, bool compress) {
    const std::string images = idx_file(0x08, {samples, 3, 3}, counting_bytes(samples * 9));
    std::string labels(samples, '\0');
    for (std::size_t i = 0; i < samples; ++i) labels[i] = static_cast<char>(i % 10);
    labels = idx_file(0x08, {samples}, labels);
    const std::string end = compress ? ".gz" : "";
    folder.write(prefix + "-images-idx3-ubyte" + end, compress ? gzip(images) : images);
    folder.write(prefix + "-labels-idx1-ubyte" + end, compress ? gzip(labels) : labels);
  };
  write("train", 20, true);
  write("t10k", 12, false);
}

std::string spec(const TempFolder& folder, std::string_view rest) {
  return fmt::format("{{type: mnist, root: {}{}}}", folder.text(), rest);
}

}  // namespace

TEST_CASE("mnist: both splits, compressed or raw, by their headers and whole") {
  const TempFolder folder;
  write_four(folder);
  const auto train = dataset(spec(folder, ""));
  const auto test = dataset(spec(folder, ", split: test"));
  CHECK(train->describe().samples == 20);
  CHECK(test->describe().samples == 12);
  CHECK(train->describe().field("input").shape == Shape{1, 3, 3});
  CHECK(train->describe().field("target").classes == 10);
  CHECK(train->load().column("target").as<std::int64_t>()[13] == 3);
  CHECK(test->open()->digest() == test->load().digest());
}

TEST_CASE("mnist: missing, mixed-up and mislabelled files are refused by name") {
  const TempFolder folder;
  CHECK(contains(message_of(ErrorKind::data, [&] { dataset(spec(folder, ""))->describe(); }),
                 "train-images-idx3-ubyte: not found"));
  write_four(folder);
  CHECK(contains(message_of(ErrorKind::data, [&] { dataset(spec(folder, ", split: test, classes: 5"))->load(); }),
                 "t10k-labels-idx1-ubyte: sample 5 has the label 5, outside of [0, 5)"));
  std::filesystem::rename(folder / "t10k-images-idx3-ubyte", folder / "old");
  std::filesystem::copy(folder / "t10k-labels-idx1-ubyte", folder / "t10k-images-idx3-ubyte");
  CHECK(contains(message_of(ErrorKind::data, [&] { dataset(spec(folder, ", split: test"))->describe(); }),
                 "not an IDX file of images"));
  std::filesystem::copy(folder / "train-images-idx3-ubyte.gz", folder / "t10k-images-idx3-ubyte",
                        std::filesystem::copy_options::overwrite_existing);
  CHECK(contains(message_of(ErrorKind::data, [&] { dataset(spec(folder, ", split: test"))->describe(); }),
                 "holds 20 samples but"));
}

TEST_CASE("Fashion-MNIST as Debian has it") {
  if (!fashion_is_here()) return;
  const auto train = dataset(fmt::format("{{type: mnist, root: {}}}", fashion.string()));
  CHECK(train->describe().samples == 60000);
  const Table table = train->load();
  CHECK(table.info().field("input").shape == Shape{1, 28, 28});
  std::vector<int> count(10);
  for (int i = 0; i < 60000; ++i) ++count[static_cast<std::size_t>(table.column("target").as<std::int64_t>()[i])];
  CHECK(count == std::vector<int>(10, 6000));
  double sum = 0.0;
  for (std::size_t i = 0; i < std::size_t{60000} * 784; ++i) sum += table.column("input").as<std::uint8_t>()[i];
  CHECK(sum / (60000.0 * 784 * 255) == doctest::Approx(0.2860).epsilon(0.001));
  const auto test = dataset(fmt::format("{{type: mnist, root: {}, split: test}}", fashion.string()));
  CHECK(test->load().samples() == 10000);
}
