// What `${vars...}` and `${env:...}` stand for; helpers of resolve.cpp.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/resolve.h"

namespace trainctl {

/// A lookup for a spec's own references. What it gives is bounded in nodes, bytes and depth, so that variables that
/// name each other cannot grow without end.
class References {
 public:
  explicit References(Node vars) : vars_(std::move(vars)) {}
  std::optional<Node> operator()(std::string_view reference, const Source& at, Diagnostics& diagnostics);

 private:
  Node variable(std::string_view path, const Source& at, Diagnostics& diagnostics);
  Node environment(std::string_view reference, const Source& at, Diagnostics& diagnostics);
  bool within_bounds(const Node& node, const Source& at, Diagnostics& diagnostics);

  Node vars_;
  std::map<std::string, Node, std::less<>> done_;
  std::vector<std::string> open_;
  std::size_t nodes_ = 0;
  std::size_t bytes_ = 0;
  bool exceeded_ = false;
};

/// A plain scalar that may be the name of a component.
bool is_word(const Node& node);
/// `{type: word}`.
Node as_component(const Node& word);

}  // namespace trainctl
