#include "kernels/cpu/onednn/onednn.h"

#include <oneapi/dnnl/dnnl.hpp>

#include "base/error.h"
#include "kernels/cpu/onednn/memory_desc.h"

namespace trainctl::onednn {

struct Desc::Data {
  dnnl::memory::desc md;
};

struct Operation::Data {
  dnnl::primitive_desc_base base;
  std::shared_ptr<const void> keep;  ///< the typed primitive descriptor, for hints
  std::string implementation;
};

namespace {

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::stream& stream() {
  static dnnl::stream in_order(engine());
  return in_order;
}

Desc wrap(dnnl::memory::desc md) {
  return Desc(std::make_shared<const Desc::Data>(Desc::Data{std::move(md)}));
}

const dnnl::memory::desc& md_of(const Desc& desc) {
  static const dnnl::memory::desc none;
  return desc ? desc.data().md : none;
}

dnnl::primitive_attr attributes_of(const PostOps& post_ops) {
  using dnnl::algorithm;
  dnnl::post_ops list;
  if (post_ops.sum) list.append_sum();
  const float alpha = static_cast<float>(post_ops.activation.alpha);
  switch (post_ops.activation.kind) {
    case Activation::Kind::none:
      break;
    case Activation::Kind::relu:
      list.append_eltwise(1.0f, algorithm::eltwise_relu, 0.0f, 0.0f);
      break;
    case Activation::Kind::leaky_relu:
      list.append_eltwise(1.0f, algorithm::eltwise_relu, alpha, 0.0f);
      break;
    case Activation::Kind::elu:
      list.append_eltwise(1.0f, algorithm::eltwise_elu, alpha, 0.0f);
      break;
    case Activation::Kind::gelu:
      list.append_eltwise(1.0f, algorithm::eltwise_gelu_erf, 0.0f, 0.0f);
      break;
    case Activation::Kind::gelu_tanh:
      list.append_eltwise(1.0f, algorithm::eltwise_gelu_tanh, 0.0f, 0.0f);
      break;
    case Activation::Kind::silu:
      list.append_eltwise(1.0f, algorithm::eltwise_swish, 1.0f, 0.0f);
      break;
    case Activation::Kind::sigmoid:
      list.append_eltwise(1.0f, algorithm::eltwise_logistic, 0.0f, 0.0f);
      break;
    case Activation::Kind::tanh:
      list.append_eltwise(1.0f, algorithm::eltwise_tanh, 0.0f, 0.0f);
      break;
    case Activation::Kind::hardswish:
      list.append_eltwise(1.0f, algorithm::eltwise_hardswish, 1.0f / 6.0f, 0.5f);
      break;
    case Activation::Kind::softplus:
      list.append_eltwise(1.0f, algorithm::eltwise_soft_relu, alpha, 0.0f);
      break;
  }
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_post_ops(list);
  return attributes;
}

/// The first implementation on oneDNN's list if it is a fast one. `make` throws where there is none at all.
template <typename Make>
std::optional<Operation> chosen(Make make) {
  try {
    auto descriptor = std::make_shared<decltype(make())>(make());
    std::string implementation = descriptor->impl_info_str();
    // "ref:any", "gemm:ref": plain loops, hundreds of times slower.
    if (implementation.find("ref") != std::string::npos) return std::nullopt;
    return Operation(
        std::make_shared<const Operation::Data>(Operation::Data{*descriptor, descriptor, std::move(implementation)}));
  } catch (const dnnl::error&) {
    return std::nullopt;
  }
}

/// The geometry of a convolution in oneDNN's terms; its dilation counts the gaps.
struct Geometry {
  dnnl::memory::dims strides, gaps, before, after;
  explicit Geometry(const Conv2dAttributes& a)
      : strides{a.stride[0], a.stride[1]},
        gaps{a.dilation[0] - 1, a.dilation[1] - 1},
        before{a.padding[0], a.padding[1]},
        after{a.padding[2], a.padding[3]} {}
};

using ForwardDescriptor = dnnl::convolution_forward::primitive_desc;

const ForwardDescriptor& hint(const Operation& forward) {
  return *static_cast<const ForwardDescriptor*>(forward.data().keep.get());
}

dnnl::algorithm dnnl_algorithm_of(Algorithm algorithm) {
  return algorithm == Algorithm::winograd ? dnnl::algorithm::convolution_winograd : dnnl::algorithm::convolution_direct;
}

int argument(Role role) {
  switch (role) {
    case Role::source:
      return DNNL_ARG_SRC;
    case Role::weights:
      return DNNL_ARG_WEIGHTS;
    case Role::bias:
      return DNNL_ARG_BIAS;
    case Role::destination:
      return DNNL_ARG_DST;
    case Role::source_gradient:
      return DNNL_ARG_DIFF_SRC;
    case Role::weights_gradient:
      return DNNL_ARG_DIFF_WEIGHTS;
    case Role::bias_gradient:
      return DNNL_ARG_DIFF_BIAS;
    case Role::destination_gradient:
      return DNNL_ARG_DIFF_DST;
  }
  return 0;
}

void check(dnnl_status_t status) {
  require(status == dnnl_success, "oneDNN refused to run a primitive that it had made");
}

}  // namespace

bool Desc::supports(const TensorType& type) {
  return data_type(type.dtype).has_value() && type.shape.rank() >= 1;
}

Desc Desc::any(const TensorType& type) {
  return wrap(dnnl::memory::desc(dims_of(type.shape), *data_type(type.dtype), dnnl::memory::format_tag::any));
}

Desc Desc::of(const TensorType& type, const Layout& layout) {
  return wrap(described(type, layout));
}

Desc Desc::transposed(const TensorType& type) {
  return wrap(dnnl::memory::desc(dims_of(type.shape), *data_type(type.dtype), dnnl::memory::dims{1, type.shape[0]}));
}

std::optional<Layout> Desc::layout(const Shape& shape) const {
  return layout_of(md_of(*this), shape);
}

const std::string& Operation::implementation() const {
  return data_->implementation;
}
std::size_t Operation::workspace_bytes() const {
  return data_->base.scratchpad_desc().get_size();
}
Desc Operation::desc(Role role) const {
  return wrap(data_->base.query_md(dnnl::query::exec_arg_md, argument(role)));
}

std::optional<Operation> matmul(const Desc& x, const Desc& w, const Desc& bias, const Desc& y,
                                const PostOps& post_ops) {
  return chosen([&] {
    const dnnl::matmul::desc operation = bias ? dnnl::matmul::desc(md_of(x), md_of(w), md_of(bias), md_of(y))
                                              : dnnl::matmul::desc(md_of(x), md_of(w), md_of(y));
    return dnnl::matmul::primitive_desc(operation, attributes_of(post_ops), engine());
  });
}

std::optional<Operation> convolution(Algorithm algorithm, const Conv2dAttributes& attributes, const Desc& x,
                                     const Desc& w, const Desc& bias, const Desc& y, const PostOps& post_ops) {
  return chosen([&] {
    const Geometry g(attributes);
    const dnnl::convolution_forward::desc operation(dnnl::prop_kind::forward_training, dnnl_algorithm_of(algorithm),
                                                    md_of(x), md_of(w), md_of(bias), md_of(y), g.strides, g.gaps,
                                                    g.before, g.after);
    return ForwardDescriptor(operation, attributes_of(post_ops), engine());
  });
}

std::optional<Operation> convolution_backward_data(Algorithm algorithm, const Conv2dAttributes& attributes,
                                                   const Desc& dx, const Desc& w, const Desc& dy,
                                                   const Operation& forward) {
  return chosen([&] {
    const Geometry g(attributes);
    const dnnl::convolution_backward_data::desc operation(dnnl_algorithm_of(algorithm), md_of(dx), md_of(w), md_of(dy),
                                                          g.strides, g.gaps, g.before, g.after);
    return dnnl::convolution_backward_data::primitive_desc(operation, attributes_of({}), engine(), hint(forward));
  });
}

std::optional<Operation> convolution_backward_weights(Algorithm algorithm, const Conv2dAttributes& attributes,
                                                      const Desc& x, const Desc& dw, const Desc& db, const Desc& dy,
                                                      const Operation& forward) {
  return chosen([&] {
    const Geometry g(attributes);
    const dnnl::convolution_backward_weights::desc operation(
        dnnl_algorithm_of(algorithm), md_of(x), md_of(dw), md_of(db), md_of(dy), g.strides, g.gaps, g.before, g.after);
    return dnnl::convolution_backward_weights::primitive_desc(operation, attributes_of({}), engine(), hint(forward));
  });
}

std::optional<Operation> reorder(const Desc& from, const Desc& to) {
  return chosen(
      [&] { return dnnl::reorder::primitive_desc(engine(), md_of(from), engine(), md_of(to), attributes_of({})); });
}

struct Primitive::State {
  struct Operand {
    Binding binding;
    dnnl::memory memory;
    void* address = nullptr;
  };
  dnnl::primitive primitive;
  dnnl::stream stream = onednn::stream();
  std::vector<Operand> operands;
  dnnl::memory scratchpad;
  void* scratchpad_address = nullptr;
  std::vector<dnnl_exec_arg_t> arguments;
};

Primitive::Primitive(const Operation& operation, std::vector<Binding> bindings) : state_(std::make_unique<State>()) {
  state_->primitive = dnnl::primitive(operation.data().base.get());
  for (const Binding& binding : bindings) {
    const dnnl::memory memory(md_of(operation.desc(binding.role)), engine(), DNNL_MEMORY_NONE);
    state_->operands.push_back({binding, memory});
    state_->arguments.push_back({argument(binding.role), memory.get()});
  }
  state_->scratchpad = dnnl::memory(operation.data().base.scratchpad_desc(), engine(), DNNL_MEMORY_NONE);
  state_->arguments.push_back({DNNL_ARG_SCRATCHPAD, state_->scratchpad.get()});
}

Primitive::Primitive(Primitive&&) noexcept = default;
Primitive::~Primitive() = default;

void Primitive::run(const LaunchArguments& arguments) {
  // Addresses are set only when they change: setting one zeroes the padding of the memory behind it, which costs time.
  const dnnl_stream_t stream = state_->stream.get();
  const auto place = [stream](dnnl::memory& memory, void*& known, void* address) {
    if (known == address) return;
    check(dnnl_memory_set_data_handle_v2(memory.get(), address, stream));
    known = address;
  };
  for (State::Operand& operand : state_->operands) {
    void* const* addresses = operand.binding.from == Binding::From::input ? arguments.inputs : arguments.outputs;
    place(operand.memory, operand.address, addresses[operand.binding.index]);
  }
  place(state_->scratchpad, state_->scratchpad_address, arguments.workspace);
  check(dnnl_primitive_execute(state_->primitive.get(), stream, static_cast<int>(state_->arguments.size()),
                               state_->arguments.data()));
}

std::unique_ptr<Launch> launch(const Operation& operation, std::vector<Binding> bindings) {
  class PrimitiveLaunch final : public Launch {
   public:
    explicit PrimitiveLaunch(Primitive primitive) : primitive_(std::move(primitive)) {}
    void run(const LaunchArguments& arguments) override { primitive_.run(arguments); }

   private:
    Primitive primitive_;
  };
  return std::make_unique<PrimitiveLaunch>(Primitive(operation, std::move(bindings)));
}

}  // namespace trainctl::onednn
