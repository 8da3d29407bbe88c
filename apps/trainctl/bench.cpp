#include "experiment/bench.h"

#include <nlohmann/json.hpp>

#include "arguments.h"
#include "base/signals.h"
#include "output.h"
#include "report/text_table.h"
#include "store/json_values.h"

namespace trainctl::app {
namespace {

double per_second(double count, double seconds) {
  return seconds > 0.0 ? count / seconds : 0.0;
}

double seconds_of_all(const BenchResult& result) {
  double sum = 0.0;
  for (const BenchOp& op : result.ops) sum += op.median_s;
  return sum;
}

double mebibytes(std::size_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

class Bench final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("CONFIG", config_, "The experiment, a YAML file.");
    arguments.overrides(options_.overrides);
    arguments.device(options_.device);
    arguments.option("--steps", options_.steps, "Updates in each repeat; by default as many as take about a second.");
    arguments.option("--repeats", options_.repeats, "Repeats, of which the median counts.");
    arguments.flag("--no-ops", no_ops_, "Measure whole updates alone, and not each op by itself too.");
    arguments.example("trainctl bench configs/bench/lenet.yaml --set trainer.threads=2");
  }

  int run(const Globals& globals) override {
    signals::install();
    options_.config = config_;
    options_.ops = !no_ops_;
    const BenchResult result = bench(options_);
    if (globals.json)
      print_json(json_of(result));
    else
      print(text_of(result));
    return 0;
  }

 private:
  static Json json_of(const BenchResult& result) {
    Json ops = Json::array();
    for (const BenchOp& op : result.ops) {
      ops.push_back({{"op", op.op},
                     {"path", op.path},
                     {"implementation", op.implementation},
                     {"median_s", op.median_s},
                     {"gflops_per_s", per_second(op.flops, op.median_s) / 1e9},
                     {"gbytes_per_s", per_second(op.bytes, op.median_s) / 1e9},
                     {"flops", op.flops},
                     {"bytes", op.bytes},
                     {"reference", op.reference}});
    }
    Json losses = Json::array();
    for (const double loss : result.losses) losses.push_back(number_to_json(loss));
    return {{"device", result.device},
            {"threads", result.threads},
            {"batch", result.batch},
            {"samples_per_s", result.median_samples_per_s},
            {"samples_per_s_all", result.samples_per_s},
            {"first_step_s", result.first_step_s},
            {"peak_rss_mib", result.peak_rss_mib},
            {"peak_device_mib", result.peak_device_mib},
            {"arena_bytes", result.arena_bytes},
            {"state_bytes", result.state_bytes},
            {"ops", std::move(ops)},
            {"losses", std::move(losses)}};
  }

  static std::string text_of(const BenchResult& result) {
    using enum TextTable::Align;
    TextTable table(
        {{"op"}, {"layer"}, {"implementation"}, {"us", right}, {"share", right}, {"GF/s", right}, {"GB/s", right}});
    const double total = seconds_of_all(result);
    double flops = 0.0, bytes = 0.0;
    bool reference = false;
    const auto row = [&](const std::string& op, const std::string& path, const std::string& by, double s, double f,
                         double b) {
      table.add({op, path, by, fmt::format("{:.1f}", s * 1e6), fmt::format("{:.1f} %", 100.0 * per_second(s, total)),
                 fmt::format("{:.1f}", per_second(f, s) / 1e9), fmt::format("{:.1f}", per_second(b, s) / 1e9)});
    };
    for (const BenchOp& op : result.ops) {
      row(op.op, op.path, op.implementation + (op.reference ? "  (!)" : ""), op.median_s, op.flops, op.bytes);
      flops += op.flops;
      bytes += op.bytes;
      reference |= op.reference;
    }
    row("all", "", "", total, flops, bytes);
    std::string text = result.ops.empty() ? "" : table.text();
    if (reference) text += "(!) the plain reference: no fast kernel for this op and shape\n";
    if (!text.empty()) text += "\n";
    text += fmt::format("{}, {} threads, batch {}\n", result.device, result.threads, result.batch);
    text += fmt::format("{:.0f} samples/s, the median of", result.median_samples_per_s);
    for (const double rate : result.samples_per_s) text += fmt::format(" {:.0f}", rate);
    text += fmt::format("\nfirst step done {:.3f} s after the start of the process\n", result.first_step_s);
    text += fmt::format("peak memory {:.1f} MiB; of it {:.1f} MiB activations, {:.1f} MiB parameters, slots and data\n",
                        result.peak_rss_mib, mebibytes(result.arena_bytes), mebibytes(result.state_bytes));
    return text;
  }

  BenchOptions options_;
  std::string config_;
  bool no_ops_ = false;
};

}  // namespace

std::unique_ptr<Command> make_bench() {
  return std::make_unique<Bench>();
}

}  // namespace trainctl::app
