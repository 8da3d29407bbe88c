#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/philox.h"
#include "base/signals.h"
#include "data/dataset.h"
#include "data/word_stream.h"
#include "schema/schema.h"

namespace trainctl {

enum class SyntheticKind { classification, regression, images, segmentation };
template <>
struct EnumNames<SyntheticKind> {
  static constexpr EnumName<SyntheticKind> names[] = {{SyntheticKind::classification, "classification"},
                                                      {SyntheticKind::regression, "regression"},
                                                      {SyntheticKind::images, "images"},
                                                      {SyntheticKind::segmentation, "segmentation"}};
};

namespace {

// Words of one stream and sample, in pairs, as uniform or normal numbers.
class Random {
 public:
  Random(std::uint64_t stream, std::int64_t sample) : words_(stream, 0, static_cast<std::uint32_t>(sample)) {}

  std::uint32_t word() { return words_.next(); }

  // Nearly standard normal: the sum of twelve uniform 16-bit numbers (Irwin-Hall), centred. Only integers and one exact
  // scaling, so the bits are the same on every machine.
  float normal() {
    std::int32_t sum = 0;
    for (int i = 0; i < 6; ++i) {
      const std::uint32_t bits = word();
      sum += static_cast<std::int32_t>((bits & 0xffff) + (bits >> 16));
    }
    constexpr std::int32_t mean = 6 * 65535;
    return static_cast<float>(sum - mean) * 0x1p-16F;
  }

 private:
  WordStream words_;
};

/// Samples made up from a seed, the same on every machine.
///   classification: x = centre[y] + noise * n,  y uniform in [0, classes),  centre and n standard normal
///   regression:     t = A x + noise * n,  x, n standard normal, A normal / sqrt(features)
///   images:         bytes 128 + 40 pattern[y] + 255 noise u,  pattern standard normal, u uniform in [-1/2, 1/2)
/// Fields: input f32 `shape` (images: u8), target i64 () or f32 (outputs).
struct Synthetic final : Dataset {
  SyntheticKind task = SyntheticKind::classification;
  std::int64_t samples = 1000;
  std::vector<std::int64_t> shape = {16};
  std::int64_t classes = 10;
  std::int64_t outputs = 1;
  double noise = 0.5;
  std::int64_t seed = 0;
  std::int64_t first = 0;

  static Schema<Synthetic> schema() {
    return Schema<Synthetic>("Samples made up from a seed: separable classes, a noisy linear map, or images of bytes.")
        .field(
            "task", &Synthetic::task,
            "What is made: blobs of classes, a linear regression, images of classes, or images with a class for each "
            "pixel: discs of every class but 0 on a ground of that.")
        .field("samples", &Synthetic::samples, between(1, 2147483647), "Number of samples.")
        .field("shape", &Synthetic::shape, at_least(1), non_empty(), "Shape of one input sample; images: (C, H, W).")
        .field("classes", &Synthetic::classes, between(2, 1000000), "Number of classes, not for regression.")
        .field("outputs", &Synthetic::outputs, between(1, 1000000), "Number of target values, for regression.")
        .field("noise", &Synthetic::noise, at_least(0.0),
               "Standard deviation of the noise; images: its width, as a share of the range of bytes.")
        .field("seed", &Synthetic::seed, at_least(0), "Of the samples; independent of the experiment's seed.")
        .field("first", &Synthetic::first, between(0, 2147483647),
               "Number of the first sample: two sets with one seed and other numbers share what is to be learned.")
        .example("{type: synthetic, task: images, shape: [1, 28, 28], samples: 2000}")
        .example("{type: synthetic, task: segmentation, shape: [1, 32, 32], classes: 3, samples: 200}")
        .example("{type: synthetic, task: regression, shape: [8], noise: 0.1}");
  }

  void check(Diagnostics& diagnostics, const Node& node) const {
    if (shape.size() >= Shape::max_rank) {
      diagnostics.error(node,
                        fmt::format("shape has {} axes; at most {} are handled", shape.size(), Shape::max_rank - 1));
      return;
    }
    if (task == SyntheticKind::segmentation && shape.size() != 3)
      diagnostics.error(node, "images with a class for each pixel have the shape (C, H, W)");
    constexpr double most_bytes = 1e12;
    double bytes = 4.0 * static_cast<double>(std::max({samples, classes, outputs}));
    for (const std::int64_t extent : shape) bytes *= static_cast<double>(extent);
    if (bytes > most_bytes) diagnostics.error(node, "shape and number of samples make more than a terabyte of data");
  }

  DatasetInfo describe() const override { return {samples, {input_field(), target_field()}}; }

  Table load() const override {
    std::vector<Column> columns;
    for (Field& field : describe().fields) {
      const std::size_t bytes = static_cast<std::size_t>(samples) * field.sample_bytes();
      columns.push_back({.field = std::move(field), .storage = HostBytes(bytes)});
    }
    switch (task) {
      case SyntheticKind::classification:
        fill_blobs(columns[0], columns[1]);
        break;
      case SyntheticKind::regression:
        fill_linear(columns[0], columns[1]);
        break;
      case SyntheticKind::images:
        fill_images(columns[0], columns[1]);
        break;
      case SyntheticKind::segmentation:
        fill_discs(columns[0], columns[1]);
        break;
    }
    return {samples, std::move(columns)};
  }

 private:
  Field input_field() const {
    const bool bytes = task == SyntheticKind::images || task == SyntheticKind::segmentation;
    const DType dtype = bytes ? DType::u8 : DType::f32;
    return {.name = "input", .dtype = dtype, .shape = Shape(std::span(shape))};
  }

