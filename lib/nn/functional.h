// Short ways to apply ops.
#pragma once

#include <memory>
#include <utility>

#include "graph/builder.h"
#include "graph/builtin.h"
#include "ops/activation.h"
#include "ops/image.h"

namespace trainctl::nn {

/// Attributes on the heap, as Builder::apply takes them.
template <typename A>
AttributesPtr attributes(A value) {
  return std::make_shared<const A>(std::move(value));
}

inline Value activation(Builder& builder, Value x, Activation::Kind kind, double alpha = 0.0) {
  return builder.apply1("activation", attributes(ActivationAttributes(Activation{kind, alpha})), {x});
}

/// The same elements under another shape; x itself if it has that shape.
inline Value reshape(Builder& builder, Value x, const Shape& shape) {
  return x.shape() == shape ? x : builder.apply1("reshape", attributes(ReshapeAttributes(shape)), {x});
}

/// x as f32.
inline Value to_f32(Builder& builder, Value x) {
  return x.type().dtype == DType::f32 ? x : builder.apply1("convert", attributes(ConvertAttributes(1.0)), {x});
}

}  // namespace trainctl::nn
