#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "results/confusion.h"
#include "results/package.h"
#include "results/ranking.h"

namespace trainctl {
namespace {

struct Options {
  std::vector<std::int64_t> top_k{5};
  std::int64_t bins = 15;
  bool roc_auc = true;
  bool logits = true;
};

/// Measures of one class for each sample, from scores (C) that become p = softmax(scores) if they are logits. Of equal
/// scores the first is the greater. Precision, recall and F1 of 0 / 0 are 0.
class ClassificationTally final : public Tally {
 public:
  ClassificationTally(Options options, std::vector<std::string> labels)
      : options_(std::move(options)),
        labels_(std::move(labels)),
        confusion_(std::ssize(labels_)),
        ranks_(options_.top_k.size()),
        bin_count_(static_cast<std::size_t>(options_.bins)),
        bin_correct_(bin_count_.size()),
        bin_confidence_(bin_count_.size()),
        p_(labels_.size()) {}

  void add(const Predictions& some) override {
    const std::size_t classes = labels_.size();
    for (std::size_t i = 0; i < static_cast<std::size_t>(some.samples); ++i)
      add(some.outputs.subspan(i * classes, classes),
          static_cast<std::size_t>(class_of(some.targets[i], confusion_.classes())));
  }

  Findings finish() const override {
    Findings found;
    const std::int64_t samples = confusion_.total();
    const std::string fault = nonfinite_ ? fmt::format("{} samples have scores that are not finite", nonfinite_)
                              : samples  ? ""
                                         : "there are no samples";
    const auto tell = [&](std::string name, double value, const std::string& reason) {
      found.values.push_back(fault.empty() ? Findings::Value{std::move(name), value, std::isnan(value) ? reason : ""}
                                           : Findings::Value{std::move(name), NAN, fault});
    };
    const auto n = static_cast<double>(samples);
    tell("accuracy", static_cast<double>(confusion_.correct()) / n, "");
    for (std::size_t i = 0; i < ranks_.size(); ++i)
      tell(fmt::format("top_{}_accuracy", options_.top_k[i]), static_cast<double>(ranks_[i]) / n, "");
    tell("log_loss", log_loss_ / n, "");
    tell("calibration_error", calibration_error(), "");
    const std::vector<double> aucs = fault.empty() ? roc_aucs(found) : std::vector<double>(labels_.size(), NAN);
    tell_classes(found, aucs, tell);
    if (fault.empty()) draw(found);
    return found;
  }

 private:
  void add(std::span<const double> scores, std::size_t target) {
    if (!std::ranges::all_of(scores, [](double score) { return std::isfinite(score); })) {
      ++nonfinite_;
      return;
    }
    const auto best = static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin());
    std::ranges::copy(scores, p_.begin());
    if (options_.logits) {
      for (double& p : p_) p = std::exp(p - scores[best]);
      const double sum = std::accumulate(p_.begin(), p_.end(), 0.0);
      for (double& p : p_) p /= sum;
    }
    confusion_.add(static_cast<std::int64_t>(target), static_cast<std::int64_t>(best));
    std::int64_t before = 0;  // classes that go before the target
    for (std::size_t c = 0; c < scores.size(); ++c)
      before += scores[c] > scores[target] || (scores[c] == scores[target] && c < target);
    for (std::size_t i = 0; i < ranks_.size(); ++i) ranks_[i] += before < options_.top_k[i];
    constexpr double epsilon = std::numeric_limits<double>::epsilon();
    log_loss_ -= std::log(std::clamp(p_[target], epsilon, 1.0 - epsilon));
    const double confidence = p_[best];
    const auto bin = std::clamp<std::int64_t>(
        static_cast<std::int64_t>(std::ceil(confidence * static_cast<double>(options_.bins))) - 1, 0,
        options_.bins - 1);
    ++bin_count_[static_cast<std::size_t>(bin)];
    bin_correct_[static_cast<std::size_t>(bin)] += best == target;
    bin_confidence_[static_cast<std::size_t>(bin)] += confidence;
    if (!options_.roc_auc) return;
    kept_.insert(kept_.end(), p_.begin(), p_.end());
    kept_targets_.push_back(static_cast<std::int32_t>(target));
  }

  /// sum_b n_b / n |accuracy_b - confidence_b| over equal bins ((b - 1) / B, b / B] of confidence (Guo et al., 2017).
  double calibration_error() const {
    double sum = 0.0;
    for (std::size_t b = 0; b < bin_count_.size(); ++b)
      sum += std::abs(static_cast<double>(bin_correct_[b]) - bin_confidence_[b]);
    return sum / static_cast<double>(confusion_.total());
  }

