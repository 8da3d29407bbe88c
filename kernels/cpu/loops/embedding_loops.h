#pragma once

#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {

/// `places` numbers of rows of a (rows, width) table.
struct EmbeddingJob {
  long places, rows, width;
  bool wide_index;  ///< i64, else i32
  int threads;
};

TRAINCTL_LOOPS(
    /// (index, table) -> y
    void embedding(const EmbeddingJob&, const Operands&);
    /// (index, dy) -> dtable
    void embedding_backward(const EmbeddingJob&, const Operands&);)

}  // namespace trainctl::cpu
