#include "schema/yaml.h"
#include "schema/json_text.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <random>

using namespace trainctl;

namespace {

// The errors of a text, as "line:column message" lines.
std::string faults(const std::string& text) {
  try {
    parse_yaml_text(text, "t");
  } catch (const ConfigError& error) {
    std::string lines;
    for (const Diagnostic& d : error.errors())
      lines += std::to_string(d.source.line) + ":" + std::to_string(d.source.character()) + " " + d.message + "\n";
    return lines;
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return true;
  MESSAGE(text.substr(0, 500));
  return false;
}

std::string repeated(const std::string& piece, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += piece;
  return text;
}

}  // namespace

TEST_CASE("every node and key knows its place") {
  const Node root = parse_yaml_text("model:\n  type: mlp\n  layers:\n    - {type: linear, out: 3}\n    - relu\n", "t");
  const Node* layers = find_path(root, "model.layers");
  REQUIRE(layers);
  CHECK(layers->source().line == 4);
  const Node::Entry* out = layers->items()[0].find_entry("out");
  REQUIRE(out);
  CHECK(out->key_source.where() == "t:4:22");
  CHECK(out->value.source().where() == "t:4:27");
  CHECK(out->value.source().line_text() == "    - {type: linear, out: 3}");
  CHECK(find_path(root, "model.layers.1")->text() == "relu");
  CHECK(find_path(root, "model.layers.2") == nullptr);
  CHECK(find_path(root, "model.layers.x") == nullptr);
}

TEST_CASE("columns count characters, not bytes") {
  const Node root = parse_yaml_text("{é: ü, b: c}", "t");
  CHECK(root.find("b")->source().where() == "t:1:11");
}

TEST_CASE("scalars keep their text and whether they were quoted") {
  const Node root = parse_yaml_text("a: 1e-3\nb: \"010\"\nc: on\nd: ~\ne:\nf: 'x'\ng: |\n  two\n  lines\nh: !!str 5\n");
  CHECK(root.find("a")->text() == "1e-3");
  CHECK(!root.find("a")->quoted());
  CHECK(root.find("b")->quoted());
  CHECK(root.find("c")->text() == "on");
  CHECK(root.find("d")->is_null());
  CHECK(root.find("e")->is_null());
  CHECK(root.find("e")->source().line == 5);
  CHECK(root.find("f")->quoted());
  CHECK(root.find("g")->text() == "two\nlines\n");
  CHECK(root.find("h")->quoted());
}

TEST_CASE("anchors, aliases and merge keys") {
  const Node root = parse_yaml_text(
      "base: &b {lr: 1, momentum: 2}\nother: &o {lr: 7, decay: 3}\nuse: *b\n"
      "one: {<<: *b, lr: 9}\nmany:\n  <<: [*b, *o]\n  extra: 1\nplain: {'<<': 1}\n");
  CHECK(*root.find("use") == *root.find("base"));
  CHECK(find_path(root, "one.lr")->text() == "9");
  CHECK(find_path(root, "one.momentum")->text() == "2");
  CHECK(find_path(root, "many.lr")->text() == "1");
  CHECK(find_path(root, "many.decay")->text() == "3");
  CHECK(find_path(root, "plain.<<")->text() == "1");
  CHECK(contains(faults("a: {<<: 3}"), "'<<' takes a map, got '3'"));
}

TEST_CASE("duplicate keys are errors with both places") {
  CHECK(faults("a: 1\nb: 2\na: 3\n") == "3:1 the key 'a' stands here a second time (first on line 1).\n");
  CHECK(faults("x: {a: 1, 'a': 2}") == "1:11 the key 'a' stands here a second time (first on line 1).\n");
  CHECK(contains(faults("a: 1\na: 2\na: 3\n"), "3:1 "));
}

TEST_CASE("keys are names, a file is one document, tags have no meaning") {
  CHECK(contains(faults("[1, 2]: 3"), "as a key"));
  CHECK(contains(faults("? {a: 1}\n: 3"), "as a key"));
  CHECK(contains(faults("~: 3"), "null as a key"));
  CHECK(contains(faults("a: 1\n---\nb: 2\n"), "a second document"));
  CHECK(contains(faults("a: !custom 1\n"), "1:4 the tag '!custom'"));
  CHECK(faults("--- \na: 1\n...\n").empty());
}

TEST_CASE("syntax errors carry place and advice") {
  CHECK(contains(faults("a: b: c\n"), "1:5 ': ' where no value may stand"));
  CHECK(contains(faults("a:\n  - [1, 2\nb: 3\n"),
                 "2:5 a list or map as a key: keys are names. Is its closing bracket missing?"));
  CHECK(contains(faults("a: 'open\n"), "illegal EOF in scalar"));
  CHECK(contains(faults("a: \"open\nb: 1\n"), "illegal EOF in scalar"));
  CHECK(contains(faults("a: 'open"), "illegal EOF in scalar"));
  CHECK(contains(faults("a: *nothing\n"), "1:4 "));
}

TEST_CASE("bytes that are no text are refused with their place") {
  CHECK(contains(faults(std::string("a: b\nc: \0d\n", 11)), "2:4 a NUL byte"));
  CHECK(contains(faults("a: \xff\n"), "1:4 byte 0xff is not UTF-8"));
  CHECK(contains(faults("a: \xc0\x80\n"), "not UTF-8"));          // overlong
  CHECK(contains(faults("a: \xed\xa0\x80\n"), "not UTF-8"));      // surrogate
  CHECK(contains(faults("a: \xf4\x90\x80\x80\n"), "not UTF-8"));  // beyond U+10FFFF
  CHECK(contains(faults("a: \xe2\x82"), "not UTF-8"));            // cut short
  CHECK(contains(faults("a:\n\tb: 1\n"), "2:1 a tab"));
  CHECK(contains(faults("a:\n  \tb: 1\n"), "2:3 a tab"));
  CHECK(contains(faults("a: \x1b[31m\n"), "1:4 a control character (\\x1b)"));
  CHECK(faults("a: 1\t# note\n\t\n\t# comment\nb: \"x\ty\"\r\n").empty());
  CHECK(faults("\xef\xbb\xbf"
               "a: 1\n")
            .empty());
}

TEST_CASE("aliases cannot grow without bound") {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before + repeated(", " + before, 8) + "]\n";
  }
  CHECK(contains(faults(bomb), "more than 100000 values, aliases expanded"));
  CHECK(contains(faults("a: &a [1, *a]\n"), "1:11 an alias inside of what it stands for"));
  CHECK(contains(faults("a: &a {b: *a}\n"), "an alias inside of what it stands for"));

