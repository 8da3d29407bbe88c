#include "schema/describe.h"

#include <nlohmann/json.hpp>

#include "arguments.h"
#include "base/error.h"
#include "base/text.h"
#include "output.h"

namespace trainctl::app {
namespace {

class Describe final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("TYPE", type_, "Name of a component, as after `type:` in a config.");
    arguments.example("trainctl describe conv2d");
  }

  int run(const Globals& globals) override {
    const auto found = find_components(type_);
    if (found.empty()) fail_unknown();
    auto json = nlohmann::ordered_json::array();
    std::string text;
    for (const auto& [kind, component] : found) {
      if (globals.json)
        json.push_back(describe_json(*kind, *component));
      else
        text += (text.empty() ? "" : "\n") + describe_text(*kind, *component);
    }
    if (globals.json)
      print_json({{"components", std::move(json)}});
    else
      print(text);
    return 0;
  }

 private:
  [[noreturn]] void fail_unknown() const {
    std::vector<std::string> names;
    for (const Kind* kind : kinds()) {
      for (std::string& name : kind->names()) names.push_back(std::move(name));
    }
    const std::string near = nearest(type_, names).empty() ? " `trainctl ls` lists them." : suggestion(type_, names);
    fail(ErrorKind::usage, "there is no component '{}'.{}", printable(type_), near);
  }

  std::string type_;
};

}  // namespace

std::unique_ptr<Command> make_describe() {
  return std::make_unique<Describe>();
}

}  // namespace trainctl::app
