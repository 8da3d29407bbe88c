#include "results/prediction_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/streamed_file.h"
#include "results/rows_file.h"

namespace trainctl {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t most_columns = 16384;  // what spreadsheets open

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return std::tolower(c); });
  return extension;
}

bool is_hdf5(const fs::path& path) {
  return lower_extension(path) == ".h5" || lower_extension(path) == ".hdf5";
}

/// Probabilities and classes of an output's numbers, in memory that is used again.
struct Judged {
  std::vector<float> probabilities;
  std::vector<std::int32_t> classes;

  void judge(const PredictedOutput& output, std::int64_t count, const float* numbers) {
    probabilities.resize(static_cast<std::size_t>(count * output.shape.elements()));
    classes.resize(static_cast<std::size_t>(count * output.class_shape().elements()));
    probabilities_of(output, count, numbers, probabilities.data());
    classes_of(output, count, probabilities.data(), classes.data());
  }
};

/// Datasets /output, and of what classifies /probabilities, /class and /class_names; below /<field> where there are
/// several outputs. /id, and /file where samples are files.
class Hdf5Predictions final : public PredictionFile {
 public:
  Hdf5Predictions(const fs::path& path, Contents contents)
      : contents_(std::move(contents)), rows_(path, fields(), contents_.samples) {
    for (const PredictedOutput& output : contents_.outputs) {
      if (output.link != Link::none) rows_.add_texts(prefix(output) + "class_names", output.labels());
    }
    if (!contents_.files.empty()) rows_.add_texts("file", contents_.files);
  }

  void add(std::span<const std::vector<float>> outputs, std::span<const std::int32_t> ids) override {
    const auto count = static_cast<std::int64_t>(ids.size());
    std::size_t field = 0;
    rows_.write(field++, written_, count, ids.data());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      rows_.write(field++, written_, count, outputs[i].data());
      if (contents_.outputs[i].link == Link::none) continue;
      judged_.judge(contents_.outputs[i], count, outputs[i].data());
      rows_.write(field++, written_, count, judged_.probabilities.data());
      rows_.write(field++, written_, count, judged_.classes.data());
    }
    written_ += count;
  }
  void finish() override { rows_.finish(); }

 private:
  static std::string prefix(const PredictedOutput& output) { return output.name.empty() ? "" : output.name + "/"; }

  std::vector<RowsFile::Field> fields() const {
    std::vector<RowsFile::Field> all{{"id", DType::i32, {}}};
    for (const PredictedOutput& output : contents_.outputs) {
      all.push_back({prefix(output) + "output", DType::f32, output.shape});
      if (output.link == Link::none) continue;
      all.push_back({prefix(output) + "probabilities", DType::f32, output.shape});
      all.push_back({prefix(output) + "class", DType::i32, output.class_shape()});
    }
    return all;
  }

  Contents contents_;
  RowsFile rows_;
  std::int64_t written_ = 0;
  Judged judged_;
};

/// A header, then a row for each sample: its file or number, then of what classifies the class and the probability of
/// each, and of all else the numbers.
class CsvPredictions final : public PredictionFile {
 public:
  CsvPredictions(const fs::path& path, Contents contents) : contents_(std::move(contents)), file_(path) {
    std::string header = contents_.files.empty() ? "id" : "file";
    for (const PredictedOutput& output : contents_.outputs) {
      const std::string prefix = output.name.empty() ? "" : output.name + "_";
      for (const std::string& name : column_names(output)) header += "," + cell(prefix + name);
    }
    file_.write(header + "\n");
  }

  static std::int64_t count_columns(const PredictedOutput& output) {
    const std::int64_t classes = output.link == Link::none ? 0 : output.class_shape().elements();
    return classes + (tells_numbers(output) ? output.shape.elements() : 0);
  }

  void add(std::span<const std::vector<float>> outputs, std::span<const std::int32_t> ids) override {
    judged_.resize(outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (contents_.outputs[i].link != Link::none)
        judged_[i].judge(contents_.outputs[i], std::ssize(ids), outputs[i].data());
    }
    for (std::size_t row = 0; row < ids.size(); ++row) {
      std::string line = contents_.files.empty() ? fmt::format("{}", ids[row]) : cell(contents_.files[written_ + row]);
      for (std::size_t i = 0; i < outputs.size(); ++i) add_cells(line, i, row, outputs[i]);
      file_.write(line + "\n");
    }
    written_ += ids.size();
  }
  void finish() override { file_.finish(); }

 private:
  /// Beside the classes of many places (segmentation) their probabilities are not told.
  static bool tells_numbers(const PredictedOutput& output) {
    return !output.classifies() || output.class_shape().elements() == 1;
  }

  static std::string cell(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
  }

  static void add_numbered(std::vector<std::string>& names, const std::string& name, std::int64_t count) {
    if (count == 1) return names.push_back(name);
    for (std::int64_t i = 0; i < count; ++i) names.push_back(fmt::format("{}_{}", name, i));
  }

