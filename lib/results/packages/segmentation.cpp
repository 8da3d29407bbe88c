#include <cmath>

#include "base/error.h"
#include "results/confusion.h"
#include "results/package.h"

namespace trainctl {
namespace {

/// A class for each pixel: the greatest of C scores (of equal ones the first), or with one score yes from `bound` on.
class SegmentationTally final : public Tally {
 public:
  SegmentationTally(std::int64_t channels, std::int64_t pixels, double bound, std::vector<std::string> labels)
      : channels_(static_cast<std::size_t>(channels)),
        pixels_(static_cast<std::size_t>(pixels)),
        bound_(bound),
        labels_(std::move(labels)),
        confusion_(std::ssize(labels_)) {}

  void add(const Predictions& some) override {
    for (std::size_t i = 0; i < static_cast<std::size_t>(some.samples); ++i) {
      const auto scores = some.outputs.subspan(i * channels_ * pixels_, channels_ * pixels_);
      for (std::size_t x = 0; x < pixels_; ++x) add(scores, x, some.targets[i * pixels_ + x]);
    }
  }

  Findings finish() const override {
    Findings found;
    const std::int64_t total = confusion_.total();
    const std::string fault = nonfinite_ ? fmt::format("{} pixels have scores that are not finite", nonfinite_)
                              : total    ? ""
                                         : "there are no samples";
    ResultTable table{"classes", {"dice", "iou", "support"}, labels_, {}};
    double dice = 0.0, iou = 0.0, present = 0.0;
    for (std::int64_t c = 0; c < confusion_.classes(); ++c) {
      table.cells.insert(table.cells.end(),
                         {confusion_.f1(c, NAN), confusion_.iou(c, NAN), static_cast<double>(confusion_.support(c))});
      if (std::isnan(confusion_.iou(c, NAN))) continue;
      dice += confusion_.f1(c, NAN);
      iou += confusion_.iou(c, NAN);
      present += 1.0;
    }
    const auto tell = [&](const char* name, double value) {
      found.values.push_back({name, fault.empty() ? value : NAN, fault});
    };
    tell("pixel_accuracy", static_cast<double>(confusion_.correct()) / static_cast<double>(total));
    tell("dice_macro", dice / present);
    tell("iou_macro", iou / present);
    found.tables.push_back(std::move(table));
    found.tables.push_back(confusion_.table(labels_));
    if (fault.empty()) found.pictures.push_back(confusion_.table(labels_));
    return found;
  }

 private:
  void add(std::span<const double> scores, std::size_t pixel, double target) {
    std::size_t best = 0;
    for (std::size_t c = 0; c < channels_; ++c) {
      const double score = scores[c * pixels_ + pixel];
      if (!std::isfinite(score)) {
        ++nonfinite_;
        return;
      }
      if (score > scores[best * pixels_ + pixel]) best = c;
    }
    if (channels_ == 1) {
      confusion_.add(target > 0.5, scores[pixel] >= bound_);
    } else {
      confusion_.add(class_of(target, confusion_.classes()), static_cast<std::int64_t>(best));
    }
  }

  std::size_t channels_, pixels_;
  double bound_;
  std::vector<std::string> labels_;
  Confusion confusion_;
  std::int64_t nonfinite_ = 0;
};

/// A class for each pixel: what the tally above tells. dice = 2 TP / (2 TP + FP + FN), iou = TP / (TP + FP + FN) over
/// the pixels of all samples.
struct Segmentation final : ResultPackage {
  double threshold = 0.5;
  Scores scores = Scores::automatic;

  static Schema<Segmentation> schema() {
    return Schema<Segmentation>(
               "A class for each pixel: dice and IoU of each class over the pixels of all samples, their means, and "
               "pixel accuracy. A class that is neither there nor predicted counts for nothing in the means.")
        .field("threshold", &Segmentation::threshold, above(0.0), below(1.0),
               "With one output channel: from which probability on a pixel is of the object.")
        .field("scores", &Segmentation::scores,
               "With one output channel, what the model gives. auto: probabilities if it has an `output` layer, else "
               "logits.")
        .example("segmentation");
  }
  std::unique_ptr<Tally> begin(const PredictionInfo& info) const override {
    const std::int64_t pixels = info.target.elements();
    if (info.output.rank() < 2 || info.output.elements() != info.output[0] * pixels) {
      fail(ErrorKind::config,
           "segmentation takes scores (classes, height, width) and a class number for each pixel; here the outputs are "
           "{} and the targets {} for each sample",
           info.output.text(), info.target.text());
    }
    const double bound = are_logits(scores, info) ? std::log(threshold / (1.0 - threshold)) : threshold;
    const std::int64_t classes = std::max<std::int64_t>(2, info.output[0]);
    return std::make_unique<SegmentationTally>(info.output[0], pixels, bound, class_labels(info, classes));
  }
};

const Register<ResultPackage, Segmentation> registered{"segmentation"};

}  // namespace
}  // namespace trainctl
