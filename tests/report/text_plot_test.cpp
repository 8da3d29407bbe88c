#include "report/text_plot.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace trainctl;

namespace {

Curve line(const char* label, std::vector<double> values) {
  Curve curve{.label = label, .points = {}};
  for (std::size_t i = 0; i < values.size(); ++i) curve.points.push_back({static_cast<double>(i + 1), values[i]});
  return curve;
}

const TextPlotStyle ascii{.columns = 26, .rows = 4, .unicode = false};

}  // namespace

TEST_CASE("a curve in ASCII, from corner to corner") {
  const Panel panel{.x_label = "epoch", .y_label = "loss", .curves = {line("loss", {4, 3, 2, 1})}};
  CHECK(text_plot({panel}, ascii) ==
        "loss\n"
        "4 |*****\n"
        "  |     *******\n"
        "  |            *******\n"
        "1 |                   ****\n"
        "  +-----------------------\n"
        "   1               4 epoch\n");
}

TEST_CASE("several curves have a mark each and a legend") {
  const Panel panel{.x_label = "epoch", .y_label = "loss", .curves = {line("a", {1, 1}), line("b", {2, 2})}};
  const std::string text = text_plot({panel}, ascii);
  CHECK(text.find("2 |ooooo") != std::string::npos);
  CHECK(text.find("1 |*****") != std::string::npos);
  CHECK(text.find("* a\n") != std::string::npos);
  CHECK(text.find("o b\n") != std::string::npos);
}

TEST_CASE("one curve is Braille where there is Unicode, eight dots in a character") {
  const Panel panel{.x_label = "step", .y_label = "loss", .curves = {line("loss", {1, 1})}};
  const std::string text = text_plot({panel}, {.columns = 24, .rows = 1});
  CHECK(text.find("⠒⠒⠒") != std::string::npos);
  CHECK(text.find("\x1b[") == std::string::npos);
}

TEST_CASE("gaps stay gaps, and nothing to draw is said") {
  const Panel gap{.x_label = "epoch", .y_label = "loss", .curves = {line("loss", {1, NAN, 1})}};
  CHECK(text_plot({gap}, {.columns = 26, .rows = 1, .unicode = false}).find("|*                     *\n") !=
        std::string::npos);
  const Panel none{.x_label = "epoch", .y_label = "loss", .curves = {line("loss", {NAN, INFINITY})}};
  CHECK(text_plot({none}, ascii) == "loss: no numbers to draw\n");
  CHECK(text_plot({}, ascii).empty());
}
