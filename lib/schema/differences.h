// What changed between two specs, and what a resume may do with it.
#pragma once

#include <string>
#include <vector>

#include "schema/node.h"
#include "schema/type.h"

namespace trainctl {

struct Difference {
  std::string path;      ///< "optimizer.lr"
  std::string old_text;  ///< YAML in one line; "(none)" where there was nothing
  std::string new_text;
  Resume resume = Resume::fixed;
};

/// Compares two trees of one type. Values are compared as their types read them, missing ones by their defaults. A
/// difference's class is that of its field, or of the section around it, `fixed` where none says anything.
std::vector<Difference> differences(const Node& old_spec, const Node& new_spec, const TypeInfo& root);

}  // namespace trainctl
