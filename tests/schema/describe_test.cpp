#include "schema/describe.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "components.h"
#include "schema/differences.h"
#include "schema/schema.h"
#include "schema/yaml.h"

using namespace sample;
using Json = nlohmann::ordered_json;

namespace sample {

// A layer with keys beside its own, one of which names more layers.
struct Piece {
  Node node;
};
struct PieceKeys {
  Node arguments = Node::map();
  static Schema<PieceKeys> schema() {
    return Schema<PieceKeys>("A piece.").field("arguments", &PieceKeys::arguments, "Arguments.");
  }
};
struct Net {
  Node node;
};
struct NetKeys {
  OrderedMap<Piece> pieces;
  std::optional<Component<Layer>> last;
  static Schema<NetKeys> schema() {
    return Schema<NetKeys>("A net.")
        .field("pieces", &NetKeys::pieces, "Pieces by name.")
        .field("last", &NetKeys::last, "What comes last.");
  }
};
struct Job {
  Net net;
  Keep keep;
  struct Split {
    std::string file;
    std::vector<std::string> parts;
    static Schema<Split> schema() {
      return Schema<Split>("A split.")
          .required("file", &Split::file, non_empty(), "File.")
          .field("parts", &Split::parts, non_empty(), "Parts of it.");
    }
  } split;
  OrderedMap<double> weights;
  static Schema<Job> schema() {
    return Schema<Job>("A job.")
        .required("net", &Job::net, "The net.", resume(Resume::forced))
        .field("keep", &Job::keep, "What stays.")
        .field("split", &Job::split, "Data.", resume(Resume::safe))
        .field("weights", &Job::weights, non_empty(), "Weights.");
  }
};

}  // namespace sample

namespace trainctl {

template <typename T, typename Keys>
struct BindExtended {
  static TypeInfo info() {
    TypeInfo info{.form = Form::component, .text = "layer", .object = &object_of<Keys>, .kind = Layer::kind};
    info.read = [](void* value, const Node& node, Diagnostics&) { static_cast<T*>(value)->node = node; };
    info.write = [](const void* value) { return static_cast<const T*>(value)->node; };
    detail::complete<T>(info);
    return info;
  }
};
template <>
struct Bind<Piece> : BindExtended<Piece, PieceKeys> {};
template <>
struct Bind<Net> : BindExtended<Net, NetKeys> {};

}  // namespace trainctl

namespace {

bool contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return true;
  MESSAGE(text);
  return false;
}

const ComponentInfo& component(const char* kind_name, const char* name) {
  return *kind(kind_name).find(name);
}

}  // namespace

TEST_CASE("fields know their type, range, default, unit, liveness and resume class") {
  const ObjectInfo& conv = object_of<Conv2d>();
  const FieldInfo& size = *conv.find("kernel_size");
  CHECK(size.type->text == "integer or [integer, integer]");
  CHECK(size.range_text() == ">= 1");
  CHECK(size.default_text() == "3");
  CHECK(size.unit == "pixels");
  CHECK(!size.live());
  CHECK(!size.resume);
  CHECK(conv.find("eps")->default_text() == "1e-05");
  CHECK(conv.find("eps")->resume == Resume::forced);
  CHECK(conv.find("out_channels")->required);
  CHECK(conv.find("out_channels")->default_text().empty());
  CHECK(object_of<Dropout>().find("p")->live());
  CHECK(object_of<Spec>().find("weights")->live());
  CHECK(object_of<Spec>().find("root")->default_text() == "runs");
  CHECK(object_of<Spec>().find("time_limit")->default_text().empty());
  CHECK(object_of<Keep>().find("mode")->type->choices == std::vector<std::string>{"min", "max"});
}

TEST_CASE("describe a component") {
  const std::string text = describe_text(kind("test_layer"), component("test_layer", "conv2d"));
  CHECK(contains(text, "conv2d (test_layer)\nSlide filters over an image.\n"));
  CHECK(contains(text, "  out_channels  integer; required; >= 1\n                Number of filters.\n"));
  CHECK(contains(text, "integer or [integer, integer]; default 3; >= 1; in pixels"));
  CHECK(contains(text, "  {type: conv2d, out_channels: 32, kernel_size: 3}\n"));
  CHECK(contains(describe_text(kind("test_layer"), component("test_layer", "dropout")), "live: a policy may drive it"));
  const Json json = describe_json(kind("test_layer"), component("test_layer", "conv2d"));
  CHECK(json["parameters"][0]["name"] == "out_channels");
  CHECK(json["parameters"][3]["default"] == 1e-5);
}

