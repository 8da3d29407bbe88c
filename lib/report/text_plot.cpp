#include "report/text_plot.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include "base/text.h"

namespace trainctl {
namespace {

constexpr std::array unicode_marks{"●", "○", "▲", "△", "■", "□", "◆", "◇"};
constexpr std::array ascii_marks{"*", "o", "+", "x", "#", "@", "%", "&"};
constexpr std::array colour_codes{"36", "33", "35", "32", "34", "31"};
constexpr int least_columns = 20;

struct Range {
  double low = INFINITY, high = -INFINITY;
  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  double share(double value) const { return high > low ? (value - low) / (high - low) : 0.5; }
};

/// Cells of dots: 2 x 4 in a Braille character, one in any other.
class Canvas {
 public:
  Canvas(int columns, int rows, bool braille)
      : columns_(columns), rows_(rows), wide_(braille ? 2 : 1), tall_(braille ? 4 : 1), cells_(columns * rows) {}

  int dots_across() const { return columns_ * wide_; }
  int dots_down() const { return rows_ * tall_; }

  /// Sets a dot, counted from the left and the bottom; later curves lie above.
  void dot(int x, int y, int curve) {
    const int down = dots_down() - 1 - y;
    Cell& cell = cells_[(down / tall_) * columns_ + x / wide_];
    if (cell.curve != curve) cell.bits = 0;
    cell.curve = curve;
    constexpr std::array<std::array<std::uint8_t, 2>, 4> bits{{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}};
    cell.bits |= bits[down % tall_][x % wide_];
  }
  /// A straight line between two dots.
  void line(double x0, double y0, double x1, double y1, int curve) {
    const int pieces = std::max(1, static_cast<int>(std::ceil(std::max(std::abs(x1 - x0), std::abs(y1 - y0)))));
    for (int i = 0; i <= pieces; ++i) {
      const double t = static_cast<double>(i) / pieces;
      dot(static_cast<int>(std::lround(x0 + t * (x1 - x0))), static_cast<int>(std::lround(y0 + t * (y1 - y0))), curve);
    }
  }
  std::string row(int row, const TextPlotStyle& style, bool braille) const {
    std::string text;
    int blanks = 0;
    for (int column = 0; column < columns_; ++column) {
      const Cell& cell = cells_[row * columns_ + column];
      if (cell.curve < 0) {
        ++blanks;
        continue;
      }
      text += std::string(std::exchange(blanks, 0), ' ') + shown(cell, style, braille);
    }
    return text;
  }

 private:
  struct Cell {
    int curve = -1;
    std::uint8_t bits = 0;
  };
  static std::string shown(const Cell& cell, const TextPlotStyle& style, bool braille);

  int columns_, rows_, wide_, tall_;
  std::vector<Cell> cells_;
};

std::string coloured(const std::string& text, std::size_t curve, const TextPlotStyle& style) {
  if (!style.colours) return text;
  return fmt::format("\x1b[{}m{}\x1b[0m", colour_codes[curve % colour_codes.size()], text);
}

std::string mark(std::size_t curve, const TextPlotStyle& style, bool braille) {
  if (braille) return "━";
  return style.unicode ? unicode_marks[curve % unicode_marks.size()] : ascii_marks[curve % ascii_marks.size()];
}

std::string Canvas::shown(const Cell& cell, const TextPlotStyle& style, bool braille) {
  if (!braille) return coloured(mark(cell.curve, style, false), cell.curve, style);
  const unsigned code = 0x2800u + cell.bits;
  const std::string utf8{static_cast<char>(0xe0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3f)),
                         static_cast<char>(0x80 | (code & 0x3f))};
  return coloured(utf8, cell.curve, style);
}

std::string number(double value) {
  return fmt::format("{:.4g}", value);
}

std::string panel_text(const Panel& panel, const TextPlotStyle& style) {
  const auto x_of = [&](const Curve::Point& point) { return panel.log_x ? std::log10(point.x) : point.x; };
  const auto drawn = [](const Curve::Point& point) { return std::isfinite(point.y) && std::isfinite(point.x); };
  Range x, y;
  for (const Curve& curve : panel.curves) {
    for (const Curve::Point& point : curve.points) {
      if (!drawn(point)) continue;
      x.take(x_of(point));
      y.take(point.y);
    }
  }
  if (!(x.low <= x.high)) return panel.y_label + ": no numbers to draw\n";

  const std::string top = number(y.high), bottom = number(y.low);
  const std::size_t margin = std::max(top.size(), bottom.size());
  const int columns = std::max(least_columns, style.columns - static_cast<int>(margin) - 2);
  const bool braille = style.unicode && (style.colours || panel.curves.size() == 1);
  Canvas canvas(columns, style.rows, braille);
  for (std::size_t i = 0; i < panel.curves.size(); ++i) {
    const Curve::Point* last = nullptr;
    for (const Curve::Point& point : panel.curves[i].points) {
      if (!drawn(point)) {
        last = nullptr;
        continue;
      }
      const auto place = [&](const Curve::Point& p) {
        return std::pair(x.share(x_of(p)) * (canvas.dots_across() - 1), y.share(p.y) * (canvas.dots_down() - 1));
      };
      const auto [x1, y1] = place(point);
      const auto [x0, y0] = place(last ? *last : point);
      canvas.line(x0, y0, x1, y1, static_cast<int>(i));
      last = &point;
    }
  }

  std::string text = panel.y_label + "\n";
  for (int row = 0; row < style.rows; ++row) {
    const std::string label = row == 0 ? top : row == style.rows - 1 ? bottom : "";
    text += fmt::format("{:>{}} {}{}\n", label, margin, style.unicode ? "│" : "|", canvas.row(row, style, braille));
  }
  std::string axis = style.unicode ? "└" : "+";
  for (int i = 0; i < columns; ++i) axis += style.unicode ? "─" : "-";
  const std::string from = number(panel.log_x ? std::pow(10.0, x.low) : x.low);
  const std::string to =
      number(panel.log_x ? std::pow(10.0, x.high) : x.high) + (panel.x_label.empty() ? "" : " " + panel.x_label);
  const int gap = std::max(1, columns - static_cast<int>(from.size() + to.size()));
  text += fmt::format("{:{}} {}\n{:{}}  {}{:{}}{}\n", "", margin, axis, "", margin, from, "", gap, to);
  if (panel.curves.size() > 1) {
    for (std::size_t i = 0; i < panel.curves.size(); ++i) {
      text += fmt::format("{:{}}  {} {}\n", "", margin, coloured(mark(i, style, braille), i, style),
                          printable(panel.curves[i].label));
    }
  }
  return text;
}

}  // namespace

std::string text_plot(const std::vector<Panel>& panels, const TextPlotStyle& style) {
  std::string text;
  for (const Panel& panel : panels) text += (text.empty() ? "" : "\n") + panel_text(panel, style);
  return text;
}

}  // namespace trainctl
