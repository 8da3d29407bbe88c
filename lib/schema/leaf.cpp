// Reading and writing of scalar parameters.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/text.h"
#include "schema/bind.h"
#include "schema/duration.h"
#include "schema/named_values.h"
#include "schema/scalar.h"

namespace trainctl::detail {

namespace {

// Advice for texts that nearly are a number or boolean.
std::string number_advice(const std::string& text, bool integer) {
  if (text.find("${arg.") != std::string::npos) return " A block's arguments have values only inside of the block.";
  if (text.find("${secret:") != std::string::npos) return " A secret may only stand where text is expected.";
  const std::string_view digits = text.starts_with('-') ? std::string_view(text).substr(1) : std::string_view(text);
  if (digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of("0123456789") == std::string_view::npos) {
    const std::string decimal(digits.substr(std::min(digits.find_first_not_of('0'), digits.size() - 1)));
    return fmt::format(" Leading zeros are ambiguous: write {} (or 0o{} for octal).", decimal, decimal);
  }
  if (digits.find('_') != std::string_view::npos && digits.find_first_not_of("0123456789_") == std::string_view::npos)
    return " Write it without '_'.";
  if (digits.find(',') != std::string_view::npos && digits.find_first_not_of("0123456789,") == std::string_view::npos)
    return " Write a point, not a comma.";
  if (digits.ends_with('%')) return " Write a fraction, such as 0.1 for 10%.";
  const auto number = number_of(text);
  if (integer && number && *number == std::floor(*number) && std::abs(*number) < 1e15)
    return fmt::format(" Write {}.", static_cast<std::int64_t>(*number));
  const bool all_digits = !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
  if (all_digits || (!number && digits.find_first_not_of("0123456789.eE+-") == std::string_view::npos))
    return " It is malformed or too large.";
  return "";
}

void expected(const char* what, const Node& node, Diagnostics& diagnostics, const std::string& advice = "") {
  diagnostics.error(node, fmt::format("expected {}, got {}.{}", what, describe(node), advice));
}

// The text of a scalar that means more than its letters: one in quotes is plain text by the user's own word.
bool plain(const char* what, const Node& node, Diagnostics& diagnostics) {
  if (node.is_scalar() && !node.quoted()) return true;
  expected(what, node, diagnostics, node.is_scalar() ? " Remove the quotes." : "");
  return false;
}

// `$${` means `${` and is written so; one before `secret:` stays, so that reveal() does not take it for a secret.
std::string unescaped(const std::string& text) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::string_view rest = std::string_view(text).substr(at);
    if (rest.starts_with("$${") && !rest.starts_with("$${secret:")) ++at;
    result += text[at];
  }
  return result;
}

std::string escaped(const std::string& text) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::string_view rest = std::string_view(text).substr(at);
    if (rest.starts_with("$${secret:") || rest.starts_with("${secret:")) {
      const std::size_t length = rest.find(':') + 1;
      result += rest.substr(0, length);
      at += length - 1;
      continue;
    }
    if (rest.starts_with("${")) result += '$';
    result += text[at];
  }
  return result;
}

// The first `${` that nothing has filled in, as "${arg.width}"; "" if there is none.
std::string open_reference(const std::string& text) {
  for (std::size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at + 2)) {
    if (at > 0 && text[at - 1] == '$') continue;
    if (text.compare(at, 9, "${secret:") == 0) continue;
    return text.substr(at, text.find('}', at) - at + 1);
  }
  return "";
}

}  // namespace

void read_leaf(bool& value, const Node& node, Diagnostics& diagnostics) {
  if (!plain("true or false", node, diagnostics)) return;
  if (const auto read = boolean_of(node.text())) {
    value = *read;
    return;
  }
  const std::string near = nearest(node.text(), {"true", "false", "yes", "no", "on", "off"});
  const bool yes = near == "yes" || near == "on" || near == "true" || node.text() == "1";
  const bool no = near == "no" || near == "off" || near == "false" || node.text() == "0";
  expected("true or false", node, diagnostics, yes ? " Write true." : no ? " Write false." : "");
}

void read_leaf(std::int64_t& value, const Node& node, Diagnostics& diagnostics) {
  if (!plain("an integer", node, diagnostics)) return;
  if (const auto read = integer_of(node.text()))
    value = *read;
  else
    expected("an integer", node, diagnostics, number_advice(node.text(), true));
}

void read_leaf(double& value, const Node& node, Diagnostics& diagnostics) {
  if (!plain("a number", node, diagnostics)) return;
  if (const auto read = number_of(node.text()))
    value = *read;
  else
    expected("a number", node, diagnostics, number_advice(node.text(), false));
}

void read_leaf(Live& value, const Node& node, Diagnostics& diagnostics) {
  value = Live();
  value.path = diagnostics.path();
  value.source = node.source();
  if (node.is_scalar() && node.text().starts_with(values_prefix)) {
    value.value = std::nan("");
    value.name = value.path = node.text();
    return;
  }
  read_leaf(value.value, node, diagnostics);
}

