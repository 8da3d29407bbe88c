// class_counts, score_histogram.
#include <algorithm>

#include "kernels/cpu/loops/counting_loops.h"
#include "kernels/cpu/loops/loop_kernel.h"
#include "ops/counting.h"

namespace trainctl::cpu {
namespace {

CountingJob job_of(const KernelRequest& request) {
  const Shape& scores = request.inputs[0]->shape;
  CountingJob job{scores[0], scores[1], scores.slice(2).elements(),      CountingJob::Label::yes_no,
                  0.0f,      0,         ScoreHistogramAttributes::limit, std::max(request.threads, 1)};
  if (request.inputs[1]->dtype == DType::i64) job.label = CountingJob::Label::i64;
  if (request.inputs[1]->dtype == DType::i32) job.label = CountingJob::Label::i32;
  if (request.op == "class_counts")
    job.threshold = static_cast<float>(as<ClassCountsAttributes>(*request.attributes).threshold);
  else
    job.bins = as<ScoreHistogramAttributes>(*request.attributes).bins;
  return job;
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  const CountingJob job = job_of(request);
  KernelPlan plan = row_major_plan(request);
  plan.workspace_bytes = request.op == "class_counts"
                             ? sizeof(long) * static_cast<std::size_t>(request.outputs[0].elements() * job.threads)
                             : sizeof(float) * static_cast<std::size_t>(request.inputs[0]->elements());
  return plan;
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) {
  return loop_launch(request,
                     request.op == "class_counts" ? TRAINCTL_BEST(class_counts) : TRAINCTL_BEST(score_histogram),
                     job_of(request));
}

const RegisterLoops registered[] = {
    {"class_counts", plan, prepare},
    {"score_histogram", plan, prepare},
};

}  // namespace
}  // namespace trainctl::cpu
