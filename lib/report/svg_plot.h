// Line plots as SVG, drawn by ourselves: readable on light and dark pages, and text all the way.
#pragma once

#include <string>
#include <vector>

namespace trainctl {

struct Curve {
  struct Point {
    double x = 0.0;
    double y = 0.0;  ///< NaN or infinite: a gap
  };
  std::string label;
  std::vector<Point> points;  ///< ascending in x
  bool dots = false;          ///< each point alone, not a line
};

/// Axes with their curves.
struct Panel {
  std::string x_label;
  std::string y_label;
  std::vector<Curve> curves;
  bool log_x = false;  ///< a logarithmic axis; all x are positive
};

/// A picture of the panels, one below the other, as a complete SVG document.
std::string svg_plot(const std::string& title, const std::vector<Panel>& panels);

/// A table of counts as a picture: the darker, the greater the share of its row. Rows are named on the left.
std::string svg_matrix(const std::string& title, const std::vector<std::string>& rows,
                       const std::vector<std::string>& columns, const std::vector<double>& cells);

/// About `count` round numbers (1, 2 or 5 times a power of ten apart) that span [low, high]: the first is <= low, the
/// last
/// >= high. A span of nothing is widened.
std::vector<double> nice_ticks(double low, double high, int count);

}  // namespace trainctl
