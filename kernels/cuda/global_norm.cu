// global_norm, clip_factor.
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/cuda/reduce.cuh"

namespace trainctl::cuda {
namespace {

/// Some of the tensors of a norm. Travels as a kernel's argument.
struct Parts {
  static constexpr int most = 64;
  const float* x[most];
  std::int64_t count[most];
  std::int64_t vectors[most];  ///< how many groups of four elements can be read as such
  int parts;
};

struct Root {
  __device__ float operator()(double squares) const { return static_cast<float>(sqrt(squares)); }
};

__global__ void __launch_bounds__(1024)
    square_sum_kernel(const __grid_constant__ Parts tensors, double* partial, float* norm) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  double sum[4] = {};
  for (int part = 0; part < tensors.parts; ++part) {
    const float* x = tensors.x[part];
    const std::int64_t vectors = tensors.vectors[part], count = tensors.count[part];
#pragma unroll 4
    for (std::int64_t i = first; i < vectors; i += stride) {
      const float4 four = reinterpret_cast<const float4*>(x)[i];
      const double a = four.x, b = four.y, c = four.z, d = four.w;
      sum[0] += a * a, sum[1] += b * b, sum[2] += c * c, sum[3] += d * d;
    }
    for (std::int64_t i = 4 * vectors + first; i < count; i += stride) {
      const double a = x[i];
      sum[0] += a * a;
    }
  }
  deliver(block_sum((sum[0] + sum[1]) + (sum[2] + sum[3])), partial, norm, Root());
}

/// One launch for each Parts::most tensors, with partial sums behind those of the launch before.
std::vector<SumGrid> grids(const std::vector<std::int64_t>& counts) {
  std::vector<SumGrid> grids;
  for (std::size_t begin = 0; begin < counts.size(); begin += Parts::most) {
    const std::size_t end = std::min(begin + Parts::most, counts.size());
    const auto elements = std::accumulate(counts.begin() + static_cast<std::ptrdiff_t>(begin),
                                          counts.begin() + static_cast<std::ptrdiff_t>(end), std::int64_t{0});
    grids.push_back(sum_grid(elements, elements, 1024));
  }
  return grids;
}

std::vector<std::int64_t> counts_of(const KernelRequest& request) {
  std::vector<std::int64_t> counts;
  for (const TensorType* type : request.inputs) counts.push_back(type ? type->elements() : 0);
  return counts;
}

/// Partial sums of all launches; one where a single block gives the result itself.
int partial_sums(const std::vector<SumGrid>& grids) {
  return std::accumulate(grids.begin(), grids.end(), 0, [](int sum, const SumGrid& grid) { return sum + grid.blocks; });
}

std::optional<KernelPlan> plan_norm(const KernelRequest& request) {
  if (!all_f32(request)) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  const int partials = partial_sums(grids(counts_of(request)));
  plan.workspace_bytes = partials > 1 ? static_cast<std::size_t>(partials) * sizeof(double) : 0;
  return plan;
}

std::unique_ptr<Launch> prepare_norm(const KernelRequest& request, const KernelPlan&) {
  return make_launch([counts = counts_of(request)](const LaunchArguments& a) {
    const std::vector<SumGrid> all = grids(counts);
    SumGrid together;
    together.blocks = partial_sums(all);
    double* partial = together.partial<double>(a);
    for (std::size_t launch = 0, next = 0; launch < all.size(); ++launch) {
      Parts tensors{};
      for (; next < std::min((launch + 1) * Parts::most, counts.size()); ++next) {
        const float* x = in<float>(a, static_cast<int>(next));
        const bool aligned = reinterpret_cast<std::uintptr_t>(x) % sizeof(float4) == 0;
        tensors.x[tensors.parts] = x;
        tensors.count[tensors.parts] = counts[next];
        tensors.vectors[tensors.parts++] = aligned ? counts[next] / 4 : 0;
      }
      square_sum_kernel<<<all[launch].blocks, all[launch].threads, 0, stream_of(a)>>>(tensors, partial,
                                                                                      out<float>(a, 0));
      if (partial) partial += all[launch].blocks;
    }
    finish<double>(together, a, out<float>(a, 0), Root());
  });
}

/// A norm that is not finite is the factor itself.
__global__ void clip_factor_kernel(const float* norm, const float* max_norm, float* factor) {
  const float ratio = *max_norm / (*norm + 1e-6f);
  *factor = !isfinite(*norm) ? *norm : ratio < 1.0f ? ratio : 1.0f;
}

std::optional<KernelPlan> plan_clip(const KernelRequest& request) {
  if (!all_f32(request)) return std::nullopt;
  return KernelPlan::row_major(request, "cuda");
}

std::unique_ptr<Launch> prepare_clip(const KernelRequest&, const KernelPlan&) {
  return make_launch([](const LaunchArguments& a) {
    clip_factor_kernel<<<1, 1, 0, stream_of(a)>>>(in<float>(a, 0), in<float>(a, 1), out<float>(a, 0));
  });
}

const RegisterCuda registered[] = {{"global_norm", plan_norm, prepare_norm}, {"clip_factor", plan_clip, prepare_clip}};

}  // namespace
}  // namespace trainctl::cuda
