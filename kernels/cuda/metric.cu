// count_correct.
#include "ops/metric.h"

#include "kernels/cuda/class_rows.cuh"
#include "kernels/cuda/reduce.cuh"

namespace trainctl::cuda {
namespace {

/// Each row is shared by `team` neighbouring lanes, a power of two up to 32.
template <typename T, typename Label>
__global__ void __launch_bounds__(1024)
    count_correct_kernel(ClassRows rows, int team, std::int64_t k, const T* scores, const Label* target,
                         std::int64_t* partial, std::int64_t* correct) {
  const int member = threadIdx.x % team, teams = blockDim.x / team;
  std::int64_t count = 0;
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * teams; first < rows.count;
       first += static_cast<std::int64_t>(gridDim.x) * teams) {
    const std::int64_t own = first + threadIdx.x / team;
    const std::int64_t row = own < rows.count ? own : first;  // those without a row keep the others company
    const T* x = scores + rows.start(row);
    const int label = label_at(target, row, rows.classes);
    const float score = label < 0 ? 0.0f : static_cast<float>(x[label * rows.stride]);
    int before = 0, unordered = 0;
    for (int c = member; c < rows.classes; c += team) {
      const float other = static_cast<float>(x[c * rows.stride]);
      before += other > score || (other == score && c < label);
      unordered += isnan(other);
    }
    before = warp_sum(before, team);
    unordered = warp_sum(unordered, team);
    count += own == row && member == 0 && label >= 0 && unordered == 0 && before < k;
  }
  deliver(block_sum(count), partial, correct, AsIs());
}

struct Counting {
  ClassRows rows;
  int team = 1;
  SumGrid grid;
};

Counting counting(const KernelRequest& request, const Layout& layout) {
  Counting c;
  c.rows = class_rows(*request.inputs[0], layout);
  c.team = threads_per_row(c.rows, 32);
  c.grid = sum_grid(c.rows.count * c.rows.classes, c.rows.count, 256 / c.team);
  return c;
}

std::optional<KernelPlan> plan(const KernelRequest& request) {
  if (!class_rows_fit(request)) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  plan.inputs[0] = class_layout(request);
  plan.workspace_bytes = counting(request, plan.inputs[0]).grid.workspace<std::int64_t>();
  return plan;
}

std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) {
  const Counting c = counting(request, plan.inputs[0]);
  const std::int64_t k = as<CountCorrectAttributes>(*request.attributes).k;
  return with_float(request.inputs[0]->dtype, [&](auto score) {
    return with_label(request.inputs[1]->dtype, [&](auto label) {
      using T = decltype(score);
      using Label = decltype(label);
      return make_launch([=](const LaunchArguments& a) {
        count_correct_kernel<<<c.grid.blocks, c.grid.threads, 0, stream_of(a)>>>(
            c.rows, c.team, k, in<T>(a, 0), in<Label>(a, 1), c.grid.partial<std::int64_t>(a), out<std::int64_t>(a, 0));
        finish<std::int64_t>(c.grid, a, out<std::int64_t>(a, 0), AsIs());
      });
    });
  });
}

const RegisterCuda registered{"count_correct", plan, prepare};

}  // namespace
}  // namespace trainctl::cuda