  Field target_field() const {
    if (task == SyntheticKind::regression) return {.name = "target", .shape = {outputs}};
    Field field{.name = "target", .dtype = DType::i64, .classes = classes};
    if (task == SyntheticKind::segmentation) field.shape = {shape[1], shape[2]};
    return field;
  }

  std::uint64_t stream(const char* what) const {
    return stream_hash(static_cast<std::uint64_t>(seed), std::string("synthetic.") + what);
  }

  std::vector<float> normals(const char* what, std::int64_t rows, std::size_t width, double scale) const {
    std::vector<float> out(static_cast<std::size_t>(rows) * width);
    for (std::int64_t row = 0; row < rows; ++row) {
      Random random(stream(what), row);
      for (std::size_t i = 0; i < width; ++i) {
        out[static_cast<std::size_t>(row) * width + i] = static_cast<float>(scale) * random.normal();
      }
    }
    return out;
  }

  // Calls fill(i, random) for each sample, with words of its own.
  template <typename Fill>
  void each_sample(Fill fill) const {
    const std::uint64_t samples_stream = stream("samples");
    for (std::int64_t i = 0; i < samples; ++i) {
      if (signals::stop_requested()) fail(ErrorKind::interrupted, "stopped while making synthetic samples");
      Random random(samples_stream, first + i);
      fill(static_cast<std::size_t>(i), random);
    }
  }

  void fill_blobs(Column& input, Column& target) const {
    const auto width = static_cast<std::size_t>(input.field.shape.elements());
    const std::vector<float> centres = normals("centres", classes, width, 1.0);
    auto* x = reinterpret_cast<float*>(input.data());
    auto* y = reinterpret_cast<std::int64_t*>(target.data());
    const auto sigma = static_cast<float>(noise);
    each_sample([&](std::size_t i, Random& random) {
      y[i] = uniform_below(random.word(), static_cast<std::uint32_t>(classes));
      const float* centre = centres.data() + static_cast<std::size_t>(y[i]) * width;
      for (std::size_t k = 0; k < width; ++k) x[i * width + k] = centre[k] + sigma * random.normal();
    });
  }

  void fill_linear(Column& input, Column& target) const {
    const auto width = static_cast<std::size_t>(input.field.shape.elements());
    const auto rows = static_cast<std::size_t>(outputs);
    const std::vector<float> map = normals("map", outputs, width, 1.0 / std::sqrt(static_cast<double>(width)));
    auto* x = reinterpret_cast<float*>(input.data());
    auto* t = reinterpret_cast<float*>(target.data());
    each_sample([&](std::size_t i, Random& random) {
      float* sample = x + i * width;
      for (std::size_t k = 0; k < width; ++k) sample[k] = random.normal();
      for (std::size_t row = 0; row < rows; ++row) {
        double sum = noise * random.normal();
        for (std::size_t k = 0; k < width; ++k) sum += static_cast<double>(map[row * width + k]) * sample[k];
        t[i * rows + row] = static_cast<float>(sum);
      }
    });
  }

  void fill_discs(Column& input, Column& target) const {
    const std::int64_t channels = shape[0], height = shape[1], width = shape[2], pixels = height * width;
    const auto most = static_cast<std::uint32_t>(std::max<std::int64_t>(1, std::min(height, width) / 3));
    const std::vector<float> levels = normals("levels", classes, static_cast<std::size_t>(channels), 60.0);
    auto* x = reinterpret_cast<std::uint8_t*>(input.data());
    auto* y = reinterpret_cast<std::int64_t*>(target.data());
    each_sample([&](std::size_t i, Random& random) {
      std::int64_t* of = y + i * static_cast<std::size_t>(pixels);
      std::fill(of, of + pixels, 0);
      for (std::int64_t c = 1; c < classes; ++c) {
        const std::int64_t row = uniform_below(random.word(), static_cast<std::uint32_t>(height));
        const std::int64_t column = uniform_below(random.word(), static_cast<std::uint32_t>(width));
        const std::int64_t radius = 1 + uniform_below(random.word(), most);
        for (std::int64_t p = 0; p < pixels; ++p) {
          const std::int64_t down = p / width - row, right = p % width - column;
          if (down * down + right * right <= radius * radius) of[p] = c;
        }
      }
      for (std::int64_t k = 0; k < channels * pixels; ++k) {
        const float level = levels[static_cast<std::size_t>(of[k % pixels] * channels + k / pixels)];
        const float spread = static_cast<float>(255.0 * noise) * (uniform_float(random.word()) - 0.5F);
        x[static_cast<std::int64_t>(i) * channels * pixels + k] =
            static_cast<std::uint8_t>(std::clamp(128.0F + level + spread, 0.0F, 255.0F));
      }
    });
  }

  void fill_images(Column& input, Column& target) const {
    const auto width = static_cast<std::size_t>(input.field.shape.elements());
    const std::vector<float> patterns = normals("patterns", classes, width, 40.0);
    auto* x = reinterpret_cast<std::uint8_t*>(input.data());
    auto* y = reinterpret_cast<std::int64_t*>(target.data());
    each_sample([&](std::size_t i, Random& random) {
      y[i] = uniform_below(random.word(), static_cast<std::uint32_t>(classes));
      const float* pattern = patterns.data() + static_cast<std::size_t>(y[i]) * width;
      for (std::size_t k = 0; k < width; ++k) {
        const float spread = static_cast<float>(255.0 * noise) * (uniform_float(random.word()) - 0.5F);
        x[i * width + k] = static_cast<std::uint8_t>(std::clamp(128.0F + pattern[k] + spread, 0.0F, 255.0F));
      }
    });
  }
};

const Register<Dataset, Synthetic> registered{"synthetic"};

}  // namespace
}  // namespace trainctl