  std::vector<double> roc_aucs(Findings& found) const {
    std::vector<double> aucs(labels_.size(), NAN);
    if (!options_.roc_auc) return aucs;
    Panel roc{"false positive rate", "true positive rate", {}};
    for (std::size_t c = 0; c < labels_.size(); ++c) {
      std::vector<Ranking::Scored> scored;
      scored.reserve(kept_targets_.size());
      for (std::size_t i = 0; i < kept_targets_.size(); ++i)
        scored.push_back({kept_[i * labels_.size() + c], kept_targets_[i] == static_cast<std::int32_t>(c)});
      const Ranking ranking(std::move(scored));
      aucs[c] = ranking.roc_auc();
      if (roc.curves.size() < most_curves && !std::isnan(aucs[c])) roc.curves.push_back(ranking.roc(labels_[c]));
    }
    if (!roc.curves.empty()) found.plots.emplace_back("roc", std::move(roc));
    return aucs;
  }

  template <typename Tell>
  void tell_classes(Findings& found, const std::vector<double>& aucs, const Tell& tell) const {
    ResultTable table{"classes", {"precision", "recall", "f1", "roc_auc", "support"}, labels_, {}};
    std::vector<double> macro(4), weighted(4);
    std::string absent;
    for (std::int64_t c = 0; c < confusion_.classes(); ++c) {
      const double measures[] = {confusion_.precision(c, 0.0), confusion_.recall(c, 0.0), confusion_.f1(c, 0.0),
                                 aucs[static_cast<std::size_t>(c)]};
      const auto support = static_cast<double>(confusion_.support(c));
      if (std::isnan(measures[3]) && absent.empty())
        absent = fmt::format("all samples or none are of class '{}'", labels_[static_cast<std::size_t>(c)]);
      for (std::size_t m = 0; m < 4; ++m) {
        table.cells.push_back(measures[m]);
        macro[m] += measures[m] / static_cast<double>(confusion_.classes());
        weighted[m] += measures[m] * support / static_cast<double>(confusion_.total());
      }
      table.cells.push_back(support);
    }
    for (std::size_t m = 0; m < 4; ++m) {
      if (m == 3 && !options_.roc_auc) break;
      tell(table.columns[m] + "_macro", macro[m], absent);
      tell(table.columns[m] + "_weighted", weighted[m], absent);
    }
    found.tables.push_back(std::move(table));
    found.tables.push_back(confusion_.table(labels_));
  }

  void draw(Findings& found) const {
    Panel reliability{"confidence", "accuracy", {{"perfect", {{0.0, 0.0}, {1.0, 1.0}}}, {"measured", {}}}};
    for (std::size_t b = 0; b < bin_count_.size(); ++b) {
      if (bin_count_[b] == 0) continue;
      const auto count = static_cast<double>(bin_count_[b]);
      reliability.curves[1].points.push_back(
          {bin_confidence_[b] / count, static_cast<double>(bin_correct_[b]) / count});
    }
    found.plots.emplace_back("reliability", std::move(reliability));
    found.pictures.push_back(confusion_.table(labels_));
  }

  static constexpr std::size_t most_curves = 24;
  Options options_;
  std::vector<std::string> labels_;
  Confusion confusion_;
  std::vector<std::int64_t> ranks_, bin_count_, bin_correct_;
  std::vector<double> bin_confidence_;
  std::vector<double> p_;  ///< of the sample at hand
  std::vector<double> kept_;
  std::vector<std::int32_t> kept_targets_;
  double log_loss_ = 0.0;
  std::int64_t nonfinite_ = 0;
};

/// Classes of samples: what the tally above tells.
struct Classification final : ResultPackage {
  std::vector<std::int64_t> top_k{5};
  std::int64_t bins = 15;
  bool roc_auc = true;
  Scores scores = Scores::automatic;

  static Schema<Classification> schema() {
    return Schema<Classification>(
               "One class for each sample: accuracy, log-loss, calibration error, precision, recall, F1 and ROC-AUC "
               "of each class against the rest, and the confusion matrix.")
        .field("top_k", &Classification::top_k, at_least(1),
               "The target is among the k classes with the greatest scores; one value for each k below the number of "
               "classes.")
        .field("bins", &Classification::bins, between(1, 10000),
               "Equal bins of confidence in the expected calibration error (Guo et al., 2017).")
        .field("roc_auc", &Classification::roc_auc,
               "Areas under ROC curves; for them the scores of all samples are kept in memory.")
        .field("scores", &Classification::scores,
               "What the model gives. auto: probabilities if it has an `output` layer, else logits.")
        .example("{type: classification, top_k: [3, 5]}");
  }
  std::unique_ptr<Tally> begin(const PredictionInfo& info) const override {
    if (info.output.rank() != 1 || info.output[0] < 2 || info.target.elements() != 1) {
      fail(ErrorKind::config,
           "classification takes the scores of two or more classes and a class number for each sample; here the "
           "outputs are {} and the targets {}. 'binary' is for one score, 'segmentation' for images, 'regression' for "
           "values",
           info.output.text(), info.target.text());
    }
    Options options{{}, bins, roc_auc, are_logits(scores, info)};
    for (const std::int64_t k : top_k) {
      if (k < info.output[0]) options.top_k.push_back(k);
    }
    return std::make_unique<ClassificationTally>(std::move(options), class_labels(info, info.output[0]));
  }
};

const Register<ResultPackage, Classification> registered{"classification"};

}  // namespace
}  // namespace trainctl
