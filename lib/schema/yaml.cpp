#include "schema/yaml.h"

#include <fmt/core.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"
#include "schema/yaml_text.h"

namespace trainctl {

namespace {

// Ends the parse after an error that makes going on useless.
struct Stop {};

// Builds a tree from yaml-cpp's events. Sizes and depths are counted with aliases expanded, although the tree shares
// what they stand for.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(std::shared_ptr<const SourceText> source, Diagnostics& diagnostics, const YamlLimits& limits,
              std::size_t first_byte)
      : source_(std::move(source)), diagnostics_(diagnostics), limits_(limits), first_byte_(first_byte) {}

  Node take() { return std::move(root_); }

  Source at(const YAML::Mark& mark) const {
    if (mark.is_null()) return Source{source_, 0, 0};
    const int shift = mark.line == 0 ? static_cast<int>(first_byte_) : 0;
    return Source{source_, mark.line + 1, mark.column + 1 + shift};
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) stop(at(mark), "a second document ('---'): a file holds one.");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add({Node::null(null_source(mark)), anchor}); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (!quoted) check_tag(mark, tag);
    add({Node::scalar(value, quoted, at(mark)), anchor});
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end()) stop(at(mark), "an alias inside of what it stands for.");
    Built copy = known->second;
    copy.anchor = 0;
    if (static_cast<int>(frames_.size()) + copy.height > limits_.depth) too_deep(at(mark));
    add(std::move(copy));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, {Node::list(at(mark)), anchor});
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, {Node::map(at(mark)), anchor});
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override {
    merge_into(frames_.back());
    close();
  }

 private:
  struct Built {
    Node node;
    YAML::anchor_t anchor = 0;
    std::size_t count = 1;  // nodes
    int height = 0;         // levels below
  };
  struct Frame {
    Built built;
    bool has_key = false;
    bool key_is_merge = false;
    std::string key;
    Source key_source;
    std::unordered_set<std::string> keys;
    std::vector<Node> merges;
  };

  [[noreturn]] void stop(const Source& source, std::string message) {
    diagnostics_.error(source, std::move(message));
    throw Stop{};
  }
  [[noreturn]] void too_deep(const Source& source) {
    stop(source, fmt::format("nested deeper than {} levels.", limits_.depth));
  }

  void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    diagnostics_.error(at(mark), fmt::format("the tag '{}' has no meaning here: remove it.", printable(tag)));
  }

  // An empty value has no place of its own; yaml-cpp gives that of the next token.
  Source null_source(const YAML::Mark& mark) const {
    Source here = at(mark);
    if (frames_.empty() || !frames_.back().has_key) return here;
    const std::string_view line = here.line_text();
    const auto column = static_cast<std::size_t>(here.column - 1);
    const char first = column < line.size() ? line[column] : ' ';
    const bool written = first == '~' || first == 'n' || first == 'N';
    return here.line == frames_.back().key_source.line && written ? here : frames_.back().key_source;
  }

  void open(const YAML::Mark& mark, const std::string& tag, Built built) {
    check_tag(mark, tag);
    if (static_cast<int>(frames_.size()) >= limits_.depth) too_deep(at(mark));
    if (!frames_.empty() && frames_.back().built.node.is_map() && !frames_.back().has_key)
      stop(at(mark), "a list or map as a key: keys are names. Is its closing bracket missing?");
    frames_.push_back({.built = std::move(built), .key = {}, .key_source = {}, .keys = {}, .merges = {}});
  }

  void close() {
    Built built = std::move(frames_.back().built);
    frames_.pop_back();
    total_ -= built.count - 1;  // the children: add() counts them again
    add(std::move(built));
  }

  void add(Built built) {
    total_ += built.count;
    if (total_ > limits_.nodes)
      stop(built.node.source(), fmt::format("more than {} values, aliases expanded.", limits_.nodes));
    if (built.anchor != 0) anchors_[built.anchor] = built;
    if (frames_.empty()) {
      root_ = std::move(built.node);
      return;
    }
    Frame& frame = frames_.back();
    frame.built.count += built.count;
    frame.built.height = std::max(frame.built.height, built.height + 1);
    if (frame.built.node.is_list())
      frame.built.node.push_back(std::move(built.node));
    else if (!frame.has_key)
      add_key(frame, built.node);
    else
      add_value(frame, std::move(built.node));
  }

  void add_key(Frame& frame, const Node& key) {
    if (!key.is_scalar()) stop(key.source(), fmt::format("{} as a key: keys are names.", describe(key)));
    frame.has_key = true;
    frame.key = key.text();
    frame.key_source = key.source();
    frame.key_is_merge = !key.quoted() && key.text() == "<<";
  }

  void add_value(Frame& frame, Node value) {
    frame.has_key = false;
    if (frame.key_is_merge) {
      frame.merges.push_back(std::move(value));
      frame.key_is_merge = false;
    } else if (frame.keys.insert(frame.key).second) {
      frame.built.node.append(std::move(frame.key), std::move(value), std::move(frame.key_source));
    } else {
      const Source* first = nullptr;
      for (const Node::Entry& entry : frame.built.node.entries())
        if (entry.key == frame.key) first = &entry.key_source;
      diagnostics_.error(frame.key_source, fmt::format("the key '{}' stands here a second time (first on line {}).",
                                                       printable(frame.key), first ? first->line : 0));
      if (diagnostics_.full()) throw Stop{};
    }
  }

  // `<<`: the keys of other maps, unless the map has them itself; of several maps the first wins.
  void merge_into(Frame& frame) {
    if (frame.merges.empty()) return;
    Node result = Node::map(frame.built.node.source());
    const auto take_from = [&](const Node& other) {
      if (!other.is_map()) diagnostics_.error(other, fmt::format("'<<' takes a map, got {}.", describe(other)));
      for (const Node::Entry& entry : other.entries())
        if (frame.keys.insert(entry.key).second) result.append(entry.key, entry.value, entry.key_source);
    };
    for (const Node& merge : frame.merges) {
      if (merge.is_list())
        for (const Node& item : merge.items()) take_from(item);
      else
        take_from(merge);
    }
    for (const Node::Entry& entry : frame.built.node.entries()) result.append(entry.key, entry.value, entry.key_source);
    frame.built.node = std::move(result);
  }

  std::shared_ptr<const SourceText> source_;
  Diagnostics& diagnostics_;
  YamlLimits limits_;
  std::size_t first_byte_;
  std::vector<Frame> frames_;
  std::unordered_map<YAML::anchor_t, Built> anchors_;
  std::size_t total_ = 0;
  int documents_ = 0;
  Node root_;
};

