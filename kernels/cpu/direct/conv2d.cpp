// conv2d and its gradients for few channels, on samples in blocks of 16: a library pads 1 or 6 channels to 16, these
// loops waste nothing.
#include "ops/conv2d.h"

#include <algorithm>

#include "device/kernel.h"
#include "kernels/cpu/direct/convolution_loops.h"
#include "kernels/cpu/loops/loop_kernel.h"

namespace trainctl::cpu {
namespace {

const Layout batch_blocked("Abcd16a");
constexpr std::int64_t most_channels = 16;

/// Shapes of a convolution, whichever of its three operations is asked for.
struct Shapes {
  Shape x, w, y;
  std::int64_t samples() const { return x[0]; }
};

/// Where the loops apply and beat a library. The same for all three operations, so that the activations of a
/// convolution lie in one layout.
bool pays(const Conv2dAttributes& a, const Shapes& shapes) {
  const auto one = [](const auto& pair) { return pair[0] == 1 && pair[1] == 1; };
  if (a.groups != 1 || !one(a.stride) || !one(a.dilation)) return false;
  for (int i = 0; i < 4; ++i) {
    if (a.padding[i] >= shapes.w[2 + i % 2]) return false;  // the gradient's own padding would be negative
  }
  const std::int64_t stored = (shapes.samples() + samples_in_block - 1) / samples_in_block * samples_in_block;
  return shapes.w[0] <= most_channels && shapes.w[1] <= most_channels && stored * 3 <= shapes.samples() * 4;
}

Plane plane_of(const Shape& shape) {
  return {shape[1], shape[2], shape[3]};
}

std::int64_t round_up(std::int64_t count, std::int64_t unit) {
  return (count + unit - 1) / unit * unit;
}

std::string implementation() {
  return std::string("direct_batch16:") + name(isa());
}

std::optional<CorrelationJob::Curve> curve_of(const Activation& activation) {
  switch (activation.kind) {
    case Activation::Kind::none:
      return CorrelationJob::Curve::none;
    case Activation::Kind::relu:
      return CorrelationJob::Curve::relu;
    case Activation::Kind::leaky_relu:
      return CorrelationJob::Curve::leaky_relu;
    default:
      return std::nullopt;
  }
}

/// Whole images are the cheapest tasks; they are cut where they could not be dealt out evenly.
long strips(std::int64_t samples, std::int64_t rows, int threads) {
  const long blocks = round_up(samples, samples_in_block) / samples_in_block;
  if (blocks % threads == 0 || blocks >= 8L * threads) return 1;
  return std::min<long>(rows, 4 * ((threads + blocks - 1) / blocks));
}

/// `from` and `to` are x and y, or dy and dx with `transposed`; `padding` is what the correlation itself sees: top,
/// left, bottom, right.
CorrelationJob correlation(const Shape& from, const Shape& to, const Shape& w,
                           const std::array<std::int64_t, 4>& padding, bool transposed, int threads) {
  CorrelationJob job{.samples = from[0],
                     .from = plane_of(from),
                     .to = plane_of(to),
                     .kernel_height = w[2],
                     .kernel_width = w[3],
                     .top = padding[0],
                     .left = padding[1],
                     .transposed = transposed,
                     .curve = CorrelationJob::Curve::none,
                     .slope = 0.0f,
                     .threads = threads,
                     .strips = strips(from[0], to[2], threads),
                     .scratch_floats = 0,
                     .tile = {}};
  if (padding[1] || padding[3]) {
    const long strip_rows = (job.to.height + job.strips - 1) / job.strips;
    const long rows = std::min(job.from.height, strip_rows + job.kernel_height - 1);
    job.scratch_floats = job.from.channels * rows * (job.to.width + job.kernel_width - 1) * samples_in_block;
  }
  return job;
}

std::size_t workspace_bytes(const CorrelationJob& job) {
  const long weights = job.from.channels * job.to.channels * job.kernel_height * job.kernel_width;
  return (round_up(weights, samples_in_block) + job.threads * job.scratch_floats) * sizeof(float);
}

class CorrelationLaunch final : public Launch {
 public:
  CorrelationLaunch(const CorrelationJob& job, bool bias)
      : function_(TRAINCTL_BEST(correlate)), job_(job), bias_(bias) {
    job_.tile = TRAINCTL_BEST(correlation_tile)(job);
  }
  void run(const LaunchArguments& a) override {
    const auto input = [&](int i) { return static_cast<const float*>(a.inputs[i]); };
    function_(job_, input(0), input(1), bias_ ? input(2) : nullptr, static_cast<float*>(a.outputs[0]),
              static_cast<float*>(a.workspace));
  }

