#include "train/value_policy.h"

namespace trainctl {
namespace {

/// A schedule within a sequence: a value policy without a target of its own.
struct Segment {
  Component<Policy> policy;
  const ValuePolicy& value() const { return static_cast<const ValuePolicy&>(*policy); }
};

}  // namespace

template <>
struct Bind<Segment> {
  static TypeInfo info() {
    TypeInfo info = Bind<Component<Policy>>::info();
    info.visit_live = nullptr;
    info.read = [](void* value, const Node& node, Diagnostics& diagnostics) {
      const ComponentInfo* type = detail::select_component(Registry<Policy>::kind(), node, {}, diagnostics);
      if (!type) return;
      if (!dynamic_cast<const ValuePolicy*>(Registry<Policy>::create(*type).get()))
        return diagnostics.error(node, fmt::format("'{}' cannot stand in a sequence: its value does not follow from "
                                                   "progress alone. Put it beside the sequence.",
                                                   type->name));
      if (const Node::Entry* target = node.find_entry("target"))
        return diagnostics.error(target->key_source, "the sequence's own target holds for all; remove this one.");
      // Its target is the sequence's; a stand-in lets the policy read as it does anywhere.
      Node complete = node.is_map() ? node : Node::map(node.source());
      if (!node.is_map()) complete.set("type", node);
      complete.set("target", Node::scalar("sequence"));
      static_cast<Segment*>(value)->policy.read(complete, {}, diagnostics);
    };
    info.write = [](const void* value) {
      Node node = static_cast<const Segment*>(value)->policy.write();
      node.erase("target");
      return node;
    };
    detail::complete<Segment>(info);
    return info;
  }
};

namespace {

/// Schedules one after the other. Each counts from its own beginning, starts from the parameter's own value unless it
/// says otherwise, and lasts for its `over`; the last may go on until the end.
struct Sequence final : Policy {
  std::string target_path;
  std::vector<Segment> segments;

  static Schema<Sequence> schema() {
    return Schema<Sequence>("Drive a parameter by one schedule after another.")
        .required("target", &Sequence::target_path, non_empty(), "Spec path of a live parameter.")
        .required("segments", &Sequence::segments, non_empty(),
                  "The schedules, without a target; all but the last have an `over`, their length.")
        .example(
            "{type: sequence, target: optimizer.lr, segments: [{type: linear, start: 0, end: 0.1, over: 1 epoch}, "
            "{type: constant, value: 0.1, over: 5 epochs}, {type: cosine, start: 0.1}]}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const {
    const Node& list = *node.find("segments");
    for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
      if (segments[i].value().over) continue;
      const Diagnostics::Scope scope(diagnostics, fmt::format("segments.{}", i));
      diagnostics.error(list.items()[i], "'over' is missing: how long it lasts. Only the last may do without.");
    }
  }
  std::string_view target() const override { return target_path; }
  std::string settle(double base, const Schedule& schedule) override {
    for (std::size_t i = 0; i < segments.size(); ++i) {
      const std::string fault = segments[i].policy->settle(base, schedule);
      if (!fault.empty()) return fmt::format("segments.{}: {}", i, fault);
    }
    return {};
  }
  double value(std::int64_t step, double base, const Schedule& schedule) const override {
    Schedule rest = schedule;
    for (const Segment& segment : segments) {
      const bool last = &segment == &segments.back();
      const std::int64_t length = last ? 0 : schedule.steps(*segment.value().over);
      if (last || step < length) return segment.policy->value(step, base, rest);
      step -= length;
      rest.total_steps = std::max<std::int64_t>(1, rest.total_steps - length);
    }
    return base;
  }
};
const Register<Policy, Sequence> registered{"sequence"};

}  // namespace
}  // namespace trainctl
