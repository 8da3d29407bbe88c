#include "remote/s3_place.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/text.h"

namespace trainctl {
namespace {

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_control(char c) {
  return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
}
bool is_alphanumeric(char c) {
  return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

}  // namespace

std::string bucket_fault(std::string_view bucket) {
  if (bucket.starts_with("s3://") || bucket.find('/') != std::string_view::npos)
    return "is more than a bucket's name: write the rest of the path as `prefix`";
  if (bucket.size() < 3 || bucket.size() > 63) return "must have 3 to 63 characters";
  if (!std::all_of(bucket.begin(), bucket.end(), [](char c) { return is_lower_or_digit(c) || c == '-' || c == '.'; }))
    return "may only hold a-z, 0-9, '-' and '.'";
  if (!is_lower_or_digit(bucket.front()) || !is_lower_or_digit(bucket.back()))
    return "must begin and end with a letter or a digit";
  if (bucket.find("..") != std::string_view::npos) return "must not hold two '.' in a row";
  if (std::all_of(bucket.begin(), bucket.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; }) &&
      std::count(bucket.begin(), bucket.end(), '.') == 3)
    return "must not look like an IP address";
  return "";
}

std::string key_fault(std::string_view key) {
  if (key.size() > 800) return "is too long: S3's keys have at most 1024 bytes";
  if (std::any_of(key.begin(), key.end(), is_control)) return "holds a control character";
  for (const std::string& part : split(key, '/')) {
    if (part.empty()) return "has a '/' at its begin or end, or two in a row";
    if (part == "." || part == "..") return fmt::format("has a part '{}'", part);
  }
  return "";
}

std::string endpoint_fault(std::string_view endpoint) {
  const std::size_t scheme = endpoint.find("://");
  if (scheme == std::string_view::npos || (!endpoint.starts_with("https://") && !endpoint.starts_with("http://")))
    return "must begin with https:// (or http://)";
  const std::string_view rest = endpoint.substr(scheme + 3);
  if (endpoint.find('@') != std::string_view::npos)
    return "must not hold credentials: they come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile";
  if (rest.find_first_of("?#") != std::string_view::npos)
    return "must be a host and perhaps a path, without '?' and '#'";
  if (rest.empty() || rest[0] == '/' || rest[0] == ':') return "names no host";
  if (std::any_of(rest.begin(), rest.end(), [](char c) { return is_control(c) || c == ' ' || c == '\\'; }))
    return "holds a space or a control character";
  return "";
}

std::string region_fault(std::string_view region) {
  if (region.empty()) return "is empty";
  if (!std::all_of(region.begin(), region.end(), [](char c) { return is_alphanumeric(c) || c == '-' || c == '_'; }))
    return "may only hold letters, digits and '-', as eu-central-1 does";
  return "";
}

std::string percent_encoded(std::string_view text, bool keep_slash) {
  std::string encoded;
  for (const char c : text) {
    const bool unreserved = is_alphanumeric(c) || c == '-' || c == '_' || c == '.' || c == '~';
    if (unreserved || (keep_slash && c == '/'))
      encoded += c;
    else
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

S3Place S3Place::of(std::string bucket, std::string prefix, std::string region,
                    const std::optional<std::string>& endpoint, S3Addressing addressing) {
  S3Place place{.bucket = std::move(bucket), .prefix = std::move(prefix), .endpoint = {}, .region = std::move(region)};
  place.endpoint = endpoint.value_or(
      fmt::format("https://s3.{}.amazonaws.com{}", place.region, place.region.starts_with("cn-") ? ".cn" : ""));
  while (place.endpoint.ends_with('/')) place.endpoint.pop_back();
  // A certificate for *.host is none for a.b.host.
  const bool fits_host = place.bucket.find('.') == std::string::npos || place.endpoint.starts_with("http://");
  place.virtual_hosted =
      addressing == S3Addressing::virtual_hosted || (addressing == S3Addressing::automatic && !endpoint && fits_host);
  return place;
}

std::string S3Place::full_key(std::string_view key) const {
  return prefix.empty() ? std::string(key) : prefix + '/' + std::string(key);
}

std::string S3Place::name(std::string_view key) const {
  std::string text = "s3://" + bucket;
  if (!prefix.empty()) text += '/' + prefix;
  if (!key.empty()) text += '/' + std::string(key);
  return text;
}

std::string S3Place::url(std::string_view full_key, S3Query query) const {
  std::string text = endpoint;
  if (virtual_hosted)
    text.insert(text.find("://") + 3, bucket + '.');
  else
    text += '/' + bucket;
  if (virtual_hosted || !full_key.empty()) text += '/' + percent_encoded(full_key, true);
  for (auto& [name, value] : query) name = percent_encoded(name, false), value = percent_encoded(value, false);
  std::sort(query.begin(), query.end());
  char separator = '?';
  for (const auto& [name, value] : query) {
    text += fmt::format("{}{}={}", separator, name, value);
    separator = '&';
  }
  return text;
}

}  // namespace trainctl
