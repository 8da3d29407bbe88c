#include "schema/node.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace trainctl {

namespace {

// Offset of the line's first byte; the end of the text when there is no such line.
std::size_t line_start(const std::string& text, int line) {
  std::size_t at = 0;
  for (int i = 1; i < line; ++i) {
    at = text.find('\n', at);
    if (at == std::string::npos) return text.size();
    ++at;
  }
  return at;
}

}  // namespace

std::string_view Source::line_text() const {
  if (!file || line <= 0) return {};
  const std::string_view text = file->text;
  const std::size_t start = line_start(file->text, line);
  std::string_view result = text.substr(start, std::min(text.find('\n', start), text.size()) - start);
  if (result.ends_with('\r')) result.remove_suffix(1);
  return result;
}

int Source::character() const {
  const std::string_view before = line_text().substr(0, static_cast<std::size_t>(std::max(0, column - 1)));
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
  return column - static_cast<int>(std::count_if(before.begin(), before.end(), continues));
}

std::string Source::where() const {
  if (!file) return "";
  if (line <= 0) return file->name;
  return column > 0 ? fmt::format("{}:{}:{}", file->name, line, character()) : fmt::format("{}:{}", file->name, line);
}

Node Node::null(Source source) {
  Node node;
  node.source_ = std::move(source);
  return node;
}

Node Node::scalar(std::string text, bool quoted, Source source) {
  Node node;
  node.kind_ = Kind::scalar;
  node.text_ = std::move(text);
  node.quoted_ = quoted;
  node.source_ = std::move(source);
  return node;
}

Node Node::list(Source source) {
  Node node;
  node.kind_ = Kind::list;
  node.source_ = std::move(source);
  return node;
}

Node Node::map(Source source) {
  Node node;
  node.kind_ = Kind::map;
  node.source_ = std::move(source);
  return node;
}

Node Node::faulty(Source source) {
  Node node = null(std::move(source));
  node.faulty_ = true;
  return node;
}

std::span<const Node> Node::items() const {
  return items_ ? std::span<const Node>(*items_) : std::span<const Node>();
}

std::span<const Node::Entry> Node::entries() const {
  return entries_ ? std::span<const Entry>(*entries_) : std::span<const Entry>();
}

std::size_t Node::size() const {
  return is_list() ? items().size() : entries().size();
}

const Node::Entry* Node::find_entry(std::string_view key) const {
  for (const Entry& entry : entries())
    if (entry.key == key) return &entry;
  return nullptr;
}

const Node* Node::find(std::string_view key) const {
  const Entry* entry = find_entry(key);
  return entry ? &entry->value : nullptr;
}

std::vector<Node>& Node::own_items() {
  if (!items_)
    items_ = std::make_shared<std::vector<Node>>();
  else if (items_.use_count() > 1)
    items_ = std::make_shared<std::vector<Node>>(*items_);
  return *items_;
}

std::vector<Node::Entry>& Node::own_entries() {
  if (!entries_)
    entries_ = std::make_shared<std::vector<Entry>>();
  else if (entries_.use_count() > 1)
    entries_ = std::make_shared<std::vector<Entry>>(*entries_);
  return *entries_;
}

Node& Node::item(std::size_t index) {
  return own_items().at(index);
}

Node* Node::find_mutable(std::string_view key) {
  if (!find(key)) return nullptr;
  for (Entry& entry : own_entries())
    if (entry.key == key) return &entry.value;
  return nullptr;
}

void Node::push_back(Node item) {
  own_items().push_back(std::move(item));
}

Node& Node::set(std::string_view key, Node value, Source key_source) {
  if (Node* place = find_mutable(key)) return *place = std::move(value);
  append(std::string(key), std::move(value), std::move(key_source));
  return entries_->back().value;
}

void Node::append(std::string key, Node value, Source key_source) {
  own_entries().push_back({std::move(key), std::move(key_source), std::move(value)});
}

void Node::set_key_source(std::string_view key, Source key_source) {
  for (Entry& entry : own_entries())
    if (entry.key == key) entry.key_source = key_source;
}

bool Node::erase(std::string_view key) {
  if (!find(key)) return false;
  return std::erase_if(own_entries(), [key](const Entry& entry) { return entry.key == key; }) > 0;
}

bool Node::erase(std::size_t index) {
  if (index >= items().size()) return false;
  auto& items = own_items();
  items.erase(items.begin() + static_cast<std::ptrdiff_t>(index));
  return true;
}

bool operator==(const Node& a, const Node& b) {
  if (a.kind_ != b.kind_ || a.quoted_ != b.quoted_ || a.text_ != b.text_ || a.size() != b.size()) return false;
  const auto same_entry = [](const Node::Entry& x, const Node::Entry& y) {
    return x.key == y.key && x.value == y.value;
  };
  return std::equal(a.items().begin(), a.items().end(), b.items().begin()) &&
         std::equal(a.entries().begin(), a.entries().end(), b.entries().begin(), same_entry);
}

std::string describe(const Node& node) {
  switch (node.kind()) {
    case Node::Kind::null:
      return "null";
    case Node::Kind::scalar:
      return fmt::format("'{}'", printable(node.text()));
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a map";
  }
  return "";
}

std::string child_path(std::string_view parent, std::string_view key) {
  return parent.empty() ? std::string(key) : fmt::format("{}.{}", parent, key);
}

const Node* find_path(const Node& root, std::string_view path) {
  const Node* node = &root;
  for (const std::string& key : split(path, '.')) {
    if (node->is_list()) {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
      if (error != std::errc() || end != key.data() + key.size() || index >= node->size()) return nullptr;
      node = &node->items()[index];
    } else {
      node = node->find(key);
      if (!node) return nullptr;
    }
  }
  return node;
}

}  // namespace trainctl
