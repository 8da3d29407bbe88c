// A program made ready: memory bound, kernels prepared, replayed once a step.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "device/device.h"
#include "program/plan.h"
#include "program/scalars.h"
#include "program/state_store.h"

namespace trainctl {

class Program;

/// What the programs of an experiment share: the device, the state, the row of scalars, and one arena, as large as the
/// largest program needs, since they never run at the same time.
class ProgramSet {
 public:
  ProgramSet(Device& device, StateStore& state, ScalarRow& scalars)
      : device_(device), state_(state), scalars_(scalars) {}

  /// Makes a planned program ready to run.
  Program& add(Plan plan);
  /// Makes room in the arena beforehand, so that programs added later need not move it.
  void reserve(std::size_t arena_bytes);
  std::size_t arena_bytes() const { return arena_.bytes(); }
  Device& device() const { return device_; }
  StateStore& state() const { return state_; }
  ScalarRow& scalars() const { return scalars_; }

 private:
  friend class Program;
  Device& device_;
  StateStore& state_;
  ScalarRow& scalars_;
  Buffer arena_;
  std::vector<std::unique_ptr<Program>> programs_;
};

/// Time of one step of a program, for `bench`.
struct StepTime {
  const PlannedStep* step;
  double median_s;
};

class Program {
 public:
  Program(ProgramSet& set, Plan plan);

  /// Publishes the row of scalars and runs once. Allocates nothing; waits for nothing on a device that can queue.
  void run();
  /// Address of an input of the graph, to be filled before run() by Device::upload.
  void* input(std::string_view name) const;
  /// Copies an output of the graph to the host, row-major. Waits for the device.
  void read_output(std::string_view name, void* host) const;
  const TensorType& output_type(std::string_view name) const;
  const Plan& plan() const { return plan_; }
  /// Runs `repeats` times step by step and times each one. Changes state as run() does.
  std::vector<StepTime> profile(int repeats);

 private:
  friend class ProgramSet;
  void bind();
  void enter();
  void leave();
  void* address(int tensor) const;
  std::size_t output_tensor(std::string_view name) const;

  ProgramSet& set_;
  Plan plan_;
  std::vector<std::unique_ptr<Launch>> launches_;
  std::vector<void*> storage_address_;
  std::vector<void*> operands_;  // inputs then outputs of each step, one behind the other
  std::vector<BoundLaunch> bound_;
  std::unique_ptr<Replay> replay_;
  std::vector<Buffer> own_;  // constants and inputs
  std::vector<StateStore::WorkingCopy*> copies_;
};

}  // namespace trainctl
