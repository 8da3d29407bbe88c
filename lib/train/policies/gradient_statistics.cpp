#include <cmath>

#include "program/state_store.h"
#include "train/policy.h"

namespace trainctl {
namespace {

enum class Per : std::uint8_t { all, group, parameter };

}  // namespace
template <>
struct EnumNames<Per> {
  static constexpr EnumName<Per> names[] = {{Per::all, "all"}, {Per::group, "group"}, {Per::parameter, "parameter"}};
};
namespace {

/// Adds to each report what the gradients g of the last update were like, before they were clipped:
///   gradient_norm  sqrt(sum g^2)
///   gradient_max   max |g|
/// of all parameters together, or of each group or parameter: "gradient_norm/0.weight". Frozen ones have zeros.
/// Gradients are read only when a report is due, so other steps cost nothing.
struct GradientStatistics final : Policy {
  Per per = Per::all;

  static Schema<GradientStatistics> schema() {
    return Schema<GradientStatistics>("Add the norm and the largest magnitude of the gradients to each report.")
        .field("per", &GradientStatistics::per,
               "Of what: of all parameters together, of each group of the optimizers, or of each parameter.")
        .example("gradient_statistics")
        .example("{type: gradient_statistics, per: parameter}");
  }
  std::vector<std::string> adds(const StateSpec& state) override {
    names_.clear();
    parts_.clear();
    for (int root = 0; root < state.size(); ++root) {
      constexpr std::string_view prefix = "parameters/";
      if (!state[root].name.starts_with(prefix)) continue;
      const std::string group = state[root].name.substr(prefix.size());
      if (per == Per::group) names_.push_back("/" + group);
      for (const int member : state.members(root)) {
        const StateVariable& variable = state[member];
        if (per == Per::parameter) names_.push_back("/" + variable.name.substr(variable.name.find('/') + 1));
        parts_.push_back(
            {group, variable.root_offset, variable.type.elements(), per == Per::all ? 0 : names_.size() - 1});
      }
    }
    if (per == Per::all) names_.emplace_back();
    norms_.assign(names_.size(), 0.0);
    largest_ = norms_;
    std::vector<std::string> names;
    for (const std::string& name : names_) {
      names.push_back("gradient_norm" + name);
      names.push_back("gradient_max" + name);
    }
    return names;
  }
  void measure(const StateStore& store, bool accumulated) override {
    std::vector<double> squares(names_.size(), 0.0);
    largest_.assign(names_.size(), 0.0);
    std::string group;
    std::vector<float> gradients;
    for (const Part& part : parts_) {
      if (part.group != group) {
        group = part.group;
        gradients = store.floats((accumulated ? "accumulated/" : "gradients/") + group);
      }
      if (gradients.empty()) continue;
      for (std::int64_t i = 0; i < part.elements; ++i) {
        const double g = gradients[part.offset + i];
        squares[part.name] += g * g;
        if (!(std::abs(g) <= largest_[part.name])) largest_[part.name] = std::abs(g);
      }
    }
    for (std::size_t i = 0; i < squares.size(); ++i) norms_[i] = std::sqrt(squares[i]);
  }
  std::vector<double> added() const override {
    std::vector<double> values;
    for (std::size_t i = 0; i < norms_.size(); ++i) {
      values.push_back(norms_[i]);
      values.push_back(largest_[i]);
    }
    return values;
  }
  /// A validation that was interrupted goes on without an update before it.
  NamedValues state() const override {
    NamedValues values;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      values.emplace_back("norm" + names_[i], norms_[i]);
      values.emplace_back("max" + names_[i], largest_[i]);
    }
    return values;
  }
  void restore(const NamedValues& state) override {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      norms_[i] = find_value(state, "norm" + names_[i]).value_or(0.0);
      largest_[i] = find_value(state, "max" + names_[i]).value_or(0.0);
    }
  }

 private:
  struct Part {
    std::string group;
    std::int64_t offset;
    std::int64_t elements;
    std::size_t name;  ///< index
  };
  std::vector<std::string> names_;  ///< "/0.weight", or "" for all
  std::vector<Part> parts_;
  std::vector<double> norms_;
  std::vector<double> largest_;
};
const Register<Policy, GradientStatistics> registered{"gradient_statistics"};

}  // namespace
}  // namespace trainctl
