#include "remote/credentials.h"

#include <fmt/core.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace trainctl {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t max_file_bytes = 4 << 20;

using Section = std::map<std::string, std::string>;

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? std::optional<std::string>(value) : std::nullopt;
}

fs::path aws_file(const char* name, const char* usual) {
  if (const auto given = variable(name)) return *given;
  return fs::path(variable("HOME").value_or("/")) / ".aws" / usual;
}
fs::path credentials_file() {
  return aws_file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
}
fs::path config_file() {
  return aws_file("AWS_CONFIG_FILE", "config");
}
std::string profile_name() {
  return variable("AWS_PROFILE").value_or("default");
}

// The lines below "[name]"; nothing where there is no such file or section.
std::optional<Section> section(const fs::path& file, std::string_view name) {
  std::error_code unknown;
  if (!fs::exists(file, unknown)) return std::nullopt;
  const std::string text = read_file(file, max_file_bytes);
  std::optional<Section> found;
  bool inside = false;
  for (const std::string& raw : split(text, '\n')) {
    const std::string_view line = trimmed(raw);
    if (line.empty() || line.starts_with('#') || line.starts_with(';')) continue;
    if (line.starts_with('[')) {
      inside = trimmed(line.substr(1, line.find(']') - 1)) == name;
      if (inside && !found) found.emplace();
      continue;
    }
    const std::size_t equals = line.find('=');
    const bool nested = raw[0] == ' ' || raw[0] == '\t';  // of a setting with settings of its own
    if (!inside || nested || equals == std::string_view::npos) continue;
    (*found)[std::string(trimmed(line.substr(0, equals)))] = trimmed(line.substr(equals + 1));
  }
  return found;
}

std::optional<Section> config_section(const std::string& profile) {
  const fs::path file = config_file();
  auto found = section(file, "profile " + profile);
  return found || profile != "default" ? found : section(file, profile);
}

std::optional<std::string> setting(const char* name) {
  const auto found = config_section(profile_name());
  if (!found || !found->contains(name) || found->at(name).empty()) return std::nullopt;
  return found->at(name);
}

// What was pasted with a line's end or a space in it cannot be right, and must not reach a header.
void check_characters(const std::string& value, std::string_view name) {
  for (const char c : value) {
    if (c > ' ' && c < '\x7f') continue;
    fail(ErrorKind::environment, "{} holds a space, a line's end or another character that no key has: set it anew",
         name);
  }
}

void check(const AwsCredentials& credentials, const std::string& where) {
  check_characters(credentials.access_key, where + " (access key)");
  check_characters(credentials.secret_key, where + " (secret key)");
  check_characters(credentials.session_token, where + " (session token)");
}

std::optional<AwsCredentials> of_section(const std::optional<Section>& keys, const std::string& profile,
                                         const fs::path& file) {
  if (!keys) return std::nullopt;
  const auto value = [&](const char* name) { return keys->contains(name) ? keys->at(name) : std::string(); };
  AwsCredentials credentials{.access_key = value("aws_access_key_id"),
                             .secret_key = value("aws_secret_access_key"),
                             .session_token = value("aws_session_token"),
                             .origin = fmt::format("the profile '{}' of {}", printable(profile), file.string())};
  if (credentials.access_key.empty() && credentials.secret_key.empty()) return std::nullopt;
  const auto missing = [&](const char* name) {
    fail(ErrorKind::environment, "{} has no {}", credentials.origin, name);
  };
  if (credentials.access_key.empty()) missing("aws_access_key_id");
  if (credentials.secret_key.empty()) missing("aws_secret_access_key");
  check(credentials, credentials.origin);
  return credentials;
}

// Ways to come by credentials that only AWS's own tools know.
bool elsewhere(const std::optional<Section>& keys) {
  if (!keys) return false;
  for (const char* name : {"sso_session", "sso_start_url", "credential_process", "role_arn", "web_identity_token_file"})
    if (keys->contains(name)) return true;
  return false;
}

}  // namespace

std::string AwsCredentials::scrubbed(std::string_view text) const {
  std::string clean(text);
  for (const std::string* secret : {&session_token, &secret_key, &access_key}) {
    if (secret->empty()) continue;
    for (std::size_t at = clean.find(*secret); at != std::string::npos; at = clean.find(*secret, at + 3))
      clean.replace(at, secret->size(), "***");
  }
  return clean;
}

AwsCredentials load_aws_credentials() {
  const auto key = variable("AWS_ACCESS_KEY_ID");
  const auto secret = variable("AWS_SECRET_ACCESS_KEY");
  if (key || secret) {
    if (!key)
      fail(ErrorKind::environment, "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not: set both or none");
    if (!secret)
      fail(ErrorKind::environment, "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not: set both or none");
    AwsCredentials credentials{.access_key = *key,
                               .secret_key = *secret,
                               .session_token = variable("AWS_SESSION_TOKEN").value_or(""),
                               .origin = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"};
    check(credentials, "the environment's AWS credentials");
    return credentials;
  }
  const std::string profile = profile_name();
  const auto own = section(credentials_file(), profile);
  if (auto found = of_section(own, profile, credentials_file())) return *found;
  const auto configured = config_section(profile);
  if (auto found = of_section(configured, profile, config_file())) return *found;
  if (elsewhere(own) || elsewhere(configured)) {
    fail(ErrorKind::environment,
         "the profile '{}' has no keys of its own but another way to get them, which only AWS's tools know: put its "
         "keys into "
         "the environment first, by  eval \"$(aws configure export-credentials --profile {} --format env)\"",
         printable(profile), printable(profile));
  }
  fail(ErrorKind::environment,
       "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or put aws_access_key_id and "
       "aws_secret_access_key "
       "below [{}] in {}{}",
       printable(profile), credentials_file().string(),
       variable("AWS_PROFILE") ? " (AWS_PROFILE names that profile)" : "");
}

std::optional<std::string> aws_region() {
  if (auto region = variable("AWS_REGION")) return region;
  if (auto region = variable("AWS_DEFAULT_REGION")) return region;
  return setting("region");
}

std::optional<std::string> aws_s3_endpoint() {
  if (auto url = variable("AWS_ENDPOINT_URL_S3")) return url;
  if (auto url = variable("AWS_ENDPOINT_URL")) return url;
  return setting("endpoint_url");
}

}  // namespace trainctl
