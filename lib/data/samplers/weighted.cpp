#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "data/sample_order.h"
#include "data/word_stream.h"

namespace trainctl {
namespace {

/// The samples of positive weight, and their weights.
struct Weights {
  std::vector<std::int32_t> ids;
  std::vector<double> values;
};

/// Each number drawn with probability w_i / sum w.
class WithReplacement final : public EpochOrder {
 public:
  WithReplacement(Weights weights, std::uint64_t seed, std::int64_t length)
      : ids_(std::move(weights.ids)),
        sums_(std::move(weights.values)),
        stream_(stream_hash(seed, "data.weighted")),
        length_(length) {
    for (std::size_t i = 1; i < sums_.size(); ++i) sums_[i] += sums_[i - 1];
  }
  std::int64_t samples() const override { return length_; }
  bool varies() const override { return true; }
  void write(std::int64_t epoch, std::span<std::int32_t> out) const override {
    WordStream words(stream_, static_cast<std::uint64_t>(epoch));
    for (std::int32_t& id : out) {
      const auto found = std::ranges::upper_bound(sums_, words.uniform() * sums_.back());
      id = ids_[std::min<std::size_t>(static_cast<std::size_t>(found - sums_.begin()), ids_.size() - 1)];
    }
  }

 private:
  std::vector<std::int32_t> ids_;
  std::vector<double> sums_;  // of the weights up to each
  std::uint64_t stream_;
  std::int64_t length_;
};

/// One after another, each with probability w_i over the weights of those left: the smallest of independent
/// exponential times of rates w_i (Efraimidis, Spirakis: Weighted random sampling with a reservoir, 2006).
class WithoutReplacement final : public EpochOrder {
 public:
  WithoutReplacement(Weights weights, std::uint64_t seed, std::int64_t length)
      : weights_(std::move(weights)), stream_(stream_hash(seed, "data.weighted")), length_(length) {}
  std::int64_t samples() const override { return length_; }
  bool varies() const override { return true; }
  void write(std::int64_t epoch, std::span<std::int32_t> out) const override {
    WordStream words(stream_, static_cast<std::uint64_t>(epoch));
    std::vector<std::pair<double, std::int32_t>> times;
    times.reserve(weights_.ids.size());
    for (std::size_t i = 0; i < weights_.ids.size(); ++i) {
      times.emplace_back(-std::log1p(-words.uniform()) / weights_.values[i], weights_.ids[i]);
    }
    std::partial_sort(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(out.size()), times.end());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = times[i].second;
  }

 private:
  Weights weights_;
  std::uint64_t stream_;
  std::int64_t length_;
};

/// Samples drawn by weights of their classes or their own (PyTorch's WeightedRandomSampler).
struct Weighted final : SampleOrder {
  std::string by = "target";
  std::vector<double> weights;
  bool replacement = true;
  std::optional<Progress> epoch_length;

  static Schema<Weighted> schema() {
    return Schema<Weighted>(
               "Draw samples by weight: of their classes, so that rare ones are seen as often as others, or each its "
               "own.")
        .field("by", &Weighted::by, non_empty(),
               "A field of the data: classes, or one float a sample, which is its weight.")
        .field("weights", &Weighted::weights, at_least(0.0),
               "A weight for a sample of each class; if left out, 1 over the number of samples in the class.")
        .field("replacement", &Weighted::replacement,
               "Draw each sample from all; else no sample comes twice in an epoch, and heavy ones come early.")
        .field("epoch_length", &Weighted::epoch_length, epoch_length_doc)
        .example("weighted")
        .example("{type: weighted, weights: [1, 5], epoch_length: 500 steps}")
        .example("{type: weighted, by: importance, replacement: false, epoch_length: 10000 samples}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const { check_epoch_length(epoch_length, diagnostics, node); }

  std::string_view field() const override { return by; }

  std::unique_ptr<EpochOrder> prepare(const OrderContext& context) const override {
    Weights chosen = positive(context);
    const std::int64_t asked = samples_of(epoch_length, context);
    const auto available = static_cast<std::int64_t>(chosen.ids.size());
    if (replacement) {
      const std::int64_t length = asked > 0 ? asked : static_cast<std::int64_t>(context.ids->size());
      return std::make_unique<WithReplacement>(std::move(chosen), context.seed, length);
    }
    if (asked > available) {
      fail(ErrorKind::config,
           "sampler: an epoch of {} samples without replacement, but only {} have a weight above zero", asked,
           available);
    }
    return std::make_unique<WithoutReplacement>(std::move(chosen), context.seed, asked > 0 ? asked : available);
  }

 private:
  Weights positive(const OrderContext& context) const {
    const Field& field = context.values->field;
    if (field.shape.elements() != 1) {
      fail(ErrorKind::config, "sampler: '{}' has {} values a sample; weights need one", by, field.shape.elements());
    }
    const bool classes = field.classes > 0 && field.dtype == DType::i64;
    if (!classes && field.dtype != DType::f32) {
      fail(ErrorKind::config, "sampler: '{}' holds {}; weights need classes or floats", by, name(field.dtype));
    }
    if (!classes && !weights.empty()) {
      fail(ErrorKind::config, "sampler: '{}' holds numbers, which are the weights themselves; leave out 'weights'", by);
    }
    const std::vector<double> of_class = classes ? class_weights(context) : std::vector<double>{};
    Weights out;
    double sum = 0.0;
    for (const std::int32_t id : *context.ids) {
      const auto at = static_cast<std::size_t>(id);
      const double weight = classes ? of_class[static_cast<std::size_t>(context.values->as<std::int64_t>()[at])]
                                    : static_cast<double>(context.values->as<float>()[at]);
      if (!(weight >= 0.0) || std::isinf(weight))
        fail(ErrorKind::data, "sampler: sample {} has the weight {} in '{}'; weights are finite, from 0", id, weight,
             by);
      if (weight == 0.0) continue;
      out.ids.push_back(id);
      out.values.push_back(weight);
      sum += weight;
    }
    if (out.ids.empty()) fail(ErrorKind::config, "sampler: no sample has a weight above zero by '{}'", by);
    if (std::isinf(sum)) fail(ErrorKind::config, "sampler: the sum of the weights by '{}' is not finite", by);
    return out;
  }

  std::vector<double> class_weights(const OrderContext& context) const {
    const auto classes = static_cast<std::size_t>(context.values->field.classes);
    if (!weights.empty() && weights.size() != classes)
      fail(ErrorKind::config, "sampler: there are {} weights and {} classes in '{}'", weights.size(), classes, by);
    if (!weights.empty()) return weights;
    std::vector<double> count(classes, 0.0);
    for (const std::int32_t id : *context.ids)
      count[static_cast<std::size_t>(context.values->as<std::int64_t>()[static_cast<std::size_t>(id)])] += 1.0;
    for (double& value : count) value = value > 0.0 ? 1.0 / value : 0.0;
    return count;
  }
};

const Register<SampleOrder, Weighted> registered{"weighted"};

}  // namespace
}  // namespace trainctl
