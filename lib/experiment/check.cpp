#include "experiment/check.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/byte_count.h"
#include "base/error.h"
#include "experiment/modules.h"
#include "program/plan.h"
#include "schema/json_text.h"
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

std::string memory_text(const Blueprint& blueprint, const Plans& plans, const Device& device) {
  auto largest = plans.begin();
  std::string text = "programs\n";
  for (const ProgramKey& key : blueprint.programs()) {
    const auto program = plans.find(key);
    const Plan& plan = program->second;
    text += fmt::format("  {}: {} launches, {} arena, {} FLOPs\n", key.text(), plan.steps.size(),
                        human_bytes(static_cast<double>(plan.arena_bytes)), count_text(plan.total_cost().flops));
    if (plan.arena_bytes > largest->second.arena_bytes) largest = program;
    for (const PlannedStep* step : plan.reference_steps()) {
      text += fmt::format("    slow: '{}' of {} falls back to the float64 reference\n", step->op->name(), step->path);
    }
  }
  const MemoryPlan memory = plan_memory(blueprint, plans, device);
  text += fmt::format("memory\n  {}\n", memory.text());
  if (const auto own = device.memory()) {
    text += fmt::format("  of {} on the device, of which {} are free\n", human_bytes(static_cast<double>(own->total)),
                        human_bytes(static_cast<double>(own->free)));
  }
  if (std::ranges::any_of(plans, [](const auto& program) { return program.second.names_alternatives(); }))
    text += "  what training finds fastest (deterministic: false) may take more or less\n";
  for (const std::string& split : blueprint.splits())
    text += fmt::format("  data.{}: {}\n", split,
                        placement_text(blueprint.placement(split), blueprint.data(split).bytes(), device));
  if (memory.host > 0) {
    text += fmt::format("  batches that are read ahead: {} of the host's memory\n",
                        human_bytes(static_cast<double>(memory.host)));
  }
  const Plan::Peak peak = largest->second.peak();
  if (peak.step >= 0) {
    const PlannedStep& step = largest->second.steps[peak.step];
    text += fmt::format("  peak of the arena: {} at {} {} ({})\n", human_bytes(static_cast<double>(peak.bytes)),
                        step.op->name(), step.path, largest->first.text());
    for (std::size_t i = 0; i < std::min<std::size_t>(peak.live.size(), 12); ++i) {
      text +=
          fmt::format("    {:>10}  {}\n", human_bytes(static_cast<double>(peak.live[i]->bytes)), peak.live[i]->name);
    }
    if (peak.live.size() > 12) text += fmt::format("    and {} smaller\n", peak.live.size() - 12);
  }
  return text;
}

Json memory_json(const Blueprint& blueprint, const MemoryPlan& memory, const Device& device) {
  Json json = {{"data", memory.data},           {"state", memory.state},     {"working_copies", memory.copies},
               {"constants", memory.constants}, {"scalars", memory.scalars}, {"arena", memory.arena},
               {"total", memory.total()},       {"host", memory.host}};
  if (const auto own = device.memory()) json["device"] = {{"free", own->free}, {"total", own->total}};
  json["placements"] = Json::object();
  for (const std::string& split : blueprint.splits()) {
    const Placement& placement = blueprint.placement(split);
    json["placements"][split] = {{"bytes", blueprint.data(split).bytes()},
                                 {"places", placement.places},
                                 {"loaded", placement.loaded},
                                 {"reason", placement.reason}};
  }
  return json;
}

Json report_json(const Experiment& experiment, const Blueprint& blueprint, const Plans& plans, const Device& device) {
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
  for (const ProgramKey& key : blueprint.programs()) {
    const Plan& plan = plans.at(key);
    Json steps = Json::array();
    for (const PlannedStep& step : plan.steps) {
      steps.push_back({{"op", step.op->name()},
                       {"layer", step.path},
                       {"kernel", step.kernel->name},
                       {"implementation", step.plan.implementation}});
    }
    const Plan::Peak peak = plan.peak();
    Json live = Json::array();
    for (const Storage* storage : peak.live) live.push_back({{"name", storage->name}, {"bytes", storage->bytes}});
    json["programs"].push_back({{"name", key.text()},
                                {"arena_bytes", plan.arena_bytes},
                                {"peak_bytes", peak.bytes},
                                {"live_at_peak", live},
                                {"flops", plan.total_cost().flops},
                                {"steps", steps}});
  }
  json["memory"] = memory_json(blueprint, plan_memory(blueprint, plans, device), device);
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
    report.json = json_text({{"resolved", report.resolved_yaml}}, 2);
    return report;
  }
  const std::string wanted = options.device.empty() ? experiment.spec.trainer.device : options.device;
  const DataInfos data = describe_data(experiment.spec);
  std::unique_ptr<Device> device;
  try {
    device = open_device(wanted, static_cast<int>(experiment.spec.trainer.threads));
  } catch (const Error&) {
    Blueprint(experiment.spec, data);  // what is wrong with the experiment comes first
    throw;
  }
  PreparedBlueprint prepared = prepare_blueprint(experiment.spec, data, *device);
  Blueprint& blueprint = *prepared.blueprint;
  report.resolved_yaml = experiment.resolved_yaml();  // now with what was fitted
  check_labels(experiment.spec, blueprint);
  InitialWeights(experiment.spec, blueprint.state());
  report.text +=
      report.resolved_yaml + "\n" + layer_table(blueprint) + "\n" + memory_text(blueprint, prepared.plans, *device);
  report.json = json_text(report_json(experiment, blueprint, prepared.plans, *device), 2);
  return report;
}

}  // namespace trainctl
