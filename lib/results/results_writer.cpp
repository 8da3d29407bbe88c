#include "results/results_writer.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "schema/json_text.h"
#include "schema/yaml.h"
#include "store/json_values.h"

namespace trainctl {

namespace fs = std::filesystem;

namespace {

Json number_or_null(double value) {
  return std::isnan(value) ? Json() : number_to_json(value);
}

Json to_json(const ResultTable& table) {
  Json rows = Json::array();
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    Json row = Json::array();
    for (std::size_t c = 0; c < table.columns.size(); ++c)
      row.push_back(number_or_null(table.cells[r * table.columns.size() + c]));
    rows.push_back(std::move(row));
  }
  return {{"columns", table.columns}, {"rows", table.rows}, {"cells", std::move(rows)}};
}

Json to_json(const Findings& found) {
  Json values = Json::object(), undefined = Json::object(), tables = Json::object();
  for (const Findings::Value& value : found.values) {
    values[value.name] = number_or_null(value.value);
    if (std::isnan(value.value)) undefined[value.name] = value.reason;
  }
  for (const ResultTable& table : found.tables) tables[table.name] = to_json(table);
  return {{"values", std::move(values)}, {"undefined", std::move(undefined)}, {"tables", std::move(tables)}};
}

/// A number of a target. No program gives bytes.
double element(DType dtype, const std::byte* values, std::size_t i) {
  switch (dtype) {
    case DType::f32:
      return reinterpret_cast<const float*>(values)[i];
    case DType::f64:
      return reinterpret_cast<const double*>(values)[i];
    case DType::i32:
      return reinterpret_cast<const std::int32_t*>(values)[i];
    case DType::i64:
      return static_cast<double>(reinterpret_cast<const std::int64_t*>(values)[i]);
    case DType::u8:
    case DType::bf16:
      break;
  }
  fail(ErrorKind::internal, "results: a target of {}", name(dtype));
}

/// What decides about the contents of results, their weights aside.
std::string digest_of(const ResultsSpec& spec) {
  Node node = type_of<ResultsSpec>().write(&spec);
  for (const char* key : {"splits", "weights", "every"}) node.erase(key);
  return sha256_hex(to_yaml(node)).substr(0, 16);
}

/// The results of a split that `folder` has; null where there are none or they are damaged.
Json read_results(const fs::path& folder, const std::string& split) {
  const fs::path path = ResultsWriter::json_path(folder, split);
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  Json document = parse_json_or_discard(read_file(path));
  return document.is_object() ? document : Json();
}

}  // namespace

ResultsWriter::ResultsWriter(fs::path folder, std::string split, const ResultsSpec& spec, const PredictionInfo& info,
                             std::int64_t samples)
    : folder_(std::move(folder)),
      split_(std::move(split)),
      spec_(spec),
      width_(static_cast<std::size_t>(info.output.elements())),
      target_width_(static_cast<std::size_t>(info.target.elements())),
      target_(info.target_dtype) {
  for (const auto& [name, package] : spec.packages)
    tallies_.push_back(package->is_of(split_) ? package->begin(info) : nullptr);
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) fail(ErrorKind::environment, "{}: cannot make the folder: {}", folder_.string(), error.message());
  if (!spec.predictions) return;
  rows_ = std::make_unique<RowsFile>(
      folder_ / (split_ + "_predictions.h5"),
      std::vector<RowsFile::Field>{
          {"predictions", DType::f32, info.output}, {"targets", target_, info.target}, {"ids", DType::i32, {}}},
      samples);
}

void ResultsWriter::add(std::int64_t count, const float* outputs, const std::byte* targets, const std::int32_t* ids) {
  const auto samples = static_cast<std::size_t>(count);
  outputs_.assign(outputs, outputs + samples * width_);
  targets_.resize(samples * target_width_);
  for (std::size_t i = 0; i < targets_.size(); ++i) targets_[i] = element(target_, targets, i);
  for (const auto& tally : tallies_) {
    if (tally) tally->add({count, outputs_, targets_});
  }
  if (rows_) {
    rows_->write(0, written_, count, outputs);
    rows_->write(1, written_, count, targets);
    rows_->write(2, written_, count, ids);
  }
  written_ += count;
}

void ResultsWriter::finish(const ResultsHeader& header) {
  if (rows_) rows_->finish();
  Json packages = Json::object();
  std::vector<std::string> files;
  for (std::size_t i = 0; i < tallies_.size(); ++i) {
    if (!tallies_[i]) continue;
    const auto& [name, package] = spec_.packages.items[i];
    const Findings found = tallies_[i]->finish();
    Json one{{"type", package.type()}};
    one.update(to_json(found));
    one["plots"] = Json::array();
    const auto draw = [&, &name = name](const std::string& what, const std::string& svg) {
      const std::string file = fmt::format("{}_{}_{}.svg", split_, name, what);
      write_file_atomic(folder_ / file, svg);
      one["plots"].push_back(file);
      files.push_back(file);
    };
    for (const auto& [what, panel] : found.plots)
      draw(what, svg_plot(fmt::format("{}: {}, {}", split_, name, what), {panel}));
    for (const ResultTable& table : found.pictures)
      draw(table.name, svg_matrix(fmt::format("{}: {}, targets by predictions", split_, name), table.rows,
                                  table.columns, table.cells));
    packages[name] = std::move(one);
  }
  const Json document{{"version", 1},
                      {"split", split_},
                      {"checkpoint", header.checkpoint},
                      {"weights", header.weights},
                      {"epoch", header.epoch},
                      {"step", header.step},
                      {"samples", header.samples},
                      {"made_by", digest_of(spec_)},
                      {"metrics", values_to_json(header.values)},
                      {"packages", std::move(packages)}};
  remove_older(files);
  write_file_atomic(json_path(folder_, split_), json_text(document, 1) + "\n");
}

/// Removes what older results of the split left and these have not.
void ResultsWriter::remove_older(const std::vector<std::string>& files) const {
  std::error_code error;
  if (!rows_) fs::remove(folder_ / (split_ + "_predictions.h5"), error);
  const Json older = read_results(folder_, split_);
  if (!older.contains("packages")) return;
  for (const auto& [name, package] : older["packages"].items()) {
    for (const Json& plot : package.value("plots", Json::array())) {
      const std::string file = plot.is_string() ? plot.get<std::string>() : std::string();
      const bool ours = file.starts_with(split_ + "_") && file.find('/') == std::string::npos;
      if (ours && std::ranges::find(files, file) == files.end()) fs::remove(folder_ / file, error);
    }
  }
}

fs::path ResultsWriter::json_path(const fs::path& folder, const std::string& split) {
  return folder / (split + ".json");
}

bool ResultsWriter::exists(const fs::path& folder, const std::string& split, const ResultsSpec& spec,
                           const std::string& weights, std::int64_t step) {
  const Json document = read_results(folder, split);
  return document.is_object() && document.value("step", Json()) == Json(step) &&
         document.value("weights", Json()) == Json(weights) &&
         document.value("made_by", Json()) == Json(digest_of(spec));
}

}  // namespace trainctl
