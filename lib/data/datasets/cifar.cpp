#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/signals.h"
#include "base/text.h"
#include "data/dataset.h"
#include "data/input_file.h"
#include "schema/schema.h"

namespace trainctl {

enum class CifarSplit { train, test };
template <>
struct EnumNames<CifarSplit> {
  static constexpr EnumName<CifarSplit> names[] = {{CifarSplit::train, "train"}, {CifarSplit::test, "test"}};
};

enum class CifarLabels { fine, coarse };
template <>
struct EnumNames<CifarLabels> {
  static constexpr EnumName<CifarLabels> names[] = {{CifarLabels::fine, "fine"}, {CifarLabels::coarse, "coarse"}};
};

namespace {

constexpr std::size_t image_bytes = std::size_t{3} * 32 * 32;

/// What a version of CIFAR consists of: records of `labels` bytes, one of them the label, and 3072 of the picture (red,
/// green, blue planes of 32 x 32).
struct CifarFiles {
  std::vector<std::filesystem::path> batches;
  std::filesystem::path names;  ///< of the classes, a line each; need not be there
  std::size_t labels = 1;
  std::size_t label = 0;  ///< which of them
  std::int64_t classes = 10;

  std::size_t record_bytes() const { return labels + image_bytes; }

  /// Records of a file, by its length.
  std::int64_t records(const InputFile& file) const {
    if (file.size() > 0 && file.size() % record_bytes() == 0)
      return static_cast<std::int64_t>(file.size() / record_bytes());
    fail(ErrorKind::data, "{}: {} bytes are no whole number of records of {}: truncated, or not the binary version",
         file.path().string(), file.size(), record_bytes());
  }

  std::vector<std::string> class_names() const {
    if (!std::filesystem::exists(names)) return {};
    std::vector<std::string> found;
    for (const std::string& line : split(read_file(names, 1 << 20), '\n')) {
      if (const auto name = trimmed(line); !name.empty()) found.emplace_back(name);
    }
    if (static_cast<std::int64_t>(found.size()) == classes) return found;
    fail(ErrorKind::data, "{}: holds {} names; {} classes were expected", names.string(), found.size(), classes);
  }

  DatasetInfo describe() const {
    DatasetInfo info{0,
                     {{.name = "input", .dtype = DType::u8, .shape = {3, 32, 32}},
                      {.name = "target", .dtype = DType::i64, .classes = classes, .class_names = class_names()}}};
    for (const auto& batch : batches) info.samples += records(InputFile(batch));
    return info;
  }

  Table load() const {
    const DatasetInfo info = describe();
    const auto samples = static_cast<std::size_t>(info.samples);
    std::vector<Column> columns;
    columns.push_back({.field = info.fields[0], .storage = HostBytes(samples * image_bytes)});
    columns.push_back({.field = info.fields[1], .storage = HostBytes(samples * sizeof(std::int64_t))});
    std::byte* pictures = columns[0].data();
    auto* targets = reinterpret_cast<std::int64_t*>(columns[1].data());
    std::size_t sample = 0;
    for (const auto& batch : batches) {
      const InputFile file(batch);
      const HostBytes bytes = file.read_all();
      const auto count = static_cast<std::size_t>(records(file));
      if (count > samples - sample) fail(ErrorKind::data, "{}: grew while it was read", batch.string());
      for (std::size_t i = 0; i < count; ++i, ++sample) {
        const std::byte* record = bytes.data() + i * record_bytes();
        targets[sample] = std::to_integer<std::int64_t>(record[label]);
        if (targets[sample] >= classes) {
          fail(ErrorKind::data, "{}: byte {}: the label {} lies outside of [0, {})", batch.string(),
               i * record_bytes() + label, targets[sample], classes);
        }
        std::memcpy(pictures + sample * image_bytes, record + labels, image_bytes);
      }
    }
    if (sample != samples) fail(ErrorKind::data, "{}: shrank while it was read", batches.back().string());
    return {info.samples, std::move(columns)};
  }
};

/// `file` in `root`, or in the folder of that name that the archive unpacks to; or `root` where it is a file itself.
std::filesystem::path find(const Path& root, const char* folder, const std::string& file) {
  if (std::filesystem::is_regular_file(root.value)) return root.value;
  const auto beside = root.value / file;
  const auto inside = root.value / folder / file;
  if (std::filesystem::exists(beside)) return beside;
  if (std::filesystem::exists(inside)) return inside;
  fail(ErrorKind::data, "{}: not found, nor {}; 'root' must be the folder of the binary version's files",
       beside.string(), inside.string());
}

/// CIFAR-10, binary version (Krizhevsky: Learning multiple layers of features from tiny images, 2009).
/// Fields: input u8 (3, 32, 32), target i64 () of 10 classes.
struct Cifar10 final : Dataset {
  Path root;
  CifarSplit split = CifarSplit::train;

