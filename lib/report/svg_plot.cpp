#include "report/svg_plot.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace trainctl {
namespace {

// Sizes in pixels of the SVG's own coordinates.
constexpr double width = 720, title_height = 36, panel_height = 300, left = 72, right = 16, top = 14, bottom = 46,
                 line_height = 16;

// Eight hues that colour-blind readers tell apart and that stand out on white and on black (after Okabe & Ito, 2008).
constexpr const char* colours[] = {"#3b82c4", "#e0722b", "#2a9d74", "#c45a9c",
                                   "#b8942a", "#6a6ad0", "#c94f4f", "#5a9aa8"};
// A second round of the colours is dashed.
constexpr const char* dashes[] = {"", " stroke-dasharray=\"6 3\"", " stroke-dasharray=\"2 3\""};

constexpr const char* style = R"(<style>
text { font: 12px sans-serif; fill: #333 } .title { font-size: 15px } .axis { stroke: #888; fill: none } .grid { stroke: #888; stroke-opacity: .25 }
.curve { fill: none; stroke-width: 1.8; stroke-linejoin: round } @media (prefers-color-scheme: dark) { text { fill: #ccc } }
</style>
)";

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return result;
}

// At most `most` bytes of UTF-8, whole characters.
std::string shortened(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return text.substr(0, most);
}

// One axis: which values it shows and where they lie.
struct Axis {
  std::vector<double> ticks;
  double from_pixel;
  double to_pixel;
  bool logarithmic = false;

  double pixel(double value) const {
    const auto place = [&](double of) { return logarithmic ? std::log10(of) : of; };
    const double low = place(ticks.front()), high = place(ticks.back());
    return from_pixel + (place(value) - low) / (high - low) * (to_pixel - from_pixel);
  }
};

bool finite(const Curve::Point& point) {
  return std::isfinite(point.x) && std::isfinite(point.y);
}

// Powers of ten that span [low, high]; with 2 and 5 times of them where there are few.
std::vector<double> decades(double low, double high) {
  constexpr double slack = 1e-9;
  const auto first = std::llround(std::floor(std::log10(low) + slack));
  const auto last = std::max(std::llround(std::ceil(std::log10(high) - slack)), first + 1);
  std::vector<double> ticks;
  for (auto power = first; power <= last; ++power) {
    const double ten = std::pow(10.0, static_cast<double>(power));
    ticks.push_back(ten);
    if (last - first <= 2 && power < last) ticks.insert(ticks.end(), {2 * ten, 5 * ten});
  }
  return ticks;
}

Axis axis_of(const Panel& panel, double Curve::Point::*coordinate, int count, double from_pixel, double to_pixel) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const Curve& curve : panel.curves) {
    for (const Curve::Point& point : curve.points) {
      if (!finite(point)) continue;
      low = std::min(low, point.*coordinate);
      high = std::max(high, point.*coordinate);
    }
  }
  if (panel.log_x && coordinate == &Curve::Point::x) {
    if (low > high) low = 1.0, high = 10.0;
    return {decades(low, high), from_pixel, to_pixel, true};
  }
  if (low > high) low = 0.0, high = 1.0;
  return {nice_ticks(low, high, count), from_pixel, to_pixel};
}

std::string axes_svg(const Panel& panel, const Axis& x, const Axis& y) {
  std::string svg;
  for (const double tick : y.ticks) {
    const double at = y.pixel(tick);
    svg += fmt::format("<line class=\"grid\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", x.from_pixel,
                       at, x.to_pixel, at);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{:.6g}</text>\n", x.from_pixel - 6, at + 4,
                       tick);
  }
  for (const double tick : x.ticks) {
    const double at = x.pixel(tick);
    svg += fmt::format("<line class=\"axis\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", at,
                       y.from_pixel, at, y.from_pixel + 4);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:.6g}</text>\n", at, y.from_pixel + 17,
                       tick);
  }
  svg += fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.1f}V{:.1f}H{:.1f}\"/>\n", x.from_pixel, y.to_pixel,
                     y.from_pixel, x.to_pixel);
  svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
                     (x.from_pixel + x.to_pixel) / 2, y.from_pixel + 36, escaped(panel.x_label));
  const double middle = (y.from_pixel + y.to_pixel) / 2;
  return svg + fmt::format("<text transform=\"translate(14 {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
                           middle, escaped(panel.y_label));
}

std::string pen(std::size_t index) {
  return fmt::format("stroke=\"{}\"{}", colours[index % std::size(colours)],
                     dashes[index / std::size(colours) % std::size(dashes)]);
}

