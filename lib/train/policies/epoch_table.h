// A table of numbers by epoch, for policies.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "schema/duration.h"
#include "schema/scalar.h"
#include "train/value_policy.h"

namespace trainctl {

/// Times, counted from the start, to numbers: `{10: 0.5, 20 epochs: 0.1, 5000 steps: 0.01}`. A bare number is an epoch.
struct EpochTable {
  std::vector<std::string> keys;  ///< as they were written
  std::vector<Progress> times;
  std::vector<double> numbers;

  /// How many entries the moment has reached.
  std::size_t reached(const Moment& now) const {
    std::size_t count = 0;
    while (count < times.size() && now.count(times[count]) <= now.elapsed) ++count;
    return count;
  }
};

template <>
struct Bind<EpochTable> {
  static TypeInfo info() {
    TypeInfo info{.form = Form::map, .text = "map of epochs to numbers", .parts = {&type_of<double>()}};
    info.read = [](void* value, const Node& node, Diagnostics& diagnostics) {
      EpochTable& table = *static_cast<EpochTable*>(value);
      table = {};
      if (!detail::expect_map(node, diagnostics)) return;
      std::vector<Source> places;
      for (const Node::Entry& entry : node.entries()) {
        const Diagnostics::Scope scope(diagnostics, entry.key);
        const auto epoch = integer_of(entry.key);
        const auto time = epoch && *epoch >= 0 ? Progress{static_cast<double>(*epoch), Progress::Unit::epochs}
                                               : progress_of(entry.key);
        if (!time) {
          diagnostics.error(entry.key_source, fmt::format("expected an epoch such as 10, or '500 steps', got '{}'.",
                                                          printable(entry.key)));
          continue;
        }
        table.keys.push_back(entry.key);
        table.times.push_back(*time);
        places.push_back(entry.key_source);
        detail::read(table.numbers.emplace_back(), entry.value, diagnostics);
      }
      check_increasing(table.times, places, diagnostics);
    };
    info.write = [](const void* value) {
      const EpochTable& table = *static_cast<const EpochTable*>(value);
      Node map = Node::map();
      for (std::size_t i = 0; i < table.times.size(); ++i) map.append(table.keys[i], detail::write(table.numbers[i]));
      return map;
    };
    detail::complete<EpochTable>(info);
    return info;
  }
};

}  // namespace trainctl
