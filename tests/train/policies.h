// What tests of policies share: policies from YAML, and a training of ten epochs of ten steps.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "schema/yaml.h"
#include "train/policy.h"

namespace trainctl::test {

inline Component<Policy> make(const std::string& yaml) {
  Component<Policy> policy;
  Diagnostics diagnostics;
  policy.read(parse_yaml_text(yaml), "", diagnostics);
  diagnostics.throw_if_any();
  return policy;
}

inline const Schedule schedule{
    .steps_per_epoch = 10, .samples_per_epoch = 1000, .batch_samples = 100, .total_steps = 100};

/// A policy ready to run, the target's own value being `base`.
inline Component<Policy> ready(const std::string& yaml, double base = 2.0) {
  Component<Policy> policy = make(yaml);
  REQUIRE(policy->settle(base, schedule) == "");
  return policy;
}

}  // namespace trainctl::test
