#include "program/program.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "program/order.h"

namespace trainctl {
namespace {

template <typename T>
void fill(std::vector<std::byte>& bytes, const std::vector<double>& values) {
  for (std::size_t i = 0; i < bytes.size() / sizeof(T); ++i) {
    const T value = static_cast<T>(values.size() == 1 ? values[0] : values[i]);
    std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
  }
}

std::vector<std::byte> constant_bytes(const ValueInfo& info) {
  std::vector<std::byte> bytes(info.type.bytes());
  switch (info.type.dtype) {
    case DType::f32:
      fill<float>(bytes, info.constant);
      break;
    case DType::f64:
      fill<double>(bytes, info.constant);
      break;
    case DType::i32:
      fill<std::int32_t>(bytes, info.constant);
      break;
    case DType::i64:
      fill<std::int64_t>(bytes, info.constant);
      break;
    case DType::u8:
      fill<std::uint8_t>(bytes, info.constant);
      break;
    case DType::bf16:
      fail(ErrorKind::internal, "a constant cannot be bf16");
  }
  return bytes;
}

/// How many runs of a program go into one launch. To start one takes a GPU some microseconds, which shows where a run
/// takes tens of them; to hold longer runs would only make signals wait. What a replay may take in all is bounded by
/// arithmetic, by memory traffic, and by the number of launches, each of which is captured.
int runs_together(const Plan& plan, int most) {
  constexpr double flops = 8e9, bytes = 2e9, launches = 512;
  const Cost run = plan.total_cost();
  const double fit = std::min({flops / std::max(run.flops, 1.0), bytes / std::max(run.bytes, 1.0),
                               launches / static_cast<double>(std::max<std::size_t>(plan.steps.size(), 1))});
  return static_cast<int>(std::clamp(fit, 1.0, static_cast<double>(most)));
}

}  // namespace

Program& ProgramSet::add(Plan plan) {
  reserve(plan.arena_bytes);
  programs_.push_back(std::make_unique<Program>(*this, std::move(plan)));
  return *programs_.back();
}

void ProgramSet::reserve(std::size_t arena_bytes) {
  if (arena_bytes <= arena_.bytes()) return;
  device_.synchronize();
  arena_ = Buffer();  // give back before taking more
  arena_ = Buffer(device_, arena_bytes);
  for (const auto& program : programs_) program->bind();
}

void ProgramSet::run(Program& program) {
  if (running_ != &program) device_.launch_held();
  if (held_ == 0) program.refresh_copies();
  running_ = &program;
  scalars_.keep(held_++);
  program.mark_updated();
  if (held_ == program.runs_together())
    launch();
  else
    device_.hold(*this);
}

void ProgramSet::launch() {
  device_.forget(*this);
  const int runs = std::exchange(held_, 0);
  scalars_.publish();
  std::unique_ptr<Replay>& replay = running_->replays_[runs - 1];
  if (!replay) replay = running_->record(runs);
  replay->run();
}

Program::Program(ProgramSet& set, Plan plan)
    : set_(set), plan_(std::move(plan)), runs_together_(trainctl::runs_together(plan_, set.device_.most_runs())) {
  for (const PlannedStep& step : plan_.steps) {
    const StepRequest request(plan_, step);
    launches_.push_back(step.kernel->kernel->prepare(request.get(), step.plan));
  }
  storage_address_.resize(plan_.storages.size());
  for (std::size_t i = 0; i < plan_.storages.size(); ++i) {
    const Storage& storage = plan_.storages[i];
    switch (storage.kind) {
      case Storage::Kind::state:
        storage_address_[i] = set.state_.address(storage.state);
        break;
      case Storage::Kind::working_copy: {
        auto& copy = set.state_.working_copy(storage.state, storage.layout, storage.dtype, plan_.options.device,
                                             plan_.options.threads);
        copies_.push_back(&copy);
        if (std::ranges::find(plan_.kept_copies, static_cast<int>(i)) != plan_.kept_copies.end())
          kept_copies_.push_back(&copy);
        storage_address_[i] = copy.memory.data();
        break;
      }
      case Storage::Kind::scalar:
        storage_address_[i] = set.scalars_.address(set.scalars_.slot(plan_.values[storage.value].name));
        break;
      case Storage::Kind::input:
      case Storage::Kind::constant: {
        own_.emplace_back(set.device_, storage.bytes);
        storage_address_[i] = own_.back().data();
        if (storage.kind == Storage::Kind::input) break;
        const auto bytes = constant_bytes(plan_.values[storage.value]);
        set.device_.upload(storage_address_[i], bytes.data(), bytes.size());
        break;
      }
      case Storage::Kind::transient:
      case Storage::Kind::merged:
        break;
    }
  }
  bind();
}

void* Program::address(int tensor, int run) const {
  if (tensor < 0) return nullptr;
  const PlacedTensor& placed = plan_.tensors[tensor];
  const bool scalar = plan_.storages[placed.storage].kind == Storage::Kind::scalar;
  return static_cast<std::byte*>(storage_address_[placed.storage]) + placed.offset +
         (scalar ? ScalarRow::run_bytes * run : 0);
}

void Program::bind() {
  std::byte* arena = set_.arena_.data();
  std::size_t operands = 0;
  for (std::size_t i = 0; i < plan_.storages.size(); ++i) {
    if (plan_.storages[i].kind == Storage::Kind::transient) storage_address_[i] = arena + plan_.storages[i].offset;
  }
  for (const PlannedStep& step : plan_.steps) operands += step.inputs.size() + step.outputs.size();
  operands_.assign(operands * runs_together_, nullptr);
  bound_.clear();
  void** next = operands_.data();
  for (int run = 0; run < runs_together_; ++run) {
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      const PlannedStep& step = plan_.steps[i];
      BoundLaunch launch{
          .launch = launches_[i].get(), .arguments = {.stream = set_.device_.stream()}, .after = step.after};
      launch.arguments.inputs = next;
      for (const int tensor : step.inputs) *next++ = address(tensor, run);
      launch.arguments.outputs = next;
      for (const int tensor : step.outputs) *next++ = address(tensor, run);
      if (step.workspace >= 0) launch.arguments.workspace = storage_address_[step.workspace];
      if (step.residual >= 0) launch.arguments.residual = storage_address_[step.residual];
      bound_.push_back(std::move(launch));
    }
  }
  replays_.clear();
  replays_.resize(runs_together_);
}

