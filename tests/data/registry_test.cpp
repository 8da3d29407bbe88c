// Every data set and sampler says what it is, and has examples that read.
#include "data/data_files.h"
#include "data/sample_order.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

template <typename Interface>
void check_kind(std::size_t least) {
  const auto components = kind(Interface::kind).components();
  CHECK(components.size() >= least);
  for (const ComponentInfo* info : components) {
    CAPTURE(info->name);
    CHECK(!info->object().doc.empty());
    CHECK(!info->object().examples.empty());
    for (const FieldInfo& field : info->object().fields) {
      CAPTURE(field.name);
      CHECK(field.doc.ends_with('.'));
    }
    for (const std::string& example : info->object().examples) {
      const auto component = parse<Component<Interface>>(parse_yaml_text(example));
      CHECK(component.type() == info->name);
      CHECK(parse<Component<Interface>>(component.write()).write() == component.write());
    }
  }
}

}  // namespace

TEST_CASE("every data set and sampler says what it is, and has examples that read") {
  check_kind<Dataset>(10);
  check_kind<SampleOrder>(3);
}
