#include "schema/named_values.h"

#include <fmt/core.h>

#include <set>

#include "base/text.h"
#include "schema/scalar.h"

namespace trainctl {
namespace {

/// Notes errors at a path other than the one that is being read.
class At {
 public:
  At(Diagnostics& diagnostics, std::string path) : diagnostics_(diagnostics), before_(diagnostics.path()) {
    diagnostics.set_path(std::move(path));
  }
  ~At() { diagnostics_.set_path(before_); }
  At(const At&) = delete;
  At& operator=(const At&) = delete;

 private:
  Diagnostics& diagnostics_;
  std::string before_;
};

void check_range(const Live& live, Diagnostics& diagnostics) {
  Diagnostics found;
  const Node number = Node::scalar(number_text(live.value), false, live.source);
  if (live.range) check_constraints(*live.range, number, number, found);
  for (const Diagnostic& fault : found.errors())
    diagnostics.error(live.source, fmt::format("{} is out of range here: {}", live.name, fault.message));
}

}  // namespace

void link_values(const ValueTable& values, const std::function<void(const TypeInfo::LiveVisitor&)>& visit,
                 Diagnostics& diagnostics) {
  const bool complete = diagnostics.ok();  // what could not be read may use a value
  std::vector<std::string> names;
  for (const auto& [name, value] : values) {
    if (value) names.push_back(std::string(values_prefix) + name);
  }
  std::set<std::string> used;
  visit([&](Live& live, const std::string& path) {
    if (live.name.empty()) return;
    const At at(diagnostics, path);
    if (path.starts_with(values_prefix)) {
      diagnostics.error(live.source, "expected a number: a value cannot stand for another.");
      return;
    }
    const std::optional<Live>* value = values.find(std::string_view(live.name).substr(values_prefix.size()));
    if (!value || !*value) {
      diagnostics.error(live.source,
                        fmt::format("there is no value '{}'.{}", printable(live.name),
                                    names.empty() ? " Give its number under `values`." : suggestion(live.name, names)));
      return;
    }
    used.insert(live.name);
    live.value = (*value)->value;
    check_range(live, diagnostics);
  });
  for (const auto& [name, value] : values) {
    const std::string path = std::string(values_prefix) + name;
    if (!complete || !value || !value->name.empty() || used.contains(path)) continue;
    const At at(diagnostics, path);
    diagnostics.error(value->source,
                      fmt::format("nothing uses this value; write `{}` where it is to stand for a number, "
                                  "or remove it.",
                                  path));
  }
}

}  // namespace trainctl
