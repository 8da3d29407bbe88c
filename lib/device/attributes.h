// What parametrises an op apart from its operands.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"

namespace trainctl {

/// Base of each op's attributes: plain structs in lib/ops that kernels read too.
struct Attributes {
  virtual ~Attributes() = default;
  /// All fields as text, e.g. "stride=1x1 padding=2". Equal text means an equal operation: graphs are hashed, compared
  /// and printed by it.
  virtual std::string text() const { return ""; }
};
using AttributesPtr = std::shared_ptr<const Attributes>;

/// The attributes as the op's own struct; an internal Error if they are another's.
template <typename T>
const T& as(const Attributes& attributes) {
  const auto* typed = dynamic_cast<const T*>(&attributes);
  require(typed != nullptr, "an op was given another op's attributes");
  return *typed;
}

}  // namespace trainctl
