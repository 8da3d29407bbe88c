#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "arguments.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "output.h"
#include "report/history_table.h"
#include "report/text_plot.h"
#include "schema/json_text.h"
#include "store/checkpoint_store.h"
#include "store/json_values.h"
#include "store/run_directory.h"

namespace trainctl::app {
namespace {

/// The history of a run directory; where history.json is damaged, what the newest checkpoint holds of it.
History read_history(const std::filesystem::path& run) {
  if (!std::filesystem::is_directory(run)) {
    fail(ErrorKind::data, "{}: not a run directory; it is the folder that `trainctl train` printed", run.string());
  }
  const RunPaths paths{run};
  try {
    return History::read(paths.history());
  } catch (const Error& error) {
    if (!std::filesystem::is_directory(paths.checkpoints())) throw;
    const auto found = CheckpointStore(paths.checkpoints()).newest_valid();
    if (!found) throw;
    log::warn("{}; showing what {} holds", error.what(), found->file.path.string());
    return History::from_json(found->reader.history_json(), found->file.path.string());
  }
}

/// The last parts of the paths, or the paths as given where those are equal.
std::vector<std::string> short_names(const std::vector<std::string>& runs) {
  std::vector<std::string> names;
  for (const std::string& run : runs) {
    std::filesystem::path path(run);
    if (!path.has_filename()) path = path.parent_path();
    const std::string name = path.filename().string();
    if (name.empty() || name == "." || std::ranges::find(names, name) != names.end()) return runs;
    names.push_back(name);
  }
  return names;
}

/// Whether the locale's encoding is UTF-8, by the variables that say so.
bool utf8_locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (!value || !*value) continue;
    std::string text(value);
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text.find("utf-8") != std::string::npos || text.find("utf8") != std::string::npos;
  }
  return false;
}

/// As wide as the terminal, or $COLUMNS, or 80 characters.
TextPlotStyle terminal_style(bool no_color) {
  TextPlotStyle style{.unicode = utf8_locale(), .colours = !no_color && log::fancy_terminal(STDOUT_FILENO)};
  winsize size{};
  const char* columns = std::getenv("COLUMNS");
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    style.columns = size.ws_col;
  else if (columns && std::atoi(columns) > 0)
    style.columns = std::min(std::atoi(columns), 1000);
  return style;
}

class ShowHistory final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.positionals(
        "RUN", runs_,
        "Run directories. Of several the best report of each is shown, or with --series their values side by side.");
    arguments.option("--series", series_, "NAMES",
                     "Only these values, separated by commas, as in --series val/loss,val/accuracy.");
    arguments.option("--plot", plot_, "FILE", "Also draw the curves, as an SVG picture, or with - in the terminal.");
    arguments.option("--best", best_, "NAME", "Show the best report by this value, with --mode.");
    arguments.choice("--mode", mode_, {"min", "max"}, "Whether less or more is better.");
    arguments.flag("--csv", csv_, "CSV instead of a table.");
    arguments.example("trainctl history runs/examples/fashion-mnist-lenet-1");
    arguments.example("trainctl history runs/examples/fashion-mnist-lenet-1 --plot - --best val/accuracy --mode max");
    arguments.example("trainctl history runs/examples/* --best val/accuracy --mode max");
    arguments.example("trainctl history runs/examples/* --series val/accuracy --plot accuracy.svg");
  }

  int run(const Globals& globals) override {
    if (globals.json && csv_) fail(ErrorKind::usage, "history: --json and --csv are two formats; give one of them");
    if (best_.empty() != mode_.empty())
      fail(ErrorKind::usage, "history: --best and --mode (min or max) go together; which is better is not guessed");
    const bool in_terminal = plot_ == "-";
    if (in_terminal && (globals.json || csv_))
      fail(ErrorKind::usage, "history: --plot - is for reading; with --json or --csv give a file");
    std::vector<std::string> series;
    for (const std::string& name : split(series_, ',')) {
      if (!trimmed(name).empty()) series.emplace_back(trimmed(name));
    }
    const std::vector<std::string> names = short_names(runs_);
    std::vector<NamedHistory> histories;
    for (std::size_t i = 0; i < runs_.size(); ++i) histories.push_back({names[i], read_history(runs_[i])});
    if (!best_.empty()) find_best(histories, best_, mode_ == "max");
    std::string table = csv_ ? history_csv(histories, series) : history_text(histories, series);
    if (in_terminal) {
      table += "\n" + text_plot(history_panels(histories, series), terminal_style(globals.no_color));
    } else if (!plot_.empty()) {
      write_file_atomic(plot_, svg_plot(join(names, ", "), history_panels(histories, series)));
      log::info("wrote {}", plot_);
    }
    if (globals.json)
      print_json(json_of(histories));
    else
      print(table);
    return 0;
  }

 private:
  Json json_of(const std::vector<NamedHistory>& histories) const {
    Json list = Json::array();
    for (std::size_t i = 0; i < histories.size(); ++i) {
      Json entry = {{"run", runs_[i]}};
      entry.update(parse_json(histories[i].history.to_json()));
      list.push_back(std::move(entry));
    }
    return {{"runs", std::move(list)}};
  }

  std::vector<std::string> runs_;
  std::string series_, plot_, best_, mode_;
  bool csv_ = false;
};

}  // namespace

std::unique_ptr<Command> make_history() {
  return std::make_unique<ShowHistory>();
}

}  // namespace trainctl::app
