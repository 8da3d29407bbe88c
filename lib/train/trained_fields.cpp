#include "train/trained_fields.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "base/error.h"
#include "schema/json_text.h"
#include "store/json_values.h"

namespace trainctl {
namespace {

constexpr DType known[] = {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8};

DType dtype_named(const std::string& text) {
  const auto* const found = std::ranges::find_if(known, [&](DType dtype) { return name(dtype) == text; });
  if (found == std::ranges::end(known)) throw std::invalid_argument("unknown element type " + text);
  return *found;
}

}  // namespace

std::string fields_to_json(const DatasetInfo& data) {
  Json json{{"fields", Json::array()}};
  for (const Field& field : data.fields) {
    json["fields"].push_back({{"name", field.name},
                              {"dtype", std::string(name(field.dtype))},
                              {"shape", std::vector<std::int64_t>(field.shape.begin(), field.shape.end())},
                              {"classes", field.classes},
                              {"class_names", field.class_names},
                              {"columns", field.columns}});
  }
  return json_text(json);
}

DatasetInfo fields_from_json(std::string_view text, std::string_view source) {
  try {
    DatasetInfo data;
    const Json document = parse_json(text);
    for (const Json& json : document.at("fields")) {
      const auto shape = json.at("shape").get<std::vector<std::int64_t>>();
      if (shape.size() >= Shape::max_rank) throw std::invalid_argument("too many axes");
      data.fields.push_back({.name = json.at("name"),
                             .dtype = dtype_named(json.at("dtype")),
                             .shape = Shape(std::span(shape)),
                             .classes = json.at("classes"),
                             .class_names = json.at("class_names"),
                             .columns = json.at("columns")});
    }
    return data;
  } catch (const std::exception& error) {
    fail(ErrorKind::data, "{}: what its training data were cannot be read ({})", source, error.what());
  }
}

}  // namespace trainctl