  std::string chain = "a0: &a0 [x]\n";
  for (int i = 1; i < 150; ++i)
    chain += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
  CHECK(contains(faults(chain), "nested deeper than 100 levels"));
}

TEST_CASE("depth and size are bounded") {
  for (const std::string piece : {"[", "{a: ", "- ", "[{a: ", "{? ", "&a [", "'[' : [", "a: [\n"})
    CHECK(contains(faults(repeated(piece, 100000)), "nested deeper"));
  std::string stairs;
  for (int i = 0; i < 2000; ++i) stairs += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  CHECK(contains(faults(stairs), "nested deeper"));
  CHECK(contains(faults("[" + repeated("1, ", 100001) + "1]"), "more than 100000 values"));
  CHECK(contains(faults(std::string(100 << 20, 'a')), "larger than 2 MiB"));
  CHECK(!faults(repeated("? ", 100000)).empty());
  CHECK(!faults(repeated("]", 100000)).empty());
  CHECK(!faults(repeated("a: ", 100000)).empty());
  CHECK(faults(repeated("[", 100) + repeated("]", 100)).empty());
}

TEST_CASE("many errors are counted, the first hundred shown") {
  std::string text = "a: 1\n";
  for (int i = 0; i < 200; ++i) text += "a: 1\n";
  try {
    parse_yaml_text(text, "t");
    FAIL("accepted");
  } catch (const ConfigError& error) {
    CHECK(error.errors().size() == 100);
    CHECK(error.exit_code() == 3);
  }
}

