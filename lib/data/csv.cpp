#include "data/csv.h"

#include "base/error.h"
#include "base/signals.h"
#include "data/input_file.h"

namespace trainctl {

CsvReader::CsvReader(const std::filesystem::path& path, char delimiter)
    : path_(path.string()), delimiter_(delimiter), bytes_(InputFile(path).read_all()) {
  at_ = reinterpret_cast<char*>(bytes_.data());
  end_ = at_ + bytes_.size();
  if (std::string_view(at_, bytes_.size()).starts_with("\xef\xbb\xbf")) at_ += 3;
  line_start_ = at_;
}

void CsvReader::fail_at(const CsvCell& cell, std::string_view what) const {
  fail(ErrorKind::data, "{}:{}:{}: {}", path_, cell.line, cell.column, what);
}

bool CsvReader::at_line_end() const {
  return at_ == end_ || *at_ == '\n' || (*at_ == '\r' && (at_ + 1 == end_ || at_[1] == '\n'));
}

void CsvReader::skip_line_end() {
  if (at_ != end_ && *at_ == '\r') ++at_;
  if (at_ != end_ && *at_ == '\n') ++at_;
  line_start_ = at_;
  ++line_;
}

bool CsvReader::next(std::vector<CsvCell>& row) {
  if (signals::stop_requested()) fail(ErrorKind::interrupted, "stopped while reading {}", path_);
  while (at_ != end_ && at_line_end()) skip_line_end();
  row.clear();
  if (at_ == end_) return false;
  row.push_back(read_cell());
  while (at_ != end_ && *at_ == delimiter_) {
    ++at_;
    row.push_back(read_cell());
  }
  if (width_ == 0) width_ = row.size();
  if (row.size() != width_) {
    fail_at(row.front(), fmt::format("this row has {} cells, the first one has {}", row.size(), width_));
  }
  if (at_ != end_) skip_line_end();
  return true;
}

// Reads up to the delimiter or line end that follows.
CsvCell CsvReader::read_cell() {
  CsvCell cell = here();
  if (at_ != end_ && *at_ == '"') return read_quoted_cell(cell);
  const char* start = at_;
  while (!at_line_end() && *at_ != delimiter_) {
    if (*at_ == '"') fail_at(here(), "a quote within a cell that does not begin with one; write \"...\"\"...\"");
    ++at_;
  }
  cell.text = {start, static_cast<std::size_t>(at_ - start)};
  return cell;
}

// The text is put together in place: removing a doubled quote only ever makes it shorter.
CsvCell CsvReader::read_quoted_cell(CsvCell cell) {
  char* const start = ++at_;
  char* out = start;
  while (true) {
    if (at_ == end_) fail_at(cell, "this quote is never closed");
    if (*at_ == '"') {
      ++at_;
      if (at_ == end_ || *at_ != '"') break;
    } else if (*at_ == '\n') {
      line_start_ = at_ + 1;
      ++line_;
    }
    *out++ = *at_++;
  }
  if (!at_line_end() && *at_ != delimiter_) fail_at(here(), "text after the closing quote of a cell");
  cell.text = {start, static_cast<std::size_t>(out - start)};
  return cell;
}

}  // namespace trainctl
