// From a file on disk to one tree: `extends`, `--set` and `--unset`, `vars` and `${...}`.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/diagnostics.h"
#include "schema/node.h"

namespace trainctl {

/// Changes from the command line. Keys are removed first, then set in their order.
struct Overrides {
  std::vector<std::string> set;    ///< "key.path=value", the value in YAML's flow style
  std::vector<std::string> unset;  ///< "key.path"
};

/// Reads a spec, takes in what it extends, applies the overrides and fills in `${...}`; `extends` and `vars` are gone
/// from the result. `${secret:NAME}` and `$${` stay as written: reading into a text unescapes the latter, reveal()
/// fills in the former. Every node keeps the place where it was written. Throws ConfigError with every error.
///
/// - `extends: base.yaml` or a list of them: maps merge, lists replace, a changed `type` replaces the whole node. Keys
///   stand in order of first appearance, base files first.
/// - `${vars.NAME}` is the node of that name below `vars`, or its text inside a longer text; `${env:NAME:-default}`
///   is an environment variable, without a default an error when unset.
/// - `${arg.NAME}` is left alone: it belongs to the blocks of a model (see substitute()).
Node load_spec(const std::filesystem::path& path, const Overrides& overrides = {});

/// The same, the errors noted, so that the faults that a schema finds can be reported with them. Nothing when what was
/// read is not worth looking at.
std::optional<Node> load_spec(const std::filesystem::path& path, const Overrides& overrides, Diagnostics& diagnostics);

/// Overrides and references alone, for a tree that is already parsed.
Node resolve_spec(Node root, const Overrides& overrides, Diagnostics& diagnostics);

/// `overlay` on top of `base` as `extends` merges them.
Node merge(const Node& base, const Node& overlay);

/// Applies one "key.path=value" or removes one "key.path". The value replaces what was there; maps on the way are made
/// as needed, a bare word becomes a map with that `type`, and another `type` drops the parameters of the old one.
void apply_set(Node& root, const std::string& assignment, Diagnostics& diagnostics);
void apply_unset(Node& root, const std::string& key, Diagnostics& diagnostics);

/// What stands for `${reference}`: a node, Node::faulty after noting an error, or nothing when the reference is not
/// this lookup's to fill in.
using Lookup = std::function<std::optional<Node>(std::string_view reference, const Source& at, Diagnostics&)>;

/// The tree with every `${...}` that `lookup` knows filled in; a text that is one reference becomes the node itself.
Node substitute(const Node& node, const Lookup& lookup, Diagnostics& diagnostics);

}  // namespace trainctl
