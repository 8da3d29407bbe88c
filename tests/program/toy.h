// A toy device with ops of its own, for testing plans and programs without any real kernel.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device/device.h"
#include "graph/builder.h"
#include "graph/builtin.h"
#include "graph/op.h"
#include "worst_order.h"

namespace toy {

using namespace trainctl;

/// Memory from the heap, zeroed. Launches run in the worst order that `after` allows.
class ToyDevice : public Device {
 public:
  explicit ToyDevice(int most_runs = 1) : most_runs_(most_runs) {}
  /// How many launches each replay that was run has had.
  std::vector<std::size_t> replayed;

  std::string_view name() const override { return "toy"; }
  std::string description() const override { return "toy"; }
  void* allocate(std::size_t bytes) override {
    return std::memset(::operator new(bytes, std::align_val_t(64)), 0, bytes);
  }
  void release(void* memory) noexcept override { ::operator delete(memory, std::align_val_t(64)); }
  void do_upload(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void do_download(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void do_synchronize() override {}
  int most_runs() const override { return most_runs_; }
  std::unique_ptr<Replay> record(std::vector<BoundLaunch> launches) override {
    struct Loop final : Replay {
      ToyDevice& device;
      std::vector<BoundLaunch> launches;
      Loop(ToyDevice& on, std::vector<BoundLaunch> all) : device(on), launches(std::move(all)) {}
      void run() override {
        device.replayed.push_back(launches.size());
        test::in_worst_order(launches, [&](std::size_t i) { launches[i].launch->run(launches[i].arguments); });
      }
    };
    return std::make_unique<Loop>(*this, std::move(launches));
  }

 private:
  int most_runs_;
};

/// Of one or two operands of any shape, element by element.
class Elementwise : public Op {
 public:
  std::vector<TensorType> infer(const Attributes&, InputTypes inputs) const override { return {*inputs[0]}; }
  void reference(const Attributes&, std::span<const RefTensor* const> inputs,
                 std::span<RefTensor> outputs) const override {
    for (std::int64_t i = 0; i < outputs[0].size(); ++i)
      outputs[0][i] = element((*inputs[0])[i], inputs.size() > 1 ? (*inputs[1])[i] : 0.0);
  }
  virtual double element(double a, double b) const = 0;
};

/// 2 a + b.
class Axpy final : public Elementwise {
 public:
  std::string_view name() const override { return "toy_axpy"; }
  double element(double a, double b) const override { return 2.0 * a + b; }
};

/// a + 1; its kernel wants the last two axes swapped in memory: stands for a convolution in a blocked layout.
class Swapped final : public Elementwise {
 public:
  std::string_view name() const override { return "toy_swapped"; }
  double element(double a, double) const override { return a + 1.0; }
};

/// a + b and a - b; its kernel can leave each in the place of a or b: stands for gradients of which one may be unread.
class Both final : public Op {
 public:
  std::string_view name() const override { return "toy_both"; }
  std::vector<TensorType> infer(const Attributes&, InputTypes inputs) const override {
    return {*inputs[0], *inputs[0]};
  }
  void reference(const Attributes&, std::span<const RefTensor* const> inputs,
                 std::span<RefTensor> outputs) const override {
    for (std::int64_t i = 0; i < outputs[0].size(); ++i) {
      outputs[0][i] = (*inputs[0])[i] + (*inputs[1])[i];
      outputs[1][i] = (*inputs[0])[i] - (*inputs[1])[i];
    }
  }
};

/// Calls visit(offset in layout a, offset in layout b) for every element.
template <typename Visit>
void for_each_element(const TensorType& type, const Layout& a, const Layout& b, Visit visit) {
  std::int64_t index[Shape::max_rank]{};
  for (std::int64_t n = type.elements(); n-- > 0;) {
    visit(a.offset(type, index), b.offset(type, index));
    for (int axis = type.shape.rank(); axis-- > 0;) {
      if (++index[axis] < type.shape[axis]) break;
      index[axis] = 0;
    }
  }
}

class Call final : public Launch {
 public:
  Call(TensorType type, Layout in, Layout out, int op)
      : type_(type), in_(std::move(in)), out_(std::move(out)), op_(op) {}
  void run(const LaunchArguments& arguments) override {
    const auto* a = static_cast<const float*>(arguments.inputs[0]);
    const auto* b = op_ == 0 ? static_cast<const float*>(arguments.inputs[1]) : nullptr;
    auto* y = static_cast<float*>(arguments.outputs[0]);
    for_each_element(type_, in_, out_, [&](std::size_t from, std::size_t to) {
      y[to] = op_ == 0 ? 2.0f * a[from] + b[from] : op_ == 1 ? a[from] + 1.0f : a[from];
    });
  }

 private:
  TensorType type_;
  Layout in_, out_;
  int op_;
};

/// a + 1; its kernel can leave the result in either layout: stands for the loading of a batch.
class Free final : public Elementwise {
 public:
  std::string_view name() const override { return "toy_free"; }
  double element(double a, double) const override { return a + 1.0; }
};

/// a + b; its kernel wants b as bf16: stands for a product in half precision.
class Narrow final : public Elementwise {
 public:
  std::string_view name() const override { return "toy_narrow"; }
  double element(double a, double b) const override { return a + b; }
};

/// a - b; its kernel can leave a bf16 copy: stands for an optimizer.
class Descend final : public Elementwise {
 public:
  std::string_view name() const override { return "toy_descend"; }
  double element(double a, double b) const override { return a - b; }
};

/// The upper half of a float: bf16, rounded towards zero.
inline std::uint16_t narrow(float value) {
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16);
}
inline float widen(std::uint16_t value) {
  return std::bit_cast<float>(std::uint32_t{value} << 16);
}

template <typename T>
T* elements(void* memory) {
  return static_cast<T*>(memory);
}

/// A launch of a function.
class Work final : public Launch {
 public:
  explicit Work(std::function<void(const LaunchArguments&)> function) : function_(std::move(function)) {}
  void run(const LaunchArguments& arguments) override { function_(arguments); }

