// What tests share that compare with PyTorch's numbers in tests/golden.
#pragma once

#include <doctest/doctest.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "source_dir.h"
#include "train/session.h"

namespace trainctl::test {

inline const std::filesystem::path golden = source_dir() / "tests" / "golden";

/// Uniform in [0, 1) from a name and an index, as tests/golden/make_golden.py has it.
inline double mixed(std::uint32_t seed, std::uint32_t i) {
  std::uint32_t x = seed + i;
  x = (x ^ x >> 16) * 0x7FEB352Du;
  x = (x ^ x >> 15) * 0x846CA68Bu;
  return static_cast<double>(x ^ x >> 16) / 4294967296.0;
}

/// The weights that make_golden.py begins with.
inline void set_weights(Session& session) {
  const StateSpec& spec = session.blueprint().state();
  for (int i = 0; i < spec.size(); ++i) {
    if (!spec[i].trainable) continue;
    const std::string name = spec[i].name.substr(spec[i].name.find('/') + 1);
    const auto seed = static_cast<std::uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(name.data()), static_cast<uInt>(name.size())));
    const Shape& shape = spec[i].type.shape;
    std::vector<float> values(shape.elements());
    for (std::size_t k = 0; k < values.size(); ++k) {
      double u = 2.0 * mixed(seed, static_cast<std::uint32_t>(k)) - 1.0;
      u = shape.rank() > 1 ? u * std::sqrt(3.0 / static_cast<double>(shape.slice(1).elements()))
                           : u / 10.0 + (name.ends_with("weight") ? 1.0 : 0.0);
      values[k] = static_cast<float>(u);
    }
    session.state().write(i, values.data());
  }
}

/// Compares the sum and the norm of a state variable with PyTorch's in float64; three times the distance of PyTorch's
/// own float32 is allowed.
inline void check_tensor(Session& session, const std::string& name, const nlohmann::ordered_json& expected) {
  CAPTURE(name);
  const StateSpec& spec = session.blueprint().state();
  const int state = spec.find(name);
  REQUIRE(state >= 0);
  std::vector<float> values(spec[state].type.elements());
  session.state().read(state, values.data());
  double total = 0.0, squares = 0.0;
  for (const float value : values) {
    total += value;
    squares += static_cast<double>(value) * value;
  }
  const double norm = expected["norm"];
  const double allowed = 3.0 * expected["distance"].get<double>() + 1e-6 * norm;
  CHECK(std::abs(std::sqrt(squares) - norm) <= allowed);
  CHECK(std::abs(total - expected["sum"].get<double>()) <= allowed * std::sqrt(static_cast<double>(values.size())));
}

}  // namespace trainctl::test
