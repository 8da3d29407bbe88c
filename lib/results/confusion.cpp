#include "results/confusion.h"

#include <numeric>

namespace trainctl {
namespace {

double divided(std::int64_t part, std::int64_t whole, double empty) {
  return whole == 0 ? empty : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::int64_t Confusion::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0});
}

std::int64_t Confusion::correct() const {
  std::int64_t sum = 0;
  for (std::int64_t c = 0; c < classes_; ++c) sum += count(c, c);
  return sum;
}

std::int64_t Confusion::support(std::int64_t of) const {
  std::int64_t sum = 0;
  for (std::int64_t c = 0; c < classes_; ++c) sum += count(of, c);
  return sum;
}

std::int64_t Confusion::predicted(std::int64_t of) const {
  std::int64_t sum = 0;
  for (std::int64_t c = 0; c < classes_; ++c) sum += count(c, of);
  return sum;
}

double Confusion::precision(std::int64_t of, double empty) const {
  return divided(count(of, of), predicted(of), empty);
}

double Confusion::recall(std::int64_t of, double empty) const {
  return divided(count(of, of), support(of), empty);
}

double Confusion::f1(std::int64_t of, double empty) const {
  return divided(2 * count(of, of), support(of) + predicted(of), empty);
}

double Confusion::iou(std::int64_t of, double empty) const {
  return divided(count(of, of), support(of) + predicted(of) - count(of, of), empty);
}

ResultTable Confusion::table(const std::vector<std::string>& labels) const {
  ResultTable table{"confusion", labels, labels, {}};
  for (const std::int64_t cell : counts_) table.cells.push_back(static_cast<double>(cell));
  return table;
}

}  // namespace trainctl
