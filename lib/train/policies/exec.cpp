#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <variant>

#include "base/clock.h"
#include "base/command.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "schema/json_text.h"
#include "store/json_values.h"
#include "train/policy.h"

namespace trainctl {
namespace {

enum class When : std::uint8_t { report, epoch, best, end };
enum class OnFailure : std::uint8_t { warn, stop };

}  // namespace
template <>
struct EnumNames<When> {
  static constexpr EnumName<When> names[] = {
      {When::report, "report"}, {When::epoch, "epoch"}, {When::best, "best"}, {When::end, "end"}};
};
template <>
struct EnumNames<OnFailure> {
  static constexpr EnumName<OnFailure> names[] = {{OnFailure::warn, "warn"}, {OnFailure::stop, "stop"}};
};
namespace {

using CommandText = std::variant<std::string, std::vector<std::string>>;

/// `text` with what `${secret:NAME}` in `command` stands for put back as it is written there.
std::string without_secrets(std::string text, const std::string& command) {
  constexpr std::string_view open = "${secret:";
  for (std::size_t at = command.find(open); at != std::string::npos; at = command.find(open, at + 1)) {
    const std::string reference = command.substr(at, command.find('}', at) + 1 - at);
    const char* secret = std::getenv(reference.substr(open.size(), reference.size() - open.size() - 1).c_str());
    if (!secret || !*secret) continue;
    const std::string_view hidden = secret;
    for (std::size_t found = text.find(hidden); found != std::string::npos;
         found = text.find(hidden, found + reference.size()))
      text.replace(found, hidden.size(), reference);
  }
  return text;
}

/// For which events of a run commands have been run, in its events.jsonl: a line each, written when the command has
/// ended. What a run that was killed and resumed comes by again is not done again, unless its values are others than
/// before: then the run has gone another way, by a rollback or by force.
class Done {
 public:
  explicit Done(std::filesystem::path file) : file_(std::move(file)) {
    std::ifstream lines(file_);
    for (std::string line; std::getline(lines, line);) {
      torn_ = lines.eof();
      const Json event = parse_json_or_discard(line);
      if (event.is_object()) keep(event);  // else the last line of a run that was killed
    }
  }
  /// What was wrong with the command (empty: nothing) that has been run for an event of that policy, name, step and
  /// values, or null.
  const std::string* find(const Json& event) const {
    const auto found = done_.find(key(event));
    return found == done_.end() ? nullptr : &found->second;
  }
  void add(const Json& event) {
    keep(event);
    std::ofstream out(file_, std::ios::app);
    out << (torn_ ? "\n" : "") + json_text(event) + "\n";
    torn_ = false;
    if (!out.flush()) log::warn("{} cannot be written; a resume may run the command again", file_.string());
  }

 private:
  static std::string key(const Json& event) {
    Json key = Json::array();
    for (const char* part : {"policy", "event", "step", "values"}) key.push_back(event.value(part, Json()));
    return json_text(key);
  }
  void keep(const Json& event) { done_[key(event)] = event.value("fault", ""); }

  std::filesystem::path file_;
  std::map<std::string, std::string> done_;
  bool torn_ = false;  ///< the file ends within a line
};

/// Runs a command at an event of the run, once for each: after history and checkpoint of that moment are written. Its
/// output goes to the log. It knows what it is about from its environment:
///   TRAINCTL_RUN (the run's directory), TRAINCTL_EVENT, TRAINCTL_EPOCH, TRAINCTL_STEP, TRAINCTL_BEST (1 if the report
///   is the best so far, else 0), TRAINCTL_METRICS (the report's values, a JSON object)
/// Training waits for it. One that does not end in `timeout` is ended with all that it started; so is one that still
/// runs two seconds after a signal asks the run to stop, and a resume runs that one again.
struct Exec final : Policy {
  When on = When::epoch;
  CommandText command;
  WallTime timeout{600.0};
  OnFailure on_failure = OnFailure::warn;

