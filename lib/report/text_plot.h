// Line plots as text, for a terminal.
#pragma once

#include <string>
#include <vector>

#include "report/svg_plot.h"

namespace trainctl {

struct TextPlotStyle {
  int columns = 80;      ///< characters in a line
  int rows = 12;         ///< lines of a panel, without its axis
  bool unicode = true;   ///< Braille dots and lines; else ASCII
  bool colours = false;  ///< ANSI colours tell curves apart; else each has a mark of its own
};

/// The panels one below the other, each with its axes and, where there are several curves, a legend. Lines end with
/// '\n'. A panel without finite points says so.
std::string text_plot(const std::vector<Panel>& panels, const TextPlotStyle& style);

}  // namespace trainctl
