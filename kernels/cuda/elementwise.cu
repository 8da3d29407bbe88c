// multiply, scale, power, clamp, moving_average, channel_affine, dropout.
#include "ops/elementwise.h"

#include <algorithm>
#include <vector>

#include "kernels/cuda/elements.cuh"
#include "ops/norm.h"
#include "ops/random.h"

namespace trainctl::cuda {
namespace {

struct Multiply {
  __device__ float operator()(const float (&x)[2], std::int64_t) const { return x[0] * x[1]; }
};

struct Scale {
  const float* factor;
  __device__ float operator()(const float (&x)[1], std::int64_t) const { return __ldg(factor) * x[0]; }
};

struct Power {
  float exponent;
  __device__ float operator()(const float (&x)[1], std::int64_t) const {
    if (x[0] <= 0.0f) return 0.0f;
    return exponent == 1.0f ? x[0] : powf(x[0], exponent);
  }
};

struct Clamp {
  const float* limit;
  __device__ float operator()(const float (&x)[1], std::int64_t) const {
    const float most = __ldg(limit);
    return x[0] > most ? most : x[0] < -most ? -most : x[0];  // keeps NaN
  }
};

__device__ float averaged(float old, float target, float rate) {
  if (rate == 0.0f) return old;
  if (rate == 1.0f) return target;
  return rate < 0.5f ? old + rate * (target - old) : target - (1.0f - rate) * (target - old);
}

struct MovingAverage {
  const float* given;  ///< the rate, or null
  float rate, scale;
  __device__ float operator()(const float (&x)[2], std::int64_t) const {
    return averaged(x[0], scale * x[1], given ? __ldg(given) : rate);
  }
};

/// Moving averages of a launch, all at one rate.
struct Averages {
  static constexpr int most = 64;
  const float* given;  ///< the rate, or null
  float rate;
  const float *old[most], *fresh[most];
  float* y[most];
  float scale[most];
  std::int32_t elements[most];
};

/// Blocks of one blockIdx.y share a pair.
__global__ void averages_kernel(const __grid_constant__ Averages averages) {
  const auto pair = blockIdx.y;
  const float rate = averages.given ? __ldg(averages.given) : averages.rate;
  const float *old = averages.old[pair], *fresh = averages.fresh[pair];
  float* y = averages.y[pair];
  const auto elements = static_cast<std::uint32_t>(averages.elements[pair]);
  for (std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += gridDim.x * blockDim.x)
    y[i] = averaged(old[i], averages.scale[pair] * fresh[i], rate);
}

/// Elements of a channel are `inner` together.
template <typename Index>
struct ChannelAffine {
  const float *gamma, *beta;
  Index inner, channels;
  __device__ float operator()(const float (&x)[1], std::int64_t element) const {
    const Index c = static_cast<Index>(element) / inner % channels;
    return __ldg(gamma + c) * x[0] + __ldg(beta + c);
  }
};

/// What dropout reads besides x, and how it draws.
struct Drop {
  const float* p;
  const std::int64_t* step;
  std::uint64_t stream;
};

__device__ float dropped(float x, float uniform, float p, float keep_scale) {
  return uniform >= p ? x * keep_scale : 0.0f;
}

/// In row-major order, N elements at once: 1 or a multiple of 4, since four share a draw. x and y may be one.
template <int N, typename T>
__global__ void dropout_kernel(const T* x, T* y, std::int64_t n, Drop drop) {
  const std::int64_t thread = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  const std::int64_t packs = n / N, step = *drop.step;
  const float p = *drop.p, keep_scale = 1.0f / (1.0f - p);
  const auto one = [&](std::int64_t i) {
    const float uniform = dropout_uniform(drop.stream, step, static_cast<std::uint64_t>(i));
    y[i] = static_cast<T>(dropped(static_cast<float>(x[i]), uniform, p, keep_scale));
  };
  if constexpr (N == 1) {
    for (std::int64_t i = thread; i < n; i += stride) one(i);
  } else {
    for (std::int64_t i = thread; i < packs; i += stride) {
      Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(x + i * N);
#pragma unroll
      for (int b = 0; b < N / 4; ++b) {
        const Words4 words = op_random(drop.stream, step, static_cast<std::uint64_t>(i) * (N / 4) + b);
#pragma unroll
        for (int w = 0; w < 4; ++w) {
          T& element = pack.at[b * 4 + w];
          element = static_cast<T>(dropped(static_cast<float>(element), uniform_float(words.word[w]), p, keep_scale));
        }
      }
      *reinterpret_cast<Pack<T, N>*>(y + i * N) = pack;
    }
    if (thread < n - packs * N) one(packs * N + thread);
  }
}

/// Channels last: `group` pixels of a channel at once, 1, or 4 where the pixels of an image are a multiple of that:
/// they follow each other in row-major order and share a draw. Threads side by side take channels side by side.
template <int group, typename T, typename Index>
__global__ void dropout_image_kernel(const T* x, T* y, Index groups, Index pixels, Index channels, Drop drop) {
  const std::int64_t step = *drop.step;
  const float p = *drop.p, keep_scale = 1.0f / (1.0f - p);
  const Index stride = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < groups; i += stride) {
    const Index c = i % channels, pixel = i / channels * group;  // pixel: the first, counted through all images
    const std::uint64_t element = (static_cast<std::uint64_t>(pixel / pixels) * channels + c) * pixels + pixel % pixels;
    const Words4 words = op_random(drop.stream, step, element / 4);
#pragma unroll
    for (int w = 0; w < group; ++w) {
      const std::size_t at = (static_cast<std::size_t>(pixel) + w) * channels + c;
      const float uniform = uniform_float(group == 4 ? words.word[w] : words.word[element % 4]);
      y[at] = static_cast<T>(dropped(static_cast<float>(x[at]), uniform, p, keep_scale));
    }
  }
}

bool is_f32(const KernelRequest& request, std::size_t input) {
  return request.inputs[input]->dtype == DType::f32;
}

std::optional<KernelPlan> plan_pairs(const KernelRequest& request) {
  if (!is_float(request.outputs[0].dtype) || !all_of_type(request, request.outputs[0].dtype)) return std::nullopt;
  KernelPlan plan = uniform_plan(request, shared_image_layout(request), "cuda");
  plan.in_place = {{0, 0}, {0, 1}};
  return plan;
}

// The other operands are f32 (dropout's step aside) and small.
std::optional<KernelPlan> plan_with_parameters(const KernelRequest& request) {
  const DType dtype = request.outputs[0].dtype;
  if (!is_float(dtype) || request.inputs[0]->dtype != dtype || !is_f32(request, 1)) return std::nullopt;
  if (request.op == "channel_affine" && !is_f32(request, 2)) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  if (channels_last(given_layout(request, 0))) plan.inputs[0] = plan.outputs[0] = given_layout(request, 0);
  plan.in_place = {{0, 0}};
  return plan;
}

std::unique_ptr<Launch> prepare_multiply(const KernelRequest& request, const KernelPlan& plan) {
  const std::int64_t n = stored_elements(request, plan);
  return with_float(request.outputs[0].dtype, [&](auto zero) {
    using T = decltype(zero);
    return make_launch([=](const LaunchArguments& a) {
      map<float>(Sources<T, 2>{{in<T>(a, 0), in<T>(a, 1)}}, out<T>(a, 0), n, Multiply(), stream_of(a));
    });
  });
}

/// Several go into a launch only where one alone would not fill the device.
std::optional<KernelPlan> plan_moving_average(const KernelRequest& request) {
  constexpr std::int64_t most_elements = 1 << 16;
  const auto pairs = static_cast<int>(request.outputs.size());
  if (pairs == 1) return plan_pairs(request);
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  for (int k = 0; k < pairs; ++k) {
    if (request.outputs[k].dtype != DType::f32 || request.outputs[k].elements() > most_elements) return std::nullopt;
    plan.in_place.insert(plan.in_place.end(), {{k, k}, {k, pairs + k}});
  }
  return plan;
}

std::unique_ptr<Launch> prepare_averages(const KernelRequest& request) {
  const auto& attributes = as<MovingAverageAttributes>(*request.attributes);
  std::vector<std::int32_t> elements;
  for (const TensorType& output : request.outputs) elements.push_back(static_cast<std::int32_t>(output.elements()));
  return make_launch([rate = static_cast<float>(attributes.rate), given = request.has(2 * elements.size()),
                      scales = attributes.scales, elements](const LaunchArguments& a) {
    constexpr unsigned threads = 256;
    const auto pairs = static_cast<int>(elements.size());
    for (int first = 0; first < pairs; first += Averages::most) {
      Averages averages{};
      averages.given = given ? in<float>(a, 2 * pairs) : nullptr;
      averages.rate = rate;
      const int count = std::min(Averages::most, pairs - first);
      for (int k = 0; k < count; ++k) {
        averages.old[k] = in<float>(a, first + k);
        averages.fresh[k] = in<float>(a, pairs + first + k);
        averages.y[k] = out<float>(a, first + k);
        averages.scale[k] = static_cast<float>(scales[first + k]);
        averages.elements[k] = elements[first + k];
      }
      const auto longest = static_cast<unsigned>(*std::max_element(averages.elements, averages.elements + count));
      const dim3 blocks((longest + threads - 1) / threads, static_cast<unsigned>(count));
      if (longest > 0) averages_kernel<<<blocks, threads, 0, stream_of(a)>>>(averages);
    }
  });
}

std::unique_ptr<Launch> prepare_moving_average(const KernelRequest& request, const KernelPlan& plan) {
  if (request.outputs.size() > 1) return prepare_averages(request);
  const auto& attributes = as<MovingAverageAttributes>(*request.attributes);
  const auto rate = static_cast<float>(attributes.rate), scale = static_cast<float>(attributes.scales[0]);
  const bool given = request.has(2);
  const std::int64_t n = stored_elements(request, plan);
  return with_float(request.outputs[0].dtype, [&](auto zero) {
    using T = decltype(zero);
    return make_launch([=](const LaunchArguments& a) {
      const MovingAverage function{given ? in<float>(a, 2) : nullptr, rate, scale};
      map<float>(Sources<T, 2>{{in<T>(a, 0), in<T>(a, 1)}}, out<T>(a, 0), n, function, stream_of(a));
    });
  });
}

std::optional<KernelPlan> plan_single(const KernelRequest& request) {
  if (!is_float(request.outputs[0].dtype) || !all_of_type(request, request.outputs[0].dtype)) return std::nullopt;
  KernelPlan plan = uniform_plan(request, shared_image_layout(request), "cuda");
  plan.in_place = {{0, 0}};
  return plan;
}

std::unique_ptr<Launch> prepare_power(const KernelRequest& request, const KernelPlan& plan) {
  const std::int64_t n = stored_elements(request, plan);
  const Power function{static_cast<float>(as<PowerAttributes>(*request.attributes).exponent)};
  return with_float(request.outputs[0].dtype, [&](auto zero) {
    using T = decltype(zero);
    return make_launch([=](const LaunchArguments& a) {
      map<float>(Sources<T, 1>{{in<T>(a, 0)}}, out<T>(a, 0), n, function, stream_of(a));
    });
  });
}

/// scale and clamp.
template <typename Function>
std::unique_ptr<Launch> prepare_with_scalar(const KernelRequest& request, const KernelPlan& plan) {
  const std::int64_t n = stored_elements(request, plan);
  return with_float(request.outputs[0].dtype, [&](auto zero) {
    using T = decltype(zero);
    return make_launch([=](const LaunchArguments& a) {
      map<float>(Sources<T, 1>{{in<T>(a, 0)}}, out<T>(a, 0), n, Function{in<float>(a, 1)}, stream_of(a));
    });
  });
}

template <typename T, typename Index>
std::unique_ptr<Launch> launch_affine(std::int64_t n, Index inner, Index channels) {
  return make_launch([=](const LaunchArguments& a) {
    const ChannelAffine<Index> function{in<float>(a, 1), in<float>(a, 2), inner, channels};
    map<float>(Sources<T, 1>{{in<T>(a, 0)}}, out<T>(a, 0), n, function, stream_of(a));
  });
}

std::unique_ptr<Launch> prepare_affine(const KernelRequest& request, const KernelPlan& plan) {
  const Shape& shape = request.outputs[0].shape;
  const std::int64_t n = shape.elements(), channels = shape[1];
  const std::int64_t inner = plan.outputs[0].row_major() ? shape.slice(2).elements() : 1;
  return with_float(request.outputs[0].dtype, [&](auto zero) {
    return with_index(n, [&](auto index) {
      using Index = decltype(index);
      return launch_affine<decltype(zero), Index>(n, static_cast<Index>(inner), static_cast<Index>(channels));
    });
  });
}

constexpr int dropout_threads = 256;

Drop drop_of(const LaunchArguments& a, std::uint64_t stream) {
  return {in<float>(a, 1), in<std::int64_t>(a, 2), stream};
}

template <typename T>
std::unique_ptr<Launch> launch_dropout(std::int64_t n, std::uint64_t stream) {
  return make_launch([=](const LaunchArguments& a) {
    constexpr int pack = 16 / sizeof(T);
    const T* x = in<T>(a, 0);
    T* y = out<T>(a, 0);
    if ((address(x) | address(y)) % 16 == 0) {
      dropout_kernel<pack>
          <<<grid(n / pack, dropout_threads), dropout_threads, 0, stream_of(a)>>>(x, y, n, drop_of(a, stream));
    } else {
      dropout_kernel<1><<<grid(n, dropout_threads), dropout_threads, 0, stream_of(a)>>>(x, y, n, drop_of(a, stream));
    }
  });
}

template <int group, typename T, typename Index>
std::unique_ptr<Launch> launch_dropout_image(Index groups, Index pixels, Index channels, std::uint64_t stream) {
  return make_launch([=](const LaunchArguments& a) {
    dropout_image_kernel<group, T, Index>
        <<<grid(static_cast<std::int64_t>(groups), dropout_threads), dropout_threads, 0, stream_of(a)>>>(
            in<T>(a, 0), out<T>(a, 0), groups, pixels, channels, drop_of(a, stream));
  });
}

std::unique_ptr<Launch> prepare_dropout(const KernelRequest& request, const KernelPlan& plan) {
  const std::uint64_t stream = as<DropoutAttributes>(*request.attributes).stream;
  const Shape& shape = request.outputs[0].shape;
  const std::int64_t n = shape.elements();
  return with_float(request.outputs[0].dtype, [&](auto zero) {
    using T = decltype(zero);
    if (plan.outputs[0].row_major()) return launch_dropout<T>(n, stream);
    return with_index(n, [&](auto index) {
      using Index = decltype(index);
      const auto elements = static_cast<Index>(n), pixels = static_cast<Index>(shape[2] * shape[3]),
                 channels = static_cast<Index>(shape[1]);
      if (pixels % 4 == 0) return launch_dropout_image<4, T, Index>(elements / 4, pixels, channels, stream);
      return launch_dropout_image<1, T, Index>(elements, pixels, channels, stream);
    });
  });
}

const RegisterCuda registered[] = {
    {"multiply", plan_pairs, prepare_multiply},
    {"moving_average", plan_moving_average, prepare_moving_average},
    {"scale", plan_with_parameters, prepare_with_scalar<Scale>},
    {"power", plan_single, prepare_power},
    {"clamp", plan_with_parameters, prepare_with_scalar<Clamp>},
    {"channel_affine", plan_with_parameters, prepare_affine},
    {"dropout", plan_with_parameters, prepare_dropout},
};

}  // namespace
}  // namespace trainctl::cuda