  static Schema<Exec> schema() {
    return Schema<Exec>("Run a command at each report, epoch, best report, or at the end.")
        .required("on", &Exec::on, "The event; a report is made at each epoch's end and each validation within one.")
        .required("command", &Exec::command, non_empty(), trainctl::resume(Resume::safe),
                  "A program and its arguments, as a list; or a text for /bin/sh.")
        .field("timeout", &Exec::timeout, above(0.0), trainctl::resume(Resume::safe),
               "The command is ended after that.")
        .field("on_failure", &Exec::on_failure,
               "What an exit status other than 0, or no end in time, brings: a warning, or the end of training.")
        .example("{type: exec, on: best, command: 'cp -L \"$TRAINCTL_RUN/checkpoints/best.h5\" /backup/'}")
        .example("{type: exec, on: end, command: [mail, -s, training has ended, me@example.org], timeout: 30 s}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const {
    const auto* list = std::get_if<std::vector<std::string>>(&command);
    if (list && !list->empty() && list->front().empty())
      diagnostics.error(*node.find("command"), "the program's name is empty.");
  }
  std::string settle(double, const Schedule&) override {
    try {
      (void)argv(true);
    } catch (const Error& error) {
      return error.what();
    }
    const std::string program = argv(false).front();
    if (!find_program(program).empty()) return {};
    return fmt::format("there is no program '{}' {}.", printable(program),
                       program.find('/') == std::string::npos ? "in PATH" : "that may be executed");
  }
  bool needs_best() const override { return on == When::best; }
  void happened(const Event& event, Requests& requests) override {
    const bool due = on == When::report || (on == When::epoch && event.epoch) || (on == When::best && event.best) ||
                     (on == When::end && event.end);
    if (!due) return;
    if (!done_) done_.emplace(event.run / "events.jsonl");
    Json line = {{"policy", std::string(event.policy)},
                 {"event", event_name()},
                 {"epoch", event.record.epoch},
                 {"step", event.record.step},
                 {"values", values_to_json(event.record.values)}};
    const std::string* known = done_->find(line);
    const std::string fault = known ? *known : run(event, std::move(line));
    if (!fault.empty() && on_failure == OnFailure::stop) requests.ask_stop(fault);
  }

 private:
  std::string event_name() const { return EnumNames<When>::names[static_cast<int>(on)].name; }

  /// The words of the command, with or without what secrets stand for.
  std::vector<std::string> argv(bool revealed) const {
    std::vector<std::string> words{"/bin/sh", "-c"};
    if (const auto* text = std::get_if<std::string>(&command))
      words.push_back(*text);
    else
      words = std::get<std::vector<std::string>>(command);
    if (revealed) std::ranges::transform(words, words.begin(), [](const std::string& word) { return reveal(word); });
    return words;
  }

  std::vector<std::pair<std::string, std::string>> environment(const Event& event) const {
    return {{"TRAINCTL_RUN", event.run.string()},
            {"TRAINCTL_EVENT", event_name()},
            {"TRAINCTL_EPOCH", std::to_string(event.record.epoch)},
            {"TRAINCTL_STEP", std::to_string(event.record.step)},
            {"TRAINCTL_BEST", event.best ? "1" : "0"},
            {"TRAINCTL_METRICS", json_text(values_to_json(event.record.values))}};
  }

  /// Runs it and takes note of it by `line`, unless it was ended for a stop. Returns what was wrong.
  std::string run(const Event& event, Json line) {
    const std::string shown = join(argv(false), " ");
    const double begin = monotonic_seconds();
    const CommandEnd end = run_command(
        {argv(true), environment(event), timeout.seconds},
        [&](std::string_view said) {
          log::info("{}: {}", event.policy, printable(without_secrets(std::string(said), shown), 4096));
        },
        [] { return signals::stop_requested(); });
    if (end.how == CommandEnd::How::stopped) {
      log::warn("policies.{}: {}; a resume runs it again", event.policy, end.text(timeout.seconds));
      return {};
    }
    std::string fault;
    if (!end.ok()) {
      fault = fmt::format("policies.{}: '{}': {}", event.policy, printable(shown), end.text(timeout.seconds));
      log::warn("{}", fault);
    }
    line["end"] = end.text(timeout.seconds);
    line["fault"] = fault;
    line["seconds"] = monotonic_seconds() - begin;
    done_->add(line);
    return fault;
  }

  std::optional<Done> done_;
};
const Register<Policy, Exec> registered{"exec"};

}  // namespace
}  // namespace trainctl
