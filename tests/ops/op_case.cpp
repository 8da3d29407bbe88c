#include "ops/op_case.h"

#include <cmath>

#include "base/error.h"
#include "base/philox.h"
#include "ops/elements.h"

namespace trainctl::test {
namespace {

std::vector<OpCase>& cases() {
  static std::vector<OpCase> all;
  return all;
}

double draw(const Domain& domain, std::uint32_t high_word, std::uint32_t low_word) {
  const double u = uniform_double(high_word, low_word);
  switch (domain.kind) {
    case Domain::Kind::uniform:
      return domain.low + u * (domain.high - domain.low);
    case Domain::Kind::away_from_zero: {
      const double magnitude = domain.low + u * (domain.high - domain.low);
      return low_word & 1 ? magnitude : -magnitude;
    }
    case Domain::Kind::integers:
      return domain.low + std::floor(u * (domain.high - domain.low));
    case Domain::Kind::constant:
      return domain.low;
  }
  return 0.0;
}

}  // namespace

const std::vector<OpCase>& op_cases() {
  return cases();
}

RegisterCases::RegisterCases(std::vector<OpCase> added) {
  for (OpCase& op_case : added) cases().push_back(std::move(op_case));
}

std::vector<const TensorType*> OpInstance::type_pointers() const {
  std::vector<const TensorType*> pointers;
  for (const auto& type : input_types) pointers.push_back(type ? &*type : nullptr);
  return pointers;
}

OpInstance instantiate(const OpCase& op_case, std::uint64_t seed) {
  static const AttributesPtr none = std::make_shared<Attributes>();
  OpInstance instance{.source = &op_case,
                      .op = &OpRegistry::instance().get(op_case.op),
                      .attributes = op_case.attributes ? op_case.attributes : none,
                      .input_types = {},
                      .inputs = {},
                      .output_types = {},
                      .outputs = {}};
  for (std::size_t k = 0; k < op_case.inputs.size(); ++k) {
    const Operand& operand = op_case.inputs[k];
    instance.input_types.push_back(operand.type);
    RefTensor tensor;
    if (operand.type) {
      tensor = RefTensor(operand.type->shape);
      const std::uint64_t stream = stream_hash(seed, fmt::format("{}/{}", op_case.full_name(), k));
      for (std::int64_t i = 0; i < tensor.size(); ++i) {
        const Words4 words = random_block(stream, 0, 0, static_cast<std::uint32_t>(i));
        tensor[i] = draw(operand.domain, words.word[0], words.word[1]);
      }
    }
    instance.inputs.push_back(std::move(tensor));
  }
  if (op_case.prepare) op_case.prepare(instance.inputs);
  for (std::size_t k = 0; k < instance.inputs.size(); ++k) {
    for (double& value : instance.inputs[k].data) value = rounded(value, instance.input_types[k]->dtype);
  }
  instance.output_types = instance.op->infer(*instance.attributes, instance.type_pointers());
  instance.outputs = run_reference(instance, instance.inputs);
  return instance;
}

std::vector<RefTensor> run_reference(const OpInstance& instance, const std::vector<RefTensor>& inputs) {
  std::vector<const RefTensor*> pointers;
  for (std::size_t k = 0; k < inputs.size(); ++k) pointers.push_back(instance.input_types[k] ? &inputs[k] : nullptr);
  std::vector<RefTensor> outputs;
  for (const TensorType& type : instance.output_types) outputs.emplace_back(type.shape);
  instance.op->reference(*instance.attributes, pointers, outputs);
  return outputs;
}

}  // namespace trainctl::test
