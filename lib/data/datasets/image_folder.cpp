#include <algorithm>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "data/dataset.h"
#include "data/images/decode.h"
#include "data/source_digest.h"
#include "schema/schema.h"

namespace trainctl {
namespace {

namespace fs = std::filesystem;

/// The files of a folder of pictures, class after class, and within a class by path.
struct Listing {
  std::vector<std::string> classes;
  std::vector<fs::path> files;
  std::vector<std::int64_t> labels;
};

bool is_hidden(const fs::path& path) {
  return path.filename().native().starts_with('.');
}

bool is_picture(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return std::tolower(c); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

/// Names of the folders in `root` that are not hidden, sorted by their bytes.
std::vector<std::string> folders_in(const fs::path& root) {
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator entries(root, error);
  if (error) fail_io(root, "be listed", error.value());
  for (; entries != fs::directory_iterator(); entries.increment(error)) {
    if (entries->is_directory(error) && !is_hidden(entries->path())) names.push_back(entries->path().filename());
  }
  if (error) fail_io(root, "be listed", error.value());
  std::ranges::sort(names);
  return names;
}

std::vector<fs::path> pictures_below(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  fs::recursive_directory_iterator entries(folder, error);
  if (error) fail_io(folder, "be listed", error.value());
  for (; entries != fs::recursive_directory_iterator(); entries.increment(error)) {
    std::error_code unreadable;
    if (is_hidden(entries->path())) {
      if (entries->is_directory(unreadable)) entries.disable_recursion_pending();
    } else if (is_picture(entries->path()) && !entries->is_directory(unreadable)) {
      files.push_back(entries->path());
    }
  }
  if (error) fail_io(folder, "be listed", error.value());
  std::ranges::sort(files, {}, [](const fs::path& path) -> const std::string& { return path.native(); });
  return files;
}

/// JPEG and PNG files, a folder for each class (torchvision's ImageFolder).
/// Fields: input u8 (C, H, W); target i64 (), the number of the folder among the classes, unless `labels` is false.
struct ImageFolder final : Dataset {
  Path root;
  bool labels = true;
  std::vector<std::string> classes;
  ImageDecoding decode;
  std::int64_t threads = 0;
  bool skip_damaged = false;

  static Schema<ImageFolder> schema() {
    return Schema<ImageFolder>(
               "JPEG and PNG files, a folder for each class: <root>/<class>/**/*.jpg, .jpeg, .png. Decoded once, at "
               "the start, where they fit into memory.")
        .required("root", &ImageFolder::root, "Folder of the classes' folders; hidden files and folders are left out.")
        .field(
            "labels", &ImageFolder::labels,
            "Whether folders are classes; if not, there is no target, pictures may lie anywhere below `root`, and that "
            "may be one picture.")
        .field("classes", &ImageFolder::classes,
               "Folders to read, in the order of their class numbers; if left out, all, sorted by name.")
        .field("decode", &ImageFolder::decode, "What a file becomes.")
        .field("threads", &ImageFolder::threads, between(0, 1024), resume(Resume::safe),
               "Threads that decode; 0: one for each core.")
        .field(
            "skip_damaged", &ImageFolder::skip_damaged,
            "Leave out files that cannot be decoded, with a warning that names each; else the first one is an error.")
        .example("{type: image_folder, root: flowers/train, decode: {size: 64}}")
        .example("{type: image_folder, root: scans, classes: [healthy, ill], decode: {size: [128, 96], color: gray}}");
  }

  void check(Diagnostics& diagnostics, const Node& node) const {
    if (!labels && !classes.empty()) diagnostics.error(node, "without 'labels' there are no 'classes'.");
    for (std::size_t i = 0; i < classes.size(); ++i) {
      if (std::ranges::find(classes.begin(), classes.begin() + static_cast<std::ptrdiff_t>(i), classes[i]) !=
          classes.begin() + static_cast<std::ptrdiff_t>(i)) {
        diagnostics.error(node, fmt::format("the class '{}' is listed twice", classes[i]));
      }
    }
  }

  DatasetInfo describe() const override;
  Table load() const override { return decode_all(true); }
  std::unique_ptr<SampleSource> open() const override;
  Column load_field(std::string_view name) const override;
  std::vector<std::string> files() const override;
  Component<Dataset> inputs_at(const fs::path& place, const std::vector<Field>& inputs) const override {
    expect_input_alone(inputs, "image_folder");
    auto other = std::make_unique<ImageFolder>(*this);
    other->root.value = place;
    other->labels = false;
    other->classes.clear();
    return {"image_folder", std::move(other)};
  }

 private:
  Listing list() const;
  Listing list_all() const;
  void check_number(const Listing& listing) const;
  ImageDecoding settled(const Listing& listing) const;
  Table decode_all(bool warn, std::vector<fs::path>* kept_files = nullptr) const;
  std::vector<Field> fields(const Listing& listing, const ImageDecoding& how) const {
    std::vector<Field> all{input_field(how)};
    if (labels) all.push_back(target_field(listing));
    return all;
  }
  Field input_field(const ImageDecoding& how) const {
    return {.name = "input", .dtype = DType::u8, .shape = {how.channels(), how.size->first, how.size->second}};
  }
  static Field target_field(const Listing& listing) {
    return {.name = "target",
            .dtype = DType::i64,
            .classes = static_cast<std::int64_t>(listing.classes.size()),
            .class_names = listing.classes};
  }
};

// Without labels: the picture, or all below the folder, in the order of their paths.
Listing ImageFolder::list_all() const {
  std::error_code error;
  Listing listing;
  if (fs::is_regular_file(root.value, error)) {
    listing.files.push_back(root.value);
  } else if (!fs::exists(root.value, error)) {
    fail(ErrorKind::data, "{}: there is no such file or folder", root.string());
  } else {
    listing.files = pictures_below(root.value);
  }
  listing.labels.resize(listing.files.size());
  return listing;
}

Listing ImageFolder::list() const {
  if (!labels) {
    Listing all = list_all();
    check_number(all);
    return all;
  }
  Listing listing;
  const std::vector<std::string> folders = folders_in(root);
  if (folders.empty()) {
    fail(ErrorKind::data, "{}: holds no folders; pictures are expected as <root>/<class>/<file>.jpg", root.string());
  }
  listing.classes = classes.empty() ? folders : classes;
  for (std::size_t label = 0; label < listing.classes.size(); ++label) {
    const std::string& name = listing.classes[label];
    if (std::ranges::find(folders, name) == folders.end()) {
      fail(ErrorKind::data, "{}: has no folder '{}', which 'classes' lists.{}", root.string(), name,
           suggestion(name, folders));
    }
    std::vector<fs::path> files = pictures_below(root.value / name);
    if (files.empty() && classes.empty()) {
      fail(ErrorKind::data,
           "{}: holds no .jpg, .jpeg or .png file; remove the folder, or list the classes in 'classes'",
           (root.value / name).string());
    }
    listing.labels.insert(listing.labels.end(), files.size(), static_cast<std::int64_t>(label));
    std::ranges::move(files, std::back_inserter(listing.files));
  }
  check_number(listing);
  return listing;
}

void ImageFolder::check_number(const Listing& listing) const {
  if (listing.files.empty()) fail(ErrorKind::data, "{}: holds no .jpg, .jpeg or .png file", root.string());
  if (listing.files.size() > INT32_MAX) fail(ErrorKind::data, "{}: more than 2^31 - 1 pictures", root.string());
}

std::vector<std::string> ImageFolder::files() const {
  std::vector<fs::path> paths;
  if (skip_damaged)
    decode_all(false, &paths);
  else
    paths = list().files;
  return {paths.begin(), paths.end()};
}

// `decode` with its size: where it is left out, that of the first file (the first whole one with skip_damaged).
ImageDecoding ImageFolder::settled(const Listing& listing) const {
  ImageDecoding how = decode;
  ImageDecoder decoder;
  for (std::size_t i = 0; !how.size; ++i) {
    try {
      const Image& first = decoder.decode(listing.files[i], decode);
      how.size = Pair<std::int64_t>{first.height, first.width};
    } catch (const Error& error) {
      if (!skip_damaged || error.kind() != ErrorKind::data || i + 1 == listing.files.size()) throw;
    }
  }
  how.exact = !decode.size;
  return how;
}

DatasetInfo ImageFolder::describe() const {
  if (skip_damaged) return decode_all(false).info();  // how many there are shows when all are decoded
  const Listing listing = list();
  return {static_cast<std::int64_t>(listing.files.size()), fields(listing, settled(listing))};
}

Column ImageFolder::load_field(std::string_view name) const {
  if (skip_damaged || name != "target" || !labels) return decode_all(false).take(name);
  const Listing listing = list();
  Column target{.field = target_field(listing), .storage = HostBytes(listing.labels.size() * sizeof(std::int64_t))};
  std::memcpy(target.data(), listing.labels.data(), target.storage.size());
  return target;
}

Table ImageFolder::decode_all(bool warn, std::vector<fs::path>* kept_files) const {
  Listing listing = list();
  const ImageDecoding how = settled(listing);
  Column input{.field = input_field(how)};
  const std::size_t bytes = input.field.sample_bytes();
  input.storage = HostBytes(listing.files.size() * bytes);
  std::vector<DamagedImage> damaged;
  decode_files(listing.files, how, static_cast<int>(threads), input.data(), skip_damaged ? &damaged : nullptr);
  if (warn) std::ranges::for_each(damaged, [](const DamagedImage& image) { log::warn("left out: {}", image.what); });
  if (damaged.size() == listing.files.size()) {
    fail(ErrorKind::data, "{}: none of its {} files can be decoded", root.string(), listing.files.size());
  }

  // What is whole moves up into the places of what is not.
  std::size_t kept = 0;
  auto next_damaged = damaged.begin();
  for (std::size_t i = 0; i < listing.files.size(); ++i) {
    if (next_damaged != damaged.end() && next_damaged->index == i) {
      ++next_damaged;
      continue;
    }
    if (kept != i) std::memcpy(input.data() + kept * bytes, input.data() + i * bytes, bytes);
    if (kept_files) kept_files->push_back(listing.files[i]);
    listing.labels[kept++] = listing.labels[i];
  }
  std::vector<Column> columns;
  columns.push_back(std::move(input));
  if (labels) {
    columns.push_back({.field = target_field(listing), .storage = HostBytes(kept * sizeof(std::int64_t))});
    std::memcpy(columns.back().data(), listing.labels.data(), columns.back().storage.size());
  }
  return {static_cast<std::int64_t>(kept), std::move(columns)};
}

/// Pictures that are decoded whenever they are asked for.
class PictureSource final : public SampleSource {
 public:
  PictureSource(Listing listing, ImageDecoding how, DatasetInfo info)
      : listing_(std::move(listing)), how_(std::move(how)), info_(std::move(info)) {}

  const DatasetInfo& info() const override { return info_; }

  void read(std::size_t field, std::span<const std::int32_t> ids, std::byte* out) const override {
    const std::size_t bytes = info_.fields[field].sample_bytes();
    for (const std::int32_t id : ids) {
      const auto sample = static_cast<std::size_t>(id);
      if (field == 0)
        decode_file(listing_.files[sample], how_, out);
      else
        std::memcpy(out, &listing_.labels[sample], bytes);
      out += bytes;
    }
  }

  std::string digest() const override { return whole_digest(*this); }

 private:
  Listing listing_;
  ImageDecoding how_;
  DatasetInfo info_;
};

std::unique_ptr<SampleSource> ImageFolder::open() const {
  if (skip_damaged) return Dataset::open();  // which files are whole shows when all are decoded
  Listing listing = list();
  ImageDecoding how = settled(listing);
  DatasetInfo info{static_cast<std::int64_t>(listing.files.size()), fields(listing, how)};
  return std::make_unique<PictureSource>(std::move(listing), std::move(how), std::move(info));
}

const Register<Dataset, ImageFolder> registered{"image_folder"};

}  // namespace
}  // namespace trainctl
