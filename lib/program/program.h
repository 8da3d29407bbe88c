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
/// largest program needs, since they never run at the same time. Runs of one program, one behind the other, are held
/// and launched together, as many as Program::runs_together() says, or fewer if something else is to happen first.
class ProgramSet final : private HeldRuns {
 public:
  ProgramSet(Device& device, StateStore& state, ScalarRow& scalars)
      : device_(device), state_(state), scalars_(scalars) {}
  ProgramSet(const ProgramSet&) = delete;
  ProgramSet& operator=(const ProgramSet&) = delete;
  ~ProgramSet() override { device_.forget(*this); }

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
  void run(Program& program);
  void launch() override;

  Device& device_;
  StateStore& state_;
  ScalarRow& scalars_;
  Buffer arena_;
  std::vector<std::unique_ptr<Program>> programs_;
  Program* running_ = nullptr;  ///< whose runs are held
  int held_ = 0;
};

/// Time of one step of a program, for `bench`.
struct StepTime {
  const PlannedStep* step;
  double median_s;
};

class Program {
 public:
  Program(ProgramSet& set, Plan plan);

  /// Runs once, with the row of scalars as it is now. Allocates nothing; waits for nothing on a device that can queue.
  /// Several runs may go into one launch; whoever looks at the device finds that they have run.
  void run() { set_.run(*this); }
  /// How many runs go into one launch at most.
  int runs_together() const { return runs_together_; }
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
  std::unique_ptr<Replay> record(int runs);
  void refresh_copies();
  void mark_updated();
  /// Of a tensor in one of the runs of a launch.
  void* address(int tensor, int run = 0) const;
  std::size_t output_tensor(std::string_view name) const;

  ProgramSet& set_;
  Plan plan_;
  std::vector<std::unique_ptr<Launch>> launches_;
  int runs_together_;
  std::vector<void*> storage_address_;
  std::vector<void*> operands_;                   // inputs then outputs of each step of each run, one behind the other
  std::vector<BoundLaunch> bound_;                // of all runs of a launch
  std::vector<std::unique_ptr<Replay>> replays_;  // of 1, 2, ... runs, made when first needed
  std::vector<Buffer> own_;                       // constants and inputs
  std::vector<StateStore::WorkingCopy*> copies_;
  std::vector<StateStore::WorkingCopy*> kept_copies_;  ///< of these, what the program itself brings up to date
};

}  // namespace trainctl
