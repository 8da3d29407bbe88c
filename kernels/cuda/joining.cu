// concat, slice, slice_backward: runs of memory copied.
#include "ops/joining.h"

#include <vector>

#include "kernels/cuda/elements.cuh"

namespace trainctl::cuda {
namespace {

/// Runs of `run` units, one behind the other at distances of `from_step` and `to_step`: all in units of some bytes.
struct Runs {
  const void* from;
  void* to;
  std::uint64_t total;  ///< units of all runs together
  std::uint64_t run, from_step, to_step;
};

constexpr int most_parts = 16;
struct Parts {
  Runs at[most_parts];
};

/// Part blockIdx.y.
template <typename Unit, typename Index>
__global__ void copy_runs_kernel(const __grid_constant__ Parts parts) {
  const Runs& part = parts.at[blockIdx.y];
  const auto* from = static_cast<const Unit*>(part.from);
  auto* to = static_cast<Unit*>(part.to);
  const auto total = static_cast<Index>(part.total), run = static_cast<Index>(part.run);
  const Index stride = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < total; i += stride) {
    const Index o = i / run, k = i - o * run;
    to[o * part.to_step + k] = from[o * part.from_step + k];
  }
}

/// Runs of `whole` units, of which [begin, begin + run) come from `from` and the others are zero.
template <typename Unit, typename Index>
__global__ void spread_runs_kernel(const Unit* from, Unit* to, Index total, Index whole, Index begin, Index run) {
  const Index stride = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < total; i += stride) {
    const Index o = i / whole, k = i - o * whole;
    to[i] = k >= begin && k - begin < run ? from[o * run + (k - begin)] : Unit{};
  }
}

constexpr int threads = 256;

/// `parts` count in bytes.
void copy_runs(Parts parts, int count, cudaStream_t stream) {
  std::uint64_t numbers = 0, largest = 0;
  for (int i = 0; i < count; ++i) {
    const Runs& part = parts.at[i];
    numbers |= address(part.from) | address(part.to) | part.run;
    if (part.total > part.run) numbers |= part.from_step | part.to_step;
    largest = std::max(largest, part.total);
  }
  with_unit(numbers, [&](auto unit) {
    using Unit = decltype(unit);
    for (int i = 0; i < count; ++i) {
      Runs& part = parts.at[i];
      for (std::uint64_t* number : {&part.total, &part.run, &part.from_step, &part.to_step}) *number /= sizeof(Unit);
    }
    const auto most = static_cast<std::int64_t>(largest / sizeof(Unit));
    with_index(most, [&](auto index) {
      copy_runs_kernel<Unit, decltype(index)><<<dim3(grid(most, threads), count), threads, 0, stream>>>(parts);
    });
  });
}

void spread_runs(const Runs& runs, std::uint64_t begin, cudaStream_t stream) {
  // Here `run` and `from_step` are the piece's and `to_step` is the whole; `total` is of the whole.
  const std::uintptr_t numbers = address(runs.from) | address(runs.to) | runs.run | runs.to_step | begin;
  with_unit(numbers, [&](auto unit) {
    using Unit = decltype(unit);
    const auto total = static_cast<std::int64_t>(runs.total / sizeof(Unit));
    with_index(total, [&](auto index) {
      using Index = decltype(index);
      spread_runs_kernel<Unit, Index><<<grid(total, threads), threads, 0, stream>>>(
          static_cast<const Unit*>(runs.from), static_cast<Unit*>(runs.to), static_cast<Index>(total),
          static_cast<Index>(runs.to_step / sizeof(Unit)), static_cast<Index>(begin / sizeof(Unit)),
          static_cast<Index>(runs.run / sizeof(Unit)));
    });
  });
}

/// A tensor in memory seen from one axis: `outer` times, its extent * `unit` bytes that lie together.
struct AxisRuns {
  std::uint64_t outer = 1, unit = 1;
};

AxisRuns axis_runs(const Layout& layout, const TensorType& type, int axis) {
  AxisRuns runs{.unit = size_bytes(type.dtype)};
  bool inside = false;
  for (const int each : layout.parse(type.shape.rank()).order) {
    if (each == axis)
      inside = true;
    else
      (inside ? runs.unit : runs.outer) *= static_cast<std::uint64_t>(type.shape[each]);
  }
  return runs;
}

KernelPlan plan_in(const Layout& layout, const KernelRequest& request) {
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  if (channels_last(layout)) {
    for (Layout& input : plan.inputs) input = layout;
    plan.outputs[0] = layout;
  }
  return plan;
}

std::optional<KernelPlan> plan_concat(const KernelRequest& request) {
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    if (channels_last(given_layout(request, i))) return plan_in(given_layout(request, i), request);
  }
  return plan_in(Layout(), request);
}

std::unique_ptr<Launch> prepare_concat(const KernelRequest& request, const KernelPlan& plan) {
  const int axis = as<ConcatAttributes>(*request.attributes).axis;
  const TensorType& whole = request.outputs[0];
  const AxisRuns runs = axis_runs(plan.outputs[0], whole, axis);
  std::vector<Runs> all;
  for (const TensorType* type : request.inputs) {
    const std::uint64_t run = static_cast<std::uint64_t>(type->shape[axis]) * runs.unit;
    all.push_back(
        {nullptr, nullptr, runs.outer * run, run, run, static_cast<std::uint64_t>(whole.shape[axis]) * runs.unit});
  }
  return make_launch([all](const LaunchArguments& a) {
    std::uint64_t offset = 0;
    for (std::size_t first = 0; first < all.size(); first += most_parts) {
      const int count = static_cast<int>(std::min<std::size_t>(all.size() - first, most_parts));
      Parts parts{};
      for (int i = 0; i < count; ++i) {
        parts.at[i] = all[first + i];
        parts.at[i].from = a.inputs[first + i];
        parts.at[i].to = out<std::byte>(a, 0) + offset;
        offset += all[first + i].run;
      }
      copy_runs(parts, count, stream_of(a));
    }
  });
}

std::optional<KernelPlan> plan_slice(const KernelRequest& request) {
  return plan_in(given_layout(request, 0), request);
}

std::unique_ptr<Launch> prepare_slice(const KernelRequest& request, const KernelPlan& plan) {
  const auto& slice = as<SliceAttributes>(*request.attributes);
  const bool backward = request.op == "slice_backward";
  const TensorType& type = backward ? request.outputs[0] : *request.inputs[0];
  const AxisRuns axis = axis_runs(plan.outputs[0], type, slice.axis);
  const std::uint64_t whole = static_cast<std::uint64_t>(type.shape[slice.axis]) * axis.unit;
  const std::uint64_t begin = static_cast<std::uint64_t>(slice.begin) * axis.unit;
  const std::uint64_t piece = static_cast<std::uint64_t>(slice.end - slice.begin) * axis.unit;
  if (backward)
    return make_launch([=](const LaunchArguments& a) {
      spread_runs({a.inputs[0], a.outputs[0], axis.outer * whole, piece, piece, whole}, begin, stream_of(a));
    });
  return make_launch([=](const LaunchArguments& a) {
    Parts parts{};
    parts.at[0] = {in<std::byte>(a, 0) + begin, a.outputs[0], axis.outer * piece, piece, whole, piece};
    copy_runs(parts, 1, stream_of(a));
  });
}

const RegisterCuda registered[] = {
    {"concat", plan_concat, prepare_concat},
    {"slice", plan_slice, prepare_slice},
    {"slice_backward", plan_slice, prepare_slice},
};

}  // namespace
}  // namespace trainctl::cuda