void read_leaf(std::string& value, const Node& node, Diagnostics& diagnostics) {
  if (!node.is_scalar()) return expected("text", node, diagnostics);
  const std::string reference = open_reference(node.text());
  if (!reference.empty()) {
    diagnostics.error(node, fmt::format("nothing fills in '{}' here.", printable(reference)));
    return;
  }
  value = unescaped(node.text());
}

void read_leaf(Reference& value, const Node& node, Diagnostics& diagnostics) {
  read_leaf(value.name, node, diagnostics);
  value.source = node.source();
}

void read_leaf(Path& value, const Node& node, Diagnostics& diagnostics) {
  std::string text;
  const std::size_t errors = diagnostics.total();
  read_leaf(text, node, diagnostics);
  if (diagnostics.total() > errors) return;
  if (text.find('\0') != std::string::npos) return expected("a path", node, diagnostics);
  if (text.starts_with("~/")) {
    if (const char* home = std::getenv("HOME")) text = home + text.substr(1);
  }
  const SourceText* file = node.source().file.get();
  const std::filesystem::path folder = file ? file->folder : std::filesystem::path();
  value.value = text.empty() ? std::filesystem::path() : std::filesystem::absolute(folder / text).lexically_normal();
}

void read_leaf(Progress& value, const Node& node, Diagnostics& diagnostics) {
  const char* what = "a duration such as '3 epochs', '500 steps' or '100000 samples'";
  if (!node.is_scalar()) return expected(what, node, diagnostics);
  if (const auto read = progress_of(node.text())) {
    value = *read;
    return;
  }
  const std::string advice = integer_of(node.text())     ? fmt::format(" Say of what: '{} epochs'?", node.text())
                             : wall_time_of(node.text()) ? " A wall time cannot stand here: results would depend on it."
                                                         : "";
  expected(what, node, diagnostics, advice);
}

void read_leaf(WallTime& value, const Node& node, Diagnostics& diagnostics) {
  const char* what = "a wall time such as '45 s', '30 min' or '11 h 30 min'";
  if (!node.is_scalar()) return expected(what, node, diagnostics);
  if (const auto read = wall_time_of(node.text()))
    value = *read;
  else
    expected(what, node, diagnostics);
}

void read_leaf(Node& value, const Node& node, Diagnostics&) {
  value = node;
}

Node write_leaf(bool value) {
  return Node::scalar(value ? "true" : "false");
}
Node write_leaf(std::int64_t value) {
  return Node::scalar(std::to_string(value));
}
Node write_leaf(double value) {
  return Node::scalar(number_text(value));
}
Node write_leaf(const Live& value) {
  return Node::scalar(value.name.empty() ? number_text(value.value) : value.name);
}
Node write_leaf(const Progress& value) {
  return Node::scalar(to_text(value));
}
Node write_leaf(const WallTime& value) {
  return Node::scalar(to_text(value));
}
Node write_leaf(const Node& value) {
  return value;
}

Node write_leaf(const std::string& value) {
  // Quotes only where the text alone would look like something else to another reader of the file.
  const bool ambiguous = is_null_text(value) || boolean_of(value) || number_of(value);
  return Node::scalar(escaped(value), ambiguous);
}

Node write_leaf(const Reference& value) {
  return write_leaf(value.name);
}

Node write_leaf(const Path& value) {
  return write_leaf(value.empty() ? std::string() : std::filesystem::absolute(value.value).lexically_normal().string());
}

int read_choice(const std::vector<std::string>& choices, const Node& node, Diagnostics& diagnostics) {
  const auto found = node.is_scalar() ? std::find(choices.begin(), choices.end(), node.text()) : choices.end();
  if (found != choices.end()) return static_cast<int>(found - choices.begin());
  const std::string near = node.is_scalar() ? nearest(node.text(), choices) : "";
  diagnostics.error(node, fmt::format("expected one of {}, got {}.{}", join(choices, ", "), describe(node),
                                      near.empty() ? "" : fmt::format(" Did you mean '{}'?", near)));
  return -1;
}

const Node* read_tuple(std::size_t count, const Node& node, Diagnostics& diagnostics) {
  if (node.is_list() && node.size() == count) return node.items().data();
  const std::string got = node.is_list() ? fmt::format("one of {}", node.size()) : describe(node);
  diagnostics.error(node, fmt::format("expected a list of {}, got {}.", count, got));
  return nullptr;
}

bool expect_map(const Node& node, Diagnostics& diagnostics) {
  if (node.is_map() || node.is_null()) return true;
  diagnostics.error(node, fmt::format("expected a map of names ('name: value'), got {}.", describe(node)));
  return false;
}

}  // namespace trainctl::detail
