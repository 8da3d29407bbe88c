// An experiment in memory: its data, its state on a device, its programs.
#pragma once

#include <cstddef>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "program/choices.h"
#include "program/program.h"
#include "train/blueprint.h"
#include "train/initial_weights.h"
#include "train/memory_plan.h"
#include "train/streamed_split.h"

namespace trainctl {

/// The data of one split: all samples on the device, or brought there batch by batch.
struct SplitData {
  std::shared_ptr<const SampleSource> source;
  std::unique_ptr<StreamedSplit> stream;  ///< null where all samples are there
  std::vector<std::int32_t> order;        ///< of the epoch that is on the device
  std::int64_t order_epoch = -1;
  int order_state = -1;
};

/// A sum that has been read from the device.
struct Measured {
  std::string name;  ///< "val/accuracy"
  double value = 0.0;
};

/// Everything that runs. Programs are planned together, so that the arena is taken once, and each is compiled when
/// first needed.
class Session {
 public:
  /// `device` and `blueprint` outlive the session. Loads the splits named. Programs that `plans` has are not planned
  /// again; others take what `choices` say, where they can.
  Session(Device& device, Blueprint& blueprint, const std::vector<std::string>& splits, Plans plans = {},
          Choices choices = {});

  /// What every program planned so far takes, with what the session was given.
  Choices choices() const;
  Program& program(const ProgramKey& key);
  /// Plans every program that the run will need and takes the memory of all state, of working copies and of the largest
  /// program, so that a lack of it shows before the first step.
  void reserve();
  /// Brings the split's order for an epoch to the device, unless it is there.
  void set_epoch(std::string_view split, std::int64_t epoch);
  /// Brings the batch that begins at `offset` of an epoch to the device, unless it is there: call it before each run.
  void bring(std::string_view split, std::int64_t epoch, std::int64_t offset);
  /// Reads what the models' `init_from` name, for initialise(); a resume does without.
  void load_initial_weights();
  /// Fills all state as a fresh run begins.
  void initialise();
  /// Metric sums of a split: to zero, and as values over `samples` samples.
  void clear_sums(std::string_view split);
  std::vector<double> read_sums(std::string_view split) const;
  /// Updates of the epoch since the sums were cleared after which the losses' sums were still finite.
  std::int64_t finite_updates() const;
  /// Without the values of which every sample was skipped.
  std::vector<Measured> measure(std::string_view split, const std::vector<double>& sums, double samples) const;

  /// The data of a loaded split, and the order of the epoch that set_epoch() brought.
  const SplitData& data(std::string_view split) const { return data_.find(split)->second; }
  Blueprint& blueprint() const { return blueprint_; }
  StateStore& state() { return state_; }
  ScalarRow& scalars() { return scalars_; }
  Device& device() const { return device_; }
  ProgramSet& programs() { return programs_; }
  /// SHA-256 over the loaded splits; waits for the thread that computes it. Where one of them is read from files, which
  /// cannot be waited for, it is that of sampled_digest().
  const std::string& data_digest();
  /// "sampled:" and a SHA-256 over some samples of the loaded splits, wherever they lie.
  std::string sampled_data_digest() const;
  /// Whether data_digest() is of that kind.
  bool samples_digest() const;

 private:
  Plan plan(const ProgramKey& key);
  /// Warns, once, that something chosen before is not to be had.
  void tell_lost(const Plan& plan);
  void load(const std::vector<std::string>& splits);
  void place(const std::string& split, SplitData& data);
  void stream(const std::string& split, SplitData& data);

  Device& device_;
  Blueprint& blueprint_;
  StateStore state_;
  ScalarRow scalars_;
  ProgramSet programs_;
  InitialWeights initial_weights_;
  Choices choices_;
  bool told_lost_ = false;
  std::map<std::string, SplitData, std::less<>> data_;
  Plans planned_;  ///< not compiled yet
  std::map<ProgramKey, Program*> compiled_;
  std::string listed_;  ///< digests of the samples that files chose: they belong to the data too
  std::string digest_;
  std::future<std::string> digest_future_;
};

}  // namespace trainctl
