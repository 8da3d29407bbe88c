// What cuDNN plans for convolutions on GPUs that are only described: no GPU is needed, and nothing is run. The figures
// are public ones; of those that only name a device cuDNN makes no use.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "device/kernel.h"
#include "kernels/cuda/cudnn.h"
#include "ops/conv2d.h"
#include "program/place_states.h"
#include "program/plan.h"
#include "schema/resolve.h"
#include "source_dir.h"
#include "train/blueprint.h"

using namespace trainctl;
namespace dnn = trainctl::cuda::dnn;

namespace {

struct DescribedGpu {
  const char* name;
  int sm, multiprocessors, shared_bytes, l2_bytes, sm_khz, memory_khz;
  std::int64_t memory_bytes;

  std::string properties() const {
    return fmt::format(
        R"({{"deviceName": "{}", "deviceVer": {}, "driverVer": 13000, "cudaDeviceId": 0, "pciDeviceId": 0, )"
        R"("isTccDriver": 0, "supportCoopLaunch": 1, "warpSize": 32, "regsPerBlock": 65536, "maxRegistersPerSM": 65536, )"
        R"("maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64], "maxThreadsPerBlock": 1024, )"
        R"("maxThreadsPerSM": 2048, "maxCtasPerSM": 32, "maxSharedMemoryPerBlock": 49152, )"
        R"("reservedSharedMemoryPerBlock": 1024, "multiProcessorCount": {}, "maxSharedMemoryPerBlockOptin": {}, )"
        R"("l2CacheSize": {}, "smClockRateKHz": {}, "memClockRateKHz": {}, "totalGlobalMem": {}}})",
        name, sm, multiprocessors, shared_bytes, l2_bytes, sm_khz, memory_khz, memory_bytes);
  }
};
constexpr DescribedGpu gpus[] = {
    {"NVIDIA H200", 900, 132, 227 << 10, 50 << 20, 1980000, 3201000, 150'000'000'000},
    {"NVIDIA A100-SXM4-80GB", 800, 108, 163 << 10, 40 << 20, 1410000, 1593000, 85'000'000'000},
};

constexpr Precision precisions[] = {Precision::fp32, Precision::tf32, Precision::bf16};

std::string name_of(Precision precision) {
  return std::string(EnumNames<Precision>::names[static_cast<int>(precision)].name);
}

PlanOptions options_for(Precision precision) {
  return {.device = "cuda", .tf32 = precision == Precision::tf32, .concurrent = true};
}

bool is_convolution(const PlannedStep& step) {
  return step.op->name().starts_with("conv2d");
}

/// "conv2d (128, 1, 28, 28) -> (128, 6, 28, 28)": the operands of a step that decide what is computed.
std::string text_of(const Plan& plan, const PlannedStep& step) {
  std::string text(step.op->name());
  for (const int input : step.inputs) text += input < 0 ? " -" : " " + plan.tensors[input].type.text();
  return text + " -> " + plan.tensors[step.outputs[0]].type.text();
}

/// Whether a reorder does what has to be done: casts parameters, and moves the images of the data set, which lie row by
/// row, and what is flattened, channel by channel.
bool is_needed(const Plan& plan, const PlannedStep& reorder) {
  const PlacedTensor &from = plan.tensors[reorder.inputs[0]], &to = plan.tensors[reorder.outputs[0]];
  if (from.layout.same_places(from.type.shape, to.layout)) return true;
  const bool flattened = from.type.shape == Shape{128, 64, 7, 7};
  return flattened || from.type.shape[1] == 3;
}

/// Launches of which each waits for the one before.
int longest_chain(const Plan& plan) {
  std::vector<int> length;
  for (const PlannedStep& step : plan.steps) {
    int before = 0;
    for (const int earlier : step.after) before = std::max(before, length[static_cast<std::size_t>(earlier)]);
    length.push_back(before + 1);
  }
  return length.empty() ? 0 : *std::ranges::max_element(length);
}

/// Checks every convolution of a program, and that activations are not reordered.
void check_program(const Plan& plan, Precision precision, std::map<std::string, std::string>& table) {
  for (const PlannedStep& step : plan.steps) {
    const std::string text = text_of(plan, step);
    CAPTURE(text);
    if (step.op->name() == "reorder") {
      INFO(plan.storages[plan.tensors[step.inputs[0]].storage].name);
      CHECK_MESSAGE(is_needed(plan, step), "what lies as it is read is reordered");
    }
    if (!is_convolution(step)) continue;
    table[text] = fmt::format("{} {}", step.kernel->name, step.plan.implementation);
    if (step.kernel->priority == priority::specialised) continue;
    CHECK(step.kernel->name == "cudnn");
    const Shape& shape = plan.tensors[step.outputs[0]].type.shape;
    const bool two_layouts = shape[1] > 1 && shape[2] * shape[3] > 1;
    if (two_layouts) CHECK((step.plan.outputs[0] == Layout("acdb")) == (precision != Precision::fp32));
    if (step.op->name() == "conv2d" && step.inputs.size() > 2 && step.inputs[2] >= 0)
      CHECK(step.plan.implementation.find("fused_") != std::string::npos);
  }
}

void check_work(const std::string& work, Precision precision, std::int64_t batch) {
  const auto config = test::source_dir() / "configs" / "bench" / (work + ".yaml");
  std::vector<std::string> set{fmt::format("data.train.batch_size={}", batch)};
  // Images of the same shape, so that the data themselves need not be here.
  if (work != "resnet18")
    set.emplace_back(
        "data.train.dataset={type: synthetic, task: images, samples: 60000, shape: [1, 28, 28], classes: 10}");
  ExperimentSpec spec = parse<ExperimentSpec>(load_spec(config, {.set = std::move(set), .unset = {}}));
  spec.trainer.precision = precision;
  Blueprint blueprint(spec, {{"train", spec.data.train.dataset->describe()}});
  const auto plan_all = [&] {
    std::vector<Plan> plans;
    for (const ProgramKey& key : blueprint.programs())
      plans.push_back(plan_program(*blueprint.build(key), options_for(precision)));
    return plans;
  };
  std::vector<Plan> plans = plan_all();
  const std::size_t before = plans[0].steps.size();
  if (place_states(blueprint.state(), {plans.begin(), plans.end()})) plans = plan_all();
  MESSAGE(work, " ", name_of(precision), ": ", plans[0].steps.size(), " launches, ", longest_chain(plans[0]),
          " in a row; ", before, " if all weights lay row-major");
  std::map<std::string, std::string> table;
  for (const Plan& plan : plans) check_program(plan, precision, table);
  CHECK(!table.empty());
  for (const auto& [text, implementation] : table)
    MESSAGE(work, " ", name_of(precision), ": ", text, ": ", implementation);
}

/// A convolution of images of `channels` x 32 x 32 to `outputs` channels, and the request that a graph makes of it.
class Requested {
 public:
  struct Problem {
    std::string_view op = "conv2d";
    Precision precision = Precision::bf16;
    std::int64_t channels = 64, outputs = 64, kernel = 3;
    std::array<std::int64_t, 2> stride{1, 1}, dilation{1, 1};
    std::array<std::int64_t, 4> padding{1, 1, 1, 1};
    bool bias = false, sum = false, relu = false;
  };

  explicit Requested(const Problem& p) {
    attributes_.stride = p.stride;
    attributes_.dilation = p.dilation;
    attributes_.padding = p.padding;
    attributes_.bias = p.bias;
    if (p.relu) attributes_.activation = {Activation::Kind::relu};
    const auto extent = [&](int axis) {
      const std::int64_t window = p.dilation[axis] * (p.kernel - 1) + 1;
      return (32 + p.padding[axis] + p.padding[axis + 2] - window) / p.stride[axis] + 1;
    };
    const DType dtype = p.precision == Precision::bf16 ? DType::bf16 : DType::f32;
    const TensorType x{dtype, {64, p.channels, 32, 32}};
    const TensorType w{DType::f32, {p.outputs, p.channels, p.kernel, p.kernel}};
    const TensorType y{dtype, {64, p.outputs, extent(0), extent(1)}};
    const TensorType b{DType::f32, {p.outputs}};
    if (p.op == "conv2d") {
      types_ = {x, w, b, y};
      inputs_ = {&types_[0], &types_[1]};
      if (p.bias || p.sum) inputs_.push_back(p.bias ? &types_[2] : nullptr);
      if (p.sum) inputs_.push_back(&types_[3]);
      outputs_ = {y};
    } else if (p.op == "conv2d_backward_data") {
      attributes_.input_shape = x.shape;
      types_ = {y, w};
      inputs_ = {&types_[0], &types_[1]};
      outputs_ = {x};
    } else {
      attributes_.weight_shape = w.shape;
      types_ = {x, y};
      inputs_ = {&types_[0], &types_[1]};
      outputs_ = {w};
      if (p.bias) outputs_.push_back(b);
    }
    layouts_.resize(inputs_.size());
    request_ = {.op = p.op,
                .attributes = &attributes_,
                .inputs = inputs_,
                .outputs = outputs_,
                .input_layouts = layouts_,
                .tf32 = p.precision == Precision::tf32};
  }

  /// What the kernel `cudnn` plans.
  std::optional<KernelPlan> plan(std::string_view chosen = {}, bool tune = false) {
    request_.chosen = chosen;
    request_.tune = tune;
    for (const auto* entry : KernelRegistry::instance().find(request_.op, "cuda")) {
      if (entry->name == "cudnn") return entry->kernel->plan(request_);
    }
    return std::nullopt;
  }
  std::string text() const { return fmt::format("{} {}", request_.op, attributes_.text()); }

 private:
  Conv2dAttributes attributes_;
  std::vector<TensorType> types_;
  std::vector<const TensorType*> inputs_;
  std::vector<TensorType> outputs_;
  std::vector<Layout> layouts_;
  KernelRequest request_;
};

constexpr std::string_view operations[] = {"conv2d", "conv2d_backward_data", "conv2d_backward_weights"};

}  // namespace

TEST_CASE("the works that speed is measured by get an engine for every convolution") {
  for (const DescribedGpu& gpu : gpus) {
    for (const Precision precision : precisions) {
      SUBCASE(fmt::format("{} {}", gpu.name, name_of(precision)).c_str()) {
        dnn::plan_for(dnn::Gpu(gpu.properties()));
        check_work("lenet", precision, 128);
        check_work("cnn", precision, 128);
        check_work("resnet18", precision, 512);
      }
    }
  }
}

TEST_CASE("strides, paddings, dilations and odd channels get an engine") {
  const Requested::Problem shapes[] = {
      {.stride = {2, 2}},
      {.stride = {2, 1}, .padding = {2, 0, 2, 0}},
      {.dilation = {2, 2}, .padding = {2, 2, 2, 2}},
      {.kernel = 1, .stride = {2, 2}, .padding = {}},
      {.kernel = 5, .padding = {}},
      {.channels = 3},
      {.channels = 1, .outputs = 7},
      {.channels = 6, .outputs = 16, .kernel = 5},
      {.channels = 256, .outputs = 8},
      {.bias = true},
      {.kernel = 7, .stride = {2, 2}, .padding = {3, 3, 3, 3}},
  };
  for (const DescribedGpu& gpu : gpus) {
    dnn::plan_for(dnn::Gpu(gpu.properties()));
    for (const Precision precision : precisions) {
      for (const std::string_view op : operations) {
        for (Requested::Problem problem : shapes) {
          problem.op = op;
          problem.precision = precision;
          Requested requested(problem);
          CAPTURE(gpu.name);
          CAPTURE(name_of(precision));
          CAPTURE(requested.text());
          const auto plan = requested.plan();
          REQUIRE(plan.has_value());
          CHECK(plan->workspace_bytes <= std::size_t{1} << 30);
        }
      }
    }
  }
}

TEST_CASE("what follows a convolution is taken along where there is a bias") {
  for (const DescribedGpu& gpu : gpus) {
    dnn::plan_for(dnn::Gpu(gpu.properties()));
    for (const Precision precision : precisions) {
      for (const bool bias : {false, true}) {
        for (const bool sum : {false, true}) {
          for (const bool relu : {false, true}) {
            Requested requested({.precision = precision, .bias = bias, .sum = sum, .relu = relu});
            CAPTURE(gpu.name);
            CAPTURE(name_of(precision));
            CAPTURE(requested.text());
            const auto plan = requested.plan();
            REQUIRE(plan.has_value());
            CHECK((plan->implementation.find("fused_") != std::string::npos) == bias);
            const bool narrow = bias && precision == Precision::bf16;
            CHECK((plan->input_dtypes.size() > 2 && plan->input_dtypes[2] == DType::bf16) == narrow);
          }
        }
      }
    }
  }
}

TEST_CASE("an engine is found again by its name, and others are named to be tried") {
  for (const DescribedGpu& gpu : gpus) {
    dnn::plan_for(dnn::Gpu(gpu.properties()));
    for (const std::string_view op : operations) {
      CAPTURE(op);
      Requested requested({.op = op});
      const auto first = requested.plan(), tried = requested.plan({}, true);
      REQUIRE((first && tried));
      CHECK(first->alternatives.empty());
      CHECK(first->implementation == tried->implementation);
      REQUIRE(tried->alternatives.size() == 5);
      CHECK(tried->alternatives.front() == first->implementation);
      for (const std::string& name : tried->alternatives) {
        const auto chosen = requested.plan(name, true);
        REQUIRE(chosen.has_value());
        CHECK(chosen->implementation == name);
        CHECK(chosen->inputs == first->inputs);
        CHECK(chosen->alternatives.empty());
      }
      const auto gone = requested.plan("cudnn:channels_last_eng9999_k1=2");
      REQUIRE(gone.has_value());
      CHECK(gone->implementation == first->implementation);
    }
  }
}
