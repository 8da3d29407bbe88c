// Where in the spec a component was written, added to what it complains about.
#pragma once

#include <string>
#include <utility>

#include "schema/diagnostics.h"

namespace trainctl {

/// Runs `body`. A config Error that it throws comes out as a ConfigError at `source`, its message after `what`() and a
/// colon; one that already has a place passes through. A source that is nowhere leaves the place to an outer call.
template <typename What, typename Body>
auto located(const Source& source, What what, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const ConfigError&) {
    throw;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::config) throw;
    const std::string message = std::string(what()) + ": " + error.what();
    if (!source.file) throw Error(ErrorKind::config, message);
    throw ConfigError({{source, "", message}}, 1);
  }
}

}  // namespace trainctl
