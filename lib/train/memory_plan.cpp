#include "train/memory_plan.h"

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>
#include <vector>

#include "base/byte_count.h"
#include "base/error.h"
#include "base/log.h"
#include "program/place_states.h"
#include "program/scalars.h"
#include "program/state_store.h"
#include "program/tune.h"
#include "train/streamed_split.h"

namespace trainctl {
namespace {

std::string bytes_text(std::size_t bytes) {
  return human_bytes(static_cast<double>(bytes));
}

/// Samples of splits that lie on the device whole.
std::size_t whole_bytes(const Blueprint& blueprint) {
  std::size_t bytes = 0;
  for (const std::string& split : blueprint.splits()) {
    if (!blueprint.placement(split).streams()) bytes += blueprint.data(split).bytes();
  }
  return bytes;
}

std::vector<std::reference_wrapper<const Plan>> plans_of(const Plans& plans) {
  std::vector<std::reference_wrapper<const Plan>> all;
  for (const auto& [key, plan] : plans) all.emplace_back(plan);
  return all;
}

}  // namespace

std::string MemoryPlan::text() const {
  return fmt::format("data {}, state {}, working copies {}, constants {}, scalars {}, arena {}; in all {}",
                     bytes_text(data), bytes_text(state), bytes_text(copies), bytes_text(constants),
                     bytes_text(scalars), bytes_text(arena), bytes_text(total()));
}

MemoryPlan plan_memory(const Blueprint& blueprint, const Plans& plans, const Device& device) {
  MemoryPlan memory;
  const StateSpec& spec = blueprint.state();
  for (int i = 0; i < spec.size(); ++i) {
    if (spec[i].root >= 0) continue;
    (spec[i].name.starts_with("data/") ? memory.data : memory.state) += spec[i].type.bytes();
  }
  std::vector<std::tuple<int, Layout, DType>> copies;
  for (const auto& [key, plan] : plans) {
    memory.arena = std::max(memory.arena, plan.arena_bytes);
    for (const Storage& storage : plan.storages) {
      if (storage.kind == Storage::Kind::constant || storage.kind == Storage::Kind::input)
        memory.constants += storage.bytes;
      if (storage.kind != Storage::Kind::working_copy) continue;
      const std::tuple copy{storage.state, storage.layout, storage.dtype};
      if (std::ranges::find(copies, copy) != copies.end()) continue;
      copies.push_back(copy);
      memory.copies += StateStore::working_copy_bytes(spec[storage.state], storage.layout, storage.dtype,
                                                      plan.options.device, plan.options.threads);
    }
  }
  memory.copies += StateStore::exchange_bytes(spec, device);
  memory.scalars = ScalarRow::memory_bytes(device);
  for (const std::string& split : blueprint.splits()) {
    const Placement& placement = blueprint.placement(split);
    if (!placement.streams()) continue;
    memory.host += StreamedSplit::host_bytes(blueprint.data(split), blueprint.sampler(split).options().batch_size,
                                             blueprint.spec().data.reading_threads(device), placement.places);
  }
  return memory;
}

PlanOptions plan_options(const Device& device, const TrainerSpec& trainer) {
  if (trainer.precision != Precision::fp32 && !device.reduced_precision()) {
    fail(ErrorKind::config,
         "trainer.precision is {}, and device {} computes in fp32 only; use --device cuda, or precision: fp32",
         trainer.precision == Precision::tf32 ? "tf32" : "bf16", device.name());
  }
  return {.device = std::string(device.name()),
          .threads = device.threads(),
          .deterministic = trainer.deterministic,
          .fast_math = trainer.fast_math,
          .tf32 = trainer.precision == Precision::tf32,
          .concurrent = device.concurrent()};
}

Plan plan_one(Blueprint& blueprint, const ProgramKey& key, const Device& device, const Choices& choices) {
  PlanOptions options = plan_options(device, blueprint.spec().trainer);
  options.choices = &choices;
  const std::vector<std::string> splits = blueprint.splits();
  options.tune = !options.deterministic && std::ranges::find(splits, "train") != splits.end();
  const auto graph = blueprint.build(key);
  return plan_program(*graph, options);
}

Plans plan_all(Blueprint& blueprint, const Device& device, const Choices& choices) {
  Plans plans;
  for (const ProgramKey& key : blueprint.programs()) plans.emplace(key, plan_one(blueprint, key, device, choices));
  return plans;
}

PreparedBlueprint prepare_blueprint(ExperimentSpec& spec, const DataInfos& data, const Device& device,
                                    const Answers& answers, Choices choices) {
  const std::optional<DeviceMemory> own = device.memory();
  std::optional<std::size_t> room;
  if (own) room = own->free;
  PreparedBlueprint prepared{.blueprint = nullptr, .plans = {}, .choices = std::move(choices)};
  while (true) {
    prepared.blueprint = std::make_unique<Blueprint>(spec, data, answers, place_data(spec.data, data, room));
    prepared.plans = plan_all(*prepared.blueprint, device, prepared.choices);
    if (place_states(prepared.blueprint->state(), plans_of(prepared.plans)))
      prepared.plans = plan_all(*prepared.blueprint, device, prepared.choices);
    if (!own) return prepared;
    const MemoryPlan memory = plan_memory(*prepared.blueprint, prepared.plans, device);
    if (memory.total() <= own->free) return prepared;
    const std::size_t whole = whole_bytes(*prepared.blueprint), others = memory.total() - whole;
    if (whole == 0) {
      fail(ErrorKind::environment,
           "not enough memory on the device: the plan takes {} ({}), and {} of {} are free; use a smaller batch or "
           "model, precision: bf16, or a device with more memory",
           bytes_text(memory.total()), memory.text(), bytes_text(own->free), bytes_text(own->total));
    }
    room = others < own->free ? own->free - others : 0;
  }
}

void try_alternatives(PreparedBlueprint& prepared, Device& device) {
  const std::size_t most = plan_memory(*prepared.blueprint, prepared.plans, device).total();
  Choices choices = prepared.choices;
  bool others = false;
  for (const auto& [key, plan] : prepared.plans) {
    others |= tune(device, plan, choices, most);
  }
  if (others) {
    Plans fastest = plan_all(*prepared.blueprint, device, choices);
    const std::size_t bytes = plan_memory(*prepared.blueprint, fastest, device).total();
    if (const auto own = device.memory(); own && bytes > own->free) {
      log::info("what is fastest takes {}, and {} are free: what takes less is used", bytes_text(bytes),
                bytes_text(own->free));
      return;
    }
    prepared.plans = std::move(fastest);
  }
  prepared.choices = std::move(choices);
}

}  // namespace trainctl
