#include "schema/schema.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "components.h"
#include "schema/yaml.h"

using namespace sample;

namespace {

const Register<Layer, Conv2d> conv2d{"conv2d"};
const Register<Layer, Dropout> dropout{"dropout"};
const Register<Layer, Sequence> sequence{"sequence"};
const Register<Optimizer, Sgd> sgd{"sgd"};

Spec spec(const std::string& text) {
  return parse<Spec>(parse_yaml_text(text + "\n", "t"));
}
Spec with_sgd(const std::string& text) {
  return spec("optimizer: {type: sgd, lr: 1e-3}\n" + text);
}

// All errors of a spec: one line "line:column path: message" each.
std::string faults(const std::string& text, const std::string& before = "optimizer: {type: sgd, lr: 1e-3}\n") {
  try {
    spec(before + text);
  } catch (const ConfigError& error) {
    std::string lines;
    for (const Diagnostic& d : error.errors())
      lines += fmt::format("{}:{} {}: {}\n", d.source.line, d.source.character(), d.path, d.message);
    return lines;
  }
  return "";
}

#define CHECK_FAULT(text, expected)                       \
  do {                                                    \
    const std::string got = faults(text);                 \
    INFO(got);                                            \
    CHECK(got.find(expected) != std::string::npos);       \
    CHECK(std::count(got.begin(), got.end(), '\n') == 1); \
  } while (false)

}  // namespace

TEST_CASE("values reach the members, defaults stay") {
  const Spec s = with_sgd(
      "name: fashion\nmax: 20 epochs\ntime_limit: 11 h 30 min\nevery: [1 epoch, 30 min]\nkeep: {last: 5, mode: max}\n"
      "tags: one\npair: [3, 1]\nweights: {a: 1, b: 0.5}");
  CHECK(s.name == "fashion");
  CHECK(s.max == Progress{20, Progress::Unit::epochs});
  CHECK(s.time_limit->seconds == 41400);
  REQUIRE(s.every.size() == 2);
  CHECK(std::get<Progress>(s.every[0]) == Progress{1, Progress::Unit::epochs});
  CHECK(std::get<WallTime>(s.every[1]).seconds == 1800);
  CHECK(s.keep.last == 5);
  CHECK(s.keep.mode == Mode::max);
  CHECK(!s.keep.best);
  CHECK(s.tags == std::vector<std::string>{"one"});
  CHECK(s.pair == std::pair<std::int64_t, double>{3, 1.0});
  CHECK(s.optimizer.type() == "sgd");
  CHECK(s.optimizer.source().where() == "t:1:12");
  CHECK(s.head.type() == "dropout");
  CHECK(with_sgd("every: 500 steps").every.size() == 1);
}

TEST_CASE("components are found by name, through any base class") {
  const Spec s = with_sgd("head: {type: conv2d, out_channels: 8, kernel_size: [3, 5], padding: 2, name: stem}");
  const auto* conv = dynamic_cast<const Conv2d*>(s.head.get());
  REQUIRE(conv);
  CHECK(conv->out_channels == 8);
  CHECK(conv->kernel_size == Pair<std::int64_t>{3, 5});
  CHECK(std::get<Pair<std::int64_t>>(conv->padding) == Pair<std::int64_t>{2, 2});
  CHECK(conv->name == "stem");
  CHECK(conv->filler == 77);
  CHECK(conv->bias);
  CHECK(with_sgd("head: dropout").head.type() == "dropout");
}

TEST_CASE("named maps: the name is the type, null switches off") {
  const Spec s = with_sgd(
      "extras:\n  dropout: {p: 0.1}\n  stem: {type: conv2d, out_channels: 1}\n  sequence: null\n"
      "  other: dropout");
  REQUIRE(s.extras.size() == 3);
  CHECK(s.extras.items[0].first == "dropout");
  CHECK(s.extras.items[1].second.type() == "conv2d");
  CHECK(s.extras.items[2].second.type() == "dropout");
  CHECK(s.extras.find("sequence") == nullptr);
}

