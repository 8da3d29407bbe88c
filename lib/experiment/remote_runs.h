// Runs in stores, by hand: bringing one up to date there, getting one from there.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "remote/fetch.h"
#include "schema/resolve.h"

namespace trainctl {

struct PushOptions {
  std::filesystem::path run;
  std::string to;       ///< a store's URL; empty: the run's own `remote`
  Overrides overrides;  ///< those of `remote.` count
};
struct Pushed {
  std::string url;        ///< where the run is now
  std::size_t files = 0;  ///< that were not there before
};
/// Copies what a store lacks of a run. An environment Error names what is missing if that fails.
Pushed push_run(const PushOptions& options);

struct FetchOptions {
  std::string url;
  std::optional<std::filesystem::path> output;  ///< by default runs/<project>/<name>-<n>
  Overrides overrides;                          ///< those of `remote.` count
};
struct FetchedRun {
  std::filesystem::path folder;
  Fetched what;
};
FetchedRun fetch_run(const FetchOptions& options);

struct ToResume {
  std::filesystem::path run;
  Overrides overrides;  ///< those that were given; a run without `remote` gets the store that it came from
};
/// What a resume of the run of a URL is a resume of: an existing folder of that run that is at least as far, else a
/// fetched one. A usage Error, with what to do, if the existing one is another run's or lies behind.
ToResume run_to_resume(const FetchOptions& options);

}  // namespace trainctl
