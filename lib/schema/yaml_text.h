// The check of a text's bytes that parse_yaml begins with.
#pragma once

#include <memory>

#include "schema/diagnostics.h"
#include "schema/node.h"

namespace trainctl {

/// True if the text is UTF-8 without control characters and without tabs in its indentation; the first fault is noted.
bool check_text(const std::shared_ptr<const SourceText>& source, Diagnostics& diagnostics);

/// False, and noted, if so many brackets are open at once that no sensible file has them, be they in quotes or not. It
/// spares yaml-cpp, which looks far ahead at each of them; the exact depth is checked while the tree is built.
bool check_brackets(const std::shared_ptr<const SourceText>& source, int depth, Diagnostics& diagnostics);

}  // namespace trainctl
