#include "data/gzip.h"

#include "data/data_files.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string text(const HostBytes& contents, std::size_t lead = 0) {
  return {reinterpret_cast<const char*>(contents.data()) + lead, contents.size() - lead};
}

}  // namespace

TEST_CASE("gunzip gives back the contents, after the lead") {
  const std::string contents = counting_bytes(100000);
  const std::string file = gzip(contents);
  CHECK(is_gzip(bytes(file)));
  CHECK(text(gunzip(bytes(file), "x.gz")) == contents);
  CHECK(text(gunzip(bytes(file), "x.gz", 48), 48) == contents);
  CHECK(text(gunzip(bytes(gzip("")), "x.gz")).empty());
}

TEST_CASE("a gzip file cut anywhere is refused, with its name and the place") {
  const std::string file = gzip(counting_bytes(5000) + std::string(500, 'x'));
  for (std::size_t length = 0; length < file.size(); ++length) {
    const std::string cut = file.substr(0, length);
    const std::string message = message_of(ErrorKind::data, [&] { gunzip(bytes(cut), "x.gz"); });
    CHECK(contains(message, "x.gz: truncated"));
    CHECK(contains(message, fmt::format("byte {}", length)));
  }
}

TEST_CASE("every flipped byte of a gzip file's stream and trailer is noticed") {
  const std::string file = gzip(counting_bytes(3000));
  constexpr std::size_t header = 10;  // its time and system are not checked by anything
  for (std::size_t at = header; at < file.size(); ++at) {
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    CHECK(contains(message_of(ErrorKind::data, [&] { gunzip(bytes(damaged), "x.gz"); }), "x.gz: "));
  }
}

TEST_CASE("bytes after the gzip stream are refused") {
  const std::string file = gzip("abc");
  // The length stands in the last four bytes: keep it believable.
  const std::string longer = file + std::string("zzzz") + std::string("\3\0\0\0", 4);
  const std::string message = message_of(ErrorKind::data, [&] { gunzip(bytes(longer), "x.gz"); });
  CHECK(contains(message, fmt::format("x.gz: too long: its gzip stream ends at byte {}", file.size())));
}

TEST_CASE("a length that the compressed bytes cannot hold is refused before it is allocated") {
  std::string file = gzip("abc");
  file.replace(file.size() - 4, 4, std::string("\xff\xff\xff\xff", 4));
  CHECK(contains(message_of(ErrorKind::data, [&] { gunzip(bytes(file), "x.gz"); }), "damaged"));
}

TEST_CASE("gunzip_head reads the beginning of a part of a file") {
  const std::string contents = counting_bytes(200000);
  const std::string file = gzip(contents);
  std::string out(1000, '\0');
  const auto head = std::string_view(file).substr(0, file.size() / 2);
  CHECK(gunzip_head(bytes(head), std::as_writable_bytes(std::span(out)), "x.gz") == out.size());
  CHECK(out == contents.substr(0, out.size()));
  const std::string small = gzip("abc");
  CHECK(gunzip_head(bytes(small), std::as_writable_bytes(std::span(out)), "x.gz") == 3);
}
