// The little of XML that S3 answers with: elements and text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trainctl {

struct XmlElement {
  std::string name;  ///< without a namespace's prefix
  std::string text;  ///< of an element without children; entities resolved
  std::vector<XmlElement> children;

  /// The first child of that name, or nullptr.
  const XmlElement* find(std::string_view name) const;
  /// The text of that child, or "".
  std::string value(std::string_view name) const;
};

/// The root element, or nothing where the text is not a whole document. Attributes, comments and the declaration are
/// passed over; a document type, processing instructions and more than 16 levels are not accepted.
std::optional<XmlElement> parse_xml(std::string_view text);

/// Text with what XML gives a meaning escaped.
std::string xml_escaped(std::string_view text);

}  // namespace trainctl