TEST_CASE("the reference lists every section, kind, component and field") {
  const std::string text = markdown_reference(type_of<Spec>());
  CHECK(contains(text, "| `keep.last` | integer | >= 0 | `2` | safe | Newest checkpoints. |"));
  CHECK(contains(text, "| `optimizer` | [test_optimizer](#test_optimizer) |  | required | forced | How to step. |"));
  CHECK(contains(text, "| `low` | number |  | `0` | fixed | Lower bound. |"));
  CHECK(contains(text, "### test_layer: conv2d\n\nSlide filters over an image.\n"));
  CHECK(contains(text, "same \\| valid or integer"));
  CHECK(contains(text, "| `p` | number | >= 0, < 1 | `0.5` | safe | Share that is dropped. *Live.* |"));
}

namespace {

// As much of JSON Schema as json_schema() uses, to see what it accepts.
class Validator {
 public:
  explicit Validator(const Json& root) : root_(root) {}
  bool accepts(const Json& value) const { return accepts(root_, value); }
  // What a schema that is a reference refers to.
  const Json& at(const Json& schema) const {
    return root_.at(Json::json_pointer(schema["$ref"].get<std::string>().substr(1)));
  }

 private:
  static bool is(const std::string& type, const Json& value) {
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "null") return value.is_null();
    if (type == "array") return value.is_array();
    return type == "object" && value.is_object();
  }

  bool accepts(const Json& schema, const Json& value) const {
    for (const auto& [key, rule] : schema.items())
      if (!holds(schema, key, rule, value)) return false;
    return true;
  }

  bool holds(const Json& schema, const std::string& key, const Json& rule, const Json& value) const {
    const auto accepted = [&](const Json& s) { return accepts(s, value); };
    if (key == "$ref") return accepts(at(schema), value);
    if (key == "anyOf") return std::any_of(rule.begin(), rule.end(), accepted);
    if (key == "allOf") return std::all_of(rule.begin(), rule.end(), accepted);
    if (key == "not") return !accepts(rule, value);
    if (key == "if") return !accepts(rule, value) || accepts(schema["then"], value);
    if (key == "const") return value == rule;
    if (key == "enum") return std::find(rule.begin(), rule.end(), value) != rule.end();
    if (key == "type" && rule.is_string()) return is(rule, value);
    if (key == "type") return std::any_of(rule.begin(), rule.end(), [&](const Json& t) { return is(t, value); });
    if (key == "minimum") return !value.is_number() || value.get<double>() >= rule.get<double>();
    if (key == "exclusiveMinimum") return !value.is_number() || value.get<double>() > rule.get<double>();
    if (key == "exclusiveMaximum") return !value.is_number() || value.get<double>() < rule.get<double>();
    if (key == "minItems") return !value.is_array() || value.size() >= rule.get<std::size_t>();
    if (key == "maxItems") return !value.is_array() || value.size() <= rule.get<std::size_t>();
    if (key == "minLength") return !value.is_string() || value.get<std::string>().size() >= rule.get<std::size_t>();
    if (key == "pattern") return !value.is_string() || matches(rule, value);
    if (key == "items")
      return !value.is_array() || std::all_of(value.begin(), value.end(), [&](auto& v) { return accepts(rule, v); });
    if (value.is_object()) return object_holds(schema, key, rule, value);
    return true;
  }

  // Enough of the two kinds of pattern: a reference, or a number with a word.
  static bool matches(const std::string& pattern, const std::string& text) {
    if (pattern == "\\$\\{") return text.find("${") != std::string::npos;
    return !text.empty() && text[0] >= '0' && text[0] <= '9' && text.back() != '0';
  }

  bool object_holds(const Json& schema, const std::string& key, const Json& rule, const Json& value) const {
    if (key == "required")
      return std::all_of(rule.begin(), rule.end(), [&](const Json& k) { return value.contains(k.get<std::string>()); });
    const Json none = Json::object();
    const Json& properties = schema.contains("properties") ? schema["properties"] : none;
    if (key == "minProperties") return value.size() >= rule.get<std::size_t>();
    for (const auto& [name, item] : value.items()) {
      if (key == "propertyNames" && !accepts(rule, name)) return false;
      if (key == "properties" && rule.contains(name) && !accepts(rule[name], item)) return false;
      if (key != "additionalProperties" || properties.contains(name)) continue;
      if (rule.is_boolean() ? !rule.get<bool>() : !accepts(rule, item)) return false;
    }
    return true;
  }

  const Json& root_;
};

}  // namespace

