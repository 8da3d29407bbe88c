#include <doctest/doctest.h>

#include <string>

#include "remote/remote.h"
#include "schema/yaml.h"

using namespace trainctl;

namespace {

struct Spec {
  Component<Remote> remote;
  static Schema<Spec> schema() { return Schema<Spec>("A store.").required("remote", &Spec::remote, "The store."); }
};

std::string errors_of(const std::string& yaml) {
  try {
    parse<Spec>(parse_yaml_text("remote: " + yaml, "test.yaml"));
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

bool says(const std::string& yaml, const std::string& text) {
  const std::string errors = errors_of(yaml);
  CAPTURE(errors);
  CHECK(errors.find(text) != std::string::npos);
  return errors.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("an S3 store in a spec") {
  CHECK(errors_of("{type: s3, bucket: lab}") == "");
  CHECK(
      errors_of(
          "{type: s3, bucket: lab, prefix: a/b, endpoint: 'https://host:9000', region: eu-x-1, addressing: virtual}") ==
      "");
  says("{type: s3}", "bucket");
  says("{type: s3, bucket: My_Lab}", "remote.bucket: may only hold a-z, 0-9, '-' and '.', got 'My_Lab'.");
  says("{type: s3, bucket: 's3://lab/runs'}", "write the rest of the path as `prefix`");
  says("{type: s3, bucket: lab, prefix: /runs}", "remote.prefix");
  says("{type: s3, bucket: lab, endpoint: host}", "must begin with https://");
  says("{type: s3, bucket: lab, region: 'eu:s3'}", "remote.region");
  says("{type: s3, bucket: lab, part_size: 4}", "must be at least 5");
  says("{type: s3, bucket: lab, regoin: x}", "Did you mean 'region'?");
}

TEST_CASE("credentials in a spec are refused, and not shown") {
  for (const char* field :
       {"access_key", "secret_key", "aws_secret_access_key", "password", "token", "session_token"}) {
    const std::string errors = errors_of(std::string("{type: s3, bucket: lab, ") + field + ": hunter2}");
    CAPTURE(errors);
    CHECK(errors.find("Credentials are no part of an experiment") != std::string::npos);
    CHECK(errors.find("test.yaml:1") != std::string::npos);
    CHECK(errors.find("hunter2") == std::string::npos);
  }
  const std::string errors = errors_of("{type: s3, bucket: lab, endpoint: 'https://me:hunter2@host'}");
  CHECK(errors.find("must not hold credentials") != std::string::npos);
  CHECK(errors.find("hunter2") == std::string::npos);
}
