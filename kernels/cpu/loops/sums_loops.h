#pragma once

#include "kernels/cpu/dispatch.h"

namespace trainctl::cpu {

/// Sums run over blocks of fixed extent whose results are added in order: the same bits for any number of threads.
constexpr long sum_block = 4096;

struct SumBlock {
  int input;
  long begin, end;
};

/// `blocks` cover all inputs; the workspace holds one double a block.
struct SumJob {
  const SumBlock* blocks;
  long block_count;
  int threads;
};

struct CountJob {
  long outer, classes, inner;
  long k;
  bool wide_labels;  ///< i64, else i32
  int threads;
};

TRAINCTL_LOOPS(
    /// (x_1, x_2, ...) -> sqrt(sum of squares), f32
    void global_norm(const SumJob&, const Operands&);
    /// (prediction, target) -> sum |p - t|, f64
    void absolute_error_sum(const SumJob&, const Operands&);
    /// (scores, target) -> how many targets are among the k best, i64; the workspace holds one long a thread
    void count_correct(const CountJob&, const Operands&);)

}  // namespace trainctl::cpu
