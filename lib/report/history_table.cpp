#include "report/history_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "report/text_table.h"

namespace trainctl {
namespace {

using Align = TextTable::Align;

std::vector<std::string> chosen(std::span<const NamedHistory> runs, const std::vector<std::string>& wanted) {
  const std::vector<std::string> known = series_names(runs);
  if (wanted.empty()) return known;
  for (const std::string& name : wanted) {
    if (std::ranges::find(known, name) != known.end()) continue;
    fail(ErrorKind::usage, "there is no series '{}'.{}", printable(name), suggestion(name, known));
  }
  return wanted;
}

double seconds_of(const HistoryRecord& record) {
  double sum = 0.0;
  for (const auto& [phase, seconds] : record.seconds) sum += seconds;
  return sum;
}

std::string cell(const HistoryRecord& record, const std::string& name) {
  const auto value = find_value(record.values, name);
  return value ? fmt::format("{:.5g}", *value) : "";
}

bool has_series(const History& history, const std::string& name) {
  return std::ranges::any_of(history.records,
                             [&](const HistoryRecord& r) { return find_value(r.values, name).has_value(); });
}

std::string one_run(const NamedHistory& run, const std::vector<std::string>& series) {
  std::vector<TextTable::Column> columns{{"epoch", Align::right}, {"step", Align::right}};
  for (const std::string& name : series) columns.push_back({name, Align::right});
  columns.push_back({"seconds", Align::right});
  columns.push_back({""});
  TextTable table(std::move(columns));
  for (const HistoryRecord& record : run.history.records) {
    std::vector<std::string> row{std::to_string(record.epoch), std::to_string(record.step)};
    for (const std::string& name : series) row.push_back(cell(record, name));
    row.push_back(fmt::format("{:.1f}", seconds_of(record)));
    const auto& best = run.history.best;
    row.emplace_back(best && best->step == record.step ? "best" : "");
    table.add(std::move(row));
  }
  return table.text();
}

// Whether every report ends an epoch, so that epochs tell reports apart.
bool by_epoch(std::span<const NamedHistory> runs) {
  return std::ranges::all_of(runs, [](const NamedHistory& run) {
    const auto& records = run.history.records;
    return std::ranges::adjacent_find(records, [](const auto& a, const auto& b) { return a.epoch >= b.epoch; }) ==
           records.end();
  });
}

// Several runs, a row each: the values of its best report, or of its last where nothing says which is best.
std::string a_row_each(std::span<const NamedHistory> runs, const std::vector<std::string>& series) {
  std::vector<TextTable::Column> columns{
      {"run"}, {"status"}, {"report"}, {"epoch", Align::right}, {"step", Align::right}};
  for (const std::string& name : series) columns.push_back({name, Align::right});
  TextTable table(std::move(columns));
  for (const NamedHistory& run : runs) {
    const auto& records = run.history.records;
    const auto& best = run.history.best;
    const auto is_best = [&](const HistoryRecord& record) { return best && record.step == best->step; };
    auto shown = std::ranges::find_if(records, is_best);
    const bool known = shown != records.end();
    if (!known && !records.empty()) shown = std::prev(records.end());
    std::vector<std::string> row{run.name, run.history.status};
    if (shown == records.end()) {
      row.resize(5 + series.size());
    } else {
      row.insert(row.end(), {known ? fmt::format("best {}", best->monitor) : "last", std::to_string(shown->epoch),
                             std::to_string(shown->step)});
      for (const std::string& name : series) row.push_back(cell(*shown, name));
    }
    table.add(std::move(row));
  }
  return table.text();
}

// Several runs, a row for each epoch, or for each step where runs report within epochs.
std::string side_by_side(std::span<const NamedHistory> runs, const std::vector<std::string>& series) {
  const bool epochs = by_epoch(runs);
  std::vector<TextTable::Column> columns{{"epoch", Align::right}};
  if (!epochs) columns.push_back({"step", Align::right});
  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<std::string>> rows;
  std::size_t used = 0;
  for (const std::string& name : series) {
    for (const NamedHistory& run : runs) {
      if (!has_series(run.history, name)) continue;
      columns.push_back({fmt::format("{} {}", run.name, name), Align::right});
      ++used;
      for (const HistoryRecord& record : run.history.records) {
        std::vector<std::string>& row = epochs ? rows[{record.epoch, 0}] : rows[{record.step, record.epoch}];
        row.resize(used);
        row.back() = cell(record, name);
      }
    }
  }
  TextTable table(std::move(columns));
  for (auto& [at, row] : rows) {
    std::vector<std::string> cells{std::to_string(epochs ? at.first : at.second)};
    if (!epochs) cells.push_back(std::to_string(at.first));
    cells.insert(cells.end(), row.begin(), row.end());
    table.add(std::move(cells));
  }
  return table.text();
}

// Where a series was lowest and highest: which of them is good is for the reader to say.
std::string extremes(const History& history, const std::string& name) {
  const HistoryRecord* low = nullptr;
  const HistoryRecord* high = nullptr;
  const auto at = [&](const HistoryRecord& record) { return find_value(record.values, name).value_or(NAN); };
  for (const HistoryRecord& record : history.records) {
    if (std::isnan(at(record))) continue;
    if (!low || at(record) < at(*low)) low = &record;
    if (!high || at(record) > at(*high)) high = &record;
  }
  if (!low) return "";
  return fmt::format("{}: lowest {:.5g} at epoch {}, highest {:.5g} at epoch {}\n", name, at(*low), low->epoch,
                     at(*high), high->epoch);
}

std::string summary(const NamedHistory& run, const std::vector<std::string>& series) {
  const History& history = run.history;
  std::string text = fmt::format("{}: {}{}{}\n", run.name, history.status, history.stop_reason.empty() ? "" : ", ",
                                 history.stop_reason);
  if (history.best) {
    const HistoryBest& best = *history.best;
    return text + fmt::format("  best epoch {} (step {}): {} {:.5g}, the {} of all\n", best.epoch, best.step,
                              best.monitor, best.value, best.mode == "max" ? "highest" : "lowest");
  }
  for (const std::string& name : series) {
    if (const std::string line = extremes(history, name); name.starts_with("val/") && !line.empty())
      text += "  " + line;
  }
  return text;
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? "\"\"" : std::string(1, c);
  return result + '"';
}

std::string csv_number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return number_text(value);
}

}  // namespace

