// Losses: what training makes small.
#pragma once

#include <cstdint>
#include <span>

#include "graph/builder.h"
#include "schema/schema.h"

namespace trainctl {

/// What an update makes of the terms of a loss that its batch has, T of them for N samples.
enum class Reduction : std::uint8_t {
  mean,        ///< their mean
  sum,         ///< their sum, over all batches of an update that accumulates several
  batch_mean,  ///< their sum divided by N
};
template <>
struct EnumNames<Reduction> {
  static constexpr EnumName<Reduction> names[] = {
      {Reduction::mean, "mean"}, {Reduction::sum, "sum"}, {Reduction::batch_mean, "batch_mean"}};
};

/// What makes probabilities of the outputs that a loss is given.
enum class Link : std::uint8_t {
  none,         ///< outputs are values
  softmax,      ///< over axis 1
  log_softmax,  ///< outputs are logarithms of probabilities of classes along axis 1
  sigmoid,      ///< each output by itself: the probability of 1
};

/// A loss of one output and one target. One file each in lib/nn/losses.
struct Loss {
  static constexpr const char* kind = "loss";

  Reduction reduction = Reduction::mean;
  Live scale{1.0};

  virtual ~Loss() = default;
  /// An f32 scalar: the mean over the batch, which is what the history shows whatever `reduction` and `scale` are.
  /// Throws a config Error if output and target do not fit each other.
  virtual Value build(Builder& builder, Value output, Value target) const = 0;
  /// Whether targets are class numbers that index axis 1 of the output.
  virtual bool takes_classes() const { return false; }
  /// How its outputs are read where it is held against class numbers, or (`classes` false) against values.
  virtual Link link(bool /*classes*/) const { return takes_classes() ? Link::softmax : Link::none; }
  /// How many terms build() is the mean of: by default one for each class number, else one for each element of the
  /// output. A config Error if it is no plain mean.
  virtual std::int64_t terms(const Value& output, const Value& target) const;

  /// The sum of weights that build()'s mean is weighted by, where it differs from batch to batch (class weights): an
  /// update of several batches, and a report, are weighted by it. Null where every term counts the same.
  virtual Value weight(Builder& /*builder*/, Value /*target*/) const { return {}; }
  /// Whether it must know, before it is built, how many training samples each class has.
  virtual bool counts_classes() const { return false; }
  virtual void take_class_counts(std::span<const std::int64_t> /*counts*/) {}
  /// The weights of the classes in use; none where all are 1.
  virtual std::span<const double> weights_by_class() const { return {}; }

  /// What an update makes small: `mean`, which build() gave for a batch of `samples`, reduced and scaled.
  /// `accumulates`: the optimizer will weight it by the scalar "batch_weight".
  Value objective(Builder& builder, Value mean, const Value& output, const Value& target, std::int64_t samples,
                  bool accumulates) const;
  /// Whether objective() is the mean itself.
  bool is_plain(const Builder& builder) const;

  template <typename T>
  static void common(Schema<T>& schema);
};

template <typename T>
void Loss::common(Schema<T>& schema) {
  schema
      .field("reduction", &Loss::reduction,
             "What an update makes small: the mean of the loss's terms, their sum, or the sum divided by the number of "
             "samples. The history shows the mean.")
      .field("scale", &Loss::scale, above(0.0),
             "What an update multiplies the loss by. The history shows it unscaled.");
}

}  // namespace trainctl
