// What must hold of a text before yaml-cpp sees it: size, UTF-8, control characters, tabs in indentation.
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/text.h"
#include "schema/yaml.h"
#include "schema/yaml_text.h"

namespace trainctl {

namespace fs = std::filesystem;

namespace {

// Length of the well-formed UTF-8 sequence at the front; 0 if there is none (overlong forms and surrogates included).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF)
    return follows(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF) && follows(2) ? 3 : 0;
  if (first >= 0xF0 && first <= 0xF4)
    return follows(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF) && follows(2) && follows(3) ? 4 : 0;
  return 0;
}

// What is wrong with the bytes at the front; "" and their length in `length` if nothing is.
std::string fault(std::string_view text, bool indenting, std::size_t& length) {
  const auto c = static_cast<unsigned char>(text[0]);
  length = 1;
  if (c == 0) return "a NUL byte: this is not a text file.";
  if (c == '\t' && indenting) return "a tab: YAML indents with spaces only.";
  if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F)
    return fmt::format("a control character (\\x{:02x}): remove it, or write it as an escape in double quotes.", c);
  length = utf8_length(text);
  if (length == 0) return fmt::format("byte 0x{:02x} is not UTF-8: save the file as UTF-8.", c);
  return "";
}

}  // namespace

bool check_text(const std::shared_ptr<const SourceText>& source, Diagnostics& diagnostics) {
  const std::string_view text = source->text;
  int line = 1;
  std::size_t start = 0;  // of the line
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '\n') {
      start = ++at;
      ++line;
      continue;
    }
    std::size_t length = 0;
    const auto is_indent = [&] {
      const std::size_t first = text.find_first_not_of(" \t\r", start);
      return first != std::string_view::npos && at < first && text[first] != '\n' && text[first] != '#';
    };
    const std::string message = fault(text.substr(at), text[at] == '\t' && is_indent(), length);
    if (!message.empty()) {
      diagnostics.error(Source{source, line, static_cast<int>(at - start) + 1}, message);
      return false;
    }
    at += length;
  }
  return true;
}

bool check_brackets(const std::shared_ptr<const SourceText>& source, int depth, Diagnostics& diagnostics) {
  const std::string_view text = source->text;
  const int most = 10 * depth;
  int open = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '[' || text[at] == '{') ++open;
    if ((text[at] == ']' || text[at] == '}') && open > 0) --open;
    if (open <= most) continue;
    const std::string_view before = text.substr(0, at);
    const auto line = static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1;
    const std::size_t start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    diagnostics.error(Source{source, line, static_cast<int>(at - start) + 1},
                      fmt::format("nested deeper than {} levels.", depth));
    return false;
  }
  return true;
}

std::shared_ptr<const SourceText> read_source(const fs::path& path, const Source& asked_at, Diagnostics& diagnostics,
                                              const YamlLimits& limits) {
  const auto refuse = [&](const std::string& why) {
    diagnostics.error(asked_at, fmt::format("cannot read '{}': {}.", printable(path.string(), 300), why));
    return nullptr;
  };
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return refuse("it is a directory");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) return refuse(std::strerror(errno));

  auto source = std::make_shared<SourceText>();
  source->name = path.string();
  source->folder = fs::absolute(path).parent_path();
  constexpr std::size_t piece = 1 << 16;
  for (std::size_t size = 0, got = piece; got == piece; size += got) {
    if (size > limits.bytes) return refuse(fmt::format("it is larger than {} MiB", limits.bytes >> 20));
    source->text.resize(size + piece);
    got = std::fread(source->text.data() + size, 1, piece, file.get());
    source->text.resize(size + got);
  }
  if (std::ferror(file.get())) return refuse(std::strerror(errno));
  if (source->text.starts_with("\xEF\xBB\xBF")) source->text.erase(0, 3);
  return source;
}

}  // namespace trainctl