 private:
  decltype(&v2::correlate) function_;
  CorrelationJob job_;
  bool bias_;
};

CorrelationJob forward_job(const KernelRequest& request) {
  const auto& a = as<Conv2dAttributes>(*request.attributes);
  CorrelationJob job = correlation(request.inputs[0]->shape, request.outputs[0].shape, request.inputs[1]->shape,
                                   a.padding, false, request.threads);
  job.curve = *curve_of(a.activation);
  job.slope = static_cast<float>(a.activation.alpha);
  return job;
}

CorrelationJob backward_job(const KernelRequest& request) {
  const auto& a = as<Conv2dAttributes>(*request.attributes);
  const Shape& w = request.inputs[1]->shape;
  std::array<std::int64_t, 4> padding{};
  for (int i = 0; i < 4; ++i) padding[i] = w[2 + i % 2] - 1 - a.padding[i];
  return correlation(request.inputs[0]->shape, request.outputs[0].shape, w, padding, true, request.threads);
}

WeightsGradientJob weights_job(const KernelRequest& request) {
  const auto& a = as<Conv2dAttributes>(*request.attributes);
  const Shape &x = request.inputs[0]->shape, &dy = request.inputs[1]->shape, &w = request.outputs[0].shape;
  WeightsGradientJob job{.samples = x[0],
                         .x = plane_of(x),
                         .dy = plane_of(dy),
                         .kernel_height = w[2],
                         .kernel_width = w[3],
                         .top = a.padding[0],
                         .left = a.padding[1],
                         .threads = request.threads,
                         .strips = strips(x[0], dy[2], request.threads),
                         .scratch_floats = 0,
                         .partial_floats = (w.elements() + w[0]) * samples_in_block,
                         .tile = {}};
  if (a.padding[1] || a.padding[3]) job.scratch_floats = x[1] * x[2] * (dy[3] + w[3] - 1) * samples_in_block;
  return job;
}

std::optional<KernelPlan> plan_forward(const KernelRequest& request) {
  const auto& a = as<Conv2dAttributes>(*request.attributes);
  if (!all_f32(request) || request.has(3) || !curve_of(a.activation)) return std::nullopt;
  if (!pays(a, {request.inputs[0]->shape, request.inputs[1]->shape, request.outputs[0].shape})) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, implementation());
  plan.inputs[0] = plan.outputs[0] = batch_blocked;
  plan.workspace_bytes = workspace_bytes(forward_job(request));
  return plan;
}

std::unique_ptr<Launch> prepare_forward(const KernelRequest& request, const KernelPlan&) {
  return std::make_unique<CorrelationLaunch>(forward_job(request), request.has(2));
}

std::optional<KernelPlan> plan_backward_data(const KernelRequest& request) {
  if (request.has(2)) return std::nullopt;
  const auto& a = as<Conv2dAttributes>(*request.attributes);
  if (!all_f32(request) || !pays(a, {request.outputs[0].shape, request.inputs[1]->shape, request.inputs[0]->shape}))
    return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, implementation());
  plan.inputs[0] = plan.outputs[0] = batch_blocked;
  plan.workspace_bytes = workspace_bytes(backward_job(request));
  return plan;
}

std::unique_ptr<Launch> prepare_backward_data(const KernelRequest& request, const KernelPlan&) {
  return std::make_unique<CorrelationLaunch>(backward_job(request), false);
}

std::optional<KernelPlan> plan_backward_weights(const KernelRequest& request) {
  const auto& a = as<Conv2dAttributes>(*request.attributes);
  if (!all_f32(request) || !pays(a, {request.inputs[0]->shape, request.outputs[0].shape, request.inputs[1]->shape}))
    return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, implementation());
  plan.inputs[0] = plan.inputs[1] = batch_blocked;
  const WeightsGradientJob job = weights_job(request);
  plan.workspace_bytes = job.threads * (job.partial_floats + job.scratch_floats) * sizeof(float);
  return plan;
}

class WeightsGradientLaunch final : public Launch {
 public:
  WeightsGradientLaunch(const WeightsGradientJob& job, bool bias)
      : function_(TRAINCTL_BEST(weights_gradient)), job_(job), bias_(bias) {
    job_.tile = TRAINCTL_BEST(weights_gradient_tile)(job);
  }
  void run(const LaunchArguments& a) override {
    function_(job_, static_cast<const float*>(a.inputs[0]), static_cast<const float*>(a.inputs[1]),
              static_cast<float*>(a.outputs[0]), bias_ ? static_cast<float*>(a.outputs[1]) : nullptr,
              static_cast<float*>(a.workspace));
  }

 private:
  decltype(&v2::weights_gradient) function_;
  WeightsGradientJob job_;
  bool bias_;
};

std::unique_ptr<Launch> prepare_backward_weights(const KernelRequest& request, const KernelPlan&) {
  return std::make_unique<WeightsGradientLaunch>(weights_job(request), request.outputs.size() > 1);
}

const RegisterLoops forward("conv2d", plan_forward, prepare_forward, priority::specialised, "direct_batch16");
const RegisterLoops backward_data("conv2d_backward_data", plan_backward_data, prepare_backward_data,
                                  priority::specialised, "direct_batch16");
const RegisterLoops backward_weights("conv2d_backward_weights", plan_backward_weights, prepare_backward_weights,
                                     priority::specialised, "direct_batch16");

}  // namespace
}  // namespace trainctl::cpu
