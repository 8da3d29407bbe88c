#include <fmt/core.h>

#include <optional>

#include "schema/scalar.h"
#include "schema/yaml.h"

namespace trainctl {

namespace {

constexpr std::size_t flow_width = 100;

// Whether a text may stand without quotes and reads back as itself.
bool plain_safe(std::string_view text, bool in_flow) {
  if (is_null_text(text) || text.front() == ' ' || text.back() == ' ' || text.back() == ':') return false;
  if (text == "<<" || text.starts_with("---") || text.starts_with("...")) return false;
  if (std::string_view("?:,[]{}#&*!|>'\"%@`").find(text.front()) != std::string_view::npos) return false;
  if (text.front() == '-' && (text.size() == 1 || text[1] == ' ')) return false;
  if (text.find(": ") != std::string_view::npos || text.find(" #") != std::string_view::npos) return false;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
    if (in_flow && std::string_view(",[]{}:?").find(c) != std::string_view::npos) return false;
  }
  return true;
}

std::string in_quotes(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      result += {'\\', c};
    else if (c == '\n')
      result += "\\n";
    else if (c == '\t')
      result += "\\t";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      result += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    else
      result += c;
  }
  return result + '"';
}

std::string scalar_text(std::string_view text, bool quoted, bool in_flow) {
  return quoted || !plain_safe(text, in_flow) ? in_quotes(text) : std::string(text);
}

// Whether a node in flow style keeps every scalar as it is: one that is plain must not need quotes there.
bool flow_safe(const Node& node) {
  if (node.is_scalar()) return node.quoted() || !plain_safe(node.text(), false) || plain_safe(node.text(), true);
  for (const Node& item : node.items())
    if (!flow_safe(item)) return false;
  for (const Node::Entry& entry : node.entries())
    if (!flow_safe(entry.value)) return false;
  return true;
}

std::string flow(const Node& node) {
  std::string text;
  switch (node.kind()) {
    case Node::Kind::null:
      return "null";
    case Node::Kind::scalar:
      return scalar_text(node.text(), node.quoted(), true);
    case Node::Kind::list:
      for (const Node& item : node.items()) text += (text.empty() ? "" : ", ") + flow(item);
      return "[" + text + "]";
    case Node::Kind::map:
      for (const Node::Entry& entry : node.entries())
        text += (text.empty() ? "" : ", ") + scalar_text(entry.key, false, true) + ": " + flow(entry.value);
      return "{" + text + "}";
  }
  return text;
}

// Whether a list or map is small enough to read well in one line.
bool is_simple(const Node& node) {
  for (const Node& item : node.items())
    if (item.size() > 0 && !(item.is_list() && is_simple(item))) return false;
  for (const Node::Entry& entry : node.entries())
    if (entry.value.is_map() || !is_simple(entry.value)) return false;
  return true;
}

// The node in what is left of the line, if it belongs there. Maps go into the line only as items of a list.
std::optional<std::string> in_line(const Node& node, bool maps_too) {
  if (node.is_null()) return "null";
  if (node.is_scalar()) return scalar_text(node.text(), node.quoted(), false);
  if (node.size() == 0) return flow(node);
  if ((node.is_map() && !maps_too) || !is_simple(node) || !flow_safe(node)) return std::nullopt;
  std::string text = flow(node);
  return text.size() <= flow_width ? std::optional(std::move(text)) : std::nullopt;
}

// Writes the lines of a list or map that has something in it. The first line's indentation is there already.
void block(const Node& node, std::size_t indent, std::string& out) {
  bool first = true;
  const auto next_line = [&] {
    if (!first) out.append(indent, ' ');
    first = false;
  };
  for (const Node& item : node.items()) {
    next_line();
    out += "- ";
    if (const auto text = in_line(item, true))
      out += *text + '\n';
    else
      block(item, indent + 2, out);
  }
  for (const Node::Entry& entry : node.entries()) {
    next_line();
    out += scalar_text(entry.key, false, false) + ':';
    if (const auto text = in_line(entry.value, false)) {
      out += ' ' + *text + '\n';
    } else {
      out += '\n';
      out.append(indent + 2, ' ');
      block(entry.value, indent + 2, out);
    }
  }
}

}  // namespace

std::string to_yaml(const Node& node) {
  if (const auto text = in_line(node, false)) return *text + '\n';
  std::string out;
  block(node, 0, out);
  return out;
}

std::string to_yaml_flow(const Node& node) {
  return flow(node);
}

}  // namespace trainctl
