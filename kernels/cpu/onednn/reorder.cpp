// reorder: the same tensor in another layout. Equal layouts are copied, floating point goes through oneDNN, the rest
// through offset tables.
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "graph/builtin.h"
#include "kernels/cpu/onednn/onednn.h"

namespace trainctl::onednn {
namespace {

class CopyLaunch final : public Launch {
 public:
  CopyLaunch(std::size_t bytes, int threads) : bytes_(bytes), parts_(bytes < (1 << 18) ? 1 : threads) {}

  void run(const LaunchArguments& arguments) override {
    const auto* from = static_cast<const std::byte*>(arguments.inputs[0]);
    auto* to = static_cast<std::byte*>(arguments.outputs[0]);
    const std::size_t part = (bytes_ / parts_ + 64) / 64 * 64;
#pragma omp parallel for num_threads(parts_) schedule(static, 1) if (parts_ > 1)
    for (int i = 0; i < parts_; ++i) {
      const std::size_t begin = std::min(bytes_, i * part);
      const std::size_t end = std::min(bytes_, begin + part);
      std::memcpy(to + begin, from + begin, end - begin);
    }
  }

 private:
  std::size_t bytes_;
  int parts_;
};

/// In any layout the offset of an element is a sum of one term for each axis: tables of the terms make a reorder a loop
/// of two lookups.
class Tables {
 public:
  Tables(const TensorType& type, const Layout& layout) {
    for (int axis = 0; axis < type.shape.rank(); ++axis) {
      std::vector<std::int64_t> index(type.shape.rank(), 0);
      for (; index[axis] < type.shape[axis]; ++index[axis]) {
        terms_[axis].push_back(static_cast<std::int64_t>(layout.offset(type, index.data())));
      }
    }
  }
  const std::vector<std::int64_t>& operator[](int axis) const { return terms_[axis]; }

 private:
  std::vector<std::int64_t> terms_[Shape::max_rank];
};

template <typename T>
class TableLaunch final : public Launch {
 public:
  TableLaunch(const TensorType& type, const Layout& from, const Layout& to)
      : shape_(type.shape),
        from_(type, from),
        to_(type, to),
        padded_(to.bytes(type) != type.bytes() ? to.bytes(type) : 0) {}

  void run(const LaunchArguments& arguments) override {
    T* to = static_cast<T*>(arguments.outputs[0]);
    if (padded_) std::memset(to, 0, padded_);
    move(0, static_cast<const T*>(arguments.inputs[0]), to);
  }

 private:
  void move(int axis, const T* from, T* to) const {
    if (axis == shape_.rank()) {
      *to = *from;
      return;
    }
    const auto &from_terms = from_[axis], &to_terms = to_[axis];
    const std::int64_t extent = shape_[axis];
    if (axis + 1 == shape_.rank()) {
      for (std::int64_t i = 0; i < extent; ++i) to[to_terms[i]] = from[from_terms[i]];
    } else {
      for (std::int64_t i = 0; i < extent; ++i) move(axis + 1, from + from_terms[i], to + to_terms[i]);
    }
  }

  Shape shape_;
  Tables from_, to_;
  std::size_t padded_;
};

std::unique_ptr<Launch> table_launch(const TensorType& type, const Layout& from, const Layout& to) {
  switch (size_bytes(type.dtype)) {
    case 1:
      return std::make_unique<TableLaunch<std::uint8_t>>(type, from, to);
    case 2:
      return std::make_unique<TableLaunch<std::uint16_t>>(type, from, to);
    case 4:
      return std::make_unique<TableLaunch<std::uint32_t>>(type, from, to);
    default:
      return std::make_unique<TableLaunch<std::uint64_t>>(type, from, to);
  }
}

class ReorderKernel final : public Kernel {
 public:
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    const auto& [from, to] = layouts(request);
    const TensorType& type = *request.inputs[0];
    KernelPlan plan = KernelPlan::row_major(request, "copy");
    plan.inputs[0] = from;
    plan.outputs[0] = to;
    if (from == to) return plan;
    plan.implementation = "tables";
    const bool real = type.dtype == DType::f32 || type.dtype == DType::bf16;
    const auto operation =
        real && Desc::supports(type) ? reorder(Desc::of(type, from), Desc::of(type, to)) : std::nullopt;
    if (operation) {
      plan.implementation = "onednn:" + operation->implementation();
      plan.workspace_bytes = operation->workspace_bytes();
      plan.detail = std::make_shared<const Operation>(*operation);
    }
    return plan;
  }

  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) const override {
    const TensorType& type = *request.inputs[0];
    const auto& [from, to] = layouts(request);
    if (from == to) return std::make_unique<CopyLaunch>(from.bytes(type), request.threads);
    if (!plan.detail) return table_launch(type, from, to);
    return launch(*static_cast<const Operation*>(plan.detail.get()),
                  {{Role::source, Binding::From::input, 0}, {Role::destination, Binding::From::output, 0}});
  }

 private:
  static std::pair<const Layout&, const Layout&> layouts(const KernelRequest& request) {
    const auto& attributes = as<ReorderAttributes>(*request.attributes);
    return {attributes.from, attributes.to};
  }
};

const RegisterKernel<ReorderKernel> registered{"reorder", "cpu", priority::library, "onednn"};

}  // namespace
}  // namespace trainctl::onednn
