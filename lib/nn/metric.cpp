#include "nn/metric.h"

namespace trainctl {

TypeInfo Bind<Metrics>::info() {
  TypeInfo info = Bind<Named<Metric>>::info();
  info.read = [](void* value, const Node& node, Diagnostics& diagnostics) {
    Metrics& target = *static_cast<Metrics*>(value);
    type_of<Named<Metric>>().read(static_cast<Named<Metric>*>(&target), node, diagnostics);
    target.off.clear();
    if (!node.is_map()) return;
    for (const Node::Entry& entry : node.entries()) {
      if (entry.value.is_null()) target.off.push_back(entry.key);
      if (entry.value.is_null() && entry.key == "loss")
        diagnostics.error(entry.value, "the loss shows whether training diverges; it is always reported.");
    }
  };
  info.write = [](const void* value) {
    const Metrics& source = *static_cast<const Metrics*>(value);
    Node node = type_of<Named<Metric>>().write(static_cast<const Named<Metric>*>(&source));
    for (const std::string& name : source.off) node.set(name, Node::null());
    return node;
  };
  info.visit_live = [](void* value, const std::string& path, const TypeInfo::LiveVisitor& visitor) {
    type_of<Named<Metric>>().visit_live(static_cast<Named<Metric>*>(static_cast<Metrics*>(value)), path, visitor);
  };
  detail::complete<Metrics>(info);
  return info;
}

}  // namespace trainctl
