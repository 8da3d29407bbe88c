// gather, convert, normalize, random_crop, random_flip, cutout, and load_images, which is all of them in one launch.
#include "ops/image.h"

#include "kernels/cuda/elements.cuh"
#include "ops/random.h"

namespace trainctl::cuda {
namespace {

constexpr int threads = 256;

/// Rows order[position ...] of data; `row` and `total` count units.
template <typename Unit, typename Index>
__global__ void gather_kernel(const Unit* data, const std::int32_t* order, const std::int64_t* position, Unit* rows,
                              Index row, Index total) {
  const std::int32_t* taken = order + *position;
  const Index stride = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < total; i += stride) {
    const Index o = i / row;
    rows[i] = data[static_cast<std::size_t>(taken[o]) * row + (i - o * row)];
  }
}

/// x / divisor in the precision of Number.
template <typename Number>
struct Divide {
  Number divisor;
  __device__ Number operator()(const Number (&x)[1], std::int64_t) const { return x[0] / divisor; }
};

/// (x - mean[c]) / deviation[c] where the elements of a channel are `inner` together.
template <typename Index>
struct Normalize {
  static constexpr int most_channels = 256;
  Index inner, channels;
  float mean[most_channels], deviation[most_channels];
  __device__ float operator()(const float (&x)[1], std::int64_t element) const {
    const Index c = channels == 1 ? 0 : static_cast<Index>(element) / inner % channels;
    return (x[0] - mean[c]) / deviation[c];
  }
};

/// One thing that happens to the images of a batch.
struct Stage {
  static constexpr int most_channels = 4;
  enum class Kind : int { divide, normalize, crop, flip, cutout };
  Kind kind;
  bool by_channel;            ///< normalize: else entry 0 holds for all channels
  bool horizontal;            ///< flip
  int height, width;          ///< of what comes in
  int out_height, out_width;  ///< of what goes out
  int pad_height, pad_width;  ///< crop
  int size;                   ///< cutout
  float number;               ///< divisor, fill, or probability of a flip
  float mean[most_channels], deviation[most_channels];
  std::uint64_t stream;
};

struct Pipeline {
  static constexpr int most_stages = 8;
  int count;
  int channels, height, width;  ///< of the images that come in
  int out_height, out_width;    ///< of those that go out
  Stage stages[most_stages];
};

/// What a random stage drew for a sample: where its window or square begins in what comes in, or whether it flips.
struct Draw {
  int row, column;
  bool flips;
};

__device__ Draw draw_for(const Stage& stage, std::int64_t step, std::uint64_t sample) {
  switch (stage.kind) {
    case Stage::Kind::crop: {
      const RandomPlace place =
          random_place(stage.stream, step, sample, stage.height + 2 * stage.pad_height - stage.out_height + 1,
                       stage.width + 2 * stage.pad_width - stage.out_width + 1);
      return {static_cast<int>(place.row) - stage.pad_height, static_cast<int>(place.column) - stage.pad_width, false};
    }
    case Stage::Kind::cutout: {
      const RandomPlace centre = random_place(stage.stream, step, sample, stage.height, stage.width);
      return {static_cast<int>(centre.row) - stage.size / 2, static_cast<int>(centre.column) - stage.size / 2, false};
    }
    case Stage::Kind::flip:
      return {0, 0, random_flips(stage.stream, step, sample, stage.number)};
    default:
      return {0, 0, false};
  }
}

/// Pixel (c, i, j) of what comes out for an image: back through the stages to where its value comes from, which is the
/// image or a stage that fills, then forward again through what the stages after that do to values.
template <typename T>
__device__ float pixel(const Pipeline& pipeline, const Draw* draws, const T* image, int c, int i, int j) {
  bool filled = false;
  int from = pipeline.count;
  while (from > 0 && !filled) {
    const Stage& stage = pipeline.stages[--from];
    const Draw& draw = draws[from];
    if (stage.kind == Stage::Kind::crop) {
      i += draw.row;
      j += draw.column;
      filled = i < 0 || i >= stage.height || j < 0 || j >= stage.width;
    } else if (stage.kind == Stage::Kind::cutout) {
      filled = i >= draw.row && i < draw.row + stage.size && j >= draw.column && j < draw.column + stage.size;
    } else if (stage.kind == Stage::Kind::flip && draw.flips) {
      if (stage.horizontal)
        j = stage.width - 1 - j;
      else
        i = stage.height - 1 - i;
    }
  }
  // Where it was filled, by stage `from`, the stages after that follow.
  float value = filled ? pipeline.stages[from++].number
                       : static_cast<float>(image[(c * pipeline.height + i) * pipeline.width + j]);
  for (; from < pipeline.count; ++from) {
    const Stage& stage = pipeline.stages[from];
    if (stage.kind == Stage::Kind::divide) {
      value /= stage.number;
    } else if (stage.kind == Stage::Kind::normalize) {
      const int entry = stage.by_channel ? c : 0;
      value = (value - stage.mean[entry]) / stage.deviation[entry];
    }
  }
  return value;
}

constexpr int pixels_per_block = 4 * threads;

/// Each block does pixels_per_block numbers of one sample, `parts` blocks a sample. Without an order the batch is the
/// data. x and y may be one where the only stage is a cutout.
template <typename From, typename To>
__global__ void images_kernel(const __grid_constant__ Pipeline pipeline, const From* data, const std::int32_t* order,
                              const std::int64_t* position, const std::int64_t* step, To* y, unsigned parts,
                              bool channels_last) {
  __shared__ Draw draws[Pipeline::most_stages];
  const unsigned sample = blockIdx.x / parts, part = blockIdx.x % parts;
  const int stage = static_cast<int>(threadIdx.x);
  if (stage < pipeline.count) draws[stage] = draw_for(pipeline.stages[stage], step ? *step : 0, sample);
  __syncthreads();
  const std::int64_t row = order ? order[*position + sample] : static_cast<std::int64_t>(sample);
  const From* image = data + row * (static_cast<std::int64_t>(pipeline.channels) * pipeline.height * pipeline.width);
  const unsigned channels = pipeline.channels, width = pipeline.out_width, plane = pipeline.out_height * width,
                 size = channels * plane;
  To* out = y + static_cast<std::int64_t>(sample) * size;
  const unsigned end = min(size, (part + 1) * pixels_per_block);
  for (unsigned at = part * pixels_per_block + threadIdx.x; at < end; at += threads) {
    const unsigned unit = channels_last ? channels : plane, quotient = at / unit, rest = at - quotient * unit;
    const unsigned c = channels_last ? rest : quotient, in_plane = channels_last ? quotient : rest;
    const unsigned i = in_plane / width, j = in_plane - i * width;
    out[at] =
        static_cast<To>(pixel(pipeline, draws, image, static_cast<int>(c), static_cast<int>(i), static_cast<int>(j)));
  }
}

std::optional<KernelPlan> plan_gather(const KernelRequest& request) {
  return KernelPlan::row_major(request, "cuda");
}

std::unique_ptr<Launch> prepare_gather(const KernelRequest& request, const KernelPlan&) {
  const std::size_t bytes = request.outputs[0].bytes();
  const std::size_t row_bytes = bytes / static_cast<std::size_t>(request.outputs[0].shape[0]);
  return make_launch([=](const LaunchArguments& a) {
    with_unit(row_bytes | address(a.inputs[0]) | address(a.outputs[0]), [&](auto unit) {
      using Unit = decltype(unit);
      const auto total = static_cast<std::int64_t>(bytes / sizeof(Unit));
      with_index(total, [&](auto index) {
        using Index = decltype(index);
        gather_kernel<Unit, Index><<<grid(total, threads), threads, 0, stream_of(a)>>>(
            in<Unit>(a, 0), in<std::int32_t>(a, 1), in<std::int64_t>(a, 2), out<Unit>(a, 0),
            static_cast<Index>(row_bytes / sizeof(Unit)), static_cast<Index>(total));
      });
    });
  });
}

std::optional<KernelPlan> plan_convert(const KernelRequest& request) {
  if (request.outputs[0].dtype != DType::f32) return std::nullopt;
  KernelPlan plan = uniform_plan(request, shared_image_layout(request), "cuda");
  if (request.inputs[0]->dtype == DType::f32) plan.in_place = {{0, 0}};
  return plan;
}

template <typename T, typename Number>
std::unique_ptr<Launch> launch_convert(std::int64_t n, Number divisor) {
  return make_launch([=](const LaunchArguments& a) {
    map<Number>(Sources<T, 1>{{in<T>(a, 0)}}, out<float>(a, 0), n, Divide<Number>{divisor}, stream_of(a));
  });
}

std::unique_ptr<Launch> prepare_convert(const KernelRequest& request, const KernelPlan& plan) {
  const std::int64_t n = stored_elements(request, plan);
  const auto divisor = static_cast<float>(as<ConvertAttributes>(*request.attributes).divisor);
  switch (request.inputs[0]->dtype) {
    case DType::u8:
      return launch_convert<std::uint8_t>(n, divisor);
    case DType::bf16:
      return launch_convert<__nv_bfloat16>(n, divisor);
    case DType::i32:
      return launch_convert<std::int32_t, double>(n, divisor);
    case DType::i64:
      return launch_convert<std::int64_t, double>(n, divisor);
    case DType::f64:
      return launch_convert<double, double>(n, divisor);
    default:
      return launch_convert<float>(n, divisor);
  }
}

/// Whether all channels are normalised alike.
bool alike(const NormalizeAttributes& attributes) {
  return attributes.mean.size() == 1 && attributes.deviation.size() == 1;
}

void fill_in(const NormalizeAttributes& attributes, std::size_t channels, float* mean, float* deviation) {
  for (std::size_t c = 0; c < channels; ++c) {
    mean[c] = static_cast<float>(attributes.mean[attributes.mean.size() == 1 ? 0 : c]);
    deviation[c] = static_cast<float>(attributes.deviation[attributes.deviation.size() == 1 ? 0 : c]);
  }
}

std::optional<KernelPlan> plan_normalize(const KernelRequest& request) {
  const auto& attributes = as<NormalizeAttributes>(*request.attributes);
  if (!all_f32(request)) return std::nullopt;
  if (!alike(attributes) && request.outputs[0].shape[1] > Normalize<int>::most_channels) return std::nullopt;
  KernelPlan plan = uniform_plan(request, shared_image_layout(request), "cuda");
  plan.in_place = {{0, 0}};
  return plan;
}

std::unique_ptr<Launch> prepare_normalize(const KernelRequest& request, const KernelPlan& plan) {
  const auto& attributes = as<NormalizeAttributes>(*request.attributes);
  const Shape& shape = request.outputs[0].shape;
  const std::int64_t n = shape.elements();
  const std::int64_t channels = alike(attributes) ? 1 : shape[1];
  const std::int64_t inner = alike(attributes) || !plan.outputs[0].row_major() ? 1 : shape.slice(2).elements();
  return with_index(n, [&](auto index) {
    using Index = decltype(index);
    Normalize<Index> function{};
    function.inner = static_cast<Index>(inner), function.channels = static_cast<Index>(channels);
    fill_in(attributes, static_cast<std::size_t>(channels), function.mean, function.deviation);
    return make_launch([=](const LaunchArguments& a) {
      map<float>(Sources<float, 1>{{in<float>(a, 0)}}, out<float>(a, 0), n, function, stream_of(a));
    });
  });
}

/// The stage for an op's attributes, or nothing if its numbers do not fit. height and width are of what comes in and
/// become those of what goes out.
std::optional<Stage> stage_of(std::string_view op, const Attributes& attributes, std::int64_t channels,
                              std::int64_t& height, std::int64_t& width) {
  constexpr std::int64_t limit = 1 << 24;
  Stage stage{};
  stage.height = static_cast<int>(height), stage.width = static_cast<int>(width);
  if (op == "convert") {
    stage.kind = Stage::Kind::divide;
    stage.number = static_cast<float>(as<ConvertAttributes>(attributes).divisor);
  } else if (op == "normalize") {
    const auto& a = as<NormalizeAttributes>(attributes);
    stage.kind = Stage::Kind::normalize;
    stage.by_channel = !alike(a);
    if (stage.by_channel && channels > Stage::most_channels) return std::nullopt;
    fill_in(a, static_cast<std::size_t>(stage.by_channel ? channels : 1), stage.mean, stage.deviation);
  } else if (op == "random_crop") {
    const auto& a = as<RandomCropAttributes>(attributes);
    if (a.padding_height > limit || a.padding_width > limit) return std::nullopt;
    stage.kind = Stage::Kind::crop;
    stage.pad_height = static_cast<int>(a.padding_height), stage.pad_width = static_cast<int>(a.padding_width);
    stage.number = static_cast<float>(a.fill);
    stage.stream = a.stream;
    height = a.height, width = a.width;
  } else if (op == "random_flip") {
    const auto& a = as<RandomFlipAttributes>(attributes);
    stage.kind = Stage::Kind::flip;
    stage.number = static_cast<float>(a.p);
    stage.horizontal = a.horizontal;
    stage.stream = a.stream;
  } else {
    const auto& a = as<CutoutAttributes>(attributes);
    if (a.size > limit) return std::nullopt;
    stage.kind = Stage::Kind::cutout;
    stage.size = static_cast<int>(a.size);
    stage.number = static_cast<float>(a.fill);
    stage.stream = a.stream;
  }
  if (height > limit || width > limit) return std::nullopt;
  stage.out_height = static_cast<int>(height), stage.out_width = static_cast<int>(width);
  return stage;
}

/// Numbers of one image that comes out.
std::int64_t image_size(const KernelRequest& request) {
  return request.outputs[0].shape.slice(1).elements();
}
std::int64_t blocks_per_image(const KernelRequest& request) {
  return (image_size(request) + pixels_per_block - 1) / pixels_per_block;
}

std::optional<Pipeline> pipeline_of(const KernelRequest& request) {
  const Shape& x = request.inputs[0]->shape;
  std::int64_t height = x[2], width = x[3];
  constexpr std::int64_t limit = (std::int64_t{1} << 31) - pixels_per_block;
  if (height >= limit || width >= limit || x.slice(1).elements() >= limit || image_size(request) >= limit ||
      blocks_per_image(request) * request.outputs[0].shape[0] >= limit)
    return std::nullopt;
  Pipeline pipeline{};
  pipeline.channels = static_cast<int>(x[1]);
  pipeline.height = static_cast<int>(height), pipeline.width = static_cast<int>(width);
  const auto add = [&](std::string_view op, const Attributes& attributes) {
    const std::optional<Stage> stage = stage_of(op, attributes, x[1], height, width);
    if (!stage || pipeline.count == Pipeline::most_stages) return false;
    pipeline.stages[pipeline.count++] = *stage;
    return true;
  };
  if (request.op == "load_images") {
    for (const auto& stage : as<LoadImagesAttributes>(*request.attributes).stages) {
      if (!add(stage.op, *stage.attributes)) return std::nullopt;
    }
  } else if (!add(request.op, *request.attributes)) {
    return std::nullopt;
  }
  pipeline.out_height = static_cast<int>(height), pipeline.out_width = static_cast<int>(width);
  return pipeline;
}

std::optional<KernelPlan> plan_images(const KernelRequest& request) {
  const DType from = request.inputs[0]->dtype;
  if ((from != DType::f32 && from != DType::u8) || !is_float(request.outputs[0].dtype)) return std::nullopt;
  if (!pipeline_of(request)) return std::nullopt;
  KernelPlan plan = KernelPlan::row_major(request, "cuda");
  if (request.op == "load_images") plan.other_layouts = {Layout("acdb")};
  if (request.op == "cutout") plan.in_place = {{0, 0}};
  return plan;
}

template <typename From, typename To>
std::unique_ptr<Launch> launch_images(const Pipeline& pipeline, bool gathers, int step, int blocks, unsigned parts,
                                      bool last) {
  return make_launch([=](const LaunchArguments& a) {
    images_kernel<From, To><<<blocks, threads, 0, stream_of(a)>>>(
        pipeline, in<From>(a, 0), gathers ? in<std::int32_t>(a, 1) : nullptr,
        gathers ? in<std::int64_t>(a, 2) : nullptr, step < 0 ? nullptr : in<std::int64_t>(a, step), out<To>(a, 0),
        parts, last);
  });
}

std::unique_ptr<Launch> prepare_images(const KernelRequest& request, const KernelPlan& plan) {
  const std::optional<Pipeline> pipeline = pipeline_of(request);
  require(pipeline.has_value(), "image stages were planned that do not fit");
  const bool gathers = request.op == "load_images";
  const int step = !gathers ? 1 : request.has(3) ? 3 : -1;
  const auto parts = static_cast<unsigned>(blocks_per_image(request));
  const int blocks = static_cast<int>(parts * request.outputs[0].shape[0]);
  const bool last = channels_last(plan.outputs[0]);
  return with_float(request.outputs[0].dtype, [&](auto to) {
    using To = decltype(to);
    if (request.inputs[0]->dtype == DType::u8)
      return launch_images<std::uint8_t, To>(*pipeline, gathers, step, blocks, parts, last);
    return launch_images<float, To>(*pipeline, gathers, step, blocks, parts, last);
  });
}

const RegisterCuda registered[] = {
    {"gather", plan_gather, prepare_gather},          {"convert", plan_convert, prepare_convert},
    {"normalize", plan_normalize, prepare_normalize}, {"random_crop", plan_images, prepare_images},
    {"random_flip", plan_images, prepare_images},     {"cutout", plan_images, prepare_images},
    {"load_images", plan_images, prepare_images},
};

}  // namespace
}  // namespace trainctl::cuda
