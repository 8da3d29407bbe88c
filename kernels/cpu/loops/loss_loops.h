#pragma once

#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/loops/rows_job.h"

namespace trainctl::cpu {

/// Losses are summed over blocks of this many rows (or elements of pointwise losses), and the blocks in order: the same
/// bits for any number of threads.
constexpr long loss_block = 64;
constexpr long pointwise_block = 4096;

struct ClassLossJob {
  Rows rows;
  bool wide_labels;  ///< i64, else i32
  int threads;
};

/// PointwiseLossAttributes::Kind, number for number.
enum class Distance : int { squared, absolute, huber, bce_with_logits, focal, kl_div, kl_div_log };

struct PointwiseLossJob {
  Distance distance;
  float delta;         ///< huber
  float gamma, alpha;  ///< focal
  long count;
  int threads;
};

TRAINCTL_LOOPS(
    /// (logits, target, smoothing, weights) -> loss, lse; the workspace holds two doubles a block
    void cross_entropy(const ClassLossJob&, const Operands&);
    /// (logits, target, smoothing, weights, lse, dloss) -> dlogits
    void cross_entropy_backward(const ClassLossJob&, const Operands&);
    /// (log_p, target, weights) -> loss
    void nll(const ClassLossJob&, const Operands&);
    /// (log_p, target, weights, dloss) -> dlog_p
    void nll_backward(const ClassLossJob&, const Operands&);
    /// (prediction, target) -> loss; the workspace holds a double a block
    void pointwise_loss(const PointwiseLossJob&, const Operands&);
    /// (prediction, target, dloss) -> dprediction
    void pointwise_loss_backward(const PointwiseLossJob&, const Operands&);)

}  // namespace trainctl::cpu
