// concat, slice, slice_backward: runs of bytes copied, in any layout where a cut along the axis leaves whole runs.
#include "ops/joining.h"

#include <cstring>
#include <vector>

#include "kernels/cpu/loops/loop_kernel.h"

namespace trainctl::cpu {
namespace {

/// A tensor in memory seen from one axis: `outer` times, extent * `unit` elements that lie together; cuts must be
/// multiples of `block`.
struct AxisRuns {
  long outer;
  long unit;
  long block;
};

long product(const Shape& shape, int from, int to) {
  long result = 1;
  for (int i = from; i < to; ++i) result *= shape[i];
  return result;
}

std::optional<AxisRuns> axis_runs(const Layout& layout, const Shape& shape, int axis) {
  const int rank = shape.rank();
  if (layout.row_major()) return AxisRuns{product(shape, 0, axis), product(shape, axis + 1, rank), 1};
  if (axis != 1) return std::nullopt;
  const Layout::Parsed parsed = layout.parse(rank);
  const long inner = product(shape, 2, rank);
  if (parsed.blocks.empty() && parsed.order.back() == 1 && parsed.order.front() == 0)
    return AxisRuns{shape[0] * inner, 1, 1};
  if (parsed.blocks.size() != 1 || parsed.order[0] != 0 || parsed.order[1] != 1) return std::nullopt;
  const auto [blocked_axis, size] = parsed.blocks[0];
  if (blocked_axis == 1) return AxisRuns{shape[0], inner, size};
  if (blocked_axis == 0) return AxisRuns{(shape[0] + size - 1) / size, inner * size, 1};
  return std::nullopt;
}

struct ConcatJob {
  long outer;
  const std::size_t* run_bytes;  ///< of each input
  std::size_t total_bytes;       ///< of one run of the output
};

void concat(const ConcatJob& job, const Operands& operands) {
  std::size_t offset = 0;
  for (int i = 0; i < operands.input_count; ++i) {
    const std::size_t bytes = job.run_bytes[i];
    for (long o = 0; o < job.outer; ++o)
      std::memcpy(operands.out<char>(0) + o * job.total_bytes + offset, operands.in<char>(i) + o * bytes, bytes);
    offset += bytes;
  }
}

std::optional<KernelPlan> plan_concat(const KernelRequest& request) {
  int axis = as<ConcatAttributes>(*request.attributes).axis;
  if (axis < 0) axis += request.outputs[0].shape.rank();
  Layout layout = given_layout(request, 0);
  for (const TensorType* type : request.inputs) {
    const auto runs = axis_runs(layout, type->shape, axis);
    if (!runs || type->shape[axis] % runs->block != 0) layout = Layout();
  }
  KernelPlan plan = row_major_plan(request);
  for (Layout& input : plan.inputs) input = layout;
  plan.outputs[0] = layout;
  return plan;
}

std::unique_ptr<Launch> prepare_concat(const KernelRequest& request, const KernelPlan& plan) {
  const TensorType& output = request.outputs[0];
  int axis = as<ConcatAttributes>(*request.attributes).axis;
  if (axis < 0) axis += output.shape.rank();
  const AxisRuns runs = *axis_runs(plan.outputs[0], output.shape, axis);
  const std::size_t unit_bytes = runs.unit * size_bytes(output.dtype);
  auto run_bytes = std::make_shared<std::vector<std::size_t>>();
  for (const TensorType* type : request.inputs) run_bytes->push_back(type->shape[axis] * unit_bytes);
  return loop_launch(request, concat, ConcatJob{runs.outer, run_bytes->data(), output.shape[axis] * unit_bytes},
                     run_bytes);
}

/// Bytes [begin, begin + part) of runs of `whole` bytes.
struct SliceJob {
  long outer;
  std::size_t whole_bytes, begin_bytes, part_bytes;
};

void slice(const SliceJob& job, const Operands& operands) {
  for (long o = 0; o < job.outer; ++o) {
    std::memcpy(operands.out<char>(0) + o * job.part_bytes,
                operands.in<char>(0) + o * job.whole_bytes + job.begin_bytes, job.part_bytes);
  }
}

void slice_backward(const SliceJob& job, const Operands& operands) {
  for (long o = 0; o < job.outer; ++o) {
    char* run = operands.out<char>(0) + o * job.whole_bytes;
    std::memset(run, 0, job.begin_bytes);
    std::memcpy(run + job.begin_bytes, operands.in<char>(0) + o * job.part_bytes, job.part_bytes);
    std::memset(run + job.begin_bytes + job.part_bytes, 0, job.whole_bytes - job.begin_bytes - job.part_bytes);
  }
}

struct Cut {
  Shape whole;
  int axis;
  std::int64_t begin, end;
};

Cut cut_of(const KernelRequest& request) {
  const auto& attributes = as<SliceAttributes>(*request.attributes);
  Cut cut{request.op == "slice" ? request.inputs[0]->shape : request.outputs[0].shape, attributes.axis,
          attributes.begin, attributes.end};
  if (cut.axis < 0) cut.axis += cut.whole.rank();
  return cut;
}

std::optional<KernelPlan> plan_slice(const KernelRequest& request) {
  const Cut cut = cut_of(request);
  Layout layout = given_layout(request, 0);
  const auto runs = axis_runs(layout, cut.whole, cut.axis);
  if (!runs || cut.begin % runs->block != 0 || cut.end % runs->block != 0 || cut.whole[cut.axis] % runs->block != 0)
    layout = Layout();
  KernelPlan plan = row_major_plan(request);
  plan.inputs[0] = plan.outputs[0] = layout;
  return plan;
}

std::unique_ptr<Launch> prepare_slice(const KernelRequest& request, const KernelPlan& plan) {
  const Cut cut = cut_of(request);
  const AxisRuns runs = *axis_runs(plan.outputs[0], cut.whole, cut.axis);
  const std::size_t unit_bytes = runs.unit * size_bytes(request.outputs[0].dtype);
  const SliceJob job{runs.outer, cut.whole[cut.axis] * unit_bytes, cut.begin * unit_bytes,
                     (cut.end - cut.begin) * unit_bytes};
  return loop_launch(request, request.op == "slice" ? slice : slice_backward, job);
}

const RegisterLoops registered[] = {
    {"concat", plan_concat, prepare_concat},
    {"slice", plan_slice, prepare_slice},
    {"slice_backward", plan_slice, prepare_slice},
};

}  // namespace
}  // namespace trainctl::cpu
