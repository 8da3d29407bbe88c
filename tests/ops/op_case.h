// One application of an op to test: its attributes, operand types and where their values come from.
#pragma once

#include <cmath>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "device/attributes.h"
#include "device/types.h"
#include "graph/op.h"

namespace trainctl::test {

/// Where the elements of an operand come from.
struct Domain {
  enum class Kind { uniform, away_from_zero, integers, constant };
  Kind kind = Kind::uniform;
  double low = -1.0;
  double high = 1.0;

  static Domain uniform(double low, double high) { return {Kind::uniform, low, high}; }
  /// Uniform in ±[low, high]: for ops with a kink at zero.
  static Domain away_from_zero(double low = 0.05, double high = 2.0) { return {Kind::away_from_zero, low, high}; }
  /// low, low + 1, ... high - 1.
  static Domain integers(std::int64_t low, std::int64_t high) {
    return {Kind::integers, static_cast<double>(low), static_cast<double>(high)};
  }
  static Domain constant(double value) { return {Kind::constant, value, value}; }
};

struct Operand {
  std::optional<TensorType> type;  ///< none: left out
  Domain domain{};
  bool differentiable = false;  ///< whether check_gradient compares its gradient
};

inline Operand f32(Shape shape, Domain domain = {}) {
  return {TensorType{DType::f32, shape}, domain};
}
inline Operand bf16(Shape shape, Domain domain = {}) {
  return {TensorType{DType::bf16, shape}, domain};
}
/// An operand whose gradient is checked.
inline Operand wanted(Shape shape, Domain domain = {}) {
  return {TensorType{DType::f32, shape}, domain, true};
}
inline Operand integers(DType dtype, Shape shape, std::int64_t low, std::int64_t high) {
  return {TensorType{dtype, shape}, Domain::integers(low, high)};
}
inline Operand scalar(double value, DType dtype = DType::f32) {
  return {TensorType{dtype, {}}, Domain::constant(value)};
}
inline Operand left_out() {
  return {};
}

/// The operands of all lists.
inline std::vector<Operand> joined(std::initializer_list<std::vector<Operand>> lists) {
  std::vector<Operand> all;
  for (const std::vector<Operand>& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

/// How near a kernel must come to the reference.
enum class Match {
  close,  ///< within rounding of the largest element
  zeros,  ///< as close, and zero in exactly the same elements: masks
  exact,  ///< the reference's value rounded to the element type: what only moves elements
};

struct OpCase {
  std::string op;
  std::string name;  ///< unique among the op's
  AttributesPtr attributes;
  std::vector<Operand> inputs;
  Match match = Match::close;
  double tolerance = 1.0;  ///< factor on the tolerance of kernels, for ops that lose more
  /// Changes the operands so that they fit each other, e.g. an index that a forward op would give. Runs before rounding
  /// to their types.
  std::function<void(std::vector<RefTensor>&)> prepare{};

  /// Only fusion makes such a node, and asks for a kernel first: not every device needs one.
  bool fused = false;

  std::string full_name() const { return op + "/" + name; }
};

/// The case with a NaN in the middle of its first operand.
inline OpCase with_nan(OpCase op_case) {
  op_case.prepare = [](std::vector<RefTensor>& inputs) { inputs[0][inputs[0].size() / 2] = NAN; };
  return op_case;
}

/// All cases that files of this program registered.
const std::vector<OpCase>& op_cases();

struct RegisterCases {
  explicit RegisterCases(std::vector<OpCase> cases);
};

template <typename A>
AttributesPtr shared(A attributes) {
  return std::make_shared<A>(std::move(attributes));
}

/// A case with its operands' values (rounded to their types) and the reference's answer.
struct OpInstance {
  const OpCase* source = nullptr;
  const Op* op = nullptr;
  AttributesPtr attributes;
  std::vector<std::optional<TensorType>> input_types;
  std::vector<RefTensor> inputs;  ///< empty where left out
  std::vector<TensorType> output_types;
  std::vector<RefTensor> outputs;

  std::vector<const TensorType*> type_pointers() const;
};

OpInstance instantiate(const OpCase& op_case, std::uint64_t seed = 1);
/// The reference's outputs for given operands.
std::vector<RefTensor> run_reference(const OpInstance& instance, const std::vector<RefTensor>& inputs);

}  // namespace trainctl::test
