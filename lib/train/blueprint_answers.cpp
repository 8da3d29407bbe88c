// What models answer: predictions, and what results hold them against.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "nn/located.h"
#include "train/blueprint.h"
#include "train/notes.h"

namespace trainctl {

void Blueprint::answer(Builder& builder, const ProgramKey& key, const Batch& batch) {
  if (key.phase == Phase::predict) {
    return located(
        spec_.step.source(), [this] { return "step '" + spec_.step.type() + "'"; },
        [&] {
          spec_.step->predict(builder, assembly_, {key.phase, key.split}, batch);
        });
  }
  spec_.step->build(builder, assembly_, {Phase::evaluate, key.split}, batch);
  if (!answers_.target.empty() && key.phase == Phase::evaluate)
    builder.graph().output("target", batch.original(answers_.target));
}

std::string target_of(const ExperimentSpec& spec, const std::optional<std::string>& named) {
  if (named) return *named;
  const std::vector<LabelledLoss> losses = spec.step->losses(spec.loss ? &*spec.loss : nullptr);
  if (!losses.empty()) return losses.front().field;
  fail(ErrorKind::config, "the step '{}' holds its predictions against nothing; name a field as `target`",
       spec.step.type());
}

std::string Blueprint::output_for(const std::string& target) const {
  for (const std::string& name : {std::string("output"), "output/" + target}) {
    if (std::ranges::find(model_graph_->outputs(), name, &Graph::Output::name) != model_graph_->outputs().end())
      return name;
  }
  fail(ErrorKind::config, "the step '{}' gives no predictions of '{}' in evaluation", spec_.step.type(), target);
}

PredictionInfo Blueprint::predictions(std::string_view split, const std::string& target) {
  const auto output = std::ranges::find(model_graph_->outputs(), output_for(target), &Graph::Output::name);
  const Field& field = data(split).field(target);
  Graph graph(state_);
  Builder builder(graph, context_, false);
  const TensorType seen = batch(builder, split, 1).original(target).type();
  PredictionInfo info{.output = model_graph_->info(output->value).type.shape.slice(1), .target = seen.shape.slice(1)};
  info.target_dtype = seen.dtype;
  info.probabilities = spec_.model && spec_.model->output;
  info.class_names = field.class_names;
  return info;
}

std::vector<Field> Blueprint::fields_in_use(std::string_view split) const {
  const Graph& graph = *model_graph_;
  std::vector<int> open;
  std::set<int> seen;
  for (const Graph::Output& output : graph.outputs()) open.push_back(output.value);
  const std::string prefix = fmt::format("data/{}/", split);
  std::vector<Field> used;
  while (!open.empty()) {
    const int value = open.back();
    open.pop_back();
    if (!seen.insert(value).second) continue;
    const auto& info = graph.info(value);
    if (info.state >= 0 && state_[info.state].name.starts_with(prefix)) {
      const std::string name = state_[info.state].name.substr(prefix.size());
      if (data(split).has(name)) used.push_back(data(split).field(name));
    }
    if (info.node < 0) continue;
    for (const int input : graph.nodes()[info.node].inputs) open.push_back(input);
  }
  std::ranges::sort(used, {}, &Field::name);
  return used;
}

void Blueprint::check_results(Diagnostics& problems) {
  for (const std::string& split : spec_.results->splits) {
    if (!data_.contains(split)) continue;
    for (const auto& [name, package] : spec_.results->packages) {
      if (!package->is_of(split)) continue;
      try {
        package->begin(predictions(split, target_of(spec_, spec_.results->target)));
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::config) throw;
        note(problems, package.source(), fmt::format("results.packages.{}", name), error.what());
      }
    }
  }
}

}  // namespace trainctl