 private:
  std::function<void(const LaunchArguments&)> function_;
};

struct NarrowKernel final : Kernel {
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    auto plan = KernelPlan::row_major(request, "toy");
    plan.input_dtypes = {std::nullopt, DType::bf16};
    return plan;
  }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) const override {
    return std::make_unique<Work>([count = request.outputs[0].elements()](const LaunchArguments& a) {
      const auto* x = elements<float>(a.inputs[0]);
      const auto* w = elements<std::uint16_t>(a.inputs[1]);
      for (std::int64_t i = 0; i < count; ++i) elements<float>(a.outputs[0])[i] = x[i] + widen(w[i]);
    });
  }
};

struct DescendKernel final : Kernel {
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    auto plan = KernelPlan::row_major(request, "toy");
    plan.in_place = {{0, 0}};
    plan.bf16_copy = KernelPlan::Bf16Copy::offered;
    return plan;
  }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) const override {
    const bool copies = plan.bf16_copy == KernelPlan::Bf16Copy::wanted;
    return std::make_unique<Work>([count = request.outputs[0].elements(), copies](const LaunchArguments& a) {
      for (std::int64_t i = 0; i < count; ++i) {
        float& updated = elements<float>(a.outputs[0])[i];
        updated = elements<float>(a.inputs[0])[i] - elements<float>(a.inputs[1])[i];
        if (copies) elements<std::uint16_t>(a.outputs[1])[i] = narrow(updated);
      }
    });
  }
};

struct AxpyKernel final : Kernel {
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    auto plan = KernelPlan::row_major(request, "toy");
    plan.in_place = {{0, 0}, {0, 1}};
    return plan;
  }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) const override {
    return std::make_unique<Call>(request.outputs[0], Layout(), Layout(), 0);
  }
};

struct BothKernel final : Kernel {
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    auto plan = KernelPlan::row_major(request, "toy");
    plan.in_place = {{0, 0}, {1, 0}, {1, 1}, {0, 1}};
    return plan;
  }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan&) const override {
    return std::make_unique<Work>([count = request.outputs[0].elements()](const LaunchArguments& arguments) {
      for (std::int64_t i = 0; i < count; ++i) {
        const float a = elements<float>(arguments.inputs[0])[i], b = elements<float>(arguments.inputs[1])[i];
        elements<float>(arguments.outputs[1])[i] = a - b;
        elements<float>(arguments.outputs[0])[i] = a + b;
      }
    });
  }
};

struct SwappedKernel final : Kernel {
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    auto plan = KernelPlan::row_major(request, "toy");
    if (request.outputs[0].shape.rank() == 2) plan.inputs[0] = plan.outputs[0] = Layout("ba");
    return plan;
  }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) const override {
    return std::make_unique<Call>(request.outputs[0], plan.inputs[0], plan.outputs[0], 1);
  }
};

struct FreeKernel final : Kernel {
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    auto plan = KernelPlan::row_major(request, "toy");
    plan.other_layouts = {Layout("ba")};
    return plan;
  }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) const override {
    return std::make_unique<Call>(request.outputs[0], Layout(), plan.outputs[0], 1);
  }
};

struct ReorderKernel final : Kernel {
  static inline int casts_run = 0;
  std::optional<KernelPlan> plan(const KernelRequest& request) const override {
    const auto& reorder = as<ReorderAttributes>(*request.attributes);
    auto plan = KernelPlan::row_major(request, "toy");
    plan.inputs[0] = reorder.from;
    plan.outputs[0] = reorder.to;
    return plan;
  }
  std::unique_ptr<Launch> prepare(const KernelRequest& request, const KernelPlan& plan) const override {
    if (request.outputs[0].dtype == DType::bf16) {
      const std::int64_t count = request.outputs[0].elements();
      return std::make_unique<Work>([count](const LaunchArguments& a) {
        ++casts_run;
        for (std::int64_t i = 0; i < count; ++i)
          elements<std::uint16_t>(a.outputs[0])[i] = narrow(elements<float>(a.inputs[0])[i]);
      });
    }
    return std::make_unique<Call>(request.outputs[0], plan.inputs[0], plan.outputs[0], 2);
  }
};

}  // namespace toy
