// gather, convert, normalize, random_crop, random_flip, cutout, and load_images, which is all of them in one pass.
#include "ops/image.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/loops/image_loops.h"
#include "kernels/cpu/loops/loop_kernel.h"

namespace trainctl::cpu {
namespace {

/// What an ImageJob points to.
struct Pipeline {
  std::vector<ImageStage> stages;
  std::vector<std::vector<float>> numbers;  ///< means and deviations
  std::vector<float> table;
  long plane_limit = 0;
};

std::vector<float>& per_channel(Pipeline& pipeline, const std::vector<double>& values, long channels) {
  auto& numbers = pipeline.numbers.emplace_back();
  for (long c = 0; c < channels; ++c) numbers.push_back(static_cast<float>(values.size() == 1 ? values[0] : values[c]));
  return numbers;
}

/// The stage for an op's attributes; height and width are those of its input and become those of its output.
ImageStage stage_of(std::string_view op, const Attributes& attributes, long channels, long& height, long& width,
                    Pipeline& pipeline) {
  ImageStage stage{};
  if (op == "convert") {
    stage.kind = ImageStage::Kind::divide;
    stage.divisor = static_cast<float>(as<ConvertAttributes>(attributes).divisor);
  } else if (op == "normalize") {
    const auto& a = as<NormalizeAttributes>(attributes);
    stage.kind = ImageStage::Kind::normalize;
    stage.mean = per_channel(pipeline, a.mean, channels).data();
    stage.deviation = per_channel(pipeline, a.deviation, channels).data();
  } else if (op == "random_crop") {
    const auto& a = as<RandomCropAttributes>(attributes);
    stage.kind = ImageStage::Kind::crop;
    stage.pad_height = a.padding_height, stage.pad_width = a.padding_width;
    stage.fill = static_cast<float>(a.fill);
    stage.stream = a.stream;
    height = a.height, width = a.width;
  } else if (op == "random_flip") {
    const auto& a = as<RandomFlipAttributes>(attributes);
    stage.kind = ImageStage::Kind::flip;
    stage.p = static_cast<float>(a.p);
    stage.horizontal = a.horizontal;
    stage.stream = a.stream;
  } else {
    const auto& a = as<CutoutAttributes>(attributes);
    stage.kind = ImageStage::Kind::cutout;
    stage.size = a.size;
    stage.fill = static_cast<float>(a.fill);
    stage.stream = a.stream;
  }
  stage.height = height, stage.width = width;
  return stage;
}

bool by_value(const ImageStage& stage) {
  return stage.kind == ImageStage::Kind::divide || stage.kind == ImageStage::Kind::normalize;
}

/// Moves the leading stages that map values into a table of what becomes of each byte.
void tabulate(Pipeline& pipeline, long channels) {
  pipeline.table.resize(channels * 256);
  for (std::size_t i = 0; i < pipeline.table.size(); ++i) pipeline.table[i] = static_cast<float>(i % 256);
  while (!pipeline.stages.empty() && by_value(pipeline.stages.front())) {
    const ImageStage& stage = pipeline.stages.front();
    for (std::size_t i = 0; i < pipeline.table.size(); ++i) {
      float& value = pipeline.table[i];
      value = stage.kind == ImageStage::Kind::divide ? value / stage.divisor
                                                     : (value - stage.mean[i / 256]) / stage.deviation[i / 256];
    }
    pipeline.stages.erase(pipeline.stages.begin());
  }
}

std::vector<LoadImagesAttributes::Stage> stages_of(const KernelRequest& request) {
  if (request.op == "load_images") return as<LoadImagesAttributes>(*request.attributes).stages;
  return {
      {std::string(request.op), std::shared_ptr<const Attributes>(std::shared_ptr<const void>(), request.attributes)}};
}

struct Planes {
  long samples, channels, height, width;
};

/// The batch as planes. Only normalize takes other tensors than images: where one number holds for all channels it is
/// one long row.
Planes planes_of(const KernelRequest& request) {
  const Shape& x = request.inputs[0]->shape;
  if (request.op == "normalize") {
    const auto& a = as<NormalizeAttributes>(*request.attributes);
    if (a.mean.size() == 1 && a.deviation.size() == 1) return {1, 1, 1, x.elements()};
    return {x[0], x[1], 1, x.slice(2).elements()};
  }
  return {request.outputs[0].shape[0], x[1], x[2], x[3]};
}

Pipeline pipeline_of(const KernelRequest& request) {
  auto [samples, channels, height, width] = planes_of(request);
  Pipeline pipeline;
  pipeline.numbers.reserve(2 * most_image_stages);
  pipeline.plane_limit = height * width;
  for (const auto& stage : stages_of(request)) {
    pipeline.stages.push_back(stage_of(stage.op, *stage.attributes, channels, height, width, pipeline));
    pipeline.plane_limit = std::max(pipeline.plane_limit, height * width);
  }
  pipeline.plane_limit = (pipeline.plane_limit + 15) / 16 * 16;
  if (request.inputs[0]->dtype == DType::u8) tabulate(pipeline, channels);
  return pipeline;
}

std::optional<KernelPlan> plan_images(const KernelRequest& request) {
  const DType from = request.inputs[0]->dtype;
  const auto stages = stages_of(request);
  if (stages.size() > most_image_stages || request.outputs[0].dtype != DType::f32) return std::nullopt;
  if (from != DType::f32 && !(from == DType::u8 && !stages.empty() && stages[0].op == "convert")) return std::nullopt;
  KernelPlan plan = row_major_plan(request);
  if (request.op == "load_images" || request.op == "random_crop") {
    plan.workspace_bytes =
        static_cast<std::size_t>(std::max(request.threads, 1)) * 2 * pipeline_of(request).plane_limit * sizeof(float);
  }
  if (request.op == "normalize" || request.op == "random_flip" || request.op == "cutout") plan.in_place = {{0, 0}};
  return plan;
}

std::unique_ptr<Launch> prepare_images(const KernelRequest& request, const KernelPlan&) {
  const auto [samples, channels, height, width] = planes_of(request);
  auto pipeline = std::make_shared<Pipeline>(pipeline_of(request));
  ImageJob job{};
  job.samples = samples, job.channels = channels, job.height = height, job.width = width;
  job.stages = pipeline->stages.data();
  job.stage_count = static_cast<int>(pipeline->stages.size());
  job.table = pipeline->table.empty() ? nullptr : pipeline->table.data();
  job.gathers = request.op == "load_images";
  job.plane_limit = pipeline->plane_limit;
  job.threads = request.threads;
  return loop_launch(request, TRAINCTL_BEST(load_images), job, pipeline);
}

std::optional<KernelPlan> plan_gather(const KernelRequest& request) {
  return row_major_plan(request);
}

std::unique_ptr<Launch> prepare_gather(const KernelRequest& request, const KernelPlan&) {
  const long samples = request.outputs[0].shape[0];
  return loop_launch(request, TRAINCTL_BEST(gather),
                     GatherJob{samples, static_cast<long>(request.outputs[0].bytes()) / samples, request.threads});
}

std::optional<KernelPlan> plan_convert(const KernelRequest& request) {
  if (request.inputs[0]->dtype == DType::bf16) return std::nullopt;
  KernelPlan plan = row_major_plan(request);
  if (request.inputs[0]->dtype == DType::f32) plan.in_place = {{0, 0}};
  return plan;
}

std::unique_ptr<Launch> prepare_convert(const KernelRequest& request, const KernelPlan&) {
  ConvertJob job{request.outputs[0].elements(), static_cast<float>(as<ConvertAttributes>(*request.attributes).divisor),
                 nullptr, request.threads};
  switch (request.inputs[0]->dtype) {
    case DType::u8: {
      auto table = std::make_shared<std::vector<float>>(256);
      for (int i = 0; i < 256; ++i) (*table)[i] = static_cast<float>(i) / job.divisor;
      job.table = table->data();
      return loop_launch(request, TRAINCTL_BEST(convert_bytes), job, table);
    }
    case DType::f64:
      return loop_launch(request, TRAINCTL_BEST(convert_f64), job);
    case DType::i32:
      return loop_launch(request, TRAINCTL_BEST(convert_i32), job);
    case DType::i64:
      return loop_launch(request, TRAINCTL_BEST(convert_i64), job);
    default:
      return loop_launch(request, TRAINCTL_BEST(convert_f32), job);
  }
}

const RegisterLoops registered[] = {
    {"gather", plan_gather, prepare_gather},      {"convert", plan_convert, prepare_convert},
    {"normalize", plan_images, prepare_images},   {"random_crop", plan_images, prepare_images},
    {"random_flip", plan_images, prepare_images}, {"cutout", plan_images, prepare_images},
    {"load_images", plan_images, prepare_images},
};

}  // namespace
}  // namespace trainctl::cpu
