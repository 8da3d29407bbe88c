#include "experiment/check.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/byte_count.h"
#include "base/error.h"
#include "experiment/modules.h"
#include "program/plan.h"
#include "train/blueprint.h"
#include "train/session.h"

namespace trainctl {
namespace {

using Json = nlohmann::ordered_json;

std::string count_text(double count) {
  if (count < 1e4) return fmt::format("{:.0f}", count);
  const char* units[] = {"", "k", "M", "G", "T", "P"};
  int unit = 0;
  while (count >= 1000.0 && unit < 5) {
    count /= 1000.0;
    ++unit;
  }
  return fmt::format("{:.2f} {}", count, units[unit]);
}

struct LayerRow {
  const BuiltLayer* layer;
  std::string output;
  std::int64_t parameters = 0;
  double flops = 0.0;  ///< forward, one sample
};

std::vector<LayerRow> layer_rows(const Blueprint& blueprint) {
  std::vector<LayerRow> rows;
  const Graph& graph = blueprint.model_graph();
  const auto batch = static_cast<double>(blueprint.sampler("train").options().batch_size);
  for (const BuiltLayer& layer : blueprint.layers()) {
    LayerRow row{.layer = &layer, .output = {}};
    for (const Value& output : layer.outputs)
      row.output += (row.output.empty() ? "" : ", ") + output.shape().slice(1).text();
    for (const int parameter : layer.parameters) row.parameters += blueprint.state()[parameter].type.elements();
    for (int i = layer.first_node; i < layer.end_node; ++i) {
      const GraphNode& node = graph.nodes()[i];
      const NodeTypes types(graph, node);
      row.flops += node.op->cost(*node.attributes, types.inputs, types.outputs).flops / batch;
    }
    rows.push_back(row);
  }
  return rows;
}

std::string layer_table(const Blueprint& blueprint) {
  const auto rows = layer_rows(blueprint);
  std::size_t path_width = 5, type_width = 4, shape_width = 12;
  for (const LayerRow& row : rows) {
    path_width = std::max(path_width, row.layer->path.size() + 2 * row.layer->depth);
    type_width = std::max(type_width, row.layer->type.size());
    shape_width = std::max(shape_width, row.output.size());
  }
  std::string text = fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>14}\n", "layer", path_width, "type", type_width,
                                 "output shape", shape_width, "parameters", "FLOPs/sample");
  for (const LayerRow& row : rows) {
    text += fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>14}\n",
                        std::string(2 * row.layer->depth, ' ') + row.layer->path, path_width, row.layer->type,
                        type_width, row.output, shape_width, row.parameters, count_text(row.flops));
  }
  std::int64_t parameters = 0;
  for (int i = 0; i < blueprint.state().size(); ++i)
    parameters += blueprint.state()[i].trainable ? blueprint.state()[i].type.elements() : 0;
  text += fmt::format("{} trainable parameters ({})\n", parameters, human_bytes(4.0 * static_cast<double>(parameters)));
  return text;
}

struct PlannedProgram {
  ProgramKey key;
  Plan plan;
};

std::size_t state_bytes(const StateSpec& spec, std::string_view prefix) {
  std::size_t bytes = 0;
  for (int i = 0; i < spec.size(); ++i) {
    if (spec[i].root < 0 && spec[i].name.starts_with(prefix)) bytes += spec[i].type.bytes();
  }
  return bytes;
}

std::string memory_text(const Blueprint& blueprint, const std::vector<PlannedProgram>& programs) {
  const PlannedProgram* largest = &programs.front();
  std::string text = "programs\n";
  for (const PlannedProgram& program : programs) {
    text += fmt::format("  {}: {} launches, {} arena, {} FLOPs\n", program.key.text(), program.plan.steps.size(),
                        human_bytes(static_cast<double>(program.plan.arena_bytes)),
                        count_text(program.plan.total_cost().flops));
    if (program.plan.arena_bytes > largest->plan.arena_bytes) largest = &program;
    for (const PlannedStep* step : program.plan.reference_steps()) {
      text += fmt::format("    slow: '{}' of {} falls back to the float64 reference\n", step->op->name(), step->path);
    }
  }
  const StateSpec& spec = blueprint.state();
  const std::size_t data = state_bytes(spec, "data/");
  const std::size_t state = state_bytes(spec, "") - data;
  std::size_t copies = 0;
  for (const Storage& storage : largest->plan.storages)
    copies += storage.kind == Storage::Kind::working_copy ? storage.bytes : 0;
  text +=
      fmt::format("memory\n  data {}, state {}, working copies {}, arena {}; in all {}\n",
                  human_bytes(static_cast<double>(data)), human_bytes(static_cast<double>(state)),
                  human_bytes(static_cast<double>(copies)), human_bytes(static_cast<double>(largest->plan.arena_bytes)),
                  human_bytes(static_cast<double>(data + state + copies + largest->plan.arena_bytes)));
  for (const std::string& split : blueprint.splits()) {
    if (!blueprint.streams(split)) continue;
    text += fmt::format("  data.{}: {} of samples, read batch by batch\n", split,
                        human_bytes(static_cast<double>(blueprint.data(split).bytes())));
  }
  const Plan::Peak peak = largest->plan.peak();
  if (peak.step >= 0) {
    const PlannedStep& step = largest->plan.steps[peak.step];
    text += fmt::format("  peak of the arena: {} at {} {} ({})\n", human_bytes(static_cast<double>(peak.bytes)),
                        step.op->name(), step.path, largest->key.text());
    for (std::size_t i = 0; i < std::min<std::size_t>(peak.live.size(), 12); ++i) {
      text +=
          fmt::format("    {:>10}  {}\n", human_bytes(static_cast<double>(peak.live[i]->bytes)), peak.live[i]->name);
    }
    if (peak.live.size() > 12) text += fmt::format("    and {} smaller\n", peak.live.size() - 12);
  }
  return text;
}

