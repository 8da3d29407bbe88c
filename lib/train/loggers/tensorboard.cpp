#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "base/sha256.h"
#include "store/event_file.h"
#include "store/provenance.h"
#include "train/logger.h"

namespace trainctl {
namespace {

namespace fs = std::filesystem;

constexpr int bins = 64;
constexpr std::uint64_t max_file_bytes = std::uint64_t{4} << 30;
/// What waits for a disk that fails; beyond it histograms are left out.
constexpr std::size_t max_pending_bytes = 64 << 20;
constexpr std::string_view line_prefix = "steps/";
constexpr std::string_view weights_prefix = "weights/";
constexpr std::string_view gradients_prefix = "gradients/";

double wall_time_s() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Event files of TensorBoard. Reports are scalars of their names, lines of steps.jsonl are "steps/train/loss", and
/// histograms "weights/0.weight" and "gradients/0.weight", of the last update's gradients before they were clipped.
///
/// Each start writes a file of its own. On resume older ones are cut back to the checkpoint, and the new one begins
/// with the record that makes a running TensorBoard forget what it has read of later steps.
struct TensorBoard final : Logger {
  std::optional<Path> folder;
  std::optional<Progress> histograms;

  static Schema<TensorBoard> schema() {
    return Schema<TensorBoard>("Write event files for TensorBoard.")
        .field("folder", &TensorBoard::folder, resume(Resume::safe),
               "Where: the files go to <folder>/<the run's name>. By default to `tensorboard` in the run's folder.")
        .field("histograms", &TensorBoard::histograms, resume(Resume::safe),
               "How often histograms of weights and gradients are added: with the next report then. Without it never.")
        .example("tensorboard")
        .example("{type: tensorboard, folder: boards, histograms: 1 epoch}");
  }

  Reach open(const RunPaths& paths, const Reach& to) override {
    std::error_code unknown;
    fs::path run = fs::weakly_canonical(paths.root, unknown);
    if (unknown) run = fs::absolute(paths.root, unknown);
    folder_ = folder ? folder->value / run.filename() : paths.tensorboard();
    // Runs of one name may share a folder; each touches its own files alone.
    suffix_ = "trainctl-" + (folder ? sha256_hex(run.string()).substr(0, 12) : std::string("run"));
    file_.close();
    restart_step_ = std::max<std::int64_t>(0, to.line) + 1;
    pending_.clear();
    has_ = {};
    newest_ = 0;
    try {
      cut_back(to);
    } catch (const std::exception& error) {
      warn(error.what());
    }
    return has_;
  }

  void line(const StepRecord& record) override {
    SummaryEvent event{.wall_time_s = wall_time_s(), .step = record.step};
    for (const auto& [name, value] : record.values) event.scalars.emplace_back(std::string(line_prefix) + name, value);
    write(event);
  }

  void report(const HistoryRecord& record) override {
    SummaryEvent event{.wall_time_s = wall_time_s(), .step = record.step, .scalars = record.values};
    for (const auto& [phase, seconds] : record.seconds) event.scalars.emplace_back("seconds/" + phase, seconds);
    write(event);
  }

  void measure(const StateStore& store, const Schedule& schedule, std::int64_t step, std::int64_t last,
               bool accumulated) override {
    if (!histograms) return;
    const std::int64_t every = std::max<std::int64_t>(1, schedule.steps(*histograms));
    if (step / every == last / every || pending_.size() > max_pending_bytes) return;
    SummaryEvent event{.wall_time_s = wall_time_s(), .step = step};
    const StateSpec& spec = store.spec();
    for (int root = 0; root < spec.size(); ++root) {
      constexpr std::string_view prefix = "parameters/";
      if (!spec[root].name.starts_with(prefix)) continue;
      const std::string group = spec[root].name.substr(prefix.size());
      const std::vector<float> weights = store.floats(spec[root].name);
      const std::vector<float> gradients = store.floats((accumulated ? "accumulated/" : "gradients/") + group);
      for (const int member : spec.members(root)) {
        const StateVariable& variable = spec[member];
        const std::string name = variable.name.substr(variable.name.find('/') + 1);
        const auto add = [&](std::string_view kind, const std::vector<float>& from) {
          if (from.empty()) return;
          const std::span<const float> part(from.data() + variable.root_offset, variable.type.elements());
          event.histograms.emplace_back(std::string(kind) + name, Histogram::of(part, bins));
        };
        add(weights_prefix, weights);
        add(gradients_prefix, gradients);
      }
    }
    write(event);
  }

