// What `eval` and `predict` share: an experiment as a checkpoint knows it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiment/experiment.h"
#include "store/checkpoint.h"
#include "train/session.h"

namespace trainctl {

/// The checkpoint's own experiment with overrides, or that of `config` with what was fitted on the checkpoint's
/// training data.
ExperimentSpec experiment_of(const CheckpointReader& reader, const std::optional<std::filesystem::path>& config,
                             const Overrides& overrides);

/// Opens what `wanted`, else the experiment, names. Where it computes in fp32 only, so does the experiment from here
/// on.
std::unique_ptr<Device> open_device_for(ExperimentSpec& spec, const std::string& wanted);

/// Values that policies drive, such as label_smoothing, as at the checkpoint's last report.
void restore_driven(Session& session, const CheckpointReader& reader);

/// What --checkpoint and --weights choose of a run or checkpoint. `name`: best, last, or a file below the run's
/// checkpoints; empty: the target itself. As in `results`, `weights` may be best or last too, which names the
/// checkpoint and is then cleared. A usage Error if there is no such checkpoint.
std::filesystem::path choose_checkpoint(const std::filesystem::path& target, std::string name, std::string& weights);

}  // namespace trainctl
