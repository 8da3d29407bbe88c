#include "train/fitted.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "train/spec.h"

namespace trainctl {
namespace {

/// Means and sums of squared differences from them, which further samples can join: Chan, Golub & LeVeque, Updating
/// formulae and a pairwise algorithm for computing sample variances (1979).
class RunningMoments {
 public:
  explicit RunningMoments(std::size_t channels)
      : mean_(channels), squares_(channels), sum_(channels), part_(channels) {}

  /// `samples` samples of (channels, inner) numbers.
  template <typename T>
  void add(const T* values, std::int64_t samples, std::int64_t inner, double unit) {
    const auto channels = static_cast<std::int64_t>(mean_.size());
    const auto each = [&](auto use) {
      const T* at = values;
      for (std::int64_t sample = 0; sample < samples; ++sample)
        for (std::int64_t c = 0; c < channels; ++c)
          for (std::int64_t i = 0; i < inner; ++i) use(static_cast<std::size_t>(c), static_cast<double>(*at++) * unit);
    };
    const auto count = static_cast<double>(samples * inner);
    std::ranges::fill(sum_, 0.0);
    std::ranges::fill(part_, 0.0);
    each([&](std::size_t c, double value) { sum_[c] += value; });
    for (double& sum : sum_) sum /= count;
    each([&](std::size_t c, double value) { part_[c] += (value - sum_[c]) * (value - sum_[c]); });
    for (std::size_t c = 0; c < mean_.size(); ++c) {
      const double distance = sum_[c] - mean_[c];
      mean_[c] += distance * count / (count_ + count);
      squares_[c] += part_[c] + distance * distance * count_ * count / (count_ + count);
    }
    count_ += count;
  }

  Moments finish() const {
    Moments moments;
    for (std::size_t c = 0; c < mean_.size(); ++c) {
      const double variance = squares_[c] / count_;
      const double eps = std::numeric_limits<double>::epsilon();
      const bool constant = variance <= count_ * eps * variance + std::pow(count_ * mean_[c] * eps, 2);
      moments.mean.push_back(mean_[c]);
      moments.std.push_back(constant ? 1.0 : std::sqrt(variance));
    }
    return moments;
  }

