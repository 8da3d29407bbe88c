// What an experiment will take of its device's memory, told before any is taken.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "device/device.h"
#include "program/choices.h"
#include "program/plan.h"
#include "train/blueprint.h"

namespace trainctl {

/// Bytes by what they are for. Their total is what Device::peak_bytes tells after a run in which every program ran.
struct MemoryPlan {
  std::size_t data = 0;       ///< samples and their order, or places for batches
  std::size_t state = 0;      ///< all other state
  std::size_t copies = 0;     ///< working copies of state, and what reorders of state need
  std::size_t constants = 0;  ///< of all programs
  std::size_t scalars = 0;
  std::size_t arena = 0;  ///< of the largest program
  std::size_t host = 0;   ///< batches that are read ahead: in the host's memory, not in the total

  std::size_t total() const { return data + state + copies + constants + scalars + arena; }
  /// "data 3.2 MiB, state 1.0 MiB, ...; in all 6.2 MiB"
  std::string text() const;
};

using Plans = std::map<ProgramKey, Plan>;

MemoryPlan plan_memory(const Blueprint& blueprint, const Plans& plans, const Device& device);

/// How programs are planned for a device; a config Error if it does not compute in the precision asked for.
PlanOptions plan_options(const Device& device, const TrainerSpec& trainer);
/// With what was chosen before, where it still can be had. Alternatives are named where training may try them.
Plan plan_one(Blueprint& blueprint, const ProgramKey& key, const Device& device, const Choices& choices = {});
/// Plans all of Blueprint::programs().
Plans plan_all(Blueprint& blueprint, const Device& device, const Choices& choices = {});

/// A blueprint whose data are placed for a device, and its programs.
struct PreparedBlueprint {
  std::unique_ptr<Blueprint> blueprint;
  Plans plans;
  Choices choices;  ///< for programs that are planned later
};

/// With what was chosen before, where it still can be had. Throws what Blueprint does, and an environment Error if the
/// device has less memory free than the plan takes.
PreparedBlueprint prepare_blueprint(ExperimentSpec& spec, const DataInfos& data, const Device& device,
                                    const Answers& answers = {}, Choices choices = {});
/// Where the plans name alternatives, tries them on the device and plans again with the fastest, unless that takes more
/// memory than is free. Trying takes no more at any time than the plans do that it begins with.
void try_alternatives(PreparedBlueprint& prepared, Device& device);

}  // namespace trainctl
