// The one form that every container builds: layers by name, and what each of them reads.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/layer.h"

namespace trainctl {

/// Builds one child once under exactly that scope; build_child() without names and repetition.
Values build_once(Builder& builder, const Component<Layer>& layer, std::string_view name, const Values& inputs);

/// Layers and what each reads. `sequential`, `residual` and `parallel` stand for one, `graph` is one.
///
/// A layer reads others by name: "conv" gives all values of conv, "conv.1" the second of several, "input" what the
/// container was given ("input.0" the first of several). Without inputs it reads the layer added before it, the first
/// one "input". Layers may be added in any order; they are built in it as far as what they read allows.
class Wiring {
 public:
  /// One layer of that name; `scope` is its part of parameter names. Repeated n times it takes the scopes
  /// `scope`.0 ... `scope`.n-1, one behind the other, and `name` is the last of them.
  void add(std::string name, const Component<Layer>& layer, std::vector<std::string> inputs = {});
  void add(std::string name, std::string scope, const Component<Layer>& layer, std::vector<std::string> inputs);

  /// Names for the values that are given, in their order, beside "input.0" ... .
  void name_inputs(std::vector<std::string> names) { input_names_ = std::move(names); }

  /// Layers one behind the other, the first reading `input`. A layer is named by its own `name`, else by its place,
  /// where one repeated n times takes n places. The names stand below `prefix` ("body."). Gives the name of the last,
  /// `input` if there is none.
  std::string add_chain(std::string_view prefix, const std::vector<Component<Layer>>& layers,
                        std::string_view input = "input");

  /// Builds the layers; gives the values of `outputs`, by default the last layer's. A config Error names an unknown
  /// input or output, a cycle, two layers of one scope.
  Values build(Builder& builder, const Values& inputs, std::span<const std::string> outputs = {}) const;

 private:
  struct Wire {
    std::string name;
    std::string scope;
    const Component<Layer>* layer;
    std::int64_t repeat;
    std::vector<std::string> inputs;
  };
  class Run;

  std::vector<Wire> wires_;
  std::vector<std::string> input_names_;
};

/// A config Error if the layer has `inputs`, which only a graph's nodes can have, and a graph that is a whole model.
void refuse_inputs(const Component<Layer>& layer);

}  // namespace trainctl