 private:
  std::vector<double> mean_, squares_, sum_, part_;
  double count_ = 0.0;
};

std::string class_text(const Field& field, std::size_t number) {
  return field.class_names.empty() ? std::to_string(number)
                                   : fmt::format("{} ('{}')", number, field.class_names[number]);
}

[[noreturn]] void refuse(const Source& source, const std::string& path, const std::string& message) {
  if (!source.file) fail(ErrorKind::config, "{}: {}", path, message);
  throw ConfigError({{source, path, message}}, 1);
}

/// Names of fields that have a mean.
std::vector<std::string> numeric_fields(const DatasetInfo& info) {
  std::vector<std::string> names;
  for (const Field& field : info.fields)
    if (field.classes == 0) names.push_back(field.name);
  return names;
}

void check_field(const std::string& name, const StandardizeSpec& spec, const DatasetInfo& info) {
  const std::string path = "data.standardize." + name;
  const std::vector<std::string> names = numeric_fields(info);
  if (!info.has(name)) {
    refuse(spec.source, path,
           fmt::format("data.train has no field '{}'.{} Its fields of numbers: {}.", name, suggestion(name, names),
                       names.empty() ? "none" : join(names, ", ")));
  }
  if (info.field(name).classes > 0)
    refuse(spec.source, path, fmt::format("'{}' holds class numbers, which have no mean; remove it.", name));
}

/// The losses whose weights are made from counts of classes.
std::vector<LabelledLoss> counting_losses(const ExperimentSpec& spec) {
  std::vector<LabelledLoss> losses = spec.step->losses(spec.loss ? &*spec.loss : nullptr);
  std::erase_if(losses, [](const LabelledLoss& each) { return !(*each.loss)->counts_classes(); });
  return losses;
}

void log_weights(const Loss& loss, const std::string& path, const Field& field) {
  const std::span<const double> weights = loss.weights_by_class();
  std::string text;
  for (std::size_t c = 0; c < std::min<std::size_t>(weights.size(), 20); ++c)
    text += fmt::format("{}{} {:.6g}", c ? ", " : "", class_text(field, c), weights[c]);
  if (weights.size() > 20) text += fmt::format(" and {} more", weights.size() - 20);
  log::info("class weights of {}: {}", path, text);
}

}  // namespace

Schema<StandardizeSpec> StandardizeSpec::schema() {
  return Schema<StandardizeSpec>(
             "(x - mean) / deviation of a field, in every split by the numbers of the training samples.")
      .field("per", &StandardizeSpec::per,
             "What has a mean and a deviation of its own: each channel (an entry of a sample's first axis: a column of "
             "a table, a channel of an image), each element of a sample, or all numbers together.")
      .example("{per: channel}");
}

void StandardizeSpec::check(Diagnostics&, const Node& node) const {
  source = node.source();
}

Schema<Fitted> Fitted::schema() {
  return Schema<Fitted>(
             "Numbers from the training samples. A run writes them into its config, and a resume and an evaluation use "
             "them; a new run makes its own, whatever stands here.")
      .field("standardize", &Fitted::standardize, "Means and deviations of data.standardize, by field.")
      .field("class_counts", &Fitted::class_counts, "How many training samples each class has, by field.");
}

Moments fit_moments(const SampleSource& source, std::string_view name, std::span<const std::int32_t> samples, Per per) {
  constexpr std::size_t chunk_bytes = std::size_t{1} << 20;
  const std::size_t index = source.info().index_of(name);
  const Field& field = source.info().fields[index];
  const std::int64_t elements = field.shape.elements();
  const std::int64_t channels = per == Per::all || field.shape.rank() == 0 ? 1
                                : per == Per::element                      ? elements
                                                                           : field.shape[0];
  RunningMoments moments(static_cast<std::size_t>(channels));
  const std::size_t chunk = std::max<std::size_t>(1, chunk_bytes / field.sample_bytes());
  HostBytes bytes(std::min(chunk, samples.size()) * field.sample_bytes());
  for (std::size_t at = 0; at < samples.size(); at += chunk) {
    if (signals::stop_requested()) fail(ErrorKind::interrupted, "stopped while the mean of '{}' was computed", name);
    const auto ids = samples.subspan(at, std::min(chunk, samples.size() - at));
    const auto count = static_cast<std::int64_t>(ids.size());
    source.read(index, ids, bytes.data());
    const auto add = [&](const auto* values, double unit = 1.0) {
      moments.add(values, count, elements / channels, unit);
    };
    if (field.dtype == DType::u8) add(reinterpret_cast<const std::uint8_t*>(bytes.data()), 1.0 / 255.0);
    if (field.dtype == DType::i32) add(reinterpret_cast<const std::int32_t*>(bytes.data()));
    if (field.dtype == DType::i64) add(reinterpret_cast<const std::int64_t*>(bytes.data()));
    if (field.dtype == DType::f32) add(reinterpret_cast<const float*>(bytes.data()));
  }
  Moments result = moments.finish();
  for (std::size_t c = 0; c < result.mean.size(); ++c) {
    if (std::isfinite(result.mean[c]) && std::isfinite(result.std[c])) continue;
    fail(ErrorKind::data, "data.standardize.{}: number {} of the training samples is not finite in all of them", name,
         c);
  }
  return result;
}

std::vector<std::int64_t> count_classes(const Column& labels, std::span<const std::int32_t> samples) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(labels.field.classes));
  const std::int64_t each = labels.field.shape.elements();
  for (const std::int32_t sample : samples)
    for (std::int64_t i = 0; i < each; ++i)
      ++counts[static_cast<std::size_t>(labels.as<std::int64_t>()[sample * each + i])];
  std::vector<std::string> absent;
  for (std::size_t c = 0; c < counts.size(); ++c)
    if (counts[c] == 0) absent.push_back(class_text(labels.field, c));
  if (!absent.empty()) {
    fail(ErrorKind::config,
         "class_weights from counts need samples of every class, and data.train has none of {} {}; change its subset, "
         "or give the weights as numbers",
         absent.size() > 1 ? "classes" : "class", join(absent, ", "));
  }
  return counts;
}

std::optional<Fitted> fit(const ExperimentSpec& spec, const DatasetInfo& train, const Sampler& sampler) {
  const std::vector<LabelledLoss> losses = counting_losses(spec);
  if (spec.data.standardize.empty() && losses.empty()) return std::nullopt;
  Fitted fitted;
  for (const auto& [name, entry] : spec.data.standardize) check_field(name, entry, train);
  const Dataset& dataset = *spec.data.train.dataset;
  if (!spec.data.standardize.empty()) {
    const auto source = dataset.open();
    for (const auto& [name, entry] : spec.data.standardize)
      fitted.standardize.items.emplace_back(name, fit_moments(*source, name, sampler.ids(), entry.per));
  }
  for (const auto& [loss, field, path] : losses) {
    if (!train.has(field) || train.field(field).classes == 0)
      refuse(loss->source(), path, fmt::format("class_weights are counted, and '{}' is no field of classes.", field));
    if (fitted.class_counts.find(field)) continue;
    try {
      fitted.class_counts.items.emplace_back(field, count_classes(dataset.load_field(field), sampler.ids()));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::config) throw;
      refuse(loss->source(), path, error.what());
    }
  }
  for (const auto& [loss, field, path] : losses) {
    (*loss)->take_class_counts(*fitted.class_counts.find(field));
    log_weights(**loss, path, train.field(field));
  }
  return fitted;
}

void hand_out_fitted(ExperimentSpec& spec) {
  for (const auto& [name, entry] : spec.data.standardize) {
    if (!spec.fitted || !spec.fitted->standardize.find(name))
      refuse(entry.source, "data.standardize." + name, "the run that is looked at has not fitted it in training.");
  }
  for (const auto& [loss, field, path] : counting_losses(spec)) {
    const auto* counts = spec.fitted ? spec.fitted->class_counts.find(field) : nullptr;
    if (!counts) {
      refuse(loss->source(), path,
             "the run that is looked at has not counted the classes in training; give class_weights as numbers.");
    }
    (*loss)->take_class_counts(*counts);
  }
}

}  // namespace trainctl