TEST_CASE("a tree is written as YAML that reads back equal") {
  const char* texts[] = {
      "a: 1\nb: [1, 2.5, x]\nc: {}\nd: []\ne: ~\nf: \"\"\ng: \"null\"\nh: 'it''s'\n",
      "layers:\n  - {type: conv2d, size: [3, 3]}\n  - relu\n  - type: res\n    body: [{type: linear, n: {x: 1}}]\n",
      "text: |\n  two\n  lines\n\nbetas: [[1, 2], [3]]\n",
      "a: ${vars.x}\nb: [\"${vars.x}\"]\nc:\n  - ${secret:X}\n  - k: ${secret:X}\n",
      "'a: b': 1\n'#x': 2\n'- y': -3\n\"\": 4\n'null': 5\n'<<': 6\n",
      "- - 1\n  - [a, {b: c}]\n- x: {y: [1, {z: []}]}\n",
      "just text",
      "url: http://host:80/x\ntime: 11 h 30 min\nneg: -1\nhash: a#b\n",
  };
  for (const char* text : texts) {
    const Node node = parse_yaml_text(text);
    const std::string written = to_yaml(node);
    INFO(written);
    CHECK(parse_yaml_text(written) == node);
    CHECK(to_yaml(parse_yaml_text(written)) == written);
    CHECK(to_json(parse_yaml_text(to_yaml_flow(node))) == to_json(node));
  }
  CHECK(to_yaml(parse_yaml_text("l: [{type: conv2d,  out: 3}, relu]")) == "l:\n  - {type: conv2d, out: 3}\n  - relu\n");
}

namespace {

std::string random_text(std::mt19937& random) {
  const std::string letters = "ab1.-:# ,[]{}&*!|>'\"%@`~\\\n\t$?=é";
  std::string text;
  for (unsigned n = random() % 6; n > 0; --n) text += letters[random() % (letters.size() - 2)];
  return text;
}

Node random_tree(std::mt19937& random, int depth) {
  switch (random() % (depth > 0 ? 5 : 3)) {
    case 0:
      return Node::null();
    case 1:
      return Node::scalar(random_text(random), true);
    case 2:
      return Node::scalar("w" + std::to_string(random() % 100), random() % 2 == 0);
    case 3: {
      Node list = Node::list();
      for (unsigned n = random() % 5; n > 0; --n) list.push_back(random_tree(random, depth - 1));
      return list;
    }
    default: {
      Node map = Node::map();
      for (unsigned n = random() % 5; n > 0; --n) map.set(random_text(random), random_tree(random, depth - 1));
      return map;
    }
  }
}

}  // namespace

TEST_CASE("random trees survive writing and reading") {
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    const Node node = random_tree(random, 4);
    const std::string written = to_yaml(node);
    INFO(written);
    REQUIRE(parse_yaml_text(written) == node);
    REQUIRE(parse_yaml_text(to_yaml_flow(node)) == node);
  }
}

TEST_CASE("random bytes are refused or read, never worse") {
  std::mt19937 random(11);
  const std::string letters = "ab:-[]{}&*!|>'\"%@,?#\n  \t1~<\\";
  int refused = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (unsigned n = random() % 60; n > 0; --n) text += letters[random() % letters.size()];
    try {
      parse_yaml_text(text);
    } catch (const ConfigError&) {
      ++refused;
    }
  }
  CHECK(refused > 0);
  CHECK(refused < 5000);
}

TEST_CASE("JSON of a tree and back") {
  const Node node = parse_yaml_text("{a: 1, b: 1e-3, c: true, d: on, e: \"1\", f: ~, g: [0x10, 010], h: .inf}");
  CHECK(json_text(to_json(node)) ==
        R"({"a":1,"b":0.001,"c":true,"d":"on","e":"1","f":null,"g":[16,"010"],"h":".inf"})");
  const auto json = parse_json(R"({"a":[1,-2,0.1,true,null,"x"],"b":{"c":{}}})");
  CHECK(to_json(from_json(json)) == json);
}

TEST_CASE("copies of a node change alone") {
  Node a = parse_yaml_text("{x: {y: [1, 2]}}");
  Node b = a;
  b.find_mutable("x")->find_mutable("y")->item(0) = Node::scalar("9");
  CHECK(find_path(a, "x.y.0")->text() == "1");
  CHECK(find_path(b, "x.y.0")->text() == "9");
  CHECK(b.erase("x"));
  CHECK(!b.erase("x"));
  CHECK(a.find("x") != nullptr);
}
