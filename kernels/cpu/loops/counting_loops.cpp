#include "kernels/cpu/loops/counting_loops.h"

#include "kernels/cpu/loops/simd.h"

namespace trainctl::cpu::TRAINCTL_ISA {

static long label_of(const CountingJob& job, const void* target, long row) {
  if (job.label == CountingJob::Label::i64) return static_cast<const std::int64_t*>(target)[row];
  if (job.label == CountingJob::Label::i32) return static_cast<const std::int32_t*>(target)[row];
  return static_cast<const float*>(target)[row] > 0.5f;
}

/// The class with the greatest score, the first of equals; -1 if one is NaN.
static long best_class(const CountingJob& job, const float* scores) {
  if (job.classes == 1) return scores[0] != scores[0] ? -1 : scores[0] > job.threshold;
  long best = 0;
  bool unordered = false;
  for (long c = 0; c < job.classes; ++c) {
    const float score = scores[c * job.inner];
    unordered |= score != score;
    if (score > scores[best * job.inner]) best = c;
  }
  return unordered ? -1 : best;
}

void class_counts(const CountingJob& job, const Operands& operands) {
  const float* scores = operands.in<float>(0);
  const void* target = operands.in<void>(1);
  const long rows = job.outer * job.inner, classes = job.classes == 1 ? 2 : job.classes, counts = 3 * classes;
  const int threads = rows * job.classes > 65536 ? job.threads : 1;
  long* partial = static_cast<long*>(operands.workspace);
  parallel_parts(threads, threads, 1, 1, [=](long first, long last) {
    for (long thread = first; thread < last; ++thread) {
      long* own = partial + thread * counts;
      for (long i = 0; i < counts; ++i) own[i] = 0;
      const Range range = part(rows, 16, static_cast<int>(thread), threads);
      for (long row = range.begin; row < range.end; ++row) {
        const long label = label_of(job, target, row);
        if (label < 0 || label >= classes) continue;
        const long best = best_class(job, scores + row / job.inner * job.classes * job.inner + row % job.inner);
        ++own[2 * classes + label];
        if (best >= 0) ++own[classes + best];
        if (best == label) ++own[label];
      }
    }
  });
  auto* total = operands.out<std::int64_t>(0);
  for (long i = 0; i < counts; ++i) {
    total[i] = 0;
    for (int thread = 0; thread < threads; ++thread) total[i] += partial[thread * counts + i];
  }
}

/// The log-odds of each class against all others; NaN in all of them if a score is NaN.
static void log_odds(const CountingJob& job, const float* scores, float* odds) {
  const long step = job.inner;
  if (job.classes == 1) {
    odds[0] = scores[0];
    return;
  }
  long best = 0;
  float unordered = 0.0f, second = -__builtin_inff();
  for (long c = 0; c < job.classes; ++c) {
    unordered += scores[c * step] != scores[c * step] ? scores[c * step] : 0.0f;
    if (scores[c * step] > scores[best * step]) best = c;
  }
  const float top = scores[best * step];
  for (long c = 0; c < job.classes; ++c) {
    if (c != best && scores[c * step] > second) second = scores[c * step];
  }
  const float limit = __builtin_inff();
  float all = 0.0f, others = 0.0f;  // relative to the best, and without it to the second best
  for (long c = 0; c < job.classes; ++c) {
    odds[c * step] = exponential(scores[c * step] - top);
    all += odds[c * step];
    if (c != best) others += exponential(scores[c * step] - second);
  }
  for (long c = 0; c < job.classes; ++c) {
    const float score = scores[c * step], against = c == best ? second : top;
    if (against == limit || against == -limit)
      odds[c * step] = -against;
    else
      odds[c * step] = score - against - __builtin_logf(c == best ? others : all - odds[c * step]);
    odds[c * step] += unordered;
  }
}

void score_histogram(const CountingJob& job, const Operands& operands) {
  const float* scores = operands.in<float>(0);
  const void* target = operands.in<void>(1);
  float* odds = static_cast<float*>(operands.workspace);
  auto* counts = operands.out<std::int64_t>(0);
  const long rows = job.outer * job.inner, classes = job.classes, bins = job.bins;
  parallel_parts(job.threads, rows, 16, 4096 / classes, [=](long begin, long end) {
    for (long row = begin; row < end; ++row) {
      const long at = row / job.inner * classes * job.inner + row % job.inner;
      log_odds(job, scores + at, odds + at);
    }
  });
  const float limit = job.limit;
  const float scale = static_cast<float>(bins) / (2.0f * limit);
  parallel_parts(job.threads, classes, 1, 1, [=](long first, long last) {
    for (long c = first; c < last; ++c) {
      std::int64_t* of_others = counts + c * bins;
      std::int64_t* own = of_others + classes * bins;
      for (long bin = 0; bin < bins; ++bin) of_others[bin] = own[bin] = 0;
      for (long row = 0; row < rows; ++row) {
        float z = odds[(row / job.inner * classes + c) * job.inner + row % job.inner];
        if (z != z) continue;
        z = z < -limit ? -limit : z > limit ? limit : z;
        const long bin = static_cast<long>((z + limit) * scale);
        const bool is = label_of(job, target, row) == (classes == 1 ? 1 : c);
        ++(is ? own : of_others)[bin < bins ? bin : bins - 1];
      }
    }
  });
}

}  // namespace trainctl::cpu::TRAINCTL_ISA
