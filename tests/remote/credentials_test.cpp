#include "remote/credentials.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/temp_folder.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

// The variables that matter, and nothing of what the tester has.
class Environment {
 public:
  explicit Environment(const std::map<std::string, std::string>& variables) {
    for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
                             "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
                             "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "HOME"}) {
      const char* value = ::getenv(name);
      if (value) saved_[name] = value;
      names_.push_back(name);
      ::unsetenv(name);
    }
    for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
  }
  Environment(const Environment&) = delete;
  ~Environment() {
    for (const char* name : names_) ::unsetenv(name);
    for (const auto& [name, value] : saved_) ::setenv(name.c_str(), value.c_str(), 1);
  }

 private:
  std::vector<const char*> names_;
  std::map<std::string, std::string> saved_;
};

void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

std::string error_of_loading() {
  try {
    load_aws_credentials();
    return "";
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::environment);
    return error.what();
  }
}

}  // namespace

TEST_CASE("the environment comes before files") {
  const TempFolder folder;
  write(folder / ".aws/credentials", "[default]\naws_access_key_id = FILE\naws_secret_access_key = filesecret\n");
  {
    const Environment environment(
        {{"HOME", folder.path()}, {"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "B"}});
    const AwsCredentials keys = load_aws_credentials();
    CHECK(keys.access_key == "A");
    CHECK(keys.secret_key == "B");
    CHECK(keys.origin.find("AWS_ACCESS_KEY_ID") != std::string::npos);
  }
  const Environment environment({{"HOME", folder.path()}});
  const AwsCredentials keys = load_aws_credentials();
  CHECK(keys.access_key == "FILE");
  CHECK(keys.secret_key == "filesecret");
  CHECK(keys.origin.find(".aws/credentials") != std::string::npos);
}

TEST_CASE("profiles") {
  const TempFolder folder;
  write(folder / "keys",
        "; comment\r\n[lab]\r\naws_access_key_id=LAB\r\naws_secret_access_key = a=b/c\r\naws_session_token = "
        "tok\r\n[other]\n");
  write(folder / "config",
        "[profile lab]\nregion = eu-x-1\ns3 =\n  region = nested\nendpoint_url = https://lab\n[profile "
        "sso]\nsso_session = x\n"
        "[default]\nregion = d\n[profile own]\naws_access_key_id = C\naws_secret_access_key = D\n");
  std::map<std::string, std::string> variables{{"AWS_SHARED_CREDENTIALS_FILE", folder / "keys"},
                                               {"AWS_CONFIG_FILE", folder / "config"}};
  SUBCASE("keys, token, region and endpoint") {
    variables["AWS_PROFILE"] = "lab";
    const Environment environment(variables);
    const AwsCredentials keys = load_aws_credentials();
    CHECK(keys.access_key == "LAB");
    CHECK(keys.secret_key == "a=b/c");
    CHECK(keys.session_token == "tok");
    CHECK(aws_region() == "eu-x-1");
    CHECK(aws_s3_endpoint() == "https://lab");
  }
  SUBCASE("keys of the config file") {
    variables["AWS_PROFILE"] = "own";
    const Environment environment(variables);
    CHECK(load_aws_credentials().secret_key == "D");
    CHECK_FALSE(aws_region());
  }
  SUBCASE("what only AWS's tools know") {
    variables["AWS_PROFILE"] = "sso";
    const Environment environment(variables);
    CHECK(error_of_loading().find("aws configure export-credentials --profile sso") != std::string::npos);
  }
  SUBCASE("an unknown one") {
    variables["AWS_PROFILE"] = "none";
    const Environment environment(variables);
    CHECK(error_of_loading().find("[none]") != std::string::npos);
  }
  SUBCASE("variables come first") {
    variables["AWS_DEFAULT_REGION"] = "v";
    variables["AWS_ENDPOINT_URL"] = "https://v";
    const Environment environment(variables);
    CHECK(aws_region() == "v");
    CHECK(aws_s3_endpoint() == "https://v");
  }
}

TEST_CASE("half of them, or damaged ones, are named but not shown") {
  const TempFolder folder;
  const auto error_with = [&](std::map<std::string, std::string> variables) {
    variables["HOME"] = folder.path();
    const Environment environment(variables);
    return error_of_loading();
  };
  CHECK(error_with({{"AWS_ACCESS_KEY_ID", "A"}}).find("AWS_SECRET_ACCESS_KEY is not") != std::string::npos);
  CHECK(error_with({{"AWS_SECRET_ACCESS_KEY", "A"}}).find("AWS_ACCESS_KEY_ID is not") != std::string::npos);
  const std::string damaged = error_with({{"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "hunter2\r"}});
  CHECK(damaged.find("secret key") != std::string::npos);
  CHECK(damaged.find("hunter2") == std::string::npos);
  write(folder / ".aws/credentials", "[default]\naws_access_key_id = A\n");
  CHECK(error_with({}).find("has no aws_secret_access_key") != std::string::npos);
}

TEST_CASE("scrubbing") {
  const AwsCredentials keys{.access_key = "AK", .secret_key = "AKsecret", .session_token = "", .origin = ""};
  CHECK(keys.scrubbed("AKsecret of AK, AKAK") == "*** of ***, ******");
}