TEST_CASE("live numbers know their place in the spec, given or not") {
  Spec s = with_sgd("extras: {a: {type: sequence, layers: [dropout, {type: dropout, p: 0.1}]}}\nweights: {x: 2}");
  std::vector<std::string> paths;
  visit_live(s, "", [&](Live& live, const std::string& path) {
    CHECK(live.path == path);
    paths.push_back(path + "=" + std::to_string(live.value).substr(0, 5));
  });
  CHECK(paths == std::vector<std::string>{"optimizer.lr=0.001", "head.p=0.500", "extras.a.layers.0.p=0.500",
                                          "extras.a.layers.1.p=0.100", "weights.x=2.000"});

  Component<Layer> inner;
  Diagnostics diagnostics;
  diagnostics.set_path("model.layers.3");
  read(inner, parse_yaml_text("dropout"), diagnostics);
  CHECK(diagnostics.ok());
  CHECK(dynamic_cast<Dropout&>(*inner).p.path == "model.layers.3.p");
}

TEST_CASE("unknown keys name the nearest known one") {
  CHECK_FAULT("nmae: x", "2:1 : unknown key 'nmae'. Did you mean 'name'?");
  CHECK_FAULT("keep: {lats: 3}", "2:8 keep: unknown key 'lats'. Did you mean 'last'?");
  CHECK_FAULT("head: {type: conv2d, out_channels: 3, kernal_size: 3}",
              "2:39 head: unknown key 'kernal_size'. Did you mean 'kernel_size'?");
  CHECK_FAULT("zzzzzzzzz: 1", "Known: name, root");
  CHECK_FAULT("distributed: {nodes: 2}", "2:1 : 'distributed' (training on many machines) is not supported yet");
}

TEST_CASE("unknown components name the nearest known one, or where else the name belongs") {
  CHECK_FAULT("head: conv2", "2:7 head: unknown test_layer 'conv2'. Did you mean 'conv2d'?");
  CHECK_FAULT("head: {type: dropuot}", "2:14 head: unknown test_layer 'dropuot'. Did you mean 'dropout'?");
  CHECK_FAULT("head: sgd", "It is a test_optimizer.");
  CHECK_FAULT("head: {p: 0.1}", "'type' is missing. Known: conv2d, dropout, sequence.");
  CHECK_FAULT("head: [dropout]", "2:7 head: expected a test_layer: a name, or a map with 'type'; got a list.");
  CHECK_FAULT("head: {type: [a]}", "'type' must be the name of a test_layer, got a list.");
  CHECK_FAULT("extras: {dorpout: {}}", "2:19 extras.dorpout: unknown test_layer 'dorpout'. Did you mean 'dropout'?");
  CHECK_FAULT("extras: dropout", "2:9 extras: expected a map of names");
  CHECK_FAULT("extras: [dropout, dorpout]", "2:19 extras.1: unknown test_layer 'dorpout'. Did you mean 'dropout'?");
  CHECK_FAULT("extras: [{p: 0.1}]",
              "2:10 extras.0: expected a test_layer: a name, or a map with 'type'; 'type' is missing.");
}

TEST_CASE("a list of components stands for a map of their types") {
  const Spec s = with_sgd("extras: [dropout, {type: conv2d, out_channels: 1}, {type: dropout, p: 0.1}]");
  REQUIRE(s.extras.size() == 3);
  CHECK(s.extras.items[0].first == "dropout");
  CHECK(s.extras.items[1].first == "conv2d");
  CHECK(s.extras.items[2].first == "dropout2");
  const Node written = write(s);
  REQUIRE(written.find("extras")->is_map());
  CHECK(*written.find("extras")->find("dropout2")->find("p") ==
        *write(with_sgd("extras: {dropout2: {type: dropout, p: 0.1}}")).find("extras")->find("dropout2")->find("p"));
}

TEST_CASE("missing keys are named with what they mean") {
  const std::string got = faults("name: x", "");
  CHECK(got == "1:1 : 'optimizer' is missing: How to step.\n");
  CHECK_FAULT("head: conv2d", "2:7 head: 'out_channels' is missing: Number of filters.");
}

