// What reports of a blueprint will hold, which of it policies drive, and whether what looks at it finds it.
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "train/blueprint.h"
#include "train/notes.h"

namespace trainctl {
namespace {

/// Where in the spec a driven number stands, for messages, and its current value.
std::map<std::string, double> live_numbers(ExperimentSpec& spec) {
  std::map<std::string, double> numbers;
  visit_live(spec, "", [&](Live& live, const std::string& path) { numbers[path] = live.value; });
  return numbers;
}

/// Why a policy cannot drive `target`, as advice; empty if it can. `named` are the numbers that entries of `values`
/// give.
std::string not_drivable(const std::string& target, const std::map<std::string, double>& numbers,
                         const std::map<std::string, std::string>& named) {
  if (const auto value = named.find(target); value != named.end())
    return fmt::format("{} is what {} gives it; drive that.", target, value->second);
  if (numbers.contains(target)) return {};
  std::vector<std::string> names;
  for (const auto& [path, number] : numbers) names.push_back(path);
  return fmt::format("'{}' is not a number that a policy can drive.{}", target, suggestion(target, names));
}

std::string last_component(const std::string& path) {
  const auto dot = path.rfind('.');
  return dot == std::string::npos ? path : path.substr(dot + 1);
}

}  // namespace

void Blueprint::settle(const std::string& name, const Component<Policy>& policy, double base, Diagnostics& problems) {
  if (!trains()) return;
  const std::string fault = policy->settle(base, schedule_);
  if (!fault.empty()) note(problems, policy.source(), fmt::format("policies.{}", name), fault);
}

void Blueprint::find_driven(Diagnostics& problems) {
  const std::map<std::string, double> numbers = live_numbers(spec_);
  std::map<std::string, std::string> named;  // numbers that an entry of `values` gives
  visit_live(spec_, "", [&](Live& live, const std::string& path) {
    if (!live.name.empty()) named[path] = live.name;
  });
  std::map<std::string, std::string> owners;
  if (spec_.optimizer) driven_.push_back({"optimizer.lr", "lr", numbers.at("optimizer.lr"), nullptr});
  for (const auto& [name, optimizer] : spec_.optimizers) {
    const std::string path = fmt::format("optimizers.{}.lr", name);
    driven_.push_back({path, fmt::format("lr/{}", name), numbers.at(path), nullptr});
  }
  for (const auto& [name, value] : spec_.values) {
    if (value) driven_.push_back({value->path, value->path, value->value, nullptr});
  }
  for (const auto& [name, policy] : spec_.policies) {
    const std::string target(policy->target());
    if (target.empty()) {
      settle(name, policy, NAN, problems);
      continue;
    }
    if (const std::string fault = not_drivable(target, numbers, named); !fault.empty()) {
      note(problems, policy.source(), fmt::format("policies.{}.target", name), fault);
      continue;
    }
    const double base = numbers.at(target);
    const auto [owner, added] = owners.emplace(target, name);
    if (!added && !policy->follows()) {
      note(problems, policy.source(), fmt::format("policies.{}.target", name),
           fmt::format("policies.{} drives {} already; keep one of them. Only a policy that changes what others give, "
                       "such as reduce_on_plateau, may stand after another.",
                       owner->second, target));
      continue;
    }
    settle(name, policy, base, problems);
    context_.live.insert(target);
    const auto shown = std::ranges::find(driven_, target, &DrivenValue::path);
    if (!added) {
      shown->followers.push_back(policy.get());
    } else if (shown != driven_.end()) {
      shown->policy = policy.get();
    } else {
      driven_.push_back({target,
                         target.starts_with("optimizer.") && !target.starts_with("optimizer.groups.")
                             ? last_component(target)
                             : target,
                         base, policy.get()});
    }
  }
  // A learning rate that a value gives is shown as that value is driven.
  for (DrivenValue& shown : driven_) {
    const auto shared = named.find(shown.path);
    if (shared == named.end()) continue;
    const DrivenValue& value = *std::ranges::find(driven_, shared->second, &DrivenValue::path);
    shown = {value.path, shown.shown_as, value.base, value.policy, value.followers};
  }
}

std::vector<std::string> Blueprint::reported_names() const {
  std::vector<std::string> names;
  for (const char* split : {"train", "val"}) {
    if (!data_.contains(split)) continue;
    for (const auto& reported : assembly_.reported(split)) names.push_back(fmt::format("{}/{}", split, reported.name));
  }
  for (const DrivenValue& value : driven_) names.push_back(value.shown_as);
  if (spec_.trainer.on_nan == OnNan::rollback) names.emplace_back("rollbacks");
  names.insert(names.end(), added_.begin(), added_.end());
  return names;
}

void Blueprint::check_metrics(const std::vector<Assembly::Reported>& reported, Diagnostics& problems) const {
  if (reported.empty())
    note(problems, spec_.step.source(), "metrics", "every value that the step reports is off; leave one of them on.");
  for (const auto& [name, metric] : spec_.metrics) {
    if (!metric->training && trains()) {
      if (spec_.data.val) continue;
      note(problems, metric.source(), fmt::format("metrics.{}", name),
           "it is measured in validation alone, and there is no data.val; give one, or say training: true.");
      continue;
    }
    if (std::ranges::find(reported, name, &Assembly::Reported::name) != reported.end()) continue;
    note(problems, metric.source(), fmt::format("metrics.{}", name),
         fmt::format("the step '{}' has nothing to hold its output against here, so it measures no metrics; remove it.",
                     spec_.step.type()));
  }
}

void Blueprint::check_monitors(Diagnostics& problems) const {
  const std::vector<std::string> names = reported_names();
  const auto check = [&](std::string_view monitor, const Source& source, const std::string& path) {
    if (monitor.empty() || std::ranges::find(names, monitor) != names.end()) return;
    note(problems, source, path,
         fmt::format("'{}' is not reported by this run.{}", monitor, suggestion(monitor, names)));
  };
  for (const auto& [name, policy] : spec_.policies) {
    check(policy->monitor(), policy.source(), fmt::format("policies.{}.monitor", name));
  }
  const bool has_best = spec_.checkpoint && spec_.checkpoint->keep.best;
  for (const auto& [name, policy] : spec_.policies) {
    if (!policy->needs_best() || has_best) continue;
    note(problems, policy.source(), fmt::format("policies.{}", name),
         "nothing says what is best: give checkpoint.keep.best a monitor and a mode.");
  }
  if (has_best)
    check(spec_.checkpoint->keep.best->monitor.name, spec_.checkpoint->keep.best->monitor.source,
          "checkpoint.keep.best.monitor");
}

}  // namespace trainctl