  static Schema<Cifar10> schema() {
    return Schema<Cifar10>("CIFAR-10 in its binary version: 32 x 32 pictures in colour of 10 classes.")
        .required("root", &Cifar10::root,
                  "Folder with data_batch_1.bin ... 5 and test_batch.bin, or the one above it; or one such file.")
        .field("split", &Cifar10::split, "The 50000 training samples or the 10000 for testing.")
        .example("{type: cifar10, root: data, split: train}");
  }
  DatasetInfo describe() const override { return archive().describe(); }
  Table load() const override { return archive().load(); }

  Component<Dataset> inputs_at(const std::filesystem::path& place, const std::vector<Field>&) const override {
    auto other = std::make_unique<Cifar10>(*this);
    other->root.value = place;
    return {"cifar10", std::move(other)};
  }

 private:
  CifarFiles archive() const {
    constexpr const char* folder = "cifar-10-batches-bin";
    CifarFiles files;
    if (split == CifarSplit::test) files.batches.push_back(find(root, folder, "test_batch.bin"));
    const int batches = std::filesystem::is_regular_file(root.value) ? 1 : 5;
    for (int i = 1; split == CifarSplit::train && i <= batches; ++i)
      files.batches.push_back(find(root, folder, fmt::format("data_batch_{}.bin", i)));
    files.names = files.batches.front().parent_path() / "batches.meta.txt";
    return files;
  }
};

/// CIFAR-100, binary version (Krizhevsky, 2009).
/// Fields: input u8 (3, 32, 32), target i64 () of 100 fine or 20 coarse classes.
struct Cifar100 final : Dataset {
  Path root;
  CifarSplit split = CifarSplit::train;
  CifarLabels labels = CifarLabels::fine;

  static Schema<Cifar100> schema() {
    return Schema<Cifar100>("CIFAR-100 in its binary version: 32 x 32 pictures in colour of 100 classes.")
        .required("root", &Cifar100::root, "Folder with train.bin and test.bin, or the one above it; or one such file.")
        .field("split", &Cifar100::split, "The 50000 training samples or the 10000 for testing.")
        .field("labels", &Cifar100::labels, "Which classes are the target: the 100 fine ones or the 20 coarse ones.")
        .example("{type: cifar100, root: data, labels: coarse}");
  }
  DatasetInfo describe() const override { return archive().describe(); }
  Table load() const override { return archive().load(); }

  Component<Dataset> inputs_at(const std::filesystem::path& place, const std::vector<Field>&) const override {
    auto other = std::make_unique<Cifar100>(*this);
    other->root.value = place;
    return {"cifar100", std::move(other)};
  }

 private:
  CifarFiles archive() const {
    const bool fine = labels == CifarLabels::fine;
    CifarFiles files{.batches = {find(root, "cifar-100-binary", split == CifarSplit::train ? "train.bin" : "test.bin")},
                     .names = {},
                     .labels = 2,
                     .label = fine ? 1u : 0u,
                     .classes = fine ? 100 : 20};
    files.names = files.batches.front().parent_path() / (fine ? "fine_label_names.txt" : "coarse_label_names.txt");
    return files;
  }
};

const Register<Dataset, Cifar10> registered{"cifar10"};
const Register<Dataset, Cifar100> registered_100{"cifar100"};

}  // namespace
}  // namespace trainctl
