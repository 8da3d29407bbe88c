#include <nlohmann/json.hpp>

#include "base/text.h"
#include "schema/json_text.h"
#include "schema/scalar.h"
#include "schema/yaml.h"

namespace trainctl {

using Json = nlohmann::ordered_json;

Json to_json(const Node& node) {
  switch (node.kind()) {
    case Node::Kind::null:
      return nullptr;
    case Node::Kind::scalar:
      break;
    case Node::Kind::list: {
      Json list = Json::array();
      for (const Node& item : node.items()) list.push_back(to_json(item));
      return list;
    }
    case Node::Kind::map: {
      Json map = Json::object();
      for (const Node::Entry& entry : node.entries()) map[entry.key] = to_json(entry.value);
      return map;
    }
  }
  if (node.quoted()) return node.text();
  if (const auto value = boolean_of(node.text())) return *value;
  if (const auto value = integer_of(node.text())) return *value;
  const auto value = number_of(node.text());
  if (value && std::isfinite(*value)) return *value;
  return node.text();
}

Node from_json(const Json& json) {
  if (json.is_null()) return Node::null();
  if (json.is_string()) return Node::scalar(json.get<std::string>(), true);
  if (json.is_number_float()) return Node::scalar(number_text(json.get<double>()));
  if (json.is_array()) {
    Node list = Node::list();
    for (const Json& item : json) list.push_back(from_json(item));
    return list;
  }
  if (json.is_object()) {
    Node map = Node::map();
    for (const auto& [key, value] : json.items()) map.append(key, from_json(value));
    return map;
  }
  return Node::scalar(json_text(json));  // booleans and integers
}

}  // namespace trainctl
