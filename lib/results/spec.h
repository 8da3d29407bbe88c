// `results`: what is made of the weights when training is finished.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "results/package.h"

namespace trainctl {

struct ResultsSpec {
  Named<ResultPackage> packages;
  std::vector<std::string> splits{"val"};
  std::optional<Reference> weights;  ///< none: best where the best checkpoint is kept, else last
  bool predictions = true;
  std::optional<std::string> target;  ///< none: that of the step's loss
  std::optional<Progress> every;

  static constexpr const char* best = "best";
  static constexpr const char* last = "last";
  static Schema<ResultsSpec> schema();
  void check(Diagnostics& diagnostics, const Node& node) const;
};

}  // namespace trainctl
