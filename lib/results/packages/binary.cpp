#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "results/confusion.h"
#include "results/package.h"
#include "results/ranking.h"

namespace trainctl {
namespace {

/// Measures of yes and no, from p = sigmoid(s), from the second part of softmax(s_0, s_1), or from p itself.
class BinaryTally final : public Tally {
 public:
  BinaryTally(std::size_t width, bool logits, double threshold, std::vector<std::string> labels)
      : width_(width), logits_(logits), threshold_(threshold), labels_(std::move(labels)) {}

  void add(const Predictions& some) override {
    for (std::size_t i = 0; i < static_cast<std::size_t>(some.samples); ++i) {
      const double p = probability(some.outputs.subspan(i * width_, width_));
      if (!std::isfinite(p)) {
        ++nonfinite_;
        continue;
      }
      const bool positive = some.targets[i] > 0.5;
      scored_.push_back({p, positive});
      confusion_.add(positive, p >= threshold_);
      const double miss = p - (positive ? 1.0 : 0.0);
      squares_ += miss * miss;
      constexpr double epsilon = std::numeric_limits<double>::epsilon();
      const double clipped = std::clamp(p, epsilon, 1.0 - epsilon);
      log_loss_ -= positive ? std::log(clipped) : std::log1p(-clipped);
    }
  }

  Findings finish() const override {
    Findings found;
    const auto n = static_cast<double>(scored_.size());
    const std::string fault = nonfinite_        ? fmt::format("{} samples have scores that are not finite", nonfinite_)
                              : scored_.empty() ? "there are no samples"
                                                : "";
    const auto tell = [&](const char* name, double value) {
      const std::string reason = fault.empty() ? "all targets are of one class" : fault;
      if (!fault.empty()) value = NAN;
      found.values.push_back({name, value, std::isnan(value) ? reason : ""});
    };
    const Ranking ranking(scored_);
    const Ranking::BestF1 best = ranking.best_f1();
    tell("accuracy", static_cast<double>(confusion_.correct()) / n);
    tell("precision", confusion_.precision(1, 0.0));
    tell("recall", confusion_.recall(1, 0.0));
    tell("f1", confusion_.f1(1, 0.0));
    tell("threshold", threshold_);
    tell("best_f1", best.f1);
    tell("best_threshold", best.threshold);
    tell("roc_auc", ranking.roc_auc());
    tell("average_precision", ranking.average_precision());
    tell("brier", squares_ / n);
    tell("log_loss", log_loss_ / n);
    found.tables.push_back(confusion_.table(labels_));
    if (!fault.empty()) return found;
    found.pictures.push_back(confusion_.table(labels_));
    if (ranking.positives() == 0 || ranking.negatives() == 0) return found;
    found.plots.emplace_back("roc", Panel{"false positive rate", "true positive rate", {ranking.roc("ROC")}});
    found.plots.emplace_back("precision_recall", Panel{"recall", "precision", {ranking.precision_recall("precision")}});
    return found;
  }

 private:
  double probability(std::span<const double> scores) const {
    if (!logits_) return scores.back();
    const double s = width_ == 1 ? scores[0] : scores[1] - scores[0];
    return s >= 0.0 ? 1.0 / (1.0 + std::exp(-s)) : std::exp(s) / (1.0 + std::exp(s));
  }

  std::size_t width_;
  bool logits_;
  double threshold_;
  std::vector<std::string> labels_;
  Confusion confusion_{2};
  std::vector<Ranking::Scored> scored_;
  double squares_ = 0.0, log_loss_ = 0.0;
  std::int64_t nonfinite_ = 0;
};

/// Yes or no for each sample: what the tally above tells.
struct Binary final : ResultPackage {
  double threshold = 0.5;
  Scores scores = Scores::automatic;

  static Schema<Binary> schema() {
    return Schema<Binary>(
               "Yes or no for each sample: ROC-AUC, average precision, F1 at a threshold and at the best one, Brier "
               "score, log-loss, ROC and precision-recall curves. Targets above 0.5 are yes.")
        .field("threshold", &Binary::threshold, between(0.0, 1.0), "From which probability on it is yes.")
        .field("scores", &Binary::scores,
               "What the model gives: one score, or those of no and yes. auto: probabilities if it has an `output` "
               "layer, else logits.")
        .example("{type: binary, threshold: 0.3}");
  }
  std::unique_ptr<Tally> begin(const PredictionInfo& info) const override {
    const std::int64_t width = info.output.elements();
    if (width > 2 || info.target.elements() != 1) {
      fail(ErrorKind::config,
           "binary takes one score, or those of no and yes, and one target for each sample; here the outputs are {} "
           "and the targets {}. 'classification' is for more classes, 'segmentation' for images",
           info.output.text(), info.target.text());
    }
    return std::make_unique<BinaryTally>(static_cast<std::size_t>(width), are_logits(scores, info), threshold,
                                         class_labels(info, 2));
  }
};

const Register<ResultPackage, Binary> registered{"binary"};

}  // namespace
}  // namespace trainctl
