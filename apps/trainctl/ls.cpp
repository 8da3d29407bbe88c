#include <algorithm>
#include <nlohmann/json.hpp>

#include "arguments.h"
#include "base/error.h"
#include "base/text.h"
#include "device/kernel.h"
#include "graph/op.h"
#include "output.h"
#include "report/text_table.h"
#include "schema/registry.h"
#include "schema/type.h"

namespace trainctl::app {
namespace {

using Json = nlohmann::ordered_json;

/// A name and what is said of it.
struct Item {
  std::string name;
  std::string doc;
};

struct Listing {
  std::string kind;
  std::vector<Item> items;
};

std::vector<Item> components_of(const Kind& kind) {
  std::vector<Item> items;
  for (const ComponentInfo* component : kind.components()) items.push_back({component->name, component->object().doc});
  return items;
}

std::string kernel_text(const KernelRegistry::Entry& kernel) {
  return fmt::format("{} {} (priority {})", kernel.device, kernel.name, kernel.priority);
}

/// Every op with its kernels, best first.
std::vector<Item> all_ops() {
  std::vector<Item> items;
  for (const auto& op : OpRegistry::instance().ops()) {
    std::vector<const KernelRegistry::Entry*> kernels;
    for (const auto& kernel : KernelRegistry::instance().entries()) {
      if (kernel->op == op->name()) kernels.push_back(kernel.get());
    }
    std::ranges::sort(kernels, [](const auto* a, const auto* b) {
      return std::pair(a->device, -a->priority) < std::pair(b->device, -b->priority);
    });
    std::vector<std::string> texts;
    for (const auto* kernel : kernels) texts.push_back(kernel_text(*kernel));
    const bool runs = op->storage() == Op::Storage::compute;
    items.push_back({std::string(op->name()), !texts.empty() ? join(texts, ", ")
                                              : runs         ? "float64 reference only"
                                                             : "moves nothing, needs no kernel"});
  }
  std::ranges::sort(items, {}, &Item::name);
  return items;
}

std::vector<Item> all_kernels() {
  std::vector<Item> items;
  for (const auto& kernel : KernelRegistry::instance().entries()) {
    items.push_back({kernel->op, kernel_text(*kernel)});
  }
  std::ranges::sort(items,
                    [](const Item& a, const Item& b) { return std::pair(a.name, a.doc) < std::pair(b.name, b.doc); });
  return items;
}

/// "layers" and "policies" name the kinds "layer" and "policy" too.
bool is_name_of(const std::string& word, const std::string& kind) {
  const std::string ies = kind.ends_with('y') ? kind.substr(0, kind.size() - 1) + "ies" : "";
  return word == kind || word == kind + "s" || word == kind + "es" || word == ies;
}

std::vector<Listing> listings(const std::string& wanted) {
  std::vector<Listing> all;
  std::vector<std::string> names;
  for (const Kind* kind : kinds()) {
    names.push_back(kind->name());
    if (wanted.empty() || is_name_of(wanted, kind->name())) all.push_back({kind->name(), components_of(*kind)});
  }
  if (is_name_of(wanted, "op")) all.push_back({"op", all_ops()});
  if (is_name_of(wanted, "kernel")) all.push_back({"kernel", all_kernels()});
  if (all.empty()) {
    names.insert(names.end(), {"op", "kernel"});
    fail(ErrorKind::usage, "there is no kind '{}'.{}", printable(wanted),
         nearest(wanted, names).empty() ? " Known: " + join(names, ", ") + "." : suggestion(wanted, names));
  }
  return all;
}

class Ls final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional(
        "KIND", kind_,
        "layer, loss, optimizer, dataset, ...; also op and kernel, the engine's own. By default all kinds.", false);
    arguments.example("trainctl ls");
    arguments.example("trainctl ls layers");
  }

  int run(const Globals& globals) override {
    const std::vector<Listing> all = listings(kind_);
    if (globals.json)
      print_json(json_of(all));
    else
      print(text_of(all));
    return 0;
  }

 private:
  static Json json_of(const std::vector<Listing>& all) {
    Json list = Json::array();
    for (const Listing& listing : all) {
      Json items = Json::array();
      for (const Item& item : listing.items) items.push_back({{"type", item.name}, {"doc", item.doc}});
      list.push_back({{"kind", listing.kind}, {"components", std::move(items)}});
    }
    return {{"kinds", std::move(list)}};
  }

  static std::string text_of(const std::vector<Listing>& all) {
    std::string text;
    for (const Listing& listing : all) {
      TextTable table({{listing.kind}, {""}});
      for (const Item& item : listing.items) table.add({"  " + item.name, item.doc});
      text += (text.empty() ? "" : "\n") + table.text();
    }
    return text;
  }

  std::string kind_;
};

}  // namespace

std::unique_ptr<Command> make_ls() {
  return std::make_unique<Ls>();
}

}  // namespace trainctl::app
