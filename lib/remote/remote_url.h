// Stores by URL: "s3://bucket/prefix/project/name-3".
#pragma once

#include <string>
#include <string_view>

#include "remote/remote.h"
#include "schema/resolve.h"

namespace trainctl {

/// Whether a text is meant as a URL and not as a path.
bool is_remote_url(std::string_view text);

/// The store that a URL names. `remote.` overrides give what a URL cannot say (remote.endpoint); others are passed
/// over. A usage Error if no kind of store has such URLs, a ConfigError if it is not a right one.
Component<Remote> remote_at(const std::string& url, const Overrides& overrides = {});

/// A run by its URL: the last two parts are its key.
struct RemoteRun {
  Component<Remote> remote;
  std::string key;  ///< "project/name-3"
};
RemoteRun remote_run_at(const std::string& url, const Overrides& overrides = {});

}  // namespace trainctl
