// batch_norm, batch_norm_backward, batch_norm_inference: one launch where a block can hold a channel, else two: the
// sums of slabs, then the rest, where each block puts the slabs' sums together for itself.
#include "kernels/cuda/batch_norm_kernels.cuh"
#include "ops/norm.h"

namespace trainctl::cuda {
namespace {

template <typename W>
void enqueue(const ChannelView& view, BatchNormForward<typename W::Element> job, cudaStream_t stream) {
  const dim3 blocks(view.tiles, view.slabs);
  if (view.slabs == 1 || job.given_mean) {
    job.partials = nullptr;
  } else {
    moments_kernel<W><<<blocks, channel_threads, 0, stream>>>(view, job.x, job.partials);
  }
  normalize_kernel<W><<<blocks, channel_threads, 0, stream>>>(view, job);
}

template <typename W>
void enqueue(const ChannelView& view, BatchNormBackward<typename W::Element> job, cudaStream_t stream) {
  const dim3 blocks(view.tiles, view.slabs);
  if (view.slabs == 1) {
    job.partials = nullptr;
  } else {
    gradient_sums_kernel<W><<<blocks, channel_threads, 0, stream>>>(view, job);
  }
  gradient_kernel<W><<<blocks, channel_threads, 0, stream>>>(view, job);
}

/// Whether channels are side by side in memory.
bool lies_in_rows(const Shape& x, const Layout& layout) {
  return x[1] > 1 && (channels_last(layout) || x.slice(2).elements() == 1);
}

/// Calls function with the Walk for a tensor: by 16 bytes where `addresses` (or-ed together) and the extent that is
/// innermost in memory allow it.
template <typename T, typename Function>
void with_walk(const Shape& x, bool rows, std::uintptr_t addresses, Function function) {
  constexpr int V = 16 / sizeof(T);
  const bool wide = addresses % 16 == 0 && (rows ? x[1] : x.slice(2).elements()) % V == 0;
  if (rows) return wide ? function(Walk<T, V, true>()) : function(Walk<T, 1, true>());
  return wide ? function(Walk<T, V, false>()) : function(Walk<T, 1, false>());
}

template <typename T>
std::size_t partial_bytes(const Shape& x, bool rows) {
  std::size_t bytes = 0;
  for (const std::uintptr_t address : {0, 1}) {  // whether the tensors will be aligned is not known yet
    with_walk<T>(x, rows, address, [&](auto walk) {
      const ChannelView view = channel_view<decltype(walk)>(x);
      if (view.slabs > 1) bytes = std::max(bytes, view.slabs * view.channels * 2 * sizeof(float));
    });
  }
  return bytes;
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  const TensorType& x = *request.inputs[0];
  const bool backward = request.op == "batch_norm_backward", inference = request.op == "batch_norm_inference";
  const Activation& f = as<BatchNormAttributes>(*request.attributes).activation;
  if (!is_float(x.dtype) || !has_channel_view(x.shape) || (f && f.kind != Activation::Kind::relu)) return std::nullopt;
  const Layout layout = shared_image_layout(request);
  KernelPlan plan = uniform_plan(request, layout, "cuda");
  if (!inference) {
    const bool rows = lies_in_rows(x.shape, layout);
    plan.workspace_bytes = with_float(x.dtype, [&](auto zero) { return partial_bytes<decltype(zero)>(x.shape, rows); });
  }
  if (backward) {
    plan.in_place = {{0, 1}, {0, 0}};
    if (request.has(5)) plan.in_place.push_back({0, 5});
    if (request.outputs.size() > 3) plan.in_place.push_back({3, 1});
  } else {
    plan.in_place = {{0, 0}};
    const int sum = inference ? 5 : 3;
    if (request.has(sum)) plan.in_place.push_back({0, sum});
  }
  return plan;
}

template <typename T>
std::unique_ptr<Launch> prepare_forward(const KernelRequest& request, const Shape& x, bool rows) {
  const auto& attributes = as<BatchNormAttributes>(*request.attributes);
  const bool inference = request.op == "batch_norm_inference", relu = static_cast<bool>(attributes.activation);
  const auto eps = static_cast<float>(attributes.eps);
  const int sum = inference ? 5 : 3;
  const bool adds = request.has(sum);
  return make_launch([=](const LaunchArguments& a) {
    BatchNormForward<T> job{};
    job.x = in<T>(a, 0), job.gamma = in<float>(a, 1), job.beta = in<float>(a, 2);
    job.sum = adds ? in<T>(a, sum) : nullptr;
    if (inference) job.given_mean = in<float>(a, 3), job.given_variance = in<float>(a, 4);
    job.partials = static_cast<float*>(a.workspace);
    job.y = out<T>(a, 0);
    if (!inference) job.mean = out<float>(a, 1), job.variance = out<float>(a, 2);
    job.eps = eps, job.relu = relu;
    with_walk<T>(x, rows, address(job.x) | address(job.sum) | address(job.y),
                 [&](auto walk) { enqueue<decltype(walk)>(channel_view<decltype(walk)>(x), job, stream_of(a)); });
  });
}

template <typename T>
std::unique_ptr<Launch> prepare_backward(const KernelRequest& request, const Shape& x, bool rows) {
  const auto& attributes = as<BatchNormAttributes>(*request.attributes);
  const bool relu = static_cast<bool>(attributes.activation), gives_sum = attributes.gives_sum;
  const auto eps = static_cast<float>(attributes.eps);
  return make_launch([=](const LaunchArguments& a) {
    BatchNormBackward<T> job{};
    job.x = in<T>(a, 0), job.dy = in<T>(a, 1), job.y = relu ? in<T>(a, 5) : nullptr;
    job.mean = in<float>(a, 2), job.variance = in<float>(a, 3), job.gamma = in<float>(a, 4);
    job.partials = static_cast<float*>(a.workspace);
    job.dx = out<T>(a, 0), job.dgamma = out<float>(a, 1), job.dbeta = out<float>(a, 2);
    job.dsum = gives_sum ? out<T>(a, 3) : nullptr;
    job.eps = eps;
    const std::uintptr_t addresses =
        address(job.x) | address(job.dy) | address(job.y) | address(job.dx) | address(job.dsum);
    with_walk<T>(x, rows, addresses,
                 [&](auto walk) { enqueue<decltype(walk)>(channel_view<decltype(walk)>(x), job, stream_of(a)); });
  });
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) {
  const TensorType& x = *request.inputs[0];
  const bool rows = lies_in_rows(x.shape, plan.inputs[0]);
  return with_float(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    return request.op == "batch_norm_backward" ? prepare_backward<T>(request, x.shape, rows)
                                               : prepare_forward<T>(request, x.shape, rows);
  });
}

const RegisterCuda registered[] = {
    {"batch_norm", plan, prepare}, {"batch_norm_backward", plan, prepare}, {"batch_norm_inference", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
