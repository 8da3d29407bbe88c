// embedding and its gradient.
#include "ops/embedding.h"

#include "kernels/cpu/loops/embedding_loops.h"
#include "kernels/cpu/loops/loop_kernel.h"

namespace trainctl::cpu {
namespace {

std::optional<KernelPlan> plan_embedding(const KernelRequest& request) {
  if (request.inputs[1]->dtype != DType::f32 || request.outputs[0].dtype != DType::f32) return std::nullopt;
  return row_major_plan(request);
}

std::unique_ptr<Launch> prepare_embedding(const KernelRequest& request, const KernelPlan&) {
  const bool backward = request.op == "embedding_backward";
  const Shape& table = backward ? request.outputs[0].shape : request.inputs[1]->shape;
  const EmbeddingJob job{request.inputs[0]->elements(), table[0], table[1], request.inputs[0]->dtype == DType::i64,
                         request.threads};
  return loop_launch(request, backward ? TRAINCTL_BEST(embedding_backward) : TRAINCTL_BEST(embedding), job);
}

const RegisterLoops registered[] = {
    {"embedding", plan_embedding, prepare_embedding},
    {"embedding_backward", plan_embedding, prepare_embedding},
};

}  // namespace
}  // namespace trainctl::cpu
