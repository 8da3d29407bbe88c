#include "schema/resolve.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/text.h"
#include "schema/references.h"
#include "schema/yaml.h"

namespace trainctl {

namespace fs = std::filesystem;

bool is_word(const Node& node) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz_0123456789";
  return node.is_scalar() && !node.quoted() && !node.text().empty() && node.text()[0] >= 'a' && node.text()[0] <= 'z' &&
         node.text().find_first_not_of(letters) == std::string::npos;
}

Node as_component(const Node& word) {
  Node map = Node::map(word.source());
  map.append("type", word, word.source());
  return map;
}

Node merge(const Node& base, const Node& overlay) {
  if (!overlay.is_map()) return overlay;
  if (is_word(base) && !overlay.find("type")) return merge(as_component(base), overlay);
  if (!base.is_map()) return overlay;
  const Node* old_type = base.find("type");
  const Node* new_type = overlay.find("type");
  if (old_type && new_type && old_type->text() != new_type->text()) return overlay;

  std::unordered_map<std::string_view, const Node::Entry*> changes;
  for (const Node::Entry& entry : overlay.entries()) changes.emplace(entry.key, &entry);
  Node result = Node::map(overlay.source());
  for (const Node::Entry& entry : base.entries()) {
    const auto change = changes.find(entry.key);
    if (change == changes.end()) {
      result.append(entry.key, entry.value, entry.key_source);
      continue;
    }
    result.append(entry.key, merge(entry.value, change->second->value), change->second->key_source);
    changes.erase(change);
  }
  for (const Node::Entry& entry : overlay.entries())
    if (changes.contains(entry.key)) result.append(entry.key, entry.value, entry.key_source);
  return result;
}

namespace {

// Reads files with what they extend. A file that several others extend is read once.
class Loader {
 public:
  explicit Loader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  // Null after an error that leaves nothing to look at.
  Node load(const fs::path& path, const Source& asked_at) {
    std::error_code ignored;
    fs::path key = fs::weakly_canonical(path, ignored);
    if (key.empty()) key = path;
    if (const auto known = done_.find(key); known != done_.end()) return known->second;
    if (refuse_cycle(path, key, asked_at)) return {};

    const auto text = read_source(path, asked_at, diagnostics_);
    if (!text) return {};
    Node own = parse_yaml(text, diagnostics_);
    if (!own.is_map()) {
      if (diagnostics_.ok())
        diagnostics_.error(Source{text, 1, 1}, fmt::format("expected a map of sections, got {}.",
                                                           own.is_null() ? "nothing" : describe(own)));
      return {};
    }
    open_.push_back(key);
    Node result = on_top_of_bases(own, path);
    open_.pop_back();
    return done_[key] = result;
  }

 private:
  bool refuse_cycle(const fs::path& path, const fs::path& key, const Source& asked_at) {
    constexpr std::size_t deepest = 50;
    const auto again = std::find(open_.begin(), open_.end(), key);
    if (again == open_.end() && open_.size() < deepest) return false;
    std::vector<std::string> names;
    for (auto file = again; file != open_.end(); ++file) names.push_back(file->filename().string());
    names.push_back(key.filename().string());
    diagnostics_.error(asked_at, again != open_.end()
                                     ? fmt::format("'extends' runs in a circle: {}.", join(names, " -> "))
                                     : fmt::format("'{}' extends more than {} levels deep.", path.string(), deepest));
    return true;
  }

  Node on_top_of_bases(Node own, const fs::path& path) {
    const Node* found = own.find("extends");
    if (!found) return own;
    const Node extends = resolve_spec(*found, {}, diagnostics_);  // an environment variable may name the file
    own.erase("extends");
    Node bases = Node::map(own.source());
    const auto add = [&](const Node& base) {
      if (!base.is_scalar() || base.text().empty()) {
        if (!base.is_faulty())
          diagnostics_.error(base, fmt::format("'extends' takes a file or a list of files, got {}.", describe(base)));
        return;
      }
      bases = merge(bases, load((path.parent_path() / base.text()).lexically_normal(), base.source()));
      complete_ = complete_ && bases.is_map();
      if (!bases.is_map()) bases = Node::map(own.source());
    };
    if (extends.is_list())
      for (const Node& base : extends.items()) add(base);
    else
      add(extends);
    return merge(bases, own);
  }

 public:
  bool complete() const { return complete_; }

 private:
  Diagnostics& diagnostics_;
  std::map<fs::path, Node> done_;
  std::vector<fs::path> open_;
  bool complete_ = true;
};

}  // namespace

std::optional<Node> load_spec(const fs::path& path, const Overrides& overrides, Diagnostics& diagnostics) {
  Loader loader(diagnostics);
  Node root = loader.load(path, {});
  if (!root.is_map() || !loader.complete()) return std::nullopt;
  return resolve_spec(std::move(root), overrides, diagnostics);
}

Node load_spec(const fs::path& path, const Overrides& overrides) {
  Diagnostics diagnostics;
  const std::optional<Node> root = load_spec(path, overrides, diagnostics);
  diagnostics.throw_if_any();
  return *root;
}

Node resolve_spec(Node root, const Overrides& overrides, Diagnostics& diagnostics) {
  for (const std::string& key : overrides.unset) apply_unset(root, key, diagnostics);
  for (const std::string& assignment : overrides.set) apply_set(root, assignment, diagnostics);
  const Node* found = root.find("vars");
  const Node vars = found ? *found : Node::map();
  if (!vars.is_map() && !vars.is_null())
    diagnostics.error(vars, fmt::format("'vars' is a map of names to values, got {}.", describe(vars)));
  root.erase("vars");
  References references(vars);
  return substitute(root, std::ref(references), diagnostics);
}

}  // namespace trainctl