TEST_CASE("the JSON Schema accepts what the reader accepts, and little else") {
  const Json schema = json_schema(type_of<Spec>(), "test");
  CHECK(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema");
  const Validator validator(schema);
  const auto accepts = [&](const std::string& yaml) { return validator.accepts(to_json(parse_yaml_text(yaml))); };
  const std::string o = "optimizer: {type: sgd, lr: 1e-3}, ";
  for (const char* good :
       {"name: x", "name: 3", "max: 3 epochs", "max: \"${vars.max}\"", "every: [1 epoch, 30 min]", "every: 2 steps",
        "head: dropout", "head: {type: conv2d, out_channels: 3, kernel_size: [3, 3], padding: same}", "head: {p: 0.1}",
        "extras: {dropout: {p: 0.1}, a: {type: dropout}, b: null}", "extras: [dropout, {type: dropout, p: 0.1}]",
        "keep: {last: 3, best: null}", "weights: {a: 1}", "layers: [dropout, {type: conv2d, out_channels: 3}]",
        "low: \"${env:LOW:-0}\"", "tags: a", "tags: [a, b]", "vars: {a: 1}", "time_limit: 11 h 30 min"}) {
    INFO(good);
    CHECK(accepts("{" + o + good + "}"));
    if (std::string(good).find("${") == std::string::npos && std::string(good) != "head: {p: 0.1}" &&
        std::string(good) != "vars: {a: 1}")
      CHECK_NOTHROW(parse<Spec>(parse_yaml_text("{" + o + good + "}")));
  }
  for (const char* bad :
       {"nmae: x", "low: abc", "max: 3", "keep: {last: -1}", "keep: {mode: mxa}", "keep: {lats: 1}", "head: conv2",
        "head: {type: conv2d}", "head: {type: conv2d, out_channels: 0}", "head: {type: dropout, p: 1}",
        "head: {typo: 1}", "layers: [nothing]", "pair: [1]", "extras: {a: nothing}", "extras: [nothing]",
        "extras: dropout", "name: ''", "time_limit: ''", "distributed: 1"}) {
    INFO(bad);
    CHECK(!accepts("{" + o + bad + "}"));
    CHECK_THROWS_AS(
        {
          auto spec = parse<Spec>(parse_yaml_text("{" + o + bad + "}"));
          if (!spec.layers.is_null()) throw ConfigError({}, 0);  // raw: its owner refuses it
        },
        ConfigError);
  }
  CHECK(!accepts("{name: x}"));
  CHECK(accepts("{extends: base.yaml, name: x}"));
}

TEST_CASE("the JSON Schema of a component with keys beside its own, and of names that only the file knows") {
  const Json schema = json_schema(type_of<Job>(), "test");
  const Validator validator(schema);
  const auto accepts = [&](const std::string& yaml) {
    INFO(yaml);
    return validator.accepts(to_json(parse_yaml_text(yaml)));
  };
  const std::string split = ", split: {file: a}";
  for (const char* good :
       {"dropout", "{type: dropout, p: 0.1}", "{type: sequence, layers: [dropout], last: dropout, pieces: {}}",
        "{type: sequence, pieces: {a: {type: conv2d, out_channels: \"${arg.n}\", arguments: {n: null}}}, "
        "layers: [{type: a, n: 3}, a]}",
        "{type: a, pieces: {a: {type: dropout}}}", "{p: 0.1, last: null}"})
    CHECK(accepts(fmt::format("{{net: {}{}}}", good, split)));
  for (const char* bad :
       {"{type: dropout, p: 1}", "{type: dropout, q: 0.1}", "{type: sequence, last: 3}", "{type: sequence, pieces: 3}",
        "{type: sequence, pieces: {a: {type: dropout, p: 2}}}", "{type: sequence, layers: [{type: conv2d}]}",
        "{type: sequence, layers: [{type: dropout, last: dropout}]}", "{typo: 1}"})
    CHECK(!accepts(fmt::format("{{net: {}{}}}", bad, split)));
  const Json conv = validator.at(schema["$defs"]["section.net"]["anyOf"][2]["properties"]["out_channels"]);
  CHECK(conv["description"] == "Number of filters.");
}

TEST_CASE("the JSON Schema asks for required keys of sections, unless the file extends another") {
  const Json schema = json_schema(type_of<Job>(), "test");
  const Validator validator(schema);
  const auto accepts = [&](const std::string& yaml) { return validator.accepts(to_json(parse_yaml_text(yaml))); };
  CHECK(accepts("{net: dropout, split: {file: a}}"));
  CHECK(accepts("{net: dropout}"));
  CHECK(!accepts("{net: dropout, split: {parts: a}}"));
  CHECK(accepts("{extends: a.yaml, split: {parts: a}}"));
  CHECK(accepts("{net: dropout, split: \"${vars.split}\", weights: \"${vars.weights}\"}"));
}

TEST_CASE("the JSON Schema refuses emptiness where the reader does: of the value, not of what is in it") {
  const Json schema = json_schema(type_of<Job>(), "test");
  const Validator validator(schema);
  for (const char* good : {"split: {file: a, parts: ['']}", "weights: {a: 0}"}) {
    INFO(good);
    const Node node = parse_yaml_text(fmt::format("{{net: dropout, {}}}", good));
    CHECK(validator.accepts(to_json(node)));
    CHECK_NOTHROW(parse<Job>(node));
  }
  for (const char* bad : {"split: {file: ''}", "split: {file: a, parts: []}", "weights: {}", "weights: null"}) {
    INFO(bad);
    const Node node = parse_yaml_text(fmt::format("{{net: dropout, {}}}", bad));
    CHECK(!validator.accepts(to_json(node)));
    CHECK_THROWS_AS(parse<Job>(node), ConfigError);
  }
}

TEST_CASE("the reference names keys inside of maps and lists, and the resume class of a kind's place") {
  const std::string text = markdown_reference(type_of<Job>());
  CHECK(contains(text, "| `net.pieces` | map of names to layer |  | `{}` | forced | Pieces by name. |"));
  CHECK(contains(text, "| `net.pieces.<name>.arguments` | any |  | `{}` | forced | Arguments. |"));
  CHECK(contains(text, "| `net.last` | [test_layer](#test_layer) |  |  | forced | What comes last. |"));
  CHECK(contains(text, "| `split.file` | text | not empty | required | safe | File. |"));
  CHECK(contains(text, "Every test_layer has\n\n"));
  CHECK(contains(text, "| `out_channels` | integer | >= 1 | required | forced | Number of filters. |"));
  const std::string common = "| `name` | text |";
  const std::size_t first = text.find(common);
  REQUIRE(first != std::string::npos);
  CHECK(text.find(common, first + 1) == std::string::npos);
}

TEST_CASE("differences: values as their types read them, defaults filled in, classes from field or section") {
  const auto compare = [](const std::string& a, const std::string& b) {
    std::string lines;
    const std::string o = "optimizer: {type: sgd, lr: 1e-3}\n";
    for (const Difference& d : differences(parse_yaml_text(o + a), parse_yaml_text(o + b), type_of<Spec>()))
      lines += fmt::format("{}: {} -> {} ({})\n", d.path, d.old_text, d.new_text, name(d.resume));
    return lines;
  };
  CHECK(compare("", "").empty());
  CHECK(compare("low: 1e-3", "low: 0.001").empty());
  CHECK(compare("", "low: 0").empty());
  CHECK(compare("", "keep: {last: 2}").empty());
  CHECK(compare("max: 60 epochs", "max: 60epochs").empty());
  CHECK(compare("head: {type: conv2d, out_channels: 1}", "head: {type: conv2d, out_channels: 1, kernel_size: [3, 3]}")
            .empty());
  CHECK(compare("head: dropout", "head: {type: dropout, p: 0.5}").empty());
  CHECK(compare("extras: {dropout: {}}", "extras: {dropout: {type: dropout}}").empty());
  CHECK(compare("max: 3 epochs", "max: 5 epochs") == "max: 3 epochs -> 5 epochs (safe)\n");
  CHECK(compare("low: 0.5", "") == "low: 0.5 -> 0 (fixed)\n");
  CHECK(compare("", "keep: {last: 9}") == "keep.last: 2 -> 9 (safe)\n");
  CHECK(compare("", "time_limit: 1 h") == "time_limit: (none) -> 1 h (safe)\n");
  CHECK(compare("head: dropout", "head: {type: conv2d, out_channels: 1}") ==
        "head: dropout -> {type: conv2d, out_channels: 1} (fixed)\n");
  CHECK(compare("head: dropout", "head: {type: dropout, p: 0.1}") == "head.p: 0.5 -> 0.1 (safe)\n");
  CHECK(compare("extras: {a: dropout}", "extras: {b: dropout}") ==
        "extras.a: dropout -> (none) (fixed)\nextras.b: (none) -> dropout (fixed)\n");
  CHECK(compare("layers: [dropout, dropout]", "layers: [dropout, {type: dropout, p: 0.1}]") ==
        "layers.1.p: 0.5 -> 0.1 (safe)\n");
  CHECK(compare("layers: [dropout]", "layers: [dropout, dropout]") ==
        "layers: [dropout] -> [dropout, dropout] (fixed)\n");
  CHECK(compare("weights: {a: 1}", "weights: {a: 2}") == "weights.a: 1 -> 2 (fixed)\n");
  CHECK(compare("every: [1 epoch, 60 s]", "every: [1 epoch, 1 min]").empty());
}

TEST_CASE("every example of a component is one that its schema accepts") {
  for (const Kind* kind : kinds()) {
    for (const ComponentInfo* info : kind->components()) {
      CHECK(!info->object().doc.empty());
      for (const FieldInfo& field : info->object().fields) CHECK(!field.doc.empty());
      for (const std::string& example : info->object().examples) {
        Diagnostics diagnostics;
        const Node node = parse_yaml_text(example);
        CHECK(detail::select_component(*kind, node, {}, diagnostics) == info);
      }
    }
  }
}
