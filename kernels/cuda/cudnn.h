// cuDNN's graph API: descriptors, graphs of operations on images, and the search for an engine that runs one.
#pragma once

#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device/types.h"
#include "ops/conv2d.h"

namespace trainctl::cuda::dnn {

/// Throws an Error with cuDNN's own last message unless `status` is success.
void check(cudnnStatus_t status, const char* what);

/// A backend descriptor, destroyed with this object. Setters and finalize() throw an Error where cuDNN refuses.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type);
  Descriptor(Descriptor&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Descriptor();

  cudnnBackendDescriptor_t handle() const { return handle_; }
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count, const void* values);
  void set(cudnnBackendAttributeName_t name, std::int64_t value) { set(name, CUDNN_TYPE_INT64, 1, &value); }
  void set(cudnnBackendAttributeName_t name, std::span<const std::int64_t> values) {
    set(name, CUDNN_TYPE_INT64, static_cast<std::int64_t>(values.size()), values.data());
  }
  void set(cudnnBackendAttributeName_t name, cudnnDataType_t value) { set(name, CUDNN_TYPE_DATA_TYPE, 1, &value); }
  void set(cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
  }
  void finalize();
  /// Whether cuDNN accepted what was set.
  bool try_finalize();

  /// Reads up to `count` values; returns how many there are.
  std::int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
                   void* values) const;
  std::int64_t get_integer(cudnnBackendAttributeName_t name) const;
  /// The descriptors that an attribute holds, `most` of them.
  std::vector<Descriptor> get_descriptors(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type,
                                          std::int64_t most) const;

 private:
  cudnnBackendDescriptor_t handle_ = nullptr;
};

/// A GPU that plans are made for: the one at hand, or one that is described.
class Gpu {
 public:
  /// By its properties in the JSON text that CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION takes. Plans for it tell what
  /// would be chosen there, and cannot be run.
  explicit Gpu(std::string properties);

  /// Makes a graph, its heuristics or a plan one for this GPU.
  void set_in_graph(Descriptor& graph) const;
  void set_in_heuristics(Descriptor& heuristics) const;
  void set_in_plan(Descriptor& plan) const;

  /// What it was described by; empty for the one at hand.
  const std::string& properties() const { return properties_; }
  /// For running; null where it is only described.
  cudnnHandle_t handle() const { return handle_; }

 private:
  friend const Gpu* gpu();
  explicit Gpu(cudnnHandle_t handle) : handle_(handle) {}

  std::string properties_;
  std::optional<Descriptor> described_;
  cudnnHandle_t handle_ = nullptr;
};

/// The GPU that is planned for: the one at hand, unless plan_for() named another. Null where there is none, or where
/// cuDNN does not start, the reason of which is told once.
const Gpu* gpu();
void plan_for(Gpu described);

/// Extents or strides of (N, C, H, W).
using Extents = std::array<std::int64_t, 4>;
enum class Convolution : std::uint8_t { forward, backward_data, backward_weights };

/// Operations on tensors, in order. Owns all that they refer to.
class Graph {
 public:
  using Tensor = cudnnBackendDescriptor_t;
  /// A tensor in memory at a multiple of 16 bytes, known by `id` when the graph is run.
  Tensor tensor(std::int64_t id, DType dtype, const Extents& extents, const Extents& strides);
  /// An f32 tensor that one operation gives to the next.
  Tensor intermediate(const Extents& extents, const Extents& strides);
  /// One of x, w and y is the result, the others are operands. Products are summed in f32.
  void convolve(Convolution operation, const Conv2dAttributes& attributes, Tensor x, Tensor w, Tensor y);
  void add(Tensor a, Tensor b, Tensor y);
  /// y = max(x, 0); NaN stays.
  void relu(Tensor x, Tensor y);

 private:
  friend class ExecutionPlan;
  Descriptor& keep(Descriptor descriptor);
  Tensor describe(std::int64_t id, cudnnDataType_t type, const Extents& extents, const Extents& strides,
                  bool in_memory);

  std::vector<std::unique_ptr<Descriptor>> owned_;
  std::vector<cudnnBackendDescriptor_t> operations_;
  std::int64_t intermediates_ = 0;
};

/// Which engines may be used. Those that are compiled when a plan is made are not: each takes up to a second at every
/// start, and NVRTC.
struct Rules {
  /// preferred: others only where no engine has them. What has neither channels in eights nor a workspace to fill them
  /// up is better left to the heuristics.
  enum class TensorCores : std::uint8_t { none, allowed, preferred };
  bool deterministic = true;
  TensorCores tensor_cores = TensorCores::none;
  bool fast_math = false;  ///< Winograd's algorithm and Fourier transforms
};

/// A graph with the engine that runs it.
class ExecutionPlan {
 public:
  /// Which of the plans for a graph are wanted: the first ones, or the one of that name.
  struct Wanted {
    std::size_t most = 1;
    std::string_view name = {};
  };
  /// Plans by engines that keep the rules and need less than 1 GiB of workspace, in the order of cuDNN's heuristics.
  /// Throws an Error where cuDNN refuses the graph as such.
  static std::vector<std::shared_ptr<const ExecutionPlan>> find(Graph graph, const Rules& rules, const Gpu& gpu,
                                                                const Wanted& wanted);

  std::size_t workspace_bytes() const { return workspace_bytes_; }
  /// "eng3_k2=1_k6=0": the engine's index and its knobs.
  const std::string& name() const { return name_; }
  /// Enqueues it. Tensor ids[i] is at addresses[i].
  void run(std::span<const std::int64_t> ids, std::span<void* const> addresses, void* workspace,
           cudaStream_t stream) const;

 private:
  ExecutionPlan(std::shared_ptr<const Graph> graph, Descriptor configuration, Descriptor plan, std::string name);

  std::shared_ptr<const Graph> graph_;
  Descriptor configuration_;
  Descriptor plan_;
  std::size_t workspace_bytes_ = 0;
  std::string name_;
};

}  // namespace trainctl::cuda::dnn
