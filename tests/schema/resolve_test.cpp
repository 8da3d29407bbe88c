#include "schema/resolve.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>

#include "components.h"
#include "schema/schema.h"
#include "schema/yaml.h"

using namespace trainctl;
namespace fs = std::filesystem;

namespace {

// A folder of files that goes away at the end.
class Folder {
 public:
  Folder() {
    static std::atomic<int> count = 0;
    path_ = fs::temp_directory_path() / fmt::format("trainctl-resolve-{}-{}", getpid(), count++);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path write(const std::string& name, const std::string& text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
    return path_ / name;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

Node load(const std::string& text, const Overrides& overrides = {}) {
  const Folder folder;
  return load_spec(folder.write("spec.yaml", text), overrides);
}

std::string flow(const std::string& text, const Overrides& overrides = {}) {
  return to_yaml_flow(load(text, overrides));
}

// What went wrong with a spec, "" if nothing.
template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}
std::string fault(const std::string& text, const Overrides& overrides = {}) {
  return error_of([&] { load(text, overrides); });
}

bool contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return true;
  MESSAGE(text.substr(0, 500));
  return false;
}

std::string merged(const std::string& base, const std::string& overlay) {
  return to_yaml_flow(merge(parse_yaml_text(base), parse_yaml_text(overlay)));
}

}  // namespace

TEST_CASE("maps merge, lists replace, another type replaces the node, order is that of first appearance") {
  CHECK(merged("{a: 1, b: {c: 2, d: 3}}", "{e: 5, b: {d: 4}, a: 0}") == "{a: 0, b: {c: 2, d: 4}, e: 5}");
  CHECK(merged("{a: [1, 2, 3]}", "{a: [4]}") == "{a: [4]}");
  CHECK(merged("{o: {type: adam, lr: 1, betas: [1, 2]}}", "{o: {type: sgd, lr: 2}}") == "{o: {type: sgd, lr: 2}}");
  CHECK(merged("{o: {type: adam, lr: 1}}", "{o: {type: adam, eps: 2}}") == "{o: {type: adam, lr: 1, eps: 2}}");
  CHECK(merged("{o: {type: adam, lr: 1}}", "{o: {lr: 2}}") == "{o: {type: adam, lr: 2}}");
  CHECK(merged("{o: adam}", "{o: {lr: 2}}") == "{o: {type: adam, lr: 2}}");
  CHECK(merged("{o: adam}", "{o: {type: sgd, lr: 2}}") == "{o: {type: sgd, lr: 2}}");
  CHECK(merged("{o: {type: adam}}", "{o: null}") == "{o: null}");
  CHECK(merged("{o: 3}", "{o: {x: 1}}") == "{o: {x: 1}}");
}

TEST_CASE("extends takes files relative to the file that names them") {
  const Folder folder;
  folder.write("base/one.yaml", "extends: ../zero.yaml\na: {x: 1, y: 1}\nlist: [1]\n");
  folder.write("zero.yaml", "zero: here\na: {x: 0, z: 0}\n");
  folder.write("two.yaml", "a: {y: 2}\nb: two\n");
  const fs::path spec = folder.write("spec.yaml", "extends: [base/one.yaml, two.yaml]\nlist: [9]\na: {w: 3}\n");
  CHECK(to_yaml_flow(load_spec(spec)) == "{zero: here, a: {x: 1, z: 0, y: 2, w: 3}, list: [9], b: two}");

  const Node root = load_spec(spec);
  CHECK(find_path(root, "a.x")->source().where() == (folder.path() / "base/one.yaml").string() + ":2:8");
  CHECK(find_path(root, "a.z")->source().where() == (folder.path() / "zero.yaml").string() + ":2:14");
  CHECK(find_path(root, "a.w")->source().where() == spec.string() + ":3:8");
}

TEST_CASE("a file that is extended on two ways is read once, and is no circle") {
  const Folder folder;
  folder.write("a0.yaml", "x: 1\n");
  for (int i = 1; i < 40; ++i)
    folder.write(fmt::format("a{}.yaml", i), fmt::format("extends: [a{0}.yaml, a{0}.yaml]\n", i - 1));
  CHECK(to_yaml_flow(load_spec(folder.path() / "a39.yaml")) == "{x: 1}");
}

TEST_CASE("what cannot be extended is an error at the place that asks for it") {
  const Folder folder;
  folder.write("a.yaml", "x: 1\nextends: b.yaml\n");
  folder.write("b.yaml", "extends: [a.yaml]\n");
  const fs::path a = folder.path() / "a.yaml";
  CHECK(
      contains(error_of([&] { load_spec(a); }),
               (folder.path() / "b.yaml").string() + ":1:11: 'extends' runs in a circle: a.yaml -> b.yaml -> a.yaml."));
  const fs::path self = folder.write("self.yaml", "extends: self.yaml\n");
  CHECK(contains(error_of([&] { load_spec(self); }), "self.yaml -> self.yaml"));

  const fs::path missing = folder.write("m.yaml", "y: 1\nextends: [none.yaml, ., 3, {a: b}]\n");
  const std::string what = error_of([&] { load_spec(missing); });
  CHECK(contains(what, missing.string() + ":2:11: cannot read '" + (folder.path() / "none.yaml").string() +
                           "': No such file or directory."));
  CHECK(contains(what, "it is a directory"));
  CHECK(contains(what, ":2:28: 'extends' takes a file or a list of files, got a map."));

  if (geteuid() != 0) {  // root reads everything
    const fs::path closed = folder.write("closed.yaml", "x: 1\n");
    chmod(closed.c_str(), 0);
    const fs::path asks = folder.write("asks.yaml", "extends: closed.yaml\n");
    CHECK(contains(error_of([&] { load_spec(asks); }), "Permission denied"));
  }
  CHECK(contains(error_of([&] { load_spec(folder.path() / "nothing.yaml"); }), "No such file or directory"));
  CHECK(contains(error_of([&] { load_spec(folder.path()); }), "it is a directory"));
  CHECK(contains(fault(""), "expected a map of sections, got nothing"));
  CHECK(contains(fault("[1]"), "expected a map of sections, got a list"));

  const fs::path big = folder.path() / "big.yaml";
  std::ofstream(big).close();
  fs::resize_file(big, 100 << 20);
  CHECK(contains(error_of([&] { load_spec(big); }), "it is larger than 2 MiB"));
}

TEST_CASE("errors of several files come together") {
  const Folder folder;
  folder.write("base.yaml", "a: 1\na: 2\n");
  const fs::path spec = folder.write("spec.yaml", "extends: base.yaml\nb: ${vars.none}\nb: 2\n");
  const std::string what = error_of([&] { load_spec(spec, {.set = {"c"}, .unset = {"zz"}}); });
  CHECK(contains(what, "base.yaml:2:1: the key 'a'"));
  CHECK(contains(what, "spec.yaml:3:1: the key 'b'"));
  CHECK(contains(what, "there is no 'none' below 'vars'"));
  CHECK(contains(what, "--set:1:1: write it as 'section.key=value'"));
  CHECK(contains(what, "--unset:1:1: there is no 'zz' to unset"));
}

TEST_CASE("variables stand for nodes or for parts of texts") {
  CHECK(flow("vars: {n: 3, t: x, l: [1, 2], m: {k: v}}\na: ${vars.n}\nb: \"${vars.t}-${vars.n}\"\nc: ${vars.l}\n"
             "d: [\"${vars.m}\"]\ne: ${vars.m.k}${vars.l.1}\n") == "{a: 3, b: \"x-3\", c: [1, 2], d: [{k: v}], e: v2}");
  CHECK(flow("vars: {a: \"${vars.b}/x\", b: root}\nc: ${vars.a}\n") == "{c: \"root/x\"}");
  CHECK(flow("vars: {a: 1}\nb: $${vars.a}\nc: $5\nd: a$\n") == "{b: \"$${vars.a}\", c: $5, d: a$}");
  CHECK(flow("vars: {unused: \"${env:TRAINCTL_TEST_NONE}\"}\na: 1\n") == "{a: 1}");
  CHECK(flow("a: [\"${secret:KEY}\", \"${arg.width}\"]\n") == "{a: [\"${secret:KEY}\", \"${arg.width}\"]}");
}

TEST_CASE("references that stand for nothing are errors with their place") {
  CHECK(contains(fault("vars: {root: 1}\na: {b: \"${vars.rot}\"}\n"),
                 "spec.yaml:2:8: a.b: there is no 'rot' below 'vars'. Did you mean 'root'?"));
  CHECK(contains(fault("a: ${foo}\n"), "nothing is known as '${foo}'"));
  CHECK(contains(fault("a: ${vars.x\n"), "'}' is missing"));
  CHECK(contains(fault("vars: {x: [1]}\na: b${vars.x}\n"), "it cannot stand inside of a text"));
  CHECK(contains(fault("vars: {x: {y: 1}}\na: ${vars.x.z}\n"), "'vars' has no 'z' below 'x'"));
  CHECK(contains(fault("vars: [1]\n"), "'vars' is a map of names to values, got a list"));
  CHECK(contains(fault("a: ${secret:a b}\n"), "a secret is the name of an environment variable"));
  CHECK(contains(fault("vars: {a: \"${vars.b}\", b: \"${vars.a}\"}\nc: ${vars.a}\n"),
                 "is defined by itself: a -> b -> a"));
}

TEST_CASE("variables cannot grow without bound") {
  std::string texts = "vars:\n  v0: xxxxxxxxxxxxxxxx\n", lists = "vars:\n  v0: [x, x, x, x]\n",
              chain = "vars:\n  v0: x\n";
  for (int i = 1; i < 40; ++i) {
    texts += fmt::format("  v{0}: \"${{vars.v{1}}}${{vars.v{1}}}\"\n", i, i - 1);
    lists += fmt::format("  v{0}: [\"${{vars.v{1}}}\", \"${{vars.v{1}}}\"]\n", i, i - 1);
  }
  for (int i = 1; i < 40000; ++i) chain += fmt::format("  v{0}: \"${{vars.v{1}}}\"\n", i, i - 1);
  CHECK(contains(fault(texts + "a: ${vars.v39}\n"), "the variables grow beyond"));
  CHECK(contains(fault(lists + "a: ${vars.v39}\n"), "the variables grow beyond"));
  CHECK(contains(fault(chain + "a: ${vars.v39999}\n"), "more than 100 variables that name each other"));
  std::string open;
  for (int i = 0; i < 100000; ++i) open += "${";
  CHECK(contains(fault("a: \"" + open + "\"\n"), "nested deeper"));
}

TEST_CASE("the environment") {
  setenv("TRAINCTL_TEST_A", "7", 1);
  setenv("TRAINCTL_TEST_EMPTY", "", 1);
  setenv("TRAINCTL_TEST_ODD", "x${vars.a}", 1);
  setenv("TRAINCTL_TEST_BAD", "\xff", 1);
  unsetenv("TRAINCTL_TEST_NONE");
  CHECK(flow("a: ${env:TRAINCTL_TEST_A}\nb: ${env:TRAINCTL_TEST_A:-3}\nc: x${env:TRAINCTL_TEST_A}\n") ==
        "{a: 7, b: 7, c: x7}");
  CHECK(
      flow(
          "a: ${env:TRAINCTL_TEST_NONE:-/usr/share}\nb: ${env:TRAINCTL_TEST_EMPTY:-d}\nc: ${env:TRAINCTL_TEST_NONE:-}\n"
          "d: ${env:TRAINCTL_TEST_NONE:-null}\n") == "{a: /usr/share, b: d, c: \"\", d: null}");
  CHECK(flow("vars: {r: z}\na: ${env:TRAINCTL_TEST_NONE:-${vars.r}/y}\n") == "{a: z/y}");
  CHECK(flow("a: ${env:TRAINCTL_TEST_ODD}\n") == "{a: \"x$${vars.a}\"}");
  CHECK(contains(fault("a: ${env:TRAINCTL_TEST_NONE}\n"), "the environment variable TRAINCTL_TEST_NONE is not set"));
  CHECK(contains(fault("a: ${env:TRAINCTL_TEST_BAD}\n"), "$TRAINCTL_TEST_BAD:1:1: "));
  CHECK(contains(fault("a: ${env:9}\n"), "'9' is no name of an environment variable"));
}

TEST_CASE("--set and --unset") {
  const std::string spec =
      "model: {layers: [{type: conv2d, out_channels: 32}, relu]}\noptimizer: {type: adam, lr: 1, betas: [1, 2]}\n"
      "loss: cross_entropy\npolicies: {stop: {patience: 5}}\n";
  const auto at = [&](const std::string& set, const std::string& path) {
    const Node root = load(spec, {.set = {set}, .unset = {}});
    const Node* node = find_path(root, path);
    return node ? to_yaml_flow(*node) : "(missing)";
  };
  CHECK(at("model.layers.0.out_channels=8", "model.layers.0") == "{type: conv2d, out_channels: 8}");
  CHECK(at("model.layers.1=gelu", "model.layers") == "[{type: conv2d, out_channels: 32}, gelu]");
  CHECK(at("optimizer.betas=[0.8, 0.9]", "optimizer.betas") == "[0.8, 0.9]");
  CHECK(at("optimizer.betas.1=3", "optimizer.betas") == "[1, 3]");
  CHECK(at("trainer.max=20 epochs", "trainer") == "{max: 20 epochs}");
  CHECK(at("a.b.c.d={x: [1], y: null}", "a.b.c.d") == "{x: [1], y: null}");
  CHECK(at("policies.stop=null", "policies.stop") == "null");
  CHECK(at("loss.label_smoothing=0.1", "loss") == "{type: cross_entropy, label_smoothing: 0.1}");
  CHECK(at("optimizer.type=sgd", "optimizer") == "{type: sgd}");
  CHECK(at("optimizer.type=adam", "optimizer.lr") == "1");
  CHECK(at("optimizer={type: sgd}", "optimizer") == "{type: sgd}");
  CHECK(at("name=a=b", "name") == "a=b");
  CHECK(at("name=\"x: y\"", "name") == "\"x: y\"");
  CHECK(flow("a: 1\nb: [1, 2, 3]\nc: {d: 4, e: 5}\n", {.set = {"c.d=7"}, .unset = {"a", "b.1", "c.d"}}) ==
        "{b: [1, 3], c: {e: 5, d: 7}}");
  CHECK(flow("vars: {x: 1}\na: ${vars.x}\n", {.set = {"vars.x=2", "b=${vars.x}"}, .unset = {}}) == "{a: 2, b: 2}");
}

TEST_CASE("errors of --set and --unset point into the argument") {
  const auto set = [](const std::string& argument) {
    return fault("model: {layers: [{type: x}, relu]}\nbatch: 3\n", {.set = {argument}, .unset = {}});
  };
  CHECK(set("model.layers.7.p=1") ==
        "--set:1:14: '7' is no item of this list: its items are 0 to 1.\n    model.layers.7.p=1\n                 ^");
  CHECK(contains(set("model.layers.-1=1"), "'-1' is no item of this list"));
  CHECK(contains(set("model.layers.x=1"), "'x' is no item of this list"));
  CHECK(contains(set("batch.size=1"), "--set:1:7: nothing can be set below '3'"));
  CHECK(contains(set("batch"), "write it as 'section.key=value'"));
  CHECK(contains(set("=3"), "--set:1:1: a name is missing here"));
  CHECK(contains(set("a..b=3"), "--set:1:3: a name is missing here"));
  CHECK(contains(set("batch="), "a value is missing"));
  CHECK(contains(set("batch=[1, 2"), "--set:1:7: "));
  CHECK(contains(set("batch={a: 1, a: 2}"), "--set:1:14: the key 'a' stands here a second time"));
  CHECK(contains(set("batch=*x"), "--set:1:7: "));
  std::string deep = "a";
  for (int i = 0; i < 100000; ++i) deep += ".a";
  CHECK(contains(set(deep + "=1"), "deeper than 100 levels"));
  const auto unset = [](const std::string& key) {
    return fault("model: {layers: [1]}\n", {.set = {}, .unset = {key}});
  };
  CHECK(contains(unset("model.layer"), "--unset:1:7: there is no 'layer' to unset. Did you mean 'layers'?"));
  CHECK(contains(unset("model.layers.3"), "'3' is no item"));
}

namespace {

struct Paths {
  std::int64_t count = 0;
  Path a, b, c, d;
  static Schema<Paths> schema() {
    return Schema<Paths>("Paths.")
        .field("count", &Paths::count, "A number.")
        .field("a", &Paths::a, "A.")
        .field("b", &Paths::b, "B.")
        .field("c", &Paths::c, "C.")
        .field("d", &Paths::d, "D.");
  }
};

}  // namespace

TEST_CASE("paths start at the folder of the file that wrote them") {
  const Folder folder;
  folder.write("base/b.yaml", "vars: {r: data}\na: x/../y\n");
  const fs::path spec = folder.write("top/s.yaml", "extends: ../base/b.yaml\nb: here\nc: ${vars.r}/z\n");
  const auto paths = parse<Paths>(load_spec(spec, {.set = {"d=sub/file"}, .unset = {}}));
  CHECK(paths.a.value == folder.path() / "base/y");
  CHECK(paths.b.value == folder.path() / "top/here");
  CHECK(paths.c.value == folder.path() / "base/data/z");
  CHECK(paths.d.value == fs::current_path() / "sub/file");
}

TEST_CASE("a schema's errors keep the places across extends and --set, and join those of the references") {
  const Folder folder;
  folder.write("base.yaml", "# base\ncout: 1\n");
  const fs::path spec = folder.write("s.yaml", "extends: base.yaml\na: [x]\nb: ${vars.nope}\n");
  Diagnostics diagnostics;
  const auto root = load_spec(spec, {.set = {"count=many"}, .unset = {}}, diagnostics);
  REQUIRE(root);
  Paths paths;
  read(paths, *root, diagnostics);
  const std::string what = to_text(diagnostics.errors(), diagnostics.total());
  CHECK(contains(what, (folder.path() / "base.yaml").string() + ":2:1: unknown key 'cout'. Did you mean 'count'?"));
  CHECK(contains(what, spec.string() + ":2:4: a: expected text, got a list."));
  CHECK(contains(what, spec.string() + ":3:4: b: there is no 'nope' below 'vars'."));
  CHECK(contains(what, "--set:1:7: count: expected an integer, got 'many'.\n    count=many\n          ^"));
  CHECK(diagnostics.total() == 4);
}

TEST_CASE("blocks fill in their own arguments") {
  const Node body =
      parse_yaml_text("{type: conv2d, out_channels: \"${arg.width}\", name: \"c${arg.width}\", x: \"${arg.y}\"}");
  Diagnostics diagnostics;
  const Lookup lookup = [](std::string_view reference, const Source&, Diagnostics&) -> std::optional<Node> {
    if (reference == "arg.width") return Node::scalar("64");
    return std::nullopt;
  };
  CHECK(to_yaml_flow(substitute(body, lookup, diagnostics)) ==
        "{type: conv2d, out_channels: 64, name: \"c64\", x: \"${arg.y}\"}");
}
