#include "schema/diagnostics.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace trainctl {

namespace {

constexpr std::size_t widest_line = 100;

// The line with a caret under the column; of a long line, the part around it.
std::string excerpt(const Source& source) {
  const std::string_view line = source.line_text();
  if (trimmed(line).empty() || source.column <= 0) return "";
  std::size_t start = line.find_first_not_of(" \t");
  const std::size_t column = std::clamp<std::size_t>(static_cast<std::size_t>(source.column - 1), start, line.size());
  if (column - start > widest_line / 2) start = column - widest_line / 2;
  const auto continues = [&](std::size_t at) { return (static_cast<unsigned char>(line[at]) & 0xC0) == 0x80; };
  while (start < column && continues(start)) ++start;

  const std::string before = printable(line.substr(start, column - start), widest_line);
  const std::string after = printable(line.substr(column), widest_line / 2);
  const auto width = std::count_if(before.begin(), before.end(),
                                   [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
  return fmt::format("\n    {}{}\n    {}^", before, after, std::string(static_cast<std::size_t>(width), ' '));
}

}  // namespace

std::string to_text(const std::vector<Diagnostic>& errors, std::size_t total) {
  std::string text;
  for (const Diagnostic& error : errors) {
    if (!text.empty()) text += '\n';
    const std::string where = error.source.where();
    if (!where.empty()) text += where + ": ";
    if (!error.path.empty()) text += printable(error.path, 200) + ": ";
    text += error.message + excerpt(error.source);
  }
  if (total > errors.size()) text += fmt::format("\n... and {} more.", counted(total - errors.size(), "error"));
  return text;
}

nlohmann::ordered_json to_json(const std::vector<Diagnostic>& errors) {
  auto list = nlohmann::ordered_json::array();
  for (const Diagnostic& error : errors) {
    list.push_back({{"file", error.source.file ? error.source.file->name : ""},
                    {"line", error.source.line},
                    {"column", error.source.character()},
                    {"path", error.path},
                    {"message", error.message}});
  }
  return list;
}

ConfigError::ConfigError(std::vector<Diagnostic> errors, std::size_t total)
    : Error(ErrorKind::config, to_text(errors, total)), errors_(std::move(errors)) {}

void Diagnostics::error(const Source& source, std::string message) {
  ++total_;
  if (errors_.size() < limit) errors_.push_back({source, path_, std::move(message)});
}

void Diagnostics::take(const Diagnostics& other) {
  total_ += other.total_;
  for (const Diagnostic& error : other.errors_)
    if (errors_.size() < limit) errors_.push_back(error);
}

void Diagnostics::take(const ConfigError& thrown) {
  total_ += thrown.errors().size();
  for (const Diagnostic& error : thrown.errors())
    if (errors_.size() < limit) errors_.push_back(error);
}

void Diagnostics::throw_if_any() const {
  if (!ok()) throw ConfigError(errors_, total_);
}

Diagnostics::Scope::Scope(Diagnostics& diagnostics, std::string_view key)
    : diagnostics_(diagnostics), length_(diagnostics.path_.size()) {
  if (length_ > 0) diagnostics_.path_ += '.';
  diagnostics_.path_ += key;
}

Diagnostics::Scope::Scope(Diagnostics& diagnostics, std::size_t index) : Scope(diagnostics, std::to_string(index)) {}

}  // namespace trainctl
