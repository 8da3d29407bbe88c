#include "base/sha256.h"

#include <doctest/doctest.h>

#include <string>

using namespace trainctl;

// FIPS 180-4, examples of NIST.
TEST_CASE("SHA-256 of known texts") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256_hex(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("SHA-256 in pieces, and again") {
  Sha256 hash;
  CHECK(hash.update("a").update("").update("bc").finish_hex() == sha256_hex("abc"));
  CHECK(hash.update("abc").finish_hex() == sha256_hex("abc"));
  Sha256 moved = std::move(hash);
  CHECK(moved.finish_hex() == sha256_hex(""));
}
