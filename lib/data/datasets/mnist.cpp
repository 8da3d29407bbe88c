#include <filesystem>

#include "base/error.h"
#include "data/idx.h"
#include "schema/schema.h"

namespace trainctl {

enum class MnistSplit { train, test };
template <>
struct EnumNames<MnistSplit> {
  static constexpr EnumName<MnistSplit> names[] = {{MnistSplit::train, "train"}, {MnistSplit::test, "test"}};
};

namespace {

/// MNIST and what has its four files: Fashion-MNIST, KMNIST, EMNIST (LeCun, Cortes, Burges; Xiao et al., 2017).
/// Fields: input u8 (1, H, W), target i64 () of `classes` classes.
struct Mnist final : ArrayDataset {
  Path root;
  MnistSplit split = MnistSplit::train;
  std::int64_t classes = 10;

  static Schema<Mnist> schema() {
    return Schema<Mnist>("MNIST, Fashion-MNIST and their like: the four IDX files of one folder, gzip or raw.")
        .required("root", &Mnist::root, "Folder with train-images-idx3-ubyte[.gz] and the three others.")
        .field("split", &Mnist::split, "The 60000 training samples or the 10000 for testing.")
        .field("classes", &Mnist::classes, at_least(1), "Number of classes; labels are in [0, classes).")
        .example("{type: mnist, root: /usr/share/datasets/fashion-mnist, split: train}");
  }

  /// An IDX file of images alone, or the images of another folder with the names of these.
  Component<Dataset> inputs_at(const std::filesystem::path& place, const std::vector<Field>& inputs) const override {
    expect_input_alone(inputs, "idx");
    Mnist other = *this;
    other.root.value = place;
    const auto images = std::filesystem::is_directory(place) ? other.find(images_file()) : place;
    Component<Dataset> idx("idx");
    Diagnostics diagnostics;
    Node node = idx.write();
    node.set("input", Node::scalar(images.string(), true));
    idx.read(node, {}, diagnostics);
    diagnostics.throw_if_any();
    return idx;
  }

 private:
  std::string images_file() const {
    return split == MnistSplit::train ? "train-images-idx3-ubyte" : "t10k-images-idx3-ubyte";
  }

  ArrayPair arrays() const override {
    const std::string prefix = split == MnistSplit::train ? "train" : "t10k";
    ArrayPair pair{.input = open_idx(find(images_file())),
                   .target = open_idx(find(prefix + "-labels-idx1-ubyte")),
                   .input_shape = {},
                   .classes = classes};
    expect(*pair.input, 4, "images (samples, height, width)");
    expect(*pair.target, 1, "labels (samples)");
    return pair;
  }

  // The raw file, or else the compressed one.
  std::filesystem::path find(const std::string& file) const {
    const std::filesystem::path raw = root.value / file;
    const std::filesystem::path compressed = root.value / (file + ".gz");
    if (std::filesystem::exists(raw)) return raw;
    if (std::filesystem::exists(compressed)) return compressed;
    fail(ErrorKind::data, "{}: not found, nor {}.gz; 'root' must be the folder with MNIST's four files", raw.string(),
         file);
  }

  static void expect(const ArrayFile& file, std::size_t rank, const char* what) {
    if (file.info().dtype == DType::u8 && file.info().dims.size() == rank) return;
    fail(ErrorKind::data, "{}: not an IDX file of {} in bytes (by the magic number at byte 0)", file.origin(), what);
  }
};

const Register<Dataset, Mnist> registered{"mnist"};

}  // namespace
}  // namespace trainctl
