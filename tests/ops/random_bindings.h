// Random values for all that a graph reads, and comparison of two runs.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "base/philox.h"
#include "graph/graph.h"
#include "graph/interpreter.h"

namespace trainctl::test {

/// Floats in [-0.5, 0.5), of either sign so that relu masks, and [0.1, 1.1) for what is called a variance; integers in
/// [0, 4); "step" is 3.
inline Bindings random_bindings(const Graph& graph) {
  Bindings bindings;
  for (const ValueInfo& info : graph.values()) {
    if (info.kind == ValueInfo::Kind::result || info.kind == ValueInfo::Kind::constant) continue;
    const bool is_state = info.kind == ValueInfo::Kind::state;
    const std::string name = is_state ? graph.state_spec()[info.state].name : info.name;
    RefTensor tensor(info.type.shape);
    for (std::int64_t i = 0; i < tensor.size(); ++i) {
      const Words4 words = random_block(stream_hash(5, name), 0, 0, static_cast<std::uint32_t>(i));
      const double shift = name.find("variance") != std::string::npos ? 0.1 : -0.5;
      const bool real = info.type.dtype == DType::f32;
      tensor[i] = real ? shift + uniform_double(words.word[0], words.word[1]) : static_cast<double>(words.word[0] % 4);
    }
    if (name == "step") tensor[0] = 3.0;
    (is_state ? bindings.state : bindings.inputs)[name] = std::move(tensor);
  }
  return bindings;
}

/// The largest difference, or infinity where the two hold different names or shapes.
inline double distance(const std::map<std::string, RefTensor>& a, const std::map<std::string, RefTensor>& b) {
  double worst = a.size() == b.size() ? 0.0 : HUGE_VAL;
  for (const auto& [name, tensor] : a) {
    const auto other = b.find(name);
    if (other == b.end() || other->second.shape != tensor.shape) return HUGE_VAL;
    for (std::int64_t i = 0; i < tensor.size(); ++i) {
      const double difference = std::fabs(tensor[i] - other->second[i]);
      worst = std::max(worst, std::isnan(difference) ? HUGE_VAL : difference);
    }
  }
  return worst;
}

}  // namespace trainctl::test
