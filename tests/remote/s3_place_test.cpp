#include "remote/s3_place.h"

#include <doctest/doctest.h>

using namespace trainctl;

TEST_CASE("names of buckets") {
  for (const char* good :
       {"abc", "my-lab.runs", "0a9", "a123456789b123456789c123456789d123456789e123456789f123456789g12"})
    CHECK_MESSAGE(bucket_fault(good) == "", good);
  for (const char* bad : {"", "ab", "Abc", "a_b", "-abc", "abc-", ".abc", "a..b", "192.168.1.1", "s3://abc", "abc/runs",
                          "a123456789b123456789c123456789d123456789e123456789f123456789g123"})
    CHECK_MESSAGE(bucket_fault(bad) != "", bad);
}

TEST_CASE("prefixes, endpoints and regions") {
  CHECK(key_fault("runs/a b/step-1.h5") == "");
  for (const char* bad : {"/a", "a/", "a//b", "a/../b", ".", "a\nb"}) CHECK_MESSAGE(key_fault(bad) != "", bad);
  CHECK(key_fault(std::string(2000, 'a')) != "");

  for (const char* good :
       {"https://s3.example.org", "http://127.0.0.1:9000/", "https://host/storage/v1/s3", "http://[::1]:9000"})
    CHECK_MESSAGE(endpoint_fault(good) == "", good);
  for (const char* bad : {"", "s3.example.org", "ftp://host", "https://", "https://:80", "https:///x",
                          "https://u:p@host", "https://host?x=1", "https://host#x", "https://ho st"})
    CHECK_MESSAGE(endpoint_fault(bad) != "", bad);
  CHECK(endpoint_fault("https://me:hunter2@host").find("hunter2") == std::string::npos);

  CHECK(region_fault("eu-central-1") == "");
  CHECK(region_fault("auto") == "");
  for (const char* bad : {"", "eu:s3", "eu/1", "eu 1"}) CHECK_MESSAGE(region_fault(bad) != "", bad);
}

TEST_CASE("URLs: encoded once, the query sorted") {
  const auto amazon = S3Place::of("lab", "runs", "eu-central-1", std::nullopt, S3Addressing::automatic);
  CHECK(amazon.url("runs/a b+c=d/\xC3\xA4~") == "https://lab.s3.eu-central-1.amazonaws.com/runs/a%20b%2Bc%3Dd/%C3%A4~");
  CHECK(amazon.url("", {{"prefix", "a/b"}, {"list-type", "2"}}) ==
        "https://lab.s3.eu-central-1.amazonaws.com/?list-type=2&prefix=a%2Fb");
  CHECK(amazon.full_key("k") == "runs/k");
  CHECK(amazon.name("k") == "s3://lab/runs/k");

  // A certificate for *.s3.amazonaws.com does not cover two levels.
  CHECK(S3Place::of("a.b", "", "x", std::nullopt, S3Addressing::automatic).url("k") ==
        "https://s3.x.amazonaws.com/a.b/k");
  CHECK(S3Place::of("lab", "", "cn-north-1", std::nullopt, S3Addressing::path).url("k") ==
        "https://s3.cn-north-1.amazonaws.com.cn/lab/k");

  const auto own = S3Place::of("lab", "", "x", "http://host:9000/base/", S3Addressing::automatic);
  CHECK(own.url("k", {{"uploads", ""}}) == "http://host:9000/base/lab/k?uploads=");
  CHECK(own.url("") == "http://host:9000/base/lab");
  CHECK(S3Place::of("lab", "", "x", "http://host:9000", S3Addressing::virtual_hosted).url("k") ==
        "http://lab.host:9000/k");
}