TEST_CASE("wrong types come with advice") {
  CHECK_FAULT("low: abc", "2:6 low: expected a number, got 'abc'.");
  CHECK_FAULT("low: \"1\"", "expected a number, got '1'. Remove the quotes.");
  CHECK_FAULT("low: 010", "Leading zeros are ambiguous: write 10 (or 0o10 for octal).");
  CHECK_FAULT("low: 1_000", "Write it without '_'.");
  CHECK_FAULT("low: 0,5", "Write a point, not a comma.");
  CHECK_FAULT("low: 10%", "Write a fraction");
  CHECK_FAULT("low: 1e999", "malformed or too large");
  CHECK_FAULT("low: [1]", "expected a number, got a list.");
  CHECK_FAULT("low:", "2:1 low: expected a number, got null.");
  CHECK_FAULT("low: ${secret:X}", "A secret may only stand where text is expected.");
  CHECK_FAULT("low: ${arg.x}", "A block's arguments");
  CHECK_FAULT("name: ${arg.x}", "nothing fills in '${arg.x}' here.");
  CHECK_FAULT("name: [a]", "2:7 name: expected text, got a list.");
  CHECK_FAULT("name: ''", "2:7 name: must not be empty.");
  CHECK_FAULT("keep: 3", "2:7 keep: expected a map, got '3'.");
  CHECK_FAULT("keep: {last: 2.0}", "expected an integer, got '2.0'. Write 2.");
  CHECK_FAULT("keep: {last: 99999999999999999999}", "malformed or too large");
  CHECK_FAULT("keep: {mode: mxa}", "2:14 keep.mode: expected one of min, max, got 'mxa'. Did you mean 'max'?");
  CHECK_FAULT("keep: {best: ''}", "must not be empty");
  CHECK_FAULT("pair: [1]", "expected a list of 2, got one of 1.");
  CHECK_FAULT("pair: 1", "expected a list of 2, got '1'.");
  CHECK_FAULT("pair: [1.5, 1]", "2:8 pair: expected an integer");
  CHECK_FAULT("tags: [a, [b]]", "2:11 tags.1: expected text, got a list.");
  CHECK_FAULT("weights: {a: x}", "2:14 weights.a: expected a number, got 'x'.");
  CHECK_FAULT("head: {type: conv2d, out_channels: 1, bias: on}", "expected true or false, got 'on'. Write true.");
  CHECK_FAULT("head: {type: conv2d, out_channels: 1, bias: no}", "Write false.");
  CHECK_FAULT("head: {type: conv2d, out_channels: 1, padding: smae}",
              "padding: expected same | valid or integer or [integer, integer], got 'smae'.");
}

TEST_CASE("durations") {
  CHECK(with_sgd("max: 0.5 epochs").max.count == 0.5);
  CHECK(with_sgd("max: 3epochs").max.count == 3);
  CHECK(with_sgd("max: 1e5 samples").max == Progress{100000, Progress::Unit::samples});
  CHECK(with_sgd("time_limit: 2 d").time_limit->seconds == 172800);
  CHECK(with_sgd("time_limit: 45s").time_limit->seconds == 45);
  CHECK(with_sgd("time_limit: 1 hour 0.5 min").time_limit->seconds == 3630);
  CHECK_FAULT("max: 5", "Say of what: '5 epochs'?");
  CHECK_FAULT("max: 5 epochen", "expected a duration such as '3 epochs'");
  CHECK_FAULT("max: 30 min", "A wall time cannot stand here");
  CHECK_FAULT("max: 1.5 steps", "expected a duration");
  CHECK_FAULT("max: -1 epochs", "expected a duration");
  CHECK_FAULT("max: 0 epochs", "2:6 max: must be above 0, got 0 epochs.");
  CHECK_FAULT("max: .inf epochs", "expected a duration");
  CHECK_FAULT("time_limit: 30 min 1 h", "expected a wall time");
  CHECK_FAULT("time_limit: 30", "expected a wall time");
  CHECK_FAULT("every: [1 epoch, soon]",
              "2:18 every.1: expected a duration such as '3 epochs' or a wall time such as '30 min', got 'soon'.");
  for (const double seconds : {0.0, 1.0, 59.5, 60.0, 90.0, 3600.0, 41400.0, 200000.25}) {
    const WallTime time{seconds};
    CHECK(with_sgd("time_limit: " + to_text(time)).time_limit->seconds == seconds);
  }
  CHECK(to_text(WallTime{41400}) == "11 h 30 min");
  CHECK(to_text(Progress{1, Progress::Unit::steps}) == "1 step");
  CHECK(parse_progress("10 epochs").count == 10);
  CHECK_THROWS_AS(parse_progress("10"), Error);
}

