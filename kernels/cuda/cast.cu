// cast: between f32 and bf16.
#include "kernels/cuda/elements.cuh"

namespace trainctl::cuda {
namespace {

std::optional<KernelPlan> plan(const KernelRequest& request) {
  if (!is_float(request.inputs[0]->dtype) || !is_float(request.outputs[0].dtype)) return std::nullopt;
  return uniform_plan(request, shared_layout(request), "cuda");
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) {
  const std::int64_t n = stored_elements(request, plan);
  return with_float(request.inputs[0]->dtype, [&](auto from) {
    using From = decltype(from);
    return with_float(request.outputs[0].dtype, [&](auto to) -> std::unique_ptr<Launch> {
      using To = decltype(to);
      return make_launch([=](const LaunchArguments& a) {
        map<float>(Sources<From, 1>{{in<From>(a, 0)}}, out<To>(a, 0), n, Same(), stream_of(a));
      });
    });
  });
}

const RegisterCuda registered[] = {{"cast", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
