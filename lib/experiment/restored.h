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

/// A checkpoint of a run by name: best, last, or a file below its checkpoints. A usage Error if there is none.
std::filesystem::path named_checkpoint(const std::filesystem::path& run, const std::string& name);

}  // namespace trainctl