Json report_json(const Experiment& experiment, const Blueprint& blueprint,
                 const std::vector<PlannedProgram>& programs) {
  Json json;
  json["resolved"] = experiment.resolved_yaml();
  json["layers"] = Json::array();
  for (const LayerRow& row : layer_rows(blueprint)) {
    json["layers"].push_back({{"path", row.layer->path},
                              {"type", row.layer->type},
                              {"output_shape", row.output},
                              {"parameters", row.parameters},
                              {"flops_per_sample", row.flops}});
  }
  json["programs"] = Json::array();
  for (const PlannedProgram& program : programs) {
    Json steps = Json::array();
    for (const PlannedStep& step : program.plan.steps) {
      steps.push_back({{"op", step.op->name()},
                       {"layer", step.path},
                       {"kernel", step.kernel->name},
                       {"implementation", step.plan.implementation}});
    }
    const Plan::Peak peak = program.plan.peak();
    Json live = Json::array();
    for (const Storage* storage : peak.live) live.push_back({{"name", storage->name}, {"bytes", storage->bytes}});
    json["programs"].push_back({{"name", program.key.text()},
                                {"arena_bytes", program.plan.arena_bytes},
                                {"peak_bytes", peak.bytes},
                                {"live_at_peak", live},
                                {"flops", program.plan.total_cost().flops},
                                {"steps", steps}});
  }
  json["data_bytes"] = state_bytes(blueprint.state(), "data/");
  json["state_bytes"] = state_bytes(blueprint.state(), "") - state_bytes(blueprint.state(), "data/");
  return json;
}

/// Reads the labels of every split, where headers promise class numbers: a data Error if one is out of range.
void check_labels(const ExperimentSpec& spec, const Blueprint& blueprint) {
  for (const std::string& split : blueprint.splits()) {
    for (const Field& field : blueprint.data(split).fields)
      if (field.classes > 0) spec.data.find(split)->dataset->load_field(field.name);
  }
}

}  // namespace

CheckReport check(const CheckOptions& options) {
  Experiment experiment = load_experiment(options.config, options.overrides);
  experiment.spec.fitted.reset();
  CheckReport report;
  report.resolved_yaml = experiment.resolved_yaml();
  for (const UserModule& module : user_modules()) report.text += module_text(module);
  sources_of(experiment.spec);
  if (!options.read_data) {
    report.text += report.resolved_yaml;
    report.json = Json({{"resolved", report.resolved_yaml}}).dump(2);
    return report;
  }
  Blueprint blueprint(experiment.spec, describe_data(experiment.spec));
  report.resolved_yaml = experiment.resolved_yaml();  // now with what was fitted
  const std::string wanted = options.device.empty() ? experiment.spec.trainer.device : options.device;
  const auto device = open_device(wanted, static_cast<int>(experiment.spec.trainer.threads));
  check_labels(experiment.spec, blueprint);
  InitialWeights(experiment.spec, blueprint.state());
  std::vector<PlannedProgram> programs;
  for (const ProgramKey& key : blueprint.programs()) {
    const auto graph = blueprint.build(key);
    programs.push_back({key, plan_program(*graph, plan_options(*device, experiment.spec.trainer))});
  }
  report.text += report.resolved_yaml + "\n" + layer_table(blueprint) + "\n" + memory_text(blueprint, programs);
  report.json = report_json(experiment, blueprint, programs).dump(2);
  return report;
}

}  // namespace trainctl
