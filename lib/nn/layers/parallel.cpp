#include "nn/wiring.h"

namespace trainctl {
namespace {

enum class Combine { concat, add };

/// Branches as written: a list, which numbers them, or a map, which names them.
struct Branches {
  OrderedMap<Component<Layer>> by_name;
};

}  // namespace

template <>
struct EnumNames<Combine> {
  static constexpr EnumName<Combine> names[] = {{Combine::concat, "concat"}, {Combine::add, "add"}};
};

template <>
struct Bind<Branches> {
  static TypeInfo info() {
    const TypeInfo& list = type_of<std::vector<Component<Layer>>>();
    const TypeInfo& map = type_of<OrderedMap<Component<Layer>>>();
    TypeInfo info{.form = Form::variant, .text = list.text + " or " + map.text, .parts = {&list, &map}};
    info.read = [](void* value, const Node& node, Diagnostics& diagnostics) {
      OrderedMap<Component<Layer>>& target = static_cast<Branches*>(value)->by_name;
      if (!node.is_list()) return detail::read(target, node, diagnostics);
      std::vector<Component<Layer>> items;
      detail::read(items, node, diagnostics);
      target.items.clear();
      for (std::size_t i = 0; i < items.size(); ++i) target.items.emplace_back(std::to_string(i), std::move(items[i]));
    };
    info.write = [](const void* value) { return detail::write(static_cast<const Branches*>(value)->by_name); };
    info.visit_live = [](void* value, const std::string& path, const TypeInfo::LiveVisitor& visitor) {
      detail::visit(static_cast<Branches*>(value)->by_name, path, visitor);
    };
    detail::complete<Branches>(info);
    return info;
  }
};

namespace {

/// Branches that are given the same and whose outputs become one (Szegedy et al., 2015).
///   y = concat(branch_0(x), branch_1(x), ...) along axis 1, or their sum
/// Parameters are named by the branch: "0.weight", or "left.weight" where branches have names.
struct Parallel final : Layer {
  Branches branches;
  Combine combine = Combine::concat;

  static Schema<Parallel> schema() {
    return Schema<Parallel>("Branches over one input, joined.")
        .required("branches", &Parallel::branches, non_empty(), "A list of layers, or a map of names to layers.")
        .field("combine", &Parallel::combine, "How outputs become one: joined along the channels, or added.")
        .example(
            "{type: parallel, branches: {narrow: {type: conv2d, out_channels: 8, kernel_size: 1}, wide: "
            "{type: conv2d, out_channels: 8, kernel_size: 3, padding: same}}}");
  }
  Values build(Builder& b, const Values& in) const override {
    static const Component<Layer> concat{"concat"}, add{"add"};
    Wiring wiring;
    std::vector<std::string> names;
    for (const auto& [key, branch] : branches.by_name) {
      refuse_inputs(branch);
      // Below "branches.", so that a branch may be called anything.
      names.push_back("branches." + key);
      wiring.add(names.back(), branch->name.value_or(key), branch, {"input"});
    }
    wiring.add("combine", combine == Combine::add ? add : concat, names);
    return wiring.build(b, in);
  }
};

const Register<Layer, Parallel> registered{"parallel"};

}  // namespace
}  // namespace trainctl
