// Whether a run may go on as it is asked to: what is not as it was is refused, or told.
#pragma once

#include <filesystem>
#include <optional>

#include "store/checkpoint_store.h"
#include "store/run_directory.h"
#include "train/session.h"
#include "train/spec.h"

namespace trainctl {

/// Everything that differs between a run's config and a new one, refused or taken by class (Resume). `force` takes what
/// would change results. Throws a config Error.
void check_differences(const ExperimentSpec& old_spec, const ExperimentSpec& new_spec, bool force,
                       const std::filesystem::path& run);
/// The newest whole checkpoint, after a warning for every newer one that is damaged; nothing if there is none.
std::optional<CheckpointReader> find_checkpoint(const RunPaths& paths);
/// Throws a data Error, or with `force` warns, if the session's data are not those of the checkpoint.
void check_same_data(const CheckpointReader& reader, Session& session, bool force);
/// Throws a data Error, or with `force` warns, if a module is not one of those that the run was started with. Modules
/// are told apart by what they hold: they may lie elsewhere than before.
void check_same_modules(const RunPaths& paths, bool force);
void warn_if_bits_may_differ(const CheckpointReader& reader, const Device& device);

}  // namespace trainctl
