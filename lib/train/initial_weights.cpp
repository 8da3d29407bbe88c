#include "train/initial_weights.h"

#include <fnmatch.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "store/checkpoint_store.h"

namespace trainctl {
namespace {

bool matches_any(const std::vector<std::string>& patterns, const std::string& name) {
  return std::ranges::any_of(
      patterns, [&](const std::string& pattern) { return fnmatch(pattern.c_str(), name.c_str(), 0) == 0; });
}

/// "model/" or "models/<name>/" of what the checkpoint holds: the model asked for, its only one, or the one called
/// `own_name`.
std::string source_prefix(const CheckpointReader& reader, const InitFrom& from, const std::string& own_name) {
  std::vector<std::string> names;
  bool single = false;
  for (const auto& entry : reader.arrays()) {
    single |= entry.path.starts_with("model/");
    if (!entry.path.starts_with("models/")) continue;
    const std::string name = entry.path.substr(7, entry.path.find('/', 7) - 7);
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  if (from.model.empty() && single) return "model/";
  if (from.model.empty() && names.size() == 1) return Assembly::prefix_of(names[0]);
  const std::string& wanted = from.model.empty() ? own_name : from.model;
  if (std::ranges::find(names, wanted) != names.end()) return Assembly::prefix_of(wanted);
  fail(ErrorKind::data, "{}: has no model '{}'; it holds {}", reader.path().string(), wanted,
       single ? "one without a name: leave `model` out" : join(names, ", "));
}

}  // namespace

void expect_average(const CheckpointReader& reader, const std::string& average, ErrorKind kind) {
  std::vector<std::string> names{model_weights};
  for (const auto& entry : reader.arrays()) {
    if (!entry.path.starts_with("average/")) continue;
    const std::string name = entry.path.substr(8, entry.path.find('/', 8) - 8);
    if (name == average) return;
    if (names.back() != name) names.push_back(name);
  }
  fail(kind, "{}: has no weights '{}'; it holds {}.{}", reader.path().string(), average, join(names, ", "),
       suggestion(average, names));
}

InitialWeights::InitialWeights(const ExperimentSpec& spec, const StateSpec& state) {
  if (spec.model && spec.model->init_from) read("", *spec.model->init_from, state);
  for (const auto& [name, model] : spec.models) {
    if (model.init_from) read(name, *model.init_from, state);
  }
}

void InitialWeights::read(const std::string& model_name, const InitFrom& from, const StateSpec& state) {
  const CheckpointReader reader = open_run_or_checkpoint(from.checkpoint.value);
  const std::string theirs = source_prefix(reader, from, model_name), ours = Assembly::prefix_of(model_name);
  if (from.weights != model_weights) expect_average(reader, from.weights, ErrorKind::data);
  std::string differences;
  std::size_t taken = 0;
  for (int i = 0; i < state.size(); ++i) {
    if (!state[i].name.starts_with(ours)) continue;
    const std::string name = state[i].name.substr(ours.size());
    if (!matches_any(from.match, name)) continue;
    const CheckpointReader::Entry* entry = nullptr;
    if (from.weights != model_weights) entry = reader.find(average_path(from.weights, theirs + name));
    if (!entry) entry = reader.find(theirs + name);
    if (!entry || entry->type != state[i].type) {
      differences +=
          fmt::format("\n  {}: {}, expected {}", name, entry ? entry->type.text() : "missing", state[i].type.text());
      continue;
    }
    const ByteSpan bytes = reader.bytes_of(*entry);
    arrays_.push_back({i, {bytes.begin(), bytes.end()}});
    ++taken;
  }
  for (const auto& entry : reader.arrays()) {
    if (!entry.path.starts_with(theirs)) continue;
    const std::string name = entry.path.substr(theirs.size());
    if (matches_any(from.match, name) && state.find(ours + name) < 0)
      differences += fmt::format("\n  {}: {}, not expected", name, entry.type.text());
  }
  const std::string whose = model_name.empty() ? "the model" : "models." + model_name;
  if (taken == 0 && differences.empty()) {
    fail(ErrorKind::config, "init_from of {}: {} matches nothing in the model", whose, join(from.match, ", "));
  }
  if (!differences.empty() && from.strict) {
    fail(ErrorKind::data, "{}: does not fit {} (say `strict: false` to take what does):{}", reader.path().string(),
         whose, differences);
  }
  if (!differences.empty()) log::warn("{}: not all of it fits {}:{}", reader.path().string(), whose, differences);
  log::info("{} begins with {} arrays of {}", whose, taken, reader.path().string());
}

void InitialWeights::write(StateStore& store) const {
  for (const Array& array : arrays_) store.write(array.state, array.bytes.data());
}

}  // namespace trainctl
