// max_pool2d, avg_pool2d and their gradients, in all layouts of activations.
#include "kernels/cpu/loops/channel_layout.h"
#include "kernels/cpu/loops/loop_kernel.h"
#include "kernels/cpu/loops/pool_loops.h"
#include "ops/pool2d.h"

namespace trainctl::cpu {
namespace {

bool is_backward(const KernelRequest& request) {
  return request.op.ends_with("_backward");
}

std::optional<KernelPlan> plan_pool(const KernelRequest& request) {
  if (request.has(2)) return std::nullopt;
  if (request.inputs[0]->dtype != DType::f32 || request.outputs[0].dtype != DType::f32) return std::nullopt;
  // The index is bytes that others may not reorder: its layout decides.
  Layout layout = given_layout(request, request.op == "max_pool2d_backward" ? 1 : 0);
  if (!activation_layout(layout, 4)) layout = Layout();
  KernelPlan plan = row_major_plan(request);
  for (Layout& input : plan.inputs) input = layout;
  for (Layout& output : plan.outputs) output = layout;
  return plan;
}

std::unique_ptr<Launch> prepare_pool(const KernelRequest& request, const KernelPlan& plan) {
  const auto& pool = as<Pool2dAttributes>(*request.attributes);
  const Shape& x = is_backward(request) ? request.outputs[0].shape : request.inputs[0]->shape;
  const Shape& y = is_backward(request) ? request.inputs[0]->shape : request.outputs[0].shape;
  const auto [arrangement, block] = *activation_layout(plan.inputs[0], 4);
  PoolJob job{};
  const long samples = x[0], channels = x[1], groups = (channels + block - 1) / block;
  switch (arrangement) {
    case Arrangement::row_major:
      job.planes = samples * channels, job.lanes = 1;
      break;
    case Arrangement::channels_last:
      job.planes = samples, job.lanes = channels;
      break;
    case Arrangement::channel_blocks:
      job.planes = samples * groups, job.lanes = block;
      break;
    case Arrangement::sample_blocks:
      job.planes = (samples + block - 1) / block * channels, job.lanes = block;
      break;
  }
  job.valid = job.lanes;
  if (arrangement == Arrangement::channel_blocks && channels % block != 0)
    job.valid = channels % block, job.cycle = groups, job.tail = 1;
  if (arrangement == Arrangement::sample_blocks && samples % block != 0)
    job.valid = samples % block, job.cycle = job.planes, job.tail = channels;
  job.height = x[2], job.width = x[3];
  job.out_height = y[2], job.out_width = y[3];
  job.kernel_height = pool.kernel[0], job.kernel_width = pool.kernel[1];
  job.stride_height = pool.stride[0], job.stride_width = pool.stride[1];
  job.pad_height = pool.padding[0], job.pad_width = pool.padding[1];
  job.bins_height = pool.bins[0], job.bins_width = pool.bins[1];
  job.count_include_pad = pool.count_include_pad && !pool.is_adaptive();
  job.wide_index = pool.kernel[0] * pool.kernel[1] > 256;
  job.threads = request.threads;
  if (request.op == "max_pool2d") return loop_launch(request, TRAINCTL_BEST(max_pool), job);
  if (request.op == "max_pool2d_backward") return loop_launch(request, TRAINCTL_BEST(max_pool_backward), job);
  return loop_launch(request, is_backward(request) ? TRAINCTL_BEST(avg_pool_backward) : TRAINCTL_BEST(avg_pool), job);
}

const RegisterLoops registered[] = {
    {"max_pool2d", plan_pool, prepare_pool},
    {"max_pool2d_backward", plan_pool, prepare_pool},
    {"avg_pool2d", plan_pool, prepare_pool},
    {"avg_pool2d_backward", plan_pool, prepare_pool},
};

}  // namespace
}  // namespace trainctl::cpu
