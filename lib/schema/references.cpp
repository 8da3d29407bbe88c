#include "schema/references.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "schema/scalar.h"
#include "schema/yaml.h"
#include "schema/yaml_text.h"

namespace trainctl {

namespace {

constexpr int deepest = 100;

// Position after the '}' that closes the "${" at `start`, others inside skipped; npos if it stays open.
std::size_t reference_end(std::string_view text, std::size_t start) {
  int open = 0;
  for (std::size_t at = start; at < text.size(); ++at) {
    if (text.substr(at, 2) == "${") {
      if (++open > deepest) return std::string_view::npos;
      ++at;
    } else if (text[at] == '}' && --open == 0) {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

bool is_variable_name(std::string_view name) {
  const auto allowed = [](char c) {
    return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::all_of(name.begin(), name.end(), allowed);
}

Node refuse(const Source& at, std::string message, Diagnostics& diagnostics) {
  diagnostics.error(at, std::move(message));
  return Node::faulty(at);
}

Node substitute_text(const Node& node, const Lookup& lookup, Diagnostics& diagnostics) {
  const std::string& text = node.text();
  std::string result;
  Source source = node.source();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t next = std::min(text.find('$', at), text.size());
    result.append(text, at, next - at);
    at = next;
    if (text.compare(at, 3, "$${") == 0) {
      result += "$${";
      at += 3;
      continue;
    }
    if (text.compare(at, 2, "${") != 0) {
      if (at < text.size()) result += text[at++];
      continue;
    }
    const std::size_t end = reference_end(text, at);
    if (end == std::string::npos)
      return refuse(node.source(),
                    fmt::format("'{}' is not closed: '}}' is missing (write '$${{' for a plain '${{').",
                                printable(text.substr(at))),
                    diagnostics);
    const std::string reference = text.substr(at + 2, end - at - 3);
    const std::optional<Node> found = lookup(reference, node.source(), diagnostics);
    if (found && (found->is_faulty() || (at == 0 && end == text.size()))) return *found;
    if (found && !found->is_scalar())
      return refuse(
          node.source(),
          fmt::format("'${{{}}}' is {}: it cannot stand inside of a text.", printable(reference), describe(*found)),
          diagnostics);
    if (found && at == 0) source = found->source();  // a path starts where its beginning was written
    result += found ? found->text() : text.substr(at, end - at);
    at = end;
  }
  return Node::scalar(std::move(result), node.quoted(), std::move(source));
}

struct Extent {
  std::size_t nodes = 1;
  std::size_t bytes = 0;
  int height = 0;

  void add(const Extent& child) {
    nodes += child.nodes;
    bytes += child.bytes;
    height = std::max(height, child.height + 1);
  }
};

Extent measure(const Node& node) {
  Extent extent{.bytes = node.text().size()};
  for (const Node& item : node.items()) extent.add(measure(item));
  for (const Node::Entry& entry : node.entries()) extent.add(measure(entry.value));
  return extent;
}

}  // namespace

Node substitute(const Node& node, const Lookup& lookup, Diagnostics& diagnostics) {
  if (node.is_null()) return node;
  if (node.is_scalar())
    return node.text().find("${") == std::string::npos ? node : substitute_text(node, lookup, diagnostics);
  Node result = node.is_list() ? Node::list(node.source()) : Node::map(node.source());
  for (const Node& item : node.items()) result.push_back(substitute(item, lookup, diagnostics));
  for (const Node::Entry& entry : node.entries()) {
    const Diagnostics::Scope scope(diagnostics, entry.key);
    result.append(entry.key, substitute(entry.value, lookup, diagnostics), entry.key_source);
  }
  return result;
}

std::optional<Node> References::operator()(std::string_view reference, const Source& at, Diagnostics& diagnostics) {
  if (exceeded_) return Node::faulty(at);
  if (reference.starts_with("arg.")) return std::nullopt;
  if (reference.starts_with("secret:")) {
    if (is_variable_name(reference.substr(7))) return std::nullopt;
    return refuse(at, fmt::format("'${{{}}}': a secret is the name of an environment variable.", printable(reference)),
                  diagnostics);
  }
  const bool is_variable = reference.starts_with("vars.");
  if (!is_variable && !reference.starts_with("env:"))
    return refuse(at,
                  fmt::format("nothing is known as '${{{}}}': write ${{vars.NAME}}, ${{env:NAME}}, "
                              "${{env:NAME:-default}} or ${{secret:NAME}}; '$${{' for a plain '${{'.",
                              printable(reference)),
                  diagnostics);
  Node node =
      is_variable ? variable(reference.substr(5), at, diagnostics) : environment(reference.substr(4), at, diagnostics);
  if (node.is_faulty() || within_bounds(node, at, diagnostics)) return node;
  return Node::faulty(at);
}

Node References::variable(std::string_view path, const Source& at, Diagnostics& diagnostics) {
  const std::string name(path.substr(0, path.find('.')));
  auto known = done_.find(name);
  if (known == done_.end()) {
    const Node* raw = vars_.find(name);
    if (!raw) {
      std::vector<std::string> names;
      for (const Node::Entry& entry : vars_.entries()) names.push_back(entry.key);
      return refuse(at, fmt::format("there is no '{}' below 'vars'.{}", printable(name), suggestion(name, names)),
                    diagnostics);
    }
    if (std::find(open_.begin(), open_.end(), name) != open_.end())
      return refuse(at,
                    fmt::format("the variable '{}' is defined by itself: {} -> {}.", name, join(open_, " -> "), name),
                    diagnostics);
    if (open_.size() >= deepest)
      return refuse(at, fmt::format("more than {} variables that name each other.", deepest), diagnostics);
    open_.push_back(name);
    Node value = substitute(*raw, std::ref(*this), diagnostics);
    open_.pop_back();
    known = done_.emplace(name, std::move(value)).first;
  }
  if (path.size() == name.size()) return known->second;
  const Node* inner = find_path(known->second, path.substr(name.size() + 1));
  if (inner) return *inner;
  return refuse(at, fmt::format("'vars' has no '{}' below '{}'.", printable(path.substr(name.size() + 1)), name),
                diagnostics);
}

Node References::environment(std::string_view reference, const Source& at, Diagnostics& diagnostics) {
  const std::size_t separator = reference.find(":-");
  const std::string name(reference.substr(0, separator));
  if (!is_variable_name(name))
    return refuse(at, fmt::format("'{}' is no name of an environment variable.", printable(name)), diagnostics);
  const char* value = std::getenv(name.c_str());
  if (separator != std::string_view::npos && (!value || !*value)) {
    const Node fallback = Node::scalar(std::string(reference.substr(separator + 2)), false, at);
    if (fallback.text().empty()) return Node::scalar("", true, at);
    const Node filled = substitute(fallback, std::ref(*this), diagnostics);
    return filled.is_scalar() && is_null_text(filled.text()) && !filled.quoted() ? Node::null(at) : filled;
  }
  if (!value)
    return refuse(
        at, fmt::format("the environment variable {} is not set: set it, or write ${{env:{}:-default}}.", name, name),
        diagnostics);
  const auto text = std::make_shared<const SourceText>(SourceText{"$" + name, value, {}});
  if (!check_text(text, diagnostics)) return Node::faulty(at);
  if (is_null_text(text->text)) return text->text.empty() ? Node::scalar("", true, at) : Node::null(at);
  std::string escaped;  // what comes from outside is no reference
  for (std::size_t i = 0; i < text->text.size(); ++i) {
    if (text->text.compare(i, 2, "${") == 0) escaped += '$';
    escaped += text->text[i];
  }
  return Node::scalar(std::move(escaped), false, at);
}

bool References::within_bounds(const Node& node, const Source& at, Diagnostics& diagnostics) {
  const YamlLimits limits;
  const Extent extent = measure(node);
  nodes_ += extent.nodes;
  bytes_ += extent.bytes;
  exceeded_ = nodes_ > limits.nodes || bytes_ > limits.bytes || extent.height > deepest;
  if (exceeded_)
    diagnostics.error(at, fmt::format("the variables grow beyond {} values, {} MiB or {} levels.", limits.nodes,
                                      limits.bytes >> 20, deepest));
  return !exceeded_;
}

}  // namespace trainctl
