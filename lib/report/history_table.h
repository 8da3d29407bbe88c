// Histories of runs as tables and as curves.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "report/svg_plot.h"
#include "store/history.h"

namespace trainctl {

/// A history and what to call its run.
struct NamedHistory {
  std::string name;
  History history;
};

/// Names of all values that the histories hold, in order of first appearance.
std::vector<std::string> series_names(std::span<const NamedHistory> runs);

/// Makes the report with the least (or `most`) of a value the best of each run; the first of equal ones, none in a run
/// without such numbers. A usage Error if none of the runs has the value.
void find_best(std::span<NamedHistory> runs, const std::string& name, bool most);

/// A table for a terminal. One run: a row for each report. Several: a row for each run, with its best report or its
/// last; or, of the `series` that are asked for, a row for each epoch and a column for each run and series. Where each
/// run was best stands below. A usage Error if none of the runs has one of them.
std::string history_text(std::span<const NamedHistory> runs, const std::vector<std::string>& series = {});

/// One line for each report: run, epoch, step, samples, a column for each series, seconds (RFC 4180). What a report
/// does not hold is empty; numbers read back exactly.
std::string history_csv(std::span<const NamedHistory> runs, const std::vector<std::string>& series = {});

/// A panel for each measure ("loss" holds train/loss and val/loss), a curve for each run and series, over epochs, or
/// over steps where runs report within epochs.
std::vector<Panel> history_panels(std::span<const NamedHistory> runs, const std::vector<std::string>& series = {});

}  // namespace trainctl
