#include "results/spec.h"

#include <algorithm>

#include "base/text.h"

namespace trainctl {

Schema<ResultsSpec> ResultsSpec::schema() {
  return Schema<ResultsSpec>("What is told of the predictions when training is finished, in <run>/results.")
      .required("packages", &ResultsSpec::packages, non_empty(), "Measures and plots, several under their names.")
      .field("splits", &ResultsSpec::splits, non_empty(), "Which of data.train, data.val and data.test.")
      .field("weights", &ResultsSpec::weights,
             "best: those of the best checkpoint by checkpoint.keep.best. last: those at the end. Both with what "
             "trainer.evaluate names. Else `model` or the name of an average, at the end. By default best where a "
             "best checkpoint is kept, and last where none is.")
      .field("predictions", &ResultsSpec::predictions,
             "Whether <split>_predictions.h5 is written too: predictions, targets and sample numbers.")
      .field(
          "target", &ResultsSpec::target, non_empty(),
          "Field of the data that predictions are held against, as metrics see it: in its own unit, `input` after its "
          "transforms. By default that of the step's first loss.")
      .field("every", &ResultsSpec::every,
             "How often results are made of the weights at hand while training goes on, in results/step-<step>; a "
             "checkpoint is saved then.")
      .example("{packages: [classification], splits: [val], every: 5 epochs}")
      .example("{packages: {classification: {top_k: [3]}}, splits: [val], weights: best}");
}

void ResultsSpec::check(Diagnostics& diagnostics, const Node& node) const {
  if (packages.items.empty()) diagnostics.error(node, "no package is on; name one, such as 'classification'.");
  if (every && every->count <= 0.0) {
    const Diagnostics::Scope scope(diagnostics, "every");
    diagnostics.error(*node.find("every"), "must be above 0; leave it out for results at the end alone.");
  }
  for (const auto& [name, package] : packages) {
    if (name.find('/') != std::string::npos)
      diagnostics.error(node, "the name of a package is a part of file names; leave out the '/'.");
    for (const std::string& split : package->splits) {
      if (std::ranges::find(splits, split) == splits.end())
        diagnostics.error(package.source(), fmt::format("splits names '{}', which results.splits does not: {}.", split,
                                                        join(splits, ", ")));
    }
  }
  for (const std::string& split : splits) {
    if (split != "train" && split != "val" && split != "test")
      diagnostics.error(node, fmt::format("'{}' is no split; there are train, val and test.", split));
  }
}

}  // namespace trainctl
