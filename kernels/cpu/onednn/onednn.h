// All that trainctl uses of oneDNN, in its own terms; the library's headers stay in onednn.cpp and memory_desc.h.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device/kernel.h"
#include "device/layout.h"
#include "device/types.h"
#include "ops/activation.h"
#include "ops/conv2d.h"

namespace trainctl::onednn {

/// A tensor as oneDNN sees it: type and physical order. Null for an operand left out.
class Desc {
 public:
  struct Data;

  Desc() = default;
  explicit Desc(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

  /// Whether oneDNN has the element type and enough axes.
  static bool supports(const TensorType& type);
  /// The order is left to oneDNN.
  static Desc any(const TensorType& type);
  /// In a given layout.
  static Desc of(const TensorType& type, const Layout& layout = {});
  /// The transpose of a row-major matrix; `type` is that of the transpose.
  static Desc transposed(const TensorType& type);

  explicit operator bool() const { return data_ != nullptr; }
  const Data& data() const { return *data_; }
  /// The order in our notation for a tensor of shape `shape` in the same memory; nothing if it cannot be said. The
  /// shape may differ from oneDNN's own in that groups of weights (G, O/G, ...) are one axis (O, ...). Where axes of
  /// extent 1 allow several notations, the one nearest to row-major.
  std::optional<Layout> layout(const Shape& shape) const;

 private:
  std::shared_ptr<const Data> data_;
};

/// What a primitive does to its result: y = f(y + sum).
struct PostOps {
  bool sum = false;  ///< adds what the destination held before
  Activation activation;
};

/// Operands by their role.
enum class Role {
  source,
  weights,
  bias,
  destination,
  source_gradient,
  weights_gradient,
  bias_gradient,
  destination_gradient
};

/// An implementation that oneDNN has chosen for an operation; a value, cheap to copy. oneDNN's plain loops ("ref") are
/// never taken.
class Operation {
 public:
  struct Data;

  explicit Operation(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  const std::string& implementation() const;
  std::size_t workspace_bytes() const;
  /// The operand as the implementation wants it.
  Desc desc(Role role) const;
  const Data& data() const { return *data_; }

 private:
  std::shared_ptr<const Data> data_;
};

// Each gives nothing where oneDNN has no fast implementation.

/// y (M, N) = f(x (M, K) w (K, N) + bias (N)).
std::optional<Operation> matmul(const Desc& x, const Desc& w, const Desc& bias, const Desc& y,
                                const PostOps& post_ops = {});
/// How a convolution is computed: by its definition, or by Lavin & Gray's fast algorithm (2016), which has larger
/// rounding errors.
enum class Algorithm { direct, winograd };
/// Groups: weights are (G, O/G, C/G, KH, KW).
std::optional<Operation> convolution(Algorithm algorithm, const Conv2dAttributes& attributes, const Desc& x,
                                     const Desc& w, const Desc& bias, const Desc& y, const PostOps& post_ops = {});
std::optional<Operation> convolution_backward_data(Algorithm algorithm, const Conv2dAttributes& attributes,
                                                   const Desc& dx, const Desc& w, const Desc& dy,
                                                   const Operation& forward);
std::optional<Operation> convolution_backward_weights(Algorithm algorithm, const Conv2dAttributes& attributes,
                                                      const Desc& x, const Desc& dw, const Desc& db, const Desc& dy,
                                                      const Operation& forward);
std::optional<Operation> reorder(const Desc& from, const Desc& to);

/// Where an operand of a launch lies.
struct Binding {
  enum class From { input, output };
  Role role;
  From from;
  int index;
};

/// An operation made ready to run on the operands of a launch; its workspace is the launch's.
class Primitive {
 public:
  Primitive(const Operation& operation, std::vector<Binding> bindings);
  Primitive(Primitive&&) noexcept;
  ~Primitive();
  /// Allocates nothing outside of oneDNN.
  void run(const LaunchArguments& arguments);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A launch that is one primitive.
std::unique_ptr<Launch> launch(const Operation& operation, std::vector<Binding> bindings);

}  // namespace trainctl::onednn