// Runs of finite points are lines; a point alone between gaps is a dot.
std::string curve_svg(const Curve& curve, std::size_t index, const Axis& x, const Axis& y) {
  std::string path, dots;
  const auto& points = curve.points;
  const auto drawable = [&](std::size_t i) { return i < points.size() && finite(points[i]); };
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!drawable(i)) continue;
    const bool starts = curve.dots || i == 0 || !drawable(i - 1);
    const double px = x.pixel(points[i].x), py = y.pixel(points[i].y);
    path += fmt::format("{}{:.2f} {:.2f}", starts ? "M" : "L", px, py);
    if (curve.dots || (starts && !drawable(i + 1))) {
      dots += fmt::format("<circle cx=\"{:.2f}\" cy=\"{:.2f}\" r=\"2.5\" fill=\"{}\"/>\n", px, py,
                          colours[index % std::size(colours)]);
    }
  }
  return path.empty() ? "" : fmt::format("<path class=\"curve\" {} d=\"{}\"/>\n{}", pen(index), path, dots);
}

double legend_height(const Panel& panel) {
  return line_height * static_cast<double>(panel.curves.size());
}

std::string panel_svg(const Panel& panel, double offset) {
  const Axis x = axis_of(panel, &Curve::Point::x, 8, left, width - right);
  const Axis y = axis_of(panel, &Curve::Point::y, 6, offset + panel_height - bottom, offset + top);
  std::string svg = axes_svg(panel, x, y);
  for (std::size_t i = 0; i < panel.curves.size(); ++i) svg += curve_svg(panel.curves[i], i, x, y);
  for (std::size_t i = 0; i < panel.curves.size(); ++i) {
    const double at = offset + panel_height + line_height * static_cast<double>(i);
    svg += fmt::format("<path class=\"curve\" {} d=\"M{:.1f} {:.1f}h24\"/>\n", pen(i), left, at);
    svg +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", left + 32, at + 4, escaped(panel.curves[i].label));
  }
  return svg;
}

std::string document(const std::string& title, double height, const std::string& body) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\">\n"
      "<title>{2}</title>\n{3}<text class=\"title\" x=\"{4:.0f}\" y=\"23\">{2}</text>\n{5}</svg>\n",
      width, height, escaped(title), style, left, body);
}

}  // namespace

std::vector<double> nice_ticks(double low, double high, int count) {
  const double size = std::max(std::abs(low), std::abs(high));
  if (high - low <= 1e-9 * size || size < 1e-300) {  // too near to each other to be told apart
    const double margin = size < 1e-300 ? 0.5 : size * 0.05;
    low -= margin;
    high += margin;
  }
  const double rough = (high / count - low / count);
  const double magnitude = std::pow(10.0, std::floor(std::log10(rough)));
  const double factor = rough / magnitude;
  const double step = magnitude * (factor <= 1.0 ? 1.0 : factor <= 2.0 ? 2.0 : factor <= 5.0 ? 5.0 : 10.0);
  constexpr double slack = 1e-9;  // of a step: 0.3 / 0.1 is not quite 3
  const auto first = std::llround(std::floor(low / step + slack)), last = std::llround(std::ceil(high / step - slack));
  std::vector<double> ticks;
  for (auto i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

std::string svg_plot(const std::string& title, const std::vector<Panel>& panels) {
  double height = title_height;
  std::string body;
  for (const Panel& panel : panels) {
    body += panel_svg(panel, height);
    height += panel_height + legend_height(panel) + line_height;
  }
  return document(title, height, body);
}

std::string svg_matrix(const std::string& title, const std::vector<std::string>& rows,
                       const std::vector<std::string>& columns, const std::vector<double>& cells) {
  constexpr double margin = 110, grid = 520;
  const double cell = std::min(60.0, grid / static_cast<double>(std::max(rows.size(), columns.size())));
  const bool written = cell >= 24;  // numbers and names find room
  const double height = title_height + margin / 2 + cell * static_cast<double>(rows.size()) + 20;
  std::string body;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const double y = title_height + margin / 2 + cell * static_cast<double>(r);
    double sum = 0.0;
    for (std::size_t c = 0; c < columns.size(); ++c) sum += cells[r * columns.size() + c];
    if (written)
      body += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", margin - 6,
                          y + cell / 2 + 4, escaped(shortened(rows[r], 14)));
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const double count = cells[r * columns.size() + c], x = margin + cell * static_cast<double>(c);
      body += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\" fill-opacity=\"{:.3f}\" "
          "class=\"grid\"/>\n",
          x, y, cell, cell, colours[0], sum > 0.0 ? 0.85 * count / sum : 0.0);
      if (written)
        body += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:.0f}</text>\n", x + cell / 2,
                            y + cell / 2 + 4, count);
    }
  }
  for (std::size_t c = 0; written && c < columns.size(); ++c)
    body += fmt::format("<text transform=\"translate({:.1f} {:.1f}) rotate(-40)\">{}</text>\n",
                        margin + cell * (static_cast<double>(c) + 0.4), title_height + margin / 2 - 6,
                        escaped(shortened(columns[c], 10)));
  return document(title, height, body);
}

}  // namespace trainctl