TEST_CASE("ranges hold for every value, at its own place; NaN and infinity are refused") {
  CHECK_FAULT("keep: {last: -1}", "2:14 keep.last: must be at least 0, got -1.");
  CHECK_FAULT("head: {type: dropout, p: 1}", "must be below 1, got 1.");
  CHECK_FAULT("head: {type: dropout, p: -0.1}", "must be at least 0, got -0.1.");
  CHECK_FAULT("head: {type: conv2d, out_channels: 1, kernel_size: [3, 0]}",
              "2:56 head.kernel_size: must be at least 1");
  CHECK_FAULT("head: {type: conv2d, out_channels: 1, padding: -1}", "must be at least 0, got -1.");
  CHECK_FAULT("weights: {a: 1, b: -2}", "2:20 weights: must be at least 0, got -2.");
  CHECK_FAULT("low: .nan", "2:6 low: must be finite, got .nan.");
  CHECK_FAULT("low: -.inf", "must be finite");
  CHECK_FAULT("pair: [1, .inf]", "2:11 pair: must be finite");
  CHECK_FAULT("weights: {a: .nan}", "must be finite");
  CHECK_FAULT("low: 2\nhigh: 1", "'low' is above 'high'.");
}

namespace {

struct Limit {
  static constexpr const char* kind = "test_limit";
  virtual ~Limit() = default;
};
struct Clamp final : Limit {
  double high = 1.0;
  static Schema<Clamp> schema() {
    return Schema<Clamp>("Cut off what is above.")
        .field("high", &Clamp::high, allow_nonfinite(), "The bound.")
        .example("{type: clamp, high: .inf}");
  }
};
const Register<Limit, Clamp> clamp{"clamp"};

struct Fullness {
  std::vector<Component<Layer>> layers;
  std::vector<Component<Limit>> limits;
  std::vector<std::vector<double>> rows;
  std::optional<std::string> text = "x";
  std::optional<std::vector<double>> numbers;
  static Schema<Fullness> schema() {
    return Schema<Fullness>("Things with something in them.")
        .field("layers", &Fullness::layers, non_empty(), "Layers.")
        .field("limits", &Fullness::limits, non_empty(), "Limits.")
        .field("rows", &Fullness::rows, non_empty(), at_least(0), "Rows.")
        .field("text", &Fullness::text, non_empty(), "Text.")
        .field("numbers", &Fullness::numbers, non_empty(), "Numbers.");
  }
};

}  // namespace

TEST_CASE("non_empty is about the whole value: not about what is in it, and null is no empty value") {
  for (const char* good :
       {"layers: [{type: sequence, layers: []}]", "layers: [{type: dropout, name: ''}]",
        "limits: [{type: clamp, high: .inf}]", "rows: [[], [1]]", "text: null", "numbers: null", "numbers: [1]"}) {
    INFO(good);
    CHECK_NOTHROW(parse<Fullness>(parse_yaml_text(good)));
  }
  for (const char* bad : {"layers: []", "rows: []", "text: ''", "numbers: []", "rows: [[-1]]", "numbers: [.nan]"}) {
    INFO(bad);
    CHECK_THROWS_AS(parse<Fullness>(parse_yaml_text(bad)), ConfigError);
  }
}

