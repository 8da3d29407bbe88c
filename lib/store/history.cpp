#include "store/history.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/error.h"
#include "base/file.h"
#include "schema/json_text.h"
#include "store/json_values.h"

namespace trainctl {
namespace {

constexpr std::string_view format_name = "trainctl-history";
constexpr int format_version = 1;

Json record_to_json(const HistoryRecord& record) {
  Json json;
  json["epoch"] = record.epoch;
  json["step"] = record.step;
  json["samples"] = record.samples;
  json["values"] = values_to_json(record.values);
  json["seconds"] = values_to_json(record.seconds);
  return json;
}

HistoryRecord record_from_json(const Json& json) {
  return {json.at("epoch").get<std::int64_t>(), json.at("step").get<std::int64_t>(),
          json.at("samples").get<std::int64_t>(), values_from_json(json.at("values")),
          values_from_json(json.at("seconds"))};
}

Json best_to_json(const HistoryBest& best) {
  Json json;
  json["monitor"] = best.monitor;
  json["mode"] = best.mode;
  json["value"] = number_to_json(best.value);
  json["epoch"] = best.epoch;
  json["step"] = best.step;
  return json;
}

HistoryBest best_from_json(const Json& json) {
  HistoryBest best{json.at("monitor").get<std::string>(), json.at("mode").get<std::string>(),
                   number_from_json(json.at("value")), json.at("epoch").get<std::int64_t>(),
                   json.at("step").get<std::int64_t>()};
  if (best.mode != "min" && best.mode != "max")
    throw std::invalid_argument("the best value's mode is neither min nor max");
  return best;
}

// The first of the best: an equal later value does not replace it, and NaN is never best.
std::optional<HistoryBest> find_best(const std::vector<HistoryRecord>& records, const HistoryBest& like) {
  std::optional<HistoryBest> best;
  for (const HistoryRecord& record : records) {
    const auto value = find_value(record.values, like.monitor);
    if (!value || std::isnan(*value)) continue;
    if (best && !(like.mode == "max" ? *value > best->value : *value < best->value)) continue;
    best = HistoryBest{like.monitor, like.mode, *value, record.epoch, record.step};
  }
  return best;
}

History parse(std::string_view text, std::string_view source) {
  const Json json = parse_json(text);
  if (json.at("format") != format_name) throw std::invalid_argument("it is not a history");
  const int version = json.at("version").get<int>();
  if (version != format_version) {
    fail(ErrorKind::data, "{}: has format version {}, this trainctl reads version {}", source, version, format_version);
  }
  History history;
  history.status = json.at("status").get<std::string>();
  history.stop_reason = json.at("stop_reason").get<std::string>();
  for (const Json& record : json.at("epochs")) {
    history.records.push_back(record_from_json(record));
    const auto& all = history.records;
    if (all.size() > 1 && all.back().step < all[all.size() - 2].step) throw std::invalid_argument("its steps go back");
  }
  if (const Json& best = json.at("best"); !best.empty()) history.best = best_from_json(best);
  return history;
}

}  // namespace

std::optional<double> find_value(const NamedValues& values, std::string_view name) {
  const auto found = std::ranges::find(values, name, &NamedValues::value_type::first);
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

void History::cut_back(std::int64_t epoch, std::int64_t step) {
  std::erase_if(records, [&](const HistoryRecord& r) { return r.epoch > epoch || r.step > step; });
  if (best && (best->step > step || best->epoch > epoch)) best = find_best(records, *best);
  status = "running";
  stop_reason.clear();
}

std::string History::to_json() const {
  Json json;
  json["format"] = format_name;
  json["version"] = format_version;
  json["epochs"] = Json::array();
  for (const HistoryRecord& record : records) json["epochs"].push_back(record_to_json(record));
  json["best"] = best ? best_to_json(*best) : Json::object();
  json["status"] = status;
  json["stop_reason"] = stop_reason;
  return json_text(json, 1) + "\n";
}

History History::from_json(std::string_view text, std::string_view source) try {
  return parse(text, source);
} catch (const Error&) {
  throw;
} catch (const std::exception& error) {
  fail(ErrorKind::data, "{}: the history is damaged: {}; the newest checkpoint holds a copy", source, error.what());
}

void History::write(const std::filesystem::path& path) const {
  write_file_atomic(path, to_json());
}

History History::read(const std::filesystem::path& path) {
  return from_json(read_file(path), path.string());
}

}  // namespace trainctl
