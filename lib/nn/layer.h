// Layers: named pieces of a model that turn values into values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/builder.h"
#include "schema/schema.h"

namespace trainctl {

/// A layer as a spec writes it: a map with `type` and its parameters. One file each in lib/nn/layers.
struct Layer {
  static constexpr const char* kind = "layer";

  std::optional<std::string> name;                 ///< its part of parameter names; by default its place in the list
  std::optional<std::vector<std::string>> inputs;  ///< in a graph: what it reads; by default the node before it
  std::int64_t repeat = 1;  ///< as many of it, one behind the other, each with its own parameters

  virtual ~Layer() = default;
  /// Appends the layer to the graph. Throws a config Error if the inputs do not fit.
  virtual Values build(Builder& builder, const Values& inputs) const = 0;

  template <typename T>
  static void common(Schema<T>& schema);
};

/// The single value that a layer of one input was given; a config Error names the layer type if there are more.
Value only(const Values& inputs, std::string_view layer_type);

/// Builds one child under the scope `name` (its own `name` wins) and records it in the layer table. A child repeated n
/// times takes the scopes `name`.0 ... `name`.n-1. A config Error that a child throws comes out as a ConfigError with
/// the place in the file and the child's path, added once.
Values build_child(Builder& builder, const Component<Layer>& layer, std::string_view name, const Values& inputs);

template <typename T>
void Layer::common(Schema<T>& schema) {
  schema
      .field("name", &Layer::name, non_empty(),
             "Its part in the names of its parameters; by default its index, in a graph its node's name.")
      .field("inputs", &Layer::inputs, non_empty(),
             "In a graph: the nodes it reads, `input` being the graph's own; by default the node before it.")
      .field("repeat", &Layer::repeat, at_least(1),
             "How many of it stand one behind the other, each with its own parameters.");
}

}  // namespace trainctl
