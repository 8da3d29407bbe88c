// The `model:` section: one layer, as a rule a container, with named blocks and the activation that inference applies.
#pragma once

#include "nn/layer.h"

namespace trainctl {

/// A model. Its YAML is that of a layer (`type: sequential` ...), and beside its parameters
///   blocks:   pieces with parameters (null: must be given), used as {type: basic, channels: 64} wherever a layer may
///             stand; they may use each other, not themselves:
///               basic: {parameters: {channels: null, stride: 1}, type: residual, layers: [...${arg.channels}...]}
///             `name`, `inputs` and `repeat` beside the arguments go to the layer that the block becomes.
///   output:   a layer that `eval` and predictions apply to the outputs, and the loss does not: softmax
/// Blocks are expanded while reading, so that a model is written out whole and without them.
struct Model {
  Component<Layer> root;
  Component<Layer> output;  ///< null: outputs are used as they are

  /// The model's outputs for a batch: logits, if the loss takes logits.
  Values build(Builder& builder, const Values& inputs) const { return build_child(builder, root, "", inputs); }
};

/// A component of kind "layer" whose map has the keys of object() too.
template <>
struct Bind<Model> {
  static TypeInfo info();
};

/// The layer `node` with every use of a block replaced by what it stands for. `blocks` is the map of blocks.
Node expand_blocks(const Node& node, const Node& blocks, Diagnostics& diagnostics);

/// Adds the errors of `found`, one of a block that is used many times only once.
void take_once(Diagnostics& diagnostics, const Diagnostics& found);

}  // namespace trainctl
