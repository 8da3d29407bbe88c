#include "remote/s3_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "remote/xml.h"

namespace trainctl {
namespace {

using Cause = RemoteError::Cause;

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty() ? std::optional(value)
                                                                                   : std::nullopt;
}

[[noreturn]] void not_s3(const S3Client& client, const S3Call& call) {
  client.fail(call, {.cause = Cause::refused,
                     .code = {},
                     .text = "the answer is not as S3's: check the endpoint " + client.place().endpoint});
}

}  // namespace

S3Store::S3Store(S3Place place, AwsCredentials credentials, S3Limits limits, std::uint64_t part_bytes)
    : client_(std::move(place), std::move(credentials), limits), part_bytes_(part_bytes) {}

std::string S3Store::checked_key(std::string_view key) const {
  std::string full = client_.place().full_key(key);
  if (const std::string fault = key_fault(full); !fault.empty())
    fail(ErrorKind::data, "{}: {}, and can be no key in S3", printable(url(key), 200), fault);
  return full;
}

void S3Store::put(std::string_view key, const std::filesystem::path& file) {
  s3_upload(client_, checked_key(key), url(key), file, part_bytes_, proof_);
}

void S3Store::get(std::string_view key, const std::filesystem::path& file) {
  s3_download(client_, checked_key(key), url(key), file);
}

std::optional<RemoteObject> S3Store::find(std::string_view key) {
  const S3Call head{.what = "look for " + url(key), .method = "HEAD", .full_key = checked_key(key)};
  S3Client::Result result = client_.try_call(head);
  if (result.problem && !result.response.fault) {
    // An answer to HEAD has no body, so it does not say why. A list does, and whether there is such a bucket.
    std::vector<RemoteObject> none_wanted;
    list_page({.what = head.what,
               .method = "GET",
               .query = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", head.full_key}}},
              none_wanted);
    if (result.problem->cause == Cause::missing) return std::nullopt;
    result = client_.try_call(head);  // keys may have been read anew
    if (result.problem && result.problem->cause == Cause::missing) return std::nullopt;
  }
  if (result.problem) client_.fail(head, *result.problem);
  const auto bytes = number(result.response.header("content-length"));
  if (!bytes) not_s3(client_, head);
  return RemoteObject{std::string(key), *bytes};
}

std::string S3Store::list_page(const S3Call& call, std::vector<RemoteObject>& objects) {
  const auto page = parse_xml(client_.call(call).body);
  if (!page || page->name != "ListBucketResult") not_s3(client_, call);
  const std::size_t cut = client_.place().full_key("").size();
  for (const XmlElement& entry : page->children) {
    if (entry.name != "Contents") continue;
    const std::string key = entry.value("Key");
    const auto bytes = number(entry.value("Size"));
    if (!bytes || key.size() < cut) not_s3(client_, call);
    const bool is_folder = key.ends_with('/');  // as consoles show them
    if (!is_folder && key.size() > cut) objects.push_back({key.substr(cut), *bytes});
  }
  return page->value("IsTruncated") == "true" ? page->value("NextContinuationToken") : "";
}

std::vector<RemoteObject> S3Store::list(std::string_view prefix) {
  std::vector<RemoteObject> objects;
  std::string token;
  do {
    S3Call call{.what = "list " + url(prefix),
                .method = "GET",
                .query = {{"list-type", "2"}, {"prefix", client_.place().full_key(prefix)}}};
    if (!token.empty()) call.query.emplace_back("continuation-token", token);
    const std::string next = list_page(call, objects);
    if (!next.empty() && next == token) not_s3(client_, call);
    token = next;
  } while (!token.empty());
  std::sort(objects.begin(), objects.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  return objects;
}

void S3Store::remove(std::string_view key) {
  const S3Call call{.what = "remove " + url(key), .method = "DELETE", .full_key = checked_key(key)};
  const S3Client::Result result = client_.try_call(call);
  if (result.problem && result.problem->cause != Cause::missing) client_.fail(call, *result.problem);
}

}  // namespace trainctl
