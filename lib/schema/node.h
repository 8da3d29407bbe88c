// The tree of an experiment file, every node and key with the place where it was written.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trainctl {

/// A text that nodes come from: a file, or an argument of the command line as a pseudo file ("--set").
struct SourceText {
  std::string name;              ///< what messages call it: the path as given, or "--set"
  std::string text;              ///< the whole content
  std::filesystem::path folder;  ///< relative paths written in it start here; empty: the working directory
};

/// Where something was written. Line and column count from 1, columns in bytes; line 0 means "nowhere in particular".
struct Source {
  std::shared_ptr<const SourceText> file;
  int line = 0;
  int column = 0;

  /// "config.yaml:12:5", the column counted in characters; "" without a file.
  std::string where() const;
  /// The column counted in characters (code points), as editors count.
  int character() const;
  /// The whole line, without its end.
  std::string_view line_text() const;
};

/// A node: null, scalar, list or map. Copies share their children until one of them is changed.
///
/// Scalars are text; what a text means (number, boolean, duration) is decided by the schema that reads it. Maps keep
/// the order in which keys first appeared.
class Node {
 public:
  enum class Kind { null, scalar, list, map };
  struct Entry;

  Node() = default;
  static Node null(Source source = {});
  static Node scalar(std::string text, bool quoted = false, Source source = {});
  static Node list(Source source = {});
  static Node map(Source source = {});
  /// Stands for what could not be filled in, its error noted already: reading skips it.
  static Node faulty(Source source);

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::null; }
  bool is_scalar() const { return kind_ == Kind::scalar; }
  bool is_list() const { return kind_ == Kind::list; }
  bool is_map() const { return kind_ == Kind::map; }
  bool is_faulty() const { return faulty_; }

  /// The text of a scalar, "" of anything else; whether it was written in quotes (or as a block).
  const std::string& text() const { return text_; }
  bool quoted() const { return quoted_; }

  const Source& source() const { return source_; }
  void set_source(Source source) { source_ = std::move(source); }

  /// Number of items or entries; 0 of null and scalars.
  std::size_t size() const;

  /// The items of a list, the entries of a map; empty of anything else. Valid until the node changes.
  std::span<const Node> items() const;
  std::span<const Entry> entries() const;

  /// The value under `key`, or nullptr (also when this is not a map).
  const Node* find(std::string_view key) const;
  const Entry* find_entry(std::string_view key) const;

  /// As items() and find(), to be changed; children shared with other nodes are copied first.
  Node& item(std::size_t index);
  Node* find_mutable(std::string_view key);

  /// Adds an item; this must be a list. Replaces, or adds at the end, the value under `key`; this must be a map.
  void push_back(Node item);
  Node& set(std::string_view key, Node value, Source key_source = {});
  /// Adds an entry that is known to be new, without searching for its key.
  void append(std::string key, Node value, Source key_source = {});
  /// Says that an entry's key was written elsewhere (an override).
  void set_key_source(std::string_view key, Source key_source);
  /// Removes an entry or item; false when there was none.
  bool erase(std::string_view key);
  bool erase(std::size_t index);

  /// Equal content: kinds, texts, quotes, keys and their order. Where it was written does not matter.
  friend bool operator==(const Node& a, const Node& b);

 private:
  std::vector<Node>& own_items();
  std::vector<Entry>& own_entries();

  Kind kind_ = Kind::null;
  bool quoted_ = false;
  bool faulty_ = false;
  std::string text_;
  Source source_;
  std::shared_ptr<std::vector<Node>> items_;
  std::shared_ptr<std::vector<Entry>> entries_;
};

struct Node::Entry {
  std::string key;
  Source key_source;
  Node value;
};

/// What a node is, for messages: "null", "a list", "a map", "'text'".
std::string describe(const Node& node);

/// `parent.key`, or `key` at the top.
std::string child_path(std::string_view parent, std::string_view key);

/// The node at a dotted path ("model.layers.0.out_channels"), or nullptr.
const Node* find_path(const Node& root, std::string_view path);

}  // namespace trainctl