TEST_CASE("all errors come at once, in one Error with its exit code") {
  try {
    spec(
        "nmae: x\noptimizer: {type: sgd, lr: fast}\nkeep: {last: -1, lats: 2}\nextras: {a: nothing, b: {type: "
        "conv2d}}");
    FAIL("accepted");
  } catch (const ConfigError& error) {
    CHECK(error.errors().size() == 6);
    CHECK(error.kind() == ErrorKind::config);
    const std::string what = error.what();
    INFO(what);
    CHECK(what.find("t:2:28: optimizer.lr: expected a number, got 'fast'.\n"
                    "    optimizer: {type: sgd, lr: fast}\n"
                    "                               ^") != std::string::npos);
    const auto json = to_json(error.errors());
    CHECK(json[0] ==
          nlohmann::ordered_json{
              {"file", "t"}, {"line", 1}, {"column", 1}, {"path", ""}, {"message", error.errors()[0].message}});
  }
  std::string many = "optimizer: {type: sgd, lr: 1}\n";
  for (int i = 0; i < 40000; ++i) many += "unknown_" + std::to_string(i) + ": 1\n";
  try {
    spec(many);
    FAIL("accepted");
  } catch (const ConfigError& error) {
    CHECK(error.errors().size() == 100);
    CHECK(std::string(error.what()).find("... and 39900 errors more.") != std::string::npos);
  }
}

TEST_CASE("the caret stands under the character, also in long lines and behind wide ones") {
  const std::string got = [] {
    try {
      spec("optimizer: {type: sgd, lr: 1}\ntags: [" + std::string(300, 'x') + ", é, [1]]");
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string();
  }();
  INFO(got);
  const std::size_t line = got.find("\n    ");
  const std::size_t caret_line = got.find("\n    ", line + 1);
  REQUIRE(caret_line != std::string::npos);
  const std::string shown = got.substr(line + 5, caret_line - line - 5);
  const std::size_t caret = got.find('^') - caret_line - 5;
  CHECK(shown.size() < 200);
  CHECK(shown.substr(caret + 1, 3) == "[1]");  // one byte further: the é before it has two
}

TEST_CASE("a value is written complete and reads back equal") {
  const Spec s = with_sgd(
      "max: 7 steps\nevery: [1 epoch, 90 s]\nhead: {type: conv2d, out_channels: 8, kernel_size: [3, 5]}\n"
      "extras: {a: dropout, b: null}\nlayers: [relu, {type: x}]\nname: \"1\"");
  const Node written = write(s);
  const std::string text = to_yaml(written);
  INFO(text);
  CHECK(write(parse<Spec>(parse_yaml_text(text))) == written);
  CHECK(written.find("max")->text() == "7 steps");
  CHECK(find_path(written, "head.kernel_size.1")->text() == "5");
  CHECK(find_path(written, "head.eps")->text() == "1e-05");
  CHECK(find_path(written, "extras.a.type")->text() == "dropout");
  CHECK(find_path(written, "extras.b") == nullptr);
  CHECK(find_path(written, "every.1")->text() == "1 min 30 s");
  CHECK(written.find("root")->text() == (std::filesystem::current_path() / "runs").string());
}

TEST_CASE("texts: escapes and secrets") {
  CHECK(with_sgd("name: $${x}").name == "${x}");
  CHECK(write(with_sgd("name: $${x}")).find("name")->text() == "$${x}");
  const std::string held = with_sgd("name: a-${secret:TRAINCTL_TEST_SECRET}").name;
  CHECK(held == "a-${secret:TRAINCTL_TEST_SECRET}");
  unsetenv("TRAINCTL_TEST_SECRET");
  CHECK_THROWS_AS(reveal(held), Error);
  setenv("TRAINCTL_TEST_SECRET", "$${k}", 1);
  CHECK(reveal(held) == "a-$${k}");
  unsetenv("TRAINCTL_TEST_SECRET");
  const Spec literal = with_sgd("name: $${secret:X}");
  CHECK(reveal(literal.name) == "${secret:X}");
  CHECK(write(literal).find("name")->text() == "$${secret:X}");
}

TEST_CASE("the names of components and kinds can be listed") {
  CHECK(kind("test_layer").names() == std::vector<std::string>{"conv2d", "dropout", "sequence"});
  CHECK(find_components("sgd").size() == 1);
  CHECK(kind("test_nothing").find("x") == nullptr);
}

TEST_CASE("two components of one name are a fault of the build that names both files") {
  Kind twice("twice");
  twice.add({.name = "a", .place = "one.cpp"});
  twice.add({.name = "b", .place = "two.cpp"});
  twice.add({.name = "a", .place = "three.cpp"});
  try {
    twice.find("b");
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::internal);
    CHECK(std::string(error.what()) == "two components are registered as twice 'a': in one.cpp and in three.cpp");
  }
}
