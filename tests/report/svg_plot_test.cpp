#include "report/svg_plot.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace trainctl;

namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

}  // namespace

TEST_CASE("ticks are round, evenly apart and span the range") {
  struct Range {
    double low, high;
  };
  const double tiny = 1e-12, huge = 1e300;
  for (const Range range :
       {Range{0, 1}, {0, 10}, {0.873, 0.921}, {-3, 17}, {1, 20}, {-huge, huge}, {0, tiny}, {5e5, 5e5 + 3}}) {
    CAPTURE(range.low);
    CAPTURE(range.high);
    const auto ticks = nice_ticks(range.low, range.high, 6);
    REQUIRE(ticks.size() >= 3);
    CHECK(ticks.size() <= 9);
    const double step = ticks[1] - ticks[0];
    CHECK(ticks.front() <= range.low + 1e-6 * step);
    CHECK(ticks.back() >= range.high - 1e-6 * step);
    CHECK(ticks.front() > range.low - step);
    CHECK(ticks.back() < range.high + step);
    const double digit = step / std::pow(10.0, std::floor(std::log10(step) + 1e-6));
    const bool round = std::abs(digit - 1) < 1e-6 || std::abs(digit - 2) < 1e-6 || std::abs(digit - 5) < 1e-6;
    CHECK(round);
  }
}

TEST_CASE("a span of nothing is widened around the value") {
  for (const double value : {0.0, 3.5, -2e-5, 1e10}) {
    const auto ticks = nice_ticks(value, value, 6);
    REQUIRE(ticks.size() >= 2);
    CHECK(ticks.front() < value);
    CHECK(ticks.back() > value);
  }
}

TEST_CASE("NaN and infinity are gaps, and a point alone is a dot") {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  const Curve curve{"loss", {{1, 0.5}, {2, 0.25}, {3, nan}, {4, 0.125}, {5, inf}, {6, 0.5}, {7, 0.75}}};
  const std::string svg = svg_plot("run", {{"epoch", "loss", {curve}}});
  const std::size_t from = svg.find(" d=\"M", svg.find("class=\"curve\""));
  REQUIRE(from != std::string::npos);
  const std::string path = svg.substr(from, svg.find("\"/>", from) - from);
  CHECK(count(path, "M") == 3);
  CHECK(count(path, "L") == 2);
  CHECK(count(svg, "<circle") == 1);
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(svg.find("inf") == std::string::npos);
}

TEST_CASE("points lie where the axes say") {
  // Ticks from 0 to 10 and from 0 to 1 are the frame itself, so the corners of the plot are the curve's ends.
  const std::string svg = svg_plot("run", {{"epoch", "share", {{"share", {{0, 0}, {10, 1}}}}}});
  const std::size_t frame_at = svg.find("<path class=\"axis\" d=\"M");
  REQUIRE(frame_at != std::string::npos);
  double left = 0, top = 0, bottom = 0, right = 0;
  REQUIRE(std::sscanf(svg.c_str() + frame_at, "<path class=\"axis\" d=\"M%lf %lfV%lfH%lf", &left, &top, &bottom,
                      &right) == 4);
  const std::size_t curve_at = svg.find(" d=\"M", svg.find("<path class=\"curve\""));
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  REQUIRE(std::sscanf(svg.c_str() + curve_at, " d=\"M%lf %lfL%lf %lf", &x0, &y0, &x1, &y1) == 4);
  CHECK(x0 == doctest::Approx(left));
  CHECK(y0 == doctest::Approx(bottom));
  CHECK(x1 == doctest::Approx(right));
  CHECK(y1 == doctest::Approx(top));
  CHECK(top < bottom);
}

TEST_CASE("names are escaped and every curve has its legend") {
  std::vector<Curve> curves;
  for (int i = 0; i < 10; ++i) curves.push_back({"a<b>&\"" + std::to_string(i), {{0, 1.0 * i}, {1, 2.0 * i}}});
  const std::string svg = svg_plot("x < y & z", {{"step", "value", curves}, {"step", "nothing", {}}});
  CHECK(svg.find("a<b>") == std::string::npos);
  CHECK(svg.find("<title>x &lt; y &amp; z</title>") != std::string::npos);
  for (int i = 0; i < 10; ++i) CHECK(count(svg, "a&lt;b&gt;&amp;&quot;" + std::to_string(i)) == 1);
  CHECK(count(svg, "class=\"curve\"") == 20);  // each in the plot and in the legend
  CHECK(count(svg, "stroke-dasharray") == 4);  // the ninth and tenth differ from the first two
  CHECK(svg.starts_with("<svg "));
  CHECK(svg.ends_with("</svg>\n"));
}

TEST_CASE("a logarithmic axis has powers of ten at equal distances, and 2 and 5 times of them where there are few") {
  const auto tick = [](const std::string& svg, const std::string& text) {
    const std::size_t end = svg.find("\" text-anchor=\"middle\">" + text + "<");
    REQUIRE(end != std::string::npos);
    const std::size_t from = svg.rfind("<text x=\"", end) + 9;
    return std::stod(svg.substr(from));
  };
  const Curve wide{"loss", {{2e-5, 0.5}, {1e-3, 0.25}, {0.5, 0.75}}};
  const std::string svg = svg_plot("run", {{"lr", "loss", {wide}, true}});
  CHECK(tick(svg, "0.1") - tick(svg, "0.01") ==
        doctest::Approx(tick(svg, "0.001") - tick(svg, "0.0001")).epsilon(1e-2));
  CHECK(svg.find(">0.02<") == std::string::npos);
  const Curve narrow{"loss", {{0.02, 0.5}, {0.3, 0.25}}};
  const std::string close = svg_plot("run", {{"lr", "loss", {narrow}, true}});
  CHECK(tick(close, "0.1") - tick(close, "0.01") ==
        doctest::Approx((tick(close, "0.02") - tick(close, "0.01")) / std::log10(2.0)).epsilon(1e-2));
  CHECK(svg_plot("empty", {{"lr", "loss", {{"loss", {}}}, true}}).find("nan") == std::string::npos);
}

TEST_CASE("a matrix names its rows in whole characters and writes every count") {
  const std::string svg = svg_matrix("a < b", {"straßenbahnäöü", "b"}, {"c", "d"}, {3, 1, 0, 0});
  CHECK(svg.find("a &lt; b") != std::string::npos);
  CHECK(svg.find(">straßenbahn\xc3\xa4<") != std::string::npos);
  CHECK(svg.find("fill-opacity=\"0.637\"") != std::string::npos);  // 0.85 * 3 / 4
  CHECK(svg.find(">3</text>") != std::string::npos);
  CHECK(svg.find("nan") == std::string::npos);  // a row of nothing
}