  static std::vector<std::string> column_names(const PredictedOutput& output) {
    std::vector<std::string> names;
    const std::int64_t numbers = output.shape.elements();
    if (output.link == Link::none) {
      if (std::ssize(output.columns) == numbers) return output.columns;
      add_numbered(names, "output", numbers);
      return names;
    }
    add_numbered(names, "class", output.class_shape().elements());
    if (!tells_numbers(output)) return names;
    if (!output.classifies()) {
      add_numbered(names, "probability", numbers);
      return names;
    }
    for (const std::string& label : output.labels()) names.push_back("p_" + label);
    return names;
  }

  void add_cells(std::string& line, std::size_t i, std::size_t row, const std::vector<float>& numbers) const {
    const PredictedOutput& output = contents_.outputs[i];
    const auto width = static_cast<std::size_t>(output.shape.elements());
    const float* told = numbers.data() + row * width;
    if (output.link != Link::none) {
      const auto places = static_cast<std::size_t>(output.class_shape().elements());
      const std::vector<std::string> labels = output.labels();
      for (std::size_t k = 0; k < places; ++k) {
        const std::int32_t of = judged_[i].classes[row * places + k];
        line += "," + (of < 0 ? std::string() : cell(labels[static_cast<std::size_t>(of)]));
      }
      told = judged_[i].probabilities.data() + row * width;
    }
    for (std::size_t k = 0; tells_numbers(output) && k < width; ++k) line += fmt::format(",{}", told[k]);
  }

  Contents contents_;
  StreamedFile file_;
  std::size_t written_ = 0;
  std::vector<Judged> judged_;
};

}  // namespace

std::vector<std::string> PredictedOutput::labels() const {
  const std::int64_t count = classifies() ? classes() : 2;
  if (std::ssize(class_names) == count) return class_names;
  std::vector<std::string> numbers;
  for (std::int64_t i = 0; i < count; ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

void probabilities_of(const PredictedOutput& output, std::int64_t count, const float* numbers, float* into) {
  const std::int64_t all = count * output.shape.elements();
  if (output.probabilities || output.link == Link::none) {
    std::copy(numbers, numbers + all, into);
    return;
  }
  const auto each = [&](auto function) {
    std::transform(numbers, numbers + all, into, [&](float x) { return static_cast<float>(function(double{x})); });
  };
  if (output.link == Link::sigmoid) return each([](double x) { return 1.0 / (1.0 + std::exp(-x)); });
  if (output.link == Link::log_softmax) return each([](double x) { return std::exp(x); });
  const std::int64_t classes = output.classes(), places = output.class_shape().elements();
  for (std::int64_t sample = 0; sample < count; ++sample) {
    for (std::int64_t place = 0; place < places; ++place) {
      const std::int64_t first = sample * classes * places + place;
      double most = -std::numeric_limits<double>::infinity(), sum = 0.0;
      for (std::int64_t c = 0; c < classes; ++c) most = std::max(most, double{numbers[first + c * places]});
      for (std::int64_t c = 0; c < classes; ++c) sum += std::exp(double{numbers[first + c * places]} - most);
      for (std::int64_t c = 0; c < classes; ++c)
        into[first + c * places] = static_cast<float>(std::exp(double{numbers[first + c * places]} - most) / sum);
    }
  }
}

void classes_of(const PredictedOutput& output, std::int64_t count, const float* probabilities, std::int32_t* into) {
  if (!output.classifies()) {
    const std::int64_t all = count * output.shape.elements();
    std::transform(probabilities, probabilities + all, into,
                   [](float p) { return std::isnan(p) ? -1 : static_cast<std::int32_t>(p >= 0.5F); });
    return;
  }
  const std::int64_t classes = output.classes(), places = output.class_shape().elements();
  for (std::int64_t sample = 0; sample < count; ++sample) {
    for (std::int64_t place = 0; place < places; ++place) {
      const float* of = probabilities + sample * classes * places + place;
      std::int32_t best = 0;
      for (std::int64_t c = 0; c < classes && best >= 0; ++c) {
        if (std::isnan(of[c * places])) best = -1;
        if (best >= 0 && of[c * places] > of[best * places]) best = static_cast<std::int32_t>(c);
      }
      into[sample * places + place] = best;
    }
  }
}

void PredictionFile::check_ending(const fs::path& path) {
  if (is_hdf5(path) || lower_extension(path) == ".csv") return;
  fail(ErrorKind::usage, "{}: predictions are written as .h5 (or .hdf5) or .csv; choose by the file's ending",
       path.string());
}

std::unique_ptr<PredictionFile> PredictionFile::create(const fs::path& path, Contents contents) {
  check_ending(path);
  if (is_hdf5(path)) return std::make_unique<Hdf5Predictions>(path, std::move(contents));
  std::int64_t columns = 1;
  for (const PredictedOutput& output : contents.outputs) columns += CsvPredictions::count_columns(output);
  if (columns > most_columns) {
    fail(ErrorKind::usage, "{}: a row would have {} columns; write an .h5 file, which has shapes", path.string(),
         columns);
  }
  return std::make_unique<CsvPredictions>(path, std::move(contents));
}

}  // namespace trainctl
