#include "train/snapshot.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "base/error.h"
#include "schema/json_text.h"
#include "store/json_values.h"
#include "train/trained_fields.h"

namespace trainctl {

using nlohmann::ordered_json;

std::string HostState::to_json() const {
  ordered_json json;
  json["epoch"] = position.epoch;
  json["step"] = position.step;
  json["batch"] = position.batch;
  json["offset"] = position.offset;
  json["samples"] = position.samples;
  json["validated"] = position.validated;
  json["phase"] = position.doing == Position::Doing::train ? "train" : "validate";
  json["finished"] = finished;
  json["reason"] = reason;
  json["logged_sums"] = ordered_json::array();
  for (const double sum : logged_sums) json["logged_sums"].push_back(number_to_json(sum));
  json["logged_samples"] = logged_samples;
  json["health"] = {{"cleared_step", health.cleared_step},
                    {"uncounted", health.uncounted},
                    {"skipped", health.skipped},
                    {"lost", health.lost},
                    {"rollbacks", health.rollbacks},
                    {"rollback_to", health.rollback_to},
                    {"rollbacks_to_it", health.rollbacks_to_it},
                    {"dead_from", health.dead_from},
                    {"dead_until", health.dead_until}};
  json["policies"] = ordered_json::object();
  for (const auto& [name, values] : policies) json["policies"][name] = values_to_json(values);
  return json_text(json);
}

HostState HostState::from_json(std::string_view text, std::string_view source) {
  try {
    const auto json = parse_json(text);
    HostState state;
    state.position = {.epoch = json.at("epoch"),
                      .step = json.at("step"),
                      .batch = json.at("batch"),
                      .offset = json.at("offset"),
                      .samples = json.at("samples"),
                      .doing = json.at("phase") == "train" ? Position::Doing::train : Position::Doing::validate,
                      .validated = json.value("validated", std::int64_t{0})};
    state.finished = json.at("finished");
    state.reason = json.at("reason");
    for (const auto& sum : json.at("logged_sums")) state.logged_sums.push_back(number_from_json(sum));
    state.logged_samples = json.at("logged_samples");
    if (const auto health = json.find("health"); health != json.end()) {
      state.health = {.cleared_step = health->at("cleared_step"),
                      .uncounted = health->at("uncounted"),
                      .skipped = health->at("skipped"),
                      .lost = health->at("lost"),
                      .rollbacks = health->at("rollbacks"),
                      .rollback_to = health->at("rollback_to"),
                      .rollbacks_to_it = health->at("rollbacks_to_it"),
                      .dead_from = health->at("dead_from"),
                      .dead_until = health->at("dead_until")};
    }
    for (const auto& [name, values] : json.at("policies").items()) state.policies[name] = values_from_json(values);
    return state;
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::data, "{}: its position cannot be read ({}); use an older checkpoint", source, error.what());
  }
}

Snapshot::Snapshot(Session& session) : session_(session) {
  const StateSpec& spec = session.blueprint().state();
  std::size_t bytes = 0;
  for (int i = 0; i < spec.size(); ++i) {
    const std::string& name = spec[i].name;
    // Only training and its validation may be interrupted.
    if (!spec[i].saved || name.starts_with("metrics/test/")) continue;
    states_.push_back(i);
    bytes += (spec[i].type.bytes() + 63) / 64 * 64;
  }
  memory_.resize(bytes);
  std::size_t at = 0;
  for (const int state : states_) {
    arrays_.push_back({spec[state].name, {spec[state].type, memory_.data() + at}});
    at += (spec[state].type.bytes() + 63) / 64 * 64;
  }
}

CheckpointContents Snapshot::take(const HostState& host, const History& history, const SnapshotFacts& facts) {
  for (std::size_t i = 0; i < states_.size(); ++i) session_.state().read(states_[i], arrays_[i].view.data);
  CheckpointContents contents;
  contents.arrays = arrays_;
  contents.experiment_yaml = facts.experiment_yaml;
  contents.history_json = history.to_json();
  contents.state_json = host.to_json();
  contents.fields_json = fields_to_json(session_.blueprint().data("train"));
  contents.choices_json = facts.choices_json;
  contents.attributes["format_version"] = std::int64_t{1};
  contents.attributes["epoch"] = host.position.epoch;
  contents.attributes["step"] = host.position.step;
  contents.attributes["graph"] = session_.blueprint().graph_hash();
  contents.attributes["data"] = facts.data_digest;
  contents.attributes["device"] = std::string(session_.device().name());
  contents.attributes["threads"] = static_cast<std::int64_t>(session_.device().threads());
  return contents;
}

bool Snapshot::finite() const {
  for (const StoredArray& array : arrays_) {
    if (array.view.type.dtype != DType::f32) continue;
    const std::span values(array.view.as<const float>(), array.view.type.elements());
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) return false;
  }
  return true;
}

void Snapshot::restore_prefix(const CheckpointReader& reader, std::string_view prefix) {
  std::vector<StoredArray> wanted;
  std::vector<int> states;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (!arrays_[i].path.starts_with(prefix)) continue;
    wanted.push_back(arrays_[i]);
    states.push_back(states_[i]);
  }
  reader.load(wanted, prefix);
  for (std::size_t i = 0; i < states.size(); ++i) session_.state().write(states[i], wanted[i].view.data);
}

namespace {

bool is_sum(std::string_view path) {
  return path.starts_with("metrics/") || path.starts_with("health/");
}

// "optimizer/" of "optimizer/default/exp_avg/0.weight".
std::string first_component(std::string_view path) {
  return std::string(path.substr(0, path.find('/') + 1));
}

}  // namespace

bool Snapshot::restore(const CheckpointReader& reader) {
  std::set<std::string> components;
  bool same_sums = true;
  for (const auto& entry : reader.arrays()) {
    const auto same = [&](const StoredArray& array) { return array.path == entry.path; };
    if (is_sum(entry.path))
      same_sums &= std::ranges::any_of(arrays_, same);
    else
      components.insert(first_component(entry.path));
  }
  for (const StoredArray& array : arrays_) {
    if (!is_sum(array.path)) components.insert(first_component(array.path));
  }
  for (const std::string& component : components) restore_prefix(reader, component);
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (!is_sum(arrays_[i].path)) continue;
    const auto* stored = reader.find(arrays_[i].path);
    const bool known = stored && stored->type == arrays_[i].view.type;
    if (known)
      reader.read(arrays_[i]);
    else
      std::memset(arrays_[i].view.data, 0, arrays_[i].view.type.bytes());
    session_.state().write(states_[i], arrays_[i].view.data);
    same_sums &= known;
  }
  return same_sums;
}
void Snapshot::restore_model(const CheckpointReader& reader, const std::string& weights) {
  std::set<std::string> models;  // "model/", or "models/<name>/" of those that are in use
  for (const StoredArray& array : arrays_) {
    if (array.path.starts_with("model/")) models.insert("model/");
    if (array.path.starts_with("models/"))
      models.insert(array.path.substr(0, array.path.find('/', std::string_view("models/").size()) + 1));
  }
  for (const std::string& prefix : models) restore_prefix(reader, prefix);
  if (weights == model_weights) return;
  expect_average(reader, weights, ErrorKind::usage);
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (!arrays_[i].path.starts_with("model")) continue;
    const StoredArray averaged{average_path(weights, arrays_[i].path), arrays_[i].view};
    if (!reader.find(averaged.path)) continue;
    reader.read(averaged);
    session_.state().write(states_[i], averaged.view.data);
  }
}

}  // namespace trainctl
