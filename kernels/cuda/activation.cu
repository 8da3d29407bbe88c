// activation, activation_backward, add (with its activation).
#include "ops/activation.h"

#include "kernels/cuda/curves.cuh"
#include "kernels/cuda/elements.cuh"
#include "ops/elementwise.h"

namespace trainctl::cuda {
namespace {

/// An activation whose kind the compiler knows.
template <Activation::Kind kind>
struct Known {
  __device__ Activation get() const { return {kind}; }
};
struct Any {
  Activation f;
  __device__ Activation get() const { return f; }
};

template <typename Curve>
struct Activate {
  Curve f;
  __device__ float operator()(const float (&x)[1], std::int64_t) const { return curve(f.get(), x[0]); }
};

template <typename Curve>
struct ActivateBackward {
  Curve f;
  __device__ float operator()(const float (&x)[2], std::int64_t) const { return x[0] * curve_slope(f.get(), x[1]); }
};

template <typename Curve>
struct Add {
  Curve f;
  __device__ float operator()(const float (&x)[2], std::int64_t) const { return curve(f.get(), x[0] + x[1]); }
};

/// Calls function with the activation; the kinds that models are full of get code of their own.
template <typename Function>
auto with_curve(const Activation& f, Function function) {
  if (f.kind == Activation::Kind::none) return function(Known<Activation::Kind::none>());
  if (f.kind == Activation::Kind::relu) return function(Known<Activation::Kind::relu>());
  return function(Any{f});
}

Activation activation_of(const KernelRequest& request) {
  if (request.op == "add") {
    const auto* attributes = dynamic_cast<const AddAttributes*>(request.attributes);
    return attributes ? attributes->activation : Activation();
  }
  return as<ActivationAttributes>(*request.attributes).activation;
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  if (!is_float(request.outputs[0].dtype) || !all_of_type(request, request.outputs[0].dtype)) return std::nullopt;
  KernelPlan plan = uniform_plan(request, shared_image_layout(request), "cuda");
  for (int i = 0; i < static_cast<int>(request.inputs.size()); ++i) plan.in_place.push_back({0, i});
  return plan;
}

template <typename T, typename Curve>
std::unique_ptr<Launch> launch(std::string_view op, std::int64_t n, Curve f) {
  if (op == "activation")
    return make_launch([=](const LaunchArguments& a) {
      map<float>(Sources<T, 1>{{in<T>(a, 0)}}, out<T>(a, 0), n, Activate<Curve>{f}, stream_of(a));
    });
  if (op == "activation_backward")
    return make_launch([=](const LaunchArguments& a) {
      map<float>(Sources<T, 2>{{in<T>(a, 0), in<T>(a, 1)}}, out<T>(a, 0), n, ActivateBackward<Curve>{f}, stream_of(a));
    });
  return make_launch([=](const LaunchArguments& a) {
    map<float>(Sources<T, 2>{{in<T>(a, 0), in<T>(a, 1)}}, out<T>(a, 0), n, Add<Curve>{f}, stream_of(a));
  });
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) {
  const std::int64_t n = stored_elements(request, plan);
  return with_float(request.outputs[0].dtype, [&](auto zero) {
    return with_curve(activation_of(request),
                      [&](auto f) { return launch<decltype(zero), decltype(f)>(request.op, n, f); });
  });
}

const RegisterCuda registered[] = {
    {"activation", plan, prepare}, {"activation_backward", plan, prepare}, {"add", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
