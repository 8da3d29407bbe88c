// The `model:` section: one layer, as a rule a container, with named blocks and the activation that inference applies.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "nn/layer.h"

namespace trainctl {

/// Where a model's weights come from at the start of a run, instead of its initialisers. A resume does not look there.
struct InitFrom {
  Path checkpoint;                      ///< a checkpoint, or a run, whose best one is taken
  std::string model;                    ///< which model of it; empty: its only one, or that of the same name
  std::string weights = "model";        ///< or the name of an average: what it does not hold is the model's
  std::vector<std::string> match{"*"};  ///< shell patterns over names of parameters and buffers
  bool strict = true;                   ///< whether everything matched must be there, and nothing left over
  static Schema<InitFrom> schema();
};

/// When frozen parameters begin to be trained: all at one time, or by pattern, the first that matches.
using FreezeUntil = std::variant<Progress, OrderedMap<Progress>>;

/// A model. Its YAML is that of a layer (`type: sequential` ...), and beside its parameters
///   blocks:   pieces with parameters (null: must be given), used as {type: basic, channels: 64} wherever a layer may
///             stand; they may use each other, not themselves:
///               basic: {parameters: {channels: null, stride: 1}, type: residual, layers: [...${arg.channels}...]}
///             `name`, `inputs` and `repeat` beside the arguments go to the layer that the block becomes.
///   output:   a layer that `eval` and predictions apply to the outputs, and the loss does not: softmax
///   freeze:        shell patterns over parameter names that no optimizer updates; with "*" the model is used as in
///                  evaluation
///   freeze_until:  when that ends: one time for all that `freeze` matches, or patterns with a time each
///   init_from:     weights to begin with
/// Blocks are expanded while reading, so that a model is written out whole and without them.
struct Model {
  Component<Layer> root;
  Component<Layer> output;  ///< null: outputs are used as they are
  std::vector<std::string> freeze;
  std::optional<FreezeUntil> freeze_until;
  std::optional<InitFrom> init_from;

  /// Whether nothing of it is ever trained.
  bool frozen() const;
  /// Whether patterns freeze it as a whole, for a while at least: as long as nothing of it is trained it is built as in
  /// evaluation.
  bool freezes_all() const;

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
