#include "nn/standardize.h"

#include <algorithm>

#include "base/error.h"
#include "nn/functional.h"

namespace trainctl {
namespace {

/// The shape (N, numbers of `moments`, ...) under which x has one number each along axis 1.
Shape by_channel(std::string_view field, const Shape& shape, std::size_t numbers) {
  const auto count = static_cast<std::int64_t>(numbers);
  const std::int64_t samples = shape[0];
  if (count == 1) return {samples, 1, shape.elements() / samples};
  if (shape.rank() >= 2 && count == shape[1]) return {samples, count, shape.elements() / (samples * count)};
  if (count == shape.elements() / samples) return {samples, count, 1};
  fail(
      ErrorKind::config,
      "data.standardize.{}: it was fitted on samples of {} numbers, and here they are {}; the data must have the shape "
      "of the training data",
      field, count, shape.slice(1).text());
}

/// (x - shift) / divisor.
Value affine(Builder& builder, std::string_view field, Value x, const std::vector<double>& shift,
             const std::vector<double>& divisor) {
  constexpr std::size_t most_of_one_op = 256;
  const Shape shape = x.shape();
  const Shape channels = by_channel(field, shape, shift.size());
  if (shift.size() == 1 || (channels[1] == shape[1] && shift.size() <= most_of_one_op)) {
    NormalizeAttributes attributes;
    attributes.mean = shift;
    attributes.deviation = divisor;
    return builder.apply1("normalize", nn::attributes(attributes), {x});
  }
  const auto constant = [&](std::vector<double> numbers) {
    return builder.graph().constant({DType::f32, {channels[1]}}, std::move(numbers));
  };
  std::vector<double> offset, factor;
  for (const double number : shift) offset.push_back(-number);
  for (const double number : divisor) factor.push_back(1.0 / number);
  // The mean goes first: x / std - mean / std would cancel where the mean is large.
  const Value centred =
      builder.apply1("channel_affine", nullptr, {nn::reshape(builder, x, channels), constant({1.0}), constant(offset)});
  const Value result = builder.apply1("channel_affine", nullptr, {centred, constant(factor), constant({0.0})});
  return nn::reshape(builder, result, shape);
}

}  // namespace

Schema<Moments> Moments::schema() {
  return Schema<Moments>("Means and standard deviations.")
      .required("mean", &Moments::mean, non_empty(), "One for all, or one for each channel or element.")
      .required("std", &Moments::std, non_empty(), above(0.0), "As many as means; 1 for what does not vary.");
}

void Moments::check(Diagnostics& diagnostics, const Node& node) const {
  if (mean.size() != std.size()) diagnostics.error(node, "needs as many numbers in 'std' as in 'mean'.");
}

Value standardize(Builder& builder, std::string_view field, Value x, const Moments& moments) {
  return affine(builder, field, nn::to_f32(builder, x), moments.mean, moments.std);
}

Value unstandardize(Builder& builder, std::string_view field, Value y, const Moments& moments) {
  std::vector<double> shift, divisor;
  for (std::size_t i = 0; i < moments.mean.size(); ++i) {
    shift.push_back(-moments.mean[i] / moments.std[i]);
    divisor.push_back(1.0 / moments.std[i]);
  }
  return affine(builder, field, y, shift, divisor);
}

}  // namespace trainctl
