#include <doctest/doctest.h>

#include "nn/fixture.h"
#include "nn/init.h"
#include "nn/transform.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

template <typename Interface>
void examples_read_back(const ComponentInfo& info) {
  for (const std::string& example : info.object().examples) {
    const auto component = from_yaml<Component<Interface>>(example);
    CHECK(component.type() == info.name);
    const auto again = from_yaml<Component<Interface>>(to_yaml(component.write()));
    CHECK(again.write() == component.write());
  }
}

}  // namespace

TEST_CASE("every component and field says what it is, and has an example that reads") {
  std::size_t seen = 0;
  for (const char* name : {"layer", "loss", "metric", "optimizer", "transform", "init", "step"}) {
    const std::string kind_name = name;
    CHECK(!kind(kind_name).components().empty());
    for (const ComponentInfo* info : kind(kind_name).components()) {
      CAPTURE(kind_name);
      CAPTURE(info->name);
      ++seen;
      CHECK(!info->object().doc.empty());
      CHECK(!info->object().examples.empty());
      for (const FieldInfo& field : info->object().fields) {
        CAPTURE(field.name);
        CHECK(field.doc.size() > 3);
        CHECK(field.doc.ends_with('.'));
      }
      if (kind_name == "layer") examples_read_back<Layer>(*info);
      if (kind_name == "loss") examples_read_back<Loss>(*info);
      if (kind_name == "metric") examples_read_back<Metric>(*info);
      if (kind_name == "optimizer") examples_read_back<Optimizer>(*info);
      if (kind_name == "transform") examples_read_back<Transform>(*info);
      if (kind_name == "step") examples_read_back<Step>(*info);
      if (kind_name == "init")  // shown where they are used
        for (const std::string& example : info->object().examples) CHECK(from_yaml<Component<Layer>>(example));
    }
  }
  CHECK(seen >= 55);
}
