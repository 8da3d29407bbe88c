#include "ops/bf16.h"

#include <map>
#include <string_view>

namespace trainctl::test {
namespace {

/// Which operands of an op are activations or scores made of them.
const std::map<std::string_view, std::vector<std::size_t>>& activation_operands() {
  static const std::map<std::string_view, std::vector<std::size_t>> table{
      {"activation", {0}},
      {"activation_backward", {0, 1}},
      {"add", {0, 1}},
      {"multiply", {0, 1}},
      {"dropout", {0}},
      {"power", {0}},
      {"scale", {0}},
      {"channel_affine", {0}},
      {"dot_along", {0, 1}},
      {"scale_along", {0, 1}},
      {"resample2d", {0}},
      {"resample2d_backward", {0}},
      {"concat", {0, 1, 2, 3}},
      {"slice", {0}},
      {"slice_backward", {0}},
      {"linear", {0}},
      {"linear_backward_data", {0, 2}},
      {"linear_backward_weights", {0, 1}},
      {"conv2d", {0, 3}},
      {"conv2d_backward_data", {0, 2}},
      {"conv2d_backward_weights", {0, 1}},
      {"batch_norm", {0, 3}},
      {"batch_norm_backward", {0, 1, 5}},
      {"batch_norm_inference", {0, 5}},
      {"layer_norm", {0}},
      {"layer_norm_backward", {0, 1}},
      {"max_pool2d", {0}},
      {"max_pool2d_backward", {0, 2}},
      {"avg_pool2d", {0}},
      {"avg_pool2d_backward", {0}},
      {"softmax", {0}},
      {"softmax_backward", {0, 1}},
      {"log_softmax", {0}},
      {"log_softmax_backward", {0, 1}},
      {"softmax_cross_entropy", {0}},
      {"softmax_cross_entropy_backward", {0}},
      {"nll", {0}},
      {"nll_backward", {0}},
      {"count_correct", {0}},
  };
  return table;
}

}  // namespace

std::optional<OpCase> in_bf16(const OpCase& op_case) {
  const auto found = activation_operands().find(op_case.op);
  if (found == activation_operands().end()) return std::nullopt;
  OpCase narrow = op_case;
  narrow.name += " bf16";
  for (const std::size_t k : found->second) {
    if (k >= narrow.inputs.size() || !narrow.inputs[k].type) continue;
    if (narrow.inputs[k].type->dtype != DType::f32) return std::nullopt;
    narrow.inputs[k].type->dtype = DType::bf16;
  }
  return narrow;
}

}  // namespace trainctl::test
