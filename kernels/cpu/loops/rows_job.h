#pragma once

namespace trainctl::cpu {

/// Rows along one axis: element c of row (o, i) is at (o * extent + c) * inner + i.
struct Rows {
  long outer, extent, inner;
};

}  // namespace trainctl::cpu