std::unique_ptr<Replay> Program::record(int runs) {
  std::vector<BoundLaunch> launches(bound_.begin(),
                                    bound_.begin() + static_cast<std::ptrdiff_t>(runs * plan_.steps.size()));
  if (runs > 1) {
    std::vector<std::vector<int>> after = order_of(plan_, runs);
    for (std::size_t i = 0; i < launches.size(); ++i) launches[i].after = std::move(after[i]);
  }
  return set_.device_.record(std::move(launches));
}

void Program::refresh_copies() {
  // Working copies that other programs or a checkpoint left behind are brought up to date.
  for (StateStore::WorkingCopy* copy : copies_) {
    if (copy->stale) set_.state_.refresh(*copy);
  }
}

void Program::mark_updated() {
  for (const int root : plan_.updated_states) set_.state_.mark_stale(root);
  for (StateStore::WorkingCopy* copy : kept_copies_) copy->stale = false;
}

void* Program::input(std::string_view name) const {
  for (std::size_t i = 0; i < plan_.storages.size(); ++i) {
    const Storage& storage = plan_.storages[i];
    if (storage.kind == Storage::Kind::input && plan_.values[storage.value].name == name) return storage_address_[i];
  }
  return nullptr;
}

std::size_t Program::output_tensor(std::string_view name) const {
  for (const Plan::Output& output : plan_.outputs) {
    if (output.name == name) return static_cast<std::size_t>(output.tensor);
  }
  fail(ErrorKind::internal, "the program has no output '{}'", name);
}

const TensorType& Program::output_type(std::string_view name) const {
  return plan_.tensors[output_tensor(name)].type;
}

void Program::read_output(std::string_view name, void* host) const {
  const auto tensor = static_cast<int>(output_tensor(name));
  set_.device_.download(host, address(tensor), plan_.tensors[tensor].type.bytes());
}

std::vector<StepTime> Program::profile(int repeats) {
  set_.device_.launch_held();
  std::vector<std::vector<double>> times(plan_.steps.size());
  for (int repeat = 0; repeat < repeats; ++repeat) {
    refresh_copies();
    set_.scalars_.keep(0);
    set_.scalars_.publish();
    for (std::size_t i = 0; i < times.size(); ++i) times[i].push_back(set_.device_.time(bound_[i]));
    mark_updated();
  }
  std::vector<StepTime> result;
  for (std::size_t i = 0; i < times.size(); ++i) {
    std::ranges::nth_element(times[i], times[i].begin() + times[i].size() / 2);
    result.push_back({&plan_.steps[i], times[i][times[i].size() / 2]});
  }
  return result;
}

}  // namespace trainctl
