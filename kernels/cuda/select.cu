// select: all of one row of tensors or all of another. A thread copies a unit of bytes; where the chosen one lies in
// its place, nothing.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/cuda/elements.cuh"

namespace trainctl::cuda {
namespace {

constexpr int threads = 256;

template <typename Unit>
__global__ void select_kernel(const std::int32_t* flag, const Unit* a, const Unit* b, Unit* y, std::int64_t units) {
  const Unit* chosen = *flag != 0 ? a : b;
  if (chosen == y) return;
  const auto stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < units; i += stride)
    y[i] = chosen[i];
}

/// Choices of a launch by one flag, in words.
struct Choices {
  static constexpr int most = 64;
  const std::int32_t* flag;
  const std::uint32_t *a[most], *b[most];
  std::uint32_t* y[most];
  std::uint32_t words[most];
};

/// Blocks of one blockIdx.y share a choice.
__global__ void choices_kernel(const __grid_constant__ Choices choices) {
  const auto k = blockIdx.y;
  const std::uint32_t* chosen = *choices.flag != 0 ? choices.a[k] : choices.b[k];
  std::uint32_t* y = choices.y[k];
  if (chosen == y) return;
  for (std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < choices.words[k]; i += gridDim.x * blockDim.x)
    y[i] = chosen[i];
}

/// Several go into a launch only where one alone would not fill the device.
std::optional<KernelPlan> plan(const KernelRequest& request) {
  constexpr std::size_t most_bytes = 1 << 18;
  const auto count = static_cast<int>(request.outputs.size());
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  for (int k = 0; k < count; ++k) {
    const std::size_t bytes = request.outputs[k].bytes();
    if (count > 1 && (bytes > most_bytes || bytes % sizeof(std::uint32_t) != 0)) return std::nullopt;
    plan.in_place.insert(plan.in_place.end(), {{k, 1 + count + k}, {k, 1 + k}});
  }
  return plan;
}

std::unique_ptr<Launch> prepare_choices(const KernelRequest& request) {
  std::vector<std::uint32_t> words;
  for (const TensorType& y : request.outputs)
    words.push_back(static_cast<std::uint32_t>(y.bytes() / sizeof(std::uint32_t)));
  return make_launch([words](const LaunchArguments& a) {
    const auto all = static_cast<int>(words.size());
    for (int first = 0; first < all; first += Choices::most) {
      Choices choices{};
      const int count = std::min(Choices::most, all - first);
      choices.flag = in<std::int32_t>(a, 0);
      for (int k = 0; k < count; ++k) {
        choices.a[k] = in<std::uint32_t>(a, 1 + first + k);
        choices.b[k] = in<std::uint32_t>(a, 1 + all + first + k);
        choices.y[k] = out<std::uint32_t>(a, first + k);
        choices.words[k] = words[first + k];
      }
      const std::uint32_t longest = *std::max_element(choices.words, choices.words + count);
      const dim3 blocks((longest + threads - 1) / threads, static_cast<unsigned>(count));
      if (longest > 0) choices_kernel<<<blocks, threads, 0, stream_of(a)>>>(choices);
    }
  });
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) {
  if (request.outputs.size() > 1) return prepare_choices(request);
  const TensorType& type = request.outputs[0];
  return with_bits(size_bytes(type.dtype), [&](auto unit) {
    using Unit = decltype(unit);
    return make_launch([units = type.elements()](const LaunchArguments& a) {
      select_kernel<Unit><<<grid(units, threads), threads, 0, stream_of(a)>>>(in<std::int32_t>(a, 0), in<Unit>(a, 1),
                                                                              in<Unit>(a, 2), out<Unit>(a, 0), units);
    });
  });
}

const RegisterCuda registered[] = {{"select", plan, prepare}};

}  // namespace
}  // namespace trainctl::cuda