std::vector<std::string> series_names(std::span<const NamedHistory> runs) {
  std::vector<std::string> names;
  for (const NamedHistory& run : runs) {
    for (const HistoryRecord& record : run.history.records) {
      for (const auto& [name, value] : record.values) {
        if (std::ranges::find(names, name) == names.end()) names.push_back(name);
      }
    }
  }
  return names;
}

void find_best(std::span<NamedHistory> runs, const std::string& name, bool most) {
  chosen(runs, {name});
  for (NamedHistory& run : runs) {
    std::optional<HistoryBest> best;
    for (const HistoryRecord& record : run.history.records) {
      const double value = find_value(record.values, name).value_or(NAN);
      if (std::isnan(value) || (best && (most ? value <= best->value : value >= best->value))) continue;
      best = {name, most ? "max" : "min", value, record.epoch, record.step};
    }
    run.history.best = best;
  }
}

std::string history_text(std::span<const NamedHistory> runs, const std::vector<std::string>& wanted) {
  const std::vector<std::string> series = chosen(runs, wanted);
  if (runs.size() > 1 && wanted.empty()) return a_row_each(runs, series);
  std::string text = runs.size() == 1 ? one_run(runs.front(), series) : side_by_side(runs, series);
  for (const NamedHistory& run : runs) text += summary(run, series);
  return text;
}

std::string history_csv(std::span<const NamedHistory> runs, const std::vector<std::string>& wanted) {
  const std::vector<std::string> series = chosen(runs, wanted);
  std::string text = "run,epoch,step,samples";
  for (const std::string& name : series) text += "," + quoted(name);
  text += ",seconds\r\n";
  for (const NamedHistory& run : runs) {
    for (const HistoryRecord& record : run.history.records) {
      text += fmt::format("{},{},{},{}", quoted(run.name), record.epoch, record.step, record.samples);
      for (const std::string& name : series) {
        const auto value = find_value(record.values, name);
        text += "," + (value ? csv_number(*value) : std::string());
      }
      text += fmt::format(",{}\r\n", csv_number(seconds_of(record)));
    }
  }
  return text;
}

std::vector<Panel> history_panels(std::span<const NamedHistory> runs, const std::vector<std::string>& wanted) {
  const bool epochs = by_epoch(runs);
  std::vector<Panel> panels;
  for (const std::string& name : chosen(runs, wanted)) {
    const std::string measure = name.substr(name.find('/') + 1);
    auto panel = std::ranges::find(panels, measure, &Panel::y_label);
    if (panel == panels.end()) {
      panels.push_back({.x_label = epochs ? "epoch" : "step", .y_label = measure, .curves = {}});
      panel = panels.end() - 1;
    }
    for (const NamedHistory& run : runs) {
      Curve curve{.label = runs.size() == 1 ? name : fmt::format("{} {}", run.name, name), .points = {}};
      for (const HistoryRecord& record : run.history.records) {
        const auto x = static_cast<double>(epochs ? record.epoch : record.step);
        if (const auto value = find_value(record.values, name)) curve.points.push_back({x, *value});
      }
      if (!curve.points.empty()) panel->curves.push_back(std::move(curve));
    }
  }
  return panels;
}

}  // namespace trainctl
