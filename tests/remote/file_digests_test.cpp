#include "remote/file_digests.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <fstream>
#include <string>

#include "base/temp_folder.h"

using namespace trainctl;
using trainctl::testing::TempFolder;

namespace {

const std::string abc_sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

PartedSha256::Result sum_of(const std::string& text, std::uint64_t part_bytes, std::size_t piece) {
  PartedSha256 sum(part_bytes);
  for (std::size_t at = 0; at < text.size(); at += piece) sum.update(bytes_of(text.substr(at, piece)));
  return sum.finish();
}

}  // namespace

TEST_CASE("a file of one part has its SHA-256, one of several the SHA-256 of theirs") {
  CHECK(sum_of("abc", 3, 3).whole == abc_sha256);
  CHECK(sum_of("abc", 100, 1).whole == abc_sha256);
  const PartedSha256::Result sum = sum_of("abcabcd", 3, 7);
  REQUIRE(sum.parts.size() == 3);
  CHECK(hex(text_of(sum.parts[0])) == abc_sha256);
  CHECK(sum.parts[1] == sum.parts[0]);
  CHECK(hex(text_of(sum.parts[2])) == sha256_hex("d"));
  CHECK(sum.whole == sha256_hex(unhex(abc_sha256) + unhex(abc_sha256) + unhex(sha256_hex("d"))) + "-3");
  for (const std::size_t piece : {1, 2, 3, 4, 6}) CHECK(sum_of("abcabcd", 3, piece).whole == sum.whole);
  CHECK(sum_of("abcabc", 3, 6).parts.size() == 2);  // no empty one follows
}

TEST_CASE("nothing has a checksum, too, and a sum can be taken again") {
  PartedSha256 sum(4);
  CHECK(sum.finish().whole == sha256_hex(""));
  sum.update(bytes_of(std::string("abcdefgh")));
  CHECK(sum.finish().parts.size() == 2);
  sum.update(bytes_of(std::string("abc")));
  CHECK(sum.finish().whole == abc_sha256);
}

TEST_CASE("a checksum tells how to take the same") {
  const std::string text(5 << 20, 'x');
  for (const std::uint64_t part_bytes : {1u << 20, 2u << 20, 5u << 20, 6u << 20}) {
    const std::string whole = sum_of(text, part_bytes, text.size()).whole;
    auto again = PartedSha256::like(whole);
    REQUIRE(again);
    again->update(bytes_of(text));
    CHECK(again->finish().whole == whole);
  }
  for (const char* end : {"x", "-", "-x", "-5242880x", "--5242880", "-0", "-1024", "-99999999999999999999"})
    CHECK_FALSE(PartedSha256::like(abc_sha256 + end));
  CHECK_FALSE(PartedSha256::like(""));
  CHECK_FALSE(PartedSha256::like(abc_sha256.substr(1)));
  CHECK_FALSE(PartedSha256::like("B" + abc_sha256.substr(1)));
}

TEST_CASE("a file is digested in parts, by MD5 where that is asked for") {
  const TempFolder folder;
  const auto path = folder.path() / "f";
  std::ofstream(path) << "abcabcd";
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  Cancellation cancellation;
  const FileDigests with = digest_file(file.get(), "f", 7, 3, WithMd5::yes, cancellation);
  REQUIRE(with.parts.size() == 3);
  CHECK(with.parts[2].offset == 6);
  CHECK(with.parts[2].bytes == 1);
  CHECK(hex(with.parts[0].md5) == "900150983cd24fb0d6963f7d28e17f72");
  CHECK(hex(text_of(with.parts[1].sha256)) == abc_sha256);
  CHECK(with.sha256 == sum_of("abcabcd", 3, 7).whole);
  const FileDigests without = digest_file(file.get(), "f", 7, 3, WithMd5::no, cancellation);
  CHECK(without.sha256 == with.sha256);
  CHECK(without.parts[0].md5.empty());
  const FileDigests beginning = digest_file(file.get(), "f", 3, 3, WithMd5::no, cancellation);
  REQUIRE(beginning.parts.size() == 1);
  CHECK(beginning.sha256 == abc_sha256);
}

TEST_CASE("hex digits and bytes") {
  CHECK(hex(std::string("\x00\xab\xff", 3)) == "00abff");
  CHECK(unhex("00abff") == std::string("\x00\xab\xff", 3));
  for (const char* text : {"0", "0g", "AB", "0x12"}) CHECK(unhex(text).empty());
}
