#include "remote/xml.h"

#include <charconv>
#include <cstdint>
#include <system_error>

#include "base/text.h"

namespace trainctl {
namespace {

constexpr int max_depth = 16;
constexpr std::string_view spaces = " \t\r\n";

struct Malformed {};

void append_utf8(std::string& text, std::uint32_t code) {
  if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) throw Malformed{};
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | (code >> 12));
    tail(6), tail(0);
  } else {
    text += static_cast<char>(0xF0 | (code >> 18));
    tail(12), tail(6), tail(0);
  }
}

void append_entity(std::string& text, std::string_view name) {
  constexpr std::pair<std::string_view, char> known[] = {
      {"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
  for (const auto& [entity, character] : known)
    if (name == entity) return void(text += character);
  if (!name.starts_with('#')) throw Malformed{};
  const bool hex = name.starts_with("#x");
  const std::string_view digits = name.substr(hex ? 2 : 1);
  std::uint32_t code = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, hex ? 16 : 10);
  if (error != std::errc() || end != digits.data() + digits.size()) throw Malformed{};
  append_utf8(text, code);
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  XmlElement document() {
    skip("\xEF\xBB\xBF");
    skip_spaces();
    if (skip("<?xml")) take_until("?>");
    skip_blank();
    XmlElement root = element(0);
    skip_blank();
    if (!rest_.empty()) throw Malformed{};
    return root;
  }

 private:
  bool skip(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  void expect(std::string_view token) {
    if (!skip(token)) throw Malformed{};
  }
  std::string_view take_until(std::string_view end) {
    const std::size_t at = rest_.find(end);
    if (at == std::string_view::npos) throw Malformed{};
    const std::string_view taken = rest_.substr(0, at);
    rest_.remove_prefix(at + end.size());
    return taken;
  }
  void skip_spaces() { rest_.remove_prefix(std::min(rest_.find_first_not_of(spaces), rest_.size())); }
  void skip_blank() {  // between the document's parts
    for (skip_spaces(); skip("<!--"); skip_spaces()) take_until("-->");
  }

  std::string_view name() {
    const std::size_t end = rest_.find_first_of(" \t\r\n/>=<&");
    if (end == 0 || end == std::string_view::npos) throw Malformed{};
    const std::string_view found = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return found;
  }

  XmlElement element(int depth) {
    if (depth > max_depth) throw Malformed{};
    expect("<");
    const std::string_view tag = name();
    if (tag[0] == '!' || tag[0] == '?') throw Malformed{};
    XmlElement element;
    element.name = tag.substr(tag.rfind(':') + 1);
    skip_spaces();
    while (!rest_.starts_with('>') && !rest_.starts_with("/>")) {
      name();
      skip_spaces(), expect("="), skip_spaces();
      const std::string quote(rest_.substr(0, 1));
      if (quote != "\"" && quote != "'") throw Malformed{};
      rest_.remove_prefix(1);
      take_until(quote);
      skip_spaces();
    }
    if (skip("/>")) return element;
    expect(">");
    content(element, depth);
    expect(tag);
    skip_spaces();
    expect(">");
    return element;
  }

  // Up to "</" of the element's own end.
  void content(XmlElement& element, int depth) {
    while (!skip("</")) {
      if (rest_.empty()) throw Malformed{};
      if (skip("<!--")) {
        take_until("-->");
      } else if (skip("<![CDATA[")) {
        element.text += take_until("]]>");
      } else if (rest_[0] == '<') {
        element.children.push_back(this->element(depth + 1));
      } else if (skip("&")) {
        append_entity(element.text, take_until(";"));
      } else {
        const std::size_t end = std::min(rest_.find_first_of("<&"), rest_.size());
        element.text += rest_.substr(0, end);
        rest_.remove_prefix(end);
      }
    }
    if (!element.children.empty()) element.text.clear();  // white space between them
  }

  std::string_view rest_;
};

}  // namespace

const XmlElement* XmlElement::find(std::string_view wanted) const {
  for (const XmlElement& child : children)
    if (child.name == wanted) return &child;
  return nullptr;
}

std::string XmlElement::value(std::string_view wanted) const {
  const XmlElement* child = find(wanted);
  return child ? child->text : "";
}

std::optional<XmlElement> parse_xml(std::string_view text) {
  try {
    return Reader(text).document();
  } catch (const Malformed&) {
    return std::nullopt;
  }
}

std::string xml_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

}  // namespace trainctl