// yaml-cpp's words, with advice where its own say little.
std::string syntax_message(const std::string& message) {
  if (message == "illegal map value")
    return "': ' where no value may stand. A text with ': ' in it goes into quotes; check the indentation too.";
  if (message.starts_with("end of map not found") || message.starts_with("end of sequence not found"))
    return message + ": check the indentation of this line and the ones above.";
  if (message.starts_with("end of map flow") || message.starts_with("end of sequence flow"))
    return message + ": a closing bracket or a comma is missing.";
  return message + ".";
}

}  // namespace

Node parse_yaml(std::shared_ptr<const SourceText> source, Diagnostics& diagnostics, const YamlLimits& limits,
                std::size_t first_byte) {
  if (source->text.size() > limits.bytes) {
    diagnostics.error(Source{source, 0, 0}, fmt::format("larger than {} MiB.", limits.bytes >> 20));
    return {};
  }
  if (!check_text(source, diagnostics) || !check_brackets(source, limits.depth, diagnostics)) return {};
  TreeBuilder builder(source, diagnostics, limits, first_byte);
  try {
    std::string text = source->text.substr(first_byte);
    // yaml-cpp takes a quote that is still open at a line's end for closed; a comment behind it brings out the error.
    if (text.ends_with('\n')) text += '#';
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Stop&) {
  } catch (const YAML::Exception& error) {
    diagnostics.error(builder.at(error.mark), syntax_message(error.msg));
  }
  return builder.take();
}

Node parse_yaml_text(std::string text, std::string name) {
  Diagnostics diagnostics;
  const auto source = std::make_shared<const SourceText>(SourceText{std::move(name), std::move(text), {}});
  Node node = parse_yaml(source, diagnostics);
  diagnostics.throw_if_any();
  return node;
}

Node parse_yaml_file(const std::filesystem::path& path) {
  Diagnostics diagnostics;
  const auto source = read_source(path, {}, diagnostics);
  Node node = source ? parse_yaml(source, diagnostics) : Node();
  diagnostics.throw_if_any();
  return node;
}

}  // namespace trainctl
