// Descriptions of parameters with their types erased: what reading, describe text, JSON Schema, the reference and the
// comparison of two specs all work on.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "schema/diagnostics.h"
#include "schema/node.h"
#include "schema/values.h"

namespace trainctl {

struct ObjectInfo;

/// What a resume may do with a changed value: take it, take it with --force, refuse it.
enum class Resume { safe, forced, fixed };
const char* name(Resume resume);

enum class Form {
  boolean,
  integer,
  number,
  string,
  path,
  progress,
  wall_time,
  choice,
  live,       // scalars
  optional,   // element, or null
  list,       // of elements; a single one may stand alone
  tuple,      // as many parts
  pair,       // element, or a list of two
  map,        // of names to elements
  object,     // a map with the object's fields
  component,  // of a kind: a bare word, or a map with `type`
  named,      // a map of names to components of a kind; a missing `type` is the name; or a list of them
  variant,    // one of the parts
  raw,        // a tree that the component reads itself
};

/// What is known of one C++ type, and how to read and write a value of it.
struct TypeInfo {
  using LiveVisitor = std::function<void(Live&, const std::string& path)>;

  Form form = Form::raw;
  std::string text = {};                    ///< "number", "integer or [integer, integer]", "list of strings"
  std::vector<std::string> choices = {};    ///< names of a choice
  std::vector<const TypeInfo*> parts = {};  ///< element(s)
  const ObjectInfo& (*object)() = nullptr;  ///< of an object
  const char* kind = nullptr;               ///< of a component or named map

  /// Reads a node into a value; faults go to the diagnostics, and the value is then unspecified but valid.
  void (*read)(void* value, const Node& node, Diagnostics& diagnostics) = nullptr;
  /// Writes a value as read() takes it, complete with every default.
  Node (*write)(const void* value) = nullptr;
  /// Visits every Live below; null when there can be none.
  void (*visit_live)(void* value, const std::string& path, const LiveVisitor& visitor) = nullptr;
  /// A fresh value on the heap and its end.
  void* (*create)() = nullptr;
  void (*destroy)(void* value) = nullptr;
};

/// A condition on a parameter's value, or on each value of a list or pair.
struct Constraint {
  enum class Rule { at_least, at_most, above, below, one_of, non_empty, allow_nonfinite };
  Rule rule;
  double bound = 0.0;
  std::vector<std::string> names = {};
};

/// One parameter.
struct FieldInfo {
  std::string name;
  std::string doc;
  const TypeInfo* type = nullptr;
  bool required = false;
  std::vector<Constraint> constraints = {};
  std::string unit = {};
  std::optional<Resume> resume = {};       ///< unset: as the section it stands in; `fixed` at the top
  std::string holds_kind = {};             ///< raw fields: the kind of component found inside
  Form holds_form = Form::raw;             ///< raw fields: component, list, named or map (of that kind)
  std::ptrdiff_t offset = 0;               ///< of the member inside the object
  std::optional<Node> default_value = {};  ///< of a field that is not required; unset for an empty optional

  bool live() const;
  /// The default as YAML in one line, "" without one.
  std::string default_text() const;
  /// "> 0", "in [0, 1)", "one of a, b"; "" without constraints.
  std::string range_text() const;
};

/// A key whose feature does not exist yet.
struct LaterKey {
  std::string name;
  std::string what;
};

/// A struct with its parameters.
struct ObjectInfo {
  std::string doc;
  std::vector<FieldInfo> fields;
  std::vector<LaterKey> later;
  std::vector<std::string> examples;                        ///< YAML
  std::vector<std::vector<std::string>> at_least_one = {};  ///< fields of which one must be given, for the JSON Schema
  std::vector<std::function<void(const void* object, Diagnostics&, const Node&)>> checks;
  void (*link)(void* object, Diagnostics&) = nullptr;

  const FieldInfo* find(std::string_view field) const;
};

/// Reads the entries of `map` into the object's members, except `ignored_key`: unknown, missing, mistyped and
/// out-of-range ones go to `diagnostics`. A null or scalar node counts as an empty map if `bare`.
void read_object(const ObjectInfo& info, void* object, const Node& map, Diagnostics& diagnostics,
                 std::string_view ignored_key = {});
/// The object as a map with all its fields; optional ones that have no value, as by default, are left out.
Node write_object(const ObjectInfo& info, const void* object);
void visit_live_object(const ObjectInfo& info, void* object, const std::string& path,
                       const TypeInfo::LiveVisitor& visitor);

/// Notes an error for each constraint that `value` (as written by its type) breaks; `node` is what the user wrote.
void check_constraints(const std::vector<Constraint>& constraints, const Node& value, const Node& node,
                       Diagnostics& diagnostics);

/// The node as its type writes it back (`1e-3` and `0.001` become equal), or the node itself when it does not read.
Node canonical(const TypeInfo& type, const Node& node);

}  // namespace trainctl
