// Rows of a table by their numbers.
#pragma once

#include <string>

#include "device/attributes.h"
#include "device/types.h"

namespace trainctl {

/// "embedding": (index (...) i64 or i32, table (V, D) f32) -> y (..., D) f32: y[i] = table[index[i]].
/// "embedding_backward": (index, dy (..., D) f32) -> dtable (V, D) f32, V = `rows`: the sum of dy over the places of
/// each row, in their order. An index outside of [0, V) gives NaN, and no gradient.
struct EmbeddingAttributes final : Attributes {
  std::int64_t rows = 0;  ///< for embedding_backward
  std::string text() const override;
};

}  // namespace trainctl