  void flush() override {
    if (pending_.empty()) return;
    try {
      append();
      if (failing_) log::info("{}: caught up", folder_.string());
      failing_ = false;
    } catch (const std::exception& error) {
      warn(error.what());
    }
  }

 private:
  /// Cuts this run's files back, oldest first, and removes those with nothing left.
  void cut_back(const Reach& to) {
    std::vector<fs::path> files;
    if (!fs::is_directory(folder_)) return;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("events.out.tfevents.") && name.ends_with("." + suffix_)) files.push_back(entry.path());
    }
    std::ranges::sort(files);
    bool beyond = false;
    for (const fs::path& file : files) {
      newest_ = std::max<std::int64_t>(newest_, std::atoll(file.filename().c_str() + 20));
      const std::size_t kept = beyond ? 0 : keep(file, to, beyond);
      std::error_code error;
      if (kept == 0)
        fs::remove(file, error);
      else if (fs::file_size(file) != kept)
        fs::resize_file(file, kept, error);
      if (error) fail(ErrorKind::environment, "{}: cannot be cut back: {}", file.string(), error.message());
    }
  }

  /// How many bytes of a file may stay: 0 if there is no value among them. `beyond`: something comes after.
  std::size_t keep(const fs::path& file, const Reach& to, bool& beyond) {
    const Bytes bytes = read_bytes(file, max_file_bytes);
    std::size_t end = 0;
    bool values = false;
    while (const auto record = read_event(bytes.text(), end)) {
      const std::string_view name = record->first_name;
      if (!name.empty()) {
        const bool is_line = name.starts_with(line_prefix);
        const bool is_report = !is_line && !name.starts_with(weights_prefix) && !name.starts_with(gradients_prefix);
        if (record->step > (is_report ? to.report : to.line)) {
          beyond = true;
          break;
        }
        if (is_line) has_.line = record->step;
        if (is_report) has_.report = record->step;
        values = true;
      }
      end = record->end;
    }
    return values ? end : 0;
  }

  void write(const SummaryEvent& event) {
    pending_ += summary_record(event);
    flush();
  }

  /// Appends what is pending; it stays pending if that fails.
  void append() {
    if (!file_) create();
    if (const int code = write_all(file_.get(), bytes_of(pending_))) {
      if (::ftruncate(file_.get(), static_cast<off_t>(size_bytes_)) != 0) file_.close();  // the next begins a new one
      fail_io(path_, "append", code);
    }
    size_bytes_ += pending_.size();
    pending_.clear();
  }

  /// Readers go through files by name, so a later one has a later time.
  void create() {
    fs::create_directories(folder_);
    const double now = wall_time_s();
    newest_ = std::max(newest_ + 1, static_cast<std::int64_t>(now));
    path_ = folder_ / fmt::format("events.out.tfevents.{:010}.{}.{}", newest_, host_name(), suffix_);
    file_ = Fd(file_ops().open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666));
    if (!file_) fail_io(path_, "create", errno);
    const std::string head = version_record(now) + restart_record(now, restart_step_);
    if (const int code = write_all(file_.get(), bytes_of(head))) {
      file_.close();
      ::unlink(path_.c_str());
      fail_io(path_, "write", code);
    }
    size_bytes_ = head.size();
  }

  void warn(const std::string& reason) {
    if (!failing_) log::warn("{}; training goes on, and what is missing is written when that works again", reason);
    failing_ = true;
  }

  fs::path folder_, path_;
  std::string suffix_;
  std::string pending_;  ///< records that are not in the file yet
  Fd file_;
  std::uint64_t size_bytes_ = 0;
  std::int64_t restart_step_ = 0;
  std::int64_t newest_ = 0;  ///< the time in the newest file's name
  Reach has_;
  bool failing_ = false;
};
const Register<Logger, TensorBoard> registered{"tensorboard"};

}  // namespace
}  // namespace trainctl
