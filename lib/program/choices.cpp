#include "program/choices.h"

#include <fmt/core.h>

#include "program/plan.h"

namespace trainctl {

std::string choice_key(std::string_view device, const KernelRequest& request) {
  std::string key = fmt::format("{} {} {}", device, request.op, request.attributes ? request.attributes->text() : "");
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    key += request.has(i) ? " " + request.inputs[i]->text() : " -";
    if (i < request.input_layouts.size()) key += request.input_layouts[i].tag();
  }
  for (const TensorType& output : request.outputs) key += " > " + output.text();
  if (request.training) key += " training";
  if (!request.deterministic) key += " any order";
  if (request.fast_math) key += " fast math";
  if (request.tf32) key += " tf32";
  return key;
}

void record_choices(const Plan& plan, Choices& choices) {
  for (const PlannedStep& step : plan.steps) {
    const StepRequest request(plan, step);
    choices[choice_key(plan.options.device, request.get())] = step.plan.implementation;
  }
}

}  // namespace trainctl
