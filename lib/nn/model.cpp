#include "nn/model.h"

#include <algorithm>

namespace trainctl {
namespace {

/// The keys that a block has beside those of its layer, for descriptions.
struct BlockKeys {
  Node parameters = Node::map();

  static Schema<BlockKeys> schema() {
    return Schema<BlockKeys>("A layer with parameters of its own.")
        .field("parameters", &BlockKeys::parameters,
               "Names to defaults (null: must be given); `${arg.NAME}` inside of the block is the argument.");
  }
};

/// A block as it is written.
struct Block {
  Node node;
};

}  // namespace

template <>
struct Bind<Block> {
  static TypeInfo info() {
    TypeInfo info{.form = Form::component, .text = "layer", .object = &object_of<BlockKeys>, .kind = Layer::kind};
    info.read = [](void* value, const Node& node, Diagnostics&) { static_cast<Block*>(value)->node = node; };
    info.write = [](const void* value) { return static_cast<const Block*>(value)->node; };
    detail::complete<Block>(info);
    return info;
  }
};

namespace {

/// The keys that a model has beside those of its layer, for descriptions.
struct ModelKeys {
  OrderedMap<Block> blocks;
  std::optional<Component<Layer>> output;
  std::vector<std::string> freeze;
  std::optional<FreezeUntil> freeze_until;
  std::optional<InitFrom> init_from;

  static Schema<ModelKeys> schema() {
    return Schema<ModelKeys>("A layer, as a rule a container; named blocks; what inference applies to the outputs.")
        .field(
            "blocks", &ModelKeys::blocks,
            "Layers by name, each with its `parameters`; the name is then a `type` wherever a layer may stand, and the "
            "parameters are keys beside it.")
        .field("output", &ModelKeys::output,
               "A layer that evaluation and predictions apply to the outputs, and the loss does not: softmax.")
        .field("freeze", &ModelKeys::freeze,
               "Shell patterns over names of parameters (`0.*`) that stay as they are; with \"*\" the whole model is "
               "used as in evaluation.")
        .field("freeze_until", &ModelKeys::freeze_until,
               "When it is trained all the same: a time for all that `freeze` matches, or patterns with a time each "
               "({\"layer4.*\": 1 epoch, \"layer3.*\": 2 epochs}), of which the first that matches a parameter counts; "
               "what only `freeze` matches then stays frozen.")
        .field("init_from", &ModelKeys::init_from, "A checkpoint whose weights the run begins with.");
  }
};

/// Reads a key of the model's own and takes it out of the map.
template <typename X>
void read_key(Node& root, std::string_view key, X& value, Diagnostics& diagnostics) {
  const Node* given = root.find(key);
  if (!given) return;
  const Diagnostics::Scope scope(diagnostics, key);
  if (!given->is_null()) detail::read(value, *given, diagnostics);
  root.erase(key);
}

void check_freeze_until(const Model& model, const Node& node, Diagnostics& diagnostics) {
  const Node* given = node.find("freeze_until");
  if (!given || !model.freeze_until) return;
  const Diagnostics::Scope scope(diagnostics, "freeze_until");
  const auto check = [&](const Progress& until, const Node& place) {
    if (until.count <= 0.0) diagnostics.error(place, "must be more than nothing, such as '1 epoch'.");
  };
  if (const auto* all = std::get_if<Progress>(&*model.freeze_until)) {
    check(*all, *given);
    if (model.freeze.empty())
      diagnostics.error(*given, "nothing is frozen: add `freeze: \"*\"`, or the patterns that are meant.");
    return;
  }
  const auto& by_pattern = std::get<OrderedMap<Progress>>(*model.freeze_until);
  if (by_pattern.empty()) diagnostics.error(*given, "must not be empty.");
  for (const auto& [pattern, until] : by_pattern) check(until, *given->find(pattern));
}

void read_model(Model& model, const Node& node, Diagnostics& diagnostics) {
  const std::size_t errors = diagnostics.total();
  Node root = node;
  Node blocks = Node::map();
  if (const Node* given = node.find("blocks")) {
    blocks = *given;
    root.erase("blocks");
  }
  read_key(root, "freeze", model.freeze, diagnostics);
  read_key(root, "freeze_until", model.freeze_until, diagnostics);
  check_freeze_until(model, node, diagnostics);
  read_key(root, "init_from", model.init_from, diagnostics);
  std::optional<Node> output;
  if (const Node* given = node.find("output")) {
    if (!given->is_null()) output = *given;
    root.erase("output");
  }
  root = expand_blocks(root, blocks, diagnostics);
  if (output) {
    const Diagnostics::Scope scope(diagnostics, "output");
    output = expand_blocks(*output, blocks, diagnostics);
  }
  if (diagnostics.total() > errors) return;  // what is not expanded would only bring errors that follow from these
  model.root.read(root, {}, diagnostics);
  if (output) {
    const Diagnostics::Scope scope(diagnostics, "output");
    model.output.read(*output, {}, diagnostics);
  }
}

Node write_model(const Model& model) {
  Node node = model.root.write();
  if (model.output) node.set("output", model.output.write());
  if (!model.freeze.empty()) node.set("freeze", detail::write(model.freeze));
  if (model.freeze_until) node.set("freeze_until", detail::write(*model.freeze_until));
  if (model.init_from) node.set("init_from", detail::write(*model.init_from));
  return node;
}

}  // namespace

Schema<InitFrom> InitFrom::schema() {
  return Schema<InitFrom>("Weights that a run begins with, from a checkpoint. A resume goes on with its own.")
      .required("checkpoint", &InitFrom::checkpoint, "A checkpoint, or a run, whose best checkpoint is taken.")
      .field("model", &InitFrom::model, "Which model of the checkpoint; by default its only one, or that of this name.")
      .field("weights", &InitFrom::weights, non_empty(),
             "`model`, or the name of an average that the checkpoint holds.")
      .field("match", &InitFrom::match, non_empty(), "Shell patterns over names of parameters and buffers (`0.*`).")
      .field("strict", &InitFrom::strict,
             "Whether all that is matched must be there with the same shape, and nothing left over; else what fits is "
             "taken.")
      .example("{checkpoint: runs/examples/teacher-1, match: ['conv*'], strict: false}");
}

bool Model::frozen() const {
  return !freeze_until && freezes_all();
}

bool Model::freezes_all() const {
  if (std::ranges::find(freeze, "*") != freeze.end()) return true;
  const auto* by_pattern = freeze_until ? std::get_if<OrderedMap<Progress>>(&*freeze_until) : nullptr;
  return by_pattern && by_pattern->find("*");
}

TypeInfo Bind<Model>::info() {
  TypeInfo info{.form = Form::component, .text = "layer", .object = &object_of<ModelKeys>, .kind = Layer::kind};
  info.read = [](void* value, const Node& node, Diagnostics& diagnostics) {
    Diagnostics found;
    found.set_path(diagnostics.path());
    read_model(*static_cast<Model*>(value), node, found);
    take_once(diagnostics, found);
  };
  info.write = [](const void* value) { return write_model(*static_cast<const Model*>(value)); };
  info.visit_live = [](void* value, const std::string& path, const TypeInfo::LiveVisitor& visitor) {
    static_cast<Model*>(value)->root.visit_live(path, visitor);
    static_cast<Model*>(value)->output.visit_live(child_path(path, "output"), visitor);
  };
  detail::complete<Model>(info);
  return info;
}

}  // namespace trainctl
