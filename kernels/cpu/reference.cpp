// Any op through its float64 reference: slow, and correct by definition.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "device/kernel.h"
#include "graph/op.h"

namespace trainctl {
namespace {

float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Round to nearest, ties to even; a NaN stays one.
std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <typename T>
void widen(const void* from, std::vector<double>& to) {
  const T* values = static_cast<const T*>(from);
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<double>(values[i]);
}

template <typename T>
void narrow(const std::vector<double>& from, void* to) {
  T* values = static_cast<T*>(to);
  for (std::size_t i = 0; i < from.size(); ++i) values[i] = static_cast<T>(from[i]);
}

void read(DType dtype, const void* from, std::vector<double>& to) {
  switch (dtype) {
    case DType::f32:
      return widen<float>(from, to);
    case DType::f64:
      return widen<double>(from, to);
    case DType::i32:
      return widen<std::int32_t>(from, to);
    case DType::i64:
      return widen<std::int64_t>(from, to);
    case DType::u8:
      return widen<std::uint8_t>(from, to);
    case DType::bf16:
      for (std::size_t i = 0; i < to.size(); ++i) to[i] = from_bf16(static_cast<const std::uint16_t*>(from)[i]);
  }
}

void write(DType dtype, const std::vector<double>& from, void* to) {
  switch (dtype) {
    case DType::f32:
      return narrow<float>(from, to);
    case DType::f64:
      return narrow<double>(from, to);
    case DType::i32:
      return narrow<std::int32_t>(from, to);
    case DType::i64:
      return narrow<std::int64_t>(from, to);
    case DType::u8:
      return narrow<std::uint8_t>(from, to);
    case DType::bf16:
      for (std::size_t i = 0; i < from.size(); ++i)
        static_cast<std::uint16_t*>(to)[i] = to_bf16(static_cast<float>(from[i]));
  }
}

const Attributes& no_attributes() {
  static const Attributes none;
  return none;
}

class ReferenceLaunch final : public Launch {
 public:
  ReferenceLaunch(const Op& op, const KernelRequest& request)
      : op_(op), attributes_(request.attributes ? *request.attributes : no_attributes()) {
    for (const TensorType* type : request.inputs) {
      input_types_.push_back(type ? *type : TensorType{});
      inputs_.emplace_back(type ? type->shape : Shape{0});
    }
    for (std::size_t i = 0; i < inputs_.size(); ++i) operands_.push_back(request.has(i) ? &inputs_[i] : nullptr);
    for (const TensorType& type : request.outputs) {
      output_types_.push_back(type);
      outputs_.emplace_back(type.shape);
    }
  }

  void run(const LaunchArguments& arguments) override {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (operands_[i]) read(input_types_[i].dtype, arguments.inputs[i], inputs_[i].data);
    }
    for (RefTensor& output : outputs_) std::ranges::fill(output.data, 0.0);
    op_.reference(attributes_, operands_, outputs_);
    for (std::size_t i = 0; i < outputs_.size(); ++i)
      write(output_types_[i].dtype, outputs_[i].data, arguments.outputs[i]);
  }

 private:
  const Op& op_;
  const Attributes& attributes_;
  std::vector<TensorType> input_types_, output_types_;
  std::vector<RefTensor> inputs_, outputs_;
  std::vector<const RefTensor*> operands_;
};

class ReferenceKernel final : public Kernel {
 public:
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    // A reorder changes nothing but the layout, of which references know nothing.
    if (request.op == "reorder" || !OpRegistry::instance().find(request.op)) return std::nullopt;
    return KernelPlan::row_major(request, "reference");
  }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) const override {
    return std::make_unique<ReferenceLaunch>(OpRegistry::instance().get(request.op), request);
  }
};

const RegisterKernel<ReferenceKernel> registered{"*", "cpu", priority::reference, "reference"};

}  // namespace
}  // namespace trainctl
