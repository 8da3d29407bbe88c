#include "remote/remote_url.h"

#include <algorithm>

#include "base/text.h"
#include "schema/yaml.h"

namespace trainctl {
namespace {

constexpr std::string_view separator = "://";

/// As resolve_spec() would apply them, those of the section `remote` alone.
void apply_overrides(Node& root, const Overrides& overrides, Diagnostics& diagnostics) {
  const auto concerns = [](const std::string& text) { return text.starts_with("remote."); };
  for (const std::string& key : overrides.unset)
    if (concerns(key)) apply_unset(root, key, diagnostics);
  for (const std::string& assignment : overrides.set)
    if (concerns(assignment)) apply_set(root, assignment, diagnostics);
}

Component<Remote> read_remote(const ComponentInfo& info, const Remote& kind, std::string_view place,
                              const std::string& url, const Overrides& overrides) {
  const auto text = std::make_shared<const SourceText>(SourceText{url, url, std::filesystem::current_path()});
  const Source source{text, 1, 1};
  Node remote = Node::map(source);
  remote.set("type", Node::scalar(info.name, true, source), source);
  for (auto& [name, value] : kind.fields_of(place)) remote.set(name, Node::scalar(value, true, source), source);
  Node root = Node::map(source);
  root.set("remote", remote, source);
  Diagnostics diagnostics;
  apply_overrides(root, overrides, diagnostics);
  Component<Remote> component;
  const Diagnostics::Scope scope(diagnostics, "remote");
  read(component, *root.find("remote"), diagnostics);
  diagnostics.throw_if_any();
  return component;
}

}  // namespace

bool is_remote_url(std::string_view text) {
  return text.find(separator) != std::string_view::npos;
}

Component<Remote> remote_at(const std::string& url, const Overrides& overrides) {
  const std::size_t at = url.find(separator);
  const std::string scheme = url.substr(0, at);
  std::string_view place(url);
  place.remove_prefix(std::min(place.size(), at == std::string::npos ? at : at + separator.size()));
  while (place.size() > 1 && place.ends_with('/')) place.remove_suffix(1);
  std::vector<std::string> known;
  for (const ComponentInfo* info : Registry<Remote>::kind().components()) {
    const std::unique_ptr<Remote> kind = Registry<Remote>::create(*info);
    known.push_back(std::string(kind->scheme()) + std::string(separator));
    if (at != std::string::npos && kind->scheme() == scheme) return read_remote(*info, *kind, place, url, overrides);
  }
  fail(ErrorKind::usage, "'{}' is no URL of a store; such begin with {}", printable(url), join(known, " or "));
}

RemoteRun remote_run_at(const std::string& url, const Overrides& overrides) {
  std::string place = url;
  while (place.ends_with('/')) place.pop_back();
  const std::size_t name = place.rfind('/');
  const std::size_t project = name == std::string::npos || name == 0 ? name : place.rfind('/', name - 1);
  const std::size_t start = place.find(separator);
  if (project == std::string::npos || start == std::string::npos || project < start + separator.size()) {
    fail(ErrorKind::usage, "'{}' names no run; write it as in s3://bucket/prefix/project/name-1", printable(url));
  }
  return {.remote = remote_at(place.substr(0, project), overrides), .key = place.substr(project + 1)};
}

}  // namespace trainctl
