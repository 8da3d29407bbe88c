#include "schema/schema.h"

#include <nlohmann/json.hpp>

#include "arguments.h"
#include "output.h"
#include "schema/describe.h"
#include "train/spec.h"

namespace trainctl::app {
namespace {

class PrintSchema final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.flag("--markdown", markdown_, "The reference for people instead: every section, key and component.");
    arguments.example("trainctl schema > trainctl.schema.json");
    arguments.example("trainctl schema --markdown > reference.md");
  }

  int run(const Globals&) override {
    const TypeInfo& root = type_of<ExperimentSpec>();
    if (markdown_)
      print(markdown_reference(root));
    else
      print_json(json_schema(root, "trainctl experiment"));
    return 0;
  }

 private:
  bool markdown_ = false;
};

}  // namespace

std::unique_ptr<Command> make_schema() {
  return std::make_unique<PrintSchema>();
}

}  // namespace trainctl::app
