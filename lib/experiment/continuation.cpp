#include "experiment/continuation.h"

#include <set>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "experiment/modules.h"
#include "schema/differences.h"

namespace trainctl {

void check_differences(const ExperimentSpec& old_spec, const ExperimentSpec& new_spec, bool force,
                       const std::filesystem::path& run) {
  std::string refused, forced, taken;
  for (const Difference& difference : differences(write(old_spec), write(new_spec), type_of<ExperimentSpec>())) {
    const std::string line = fmt::format("\n  {}: {} -> {}", difference.path, difference.old_text, difference.new_text);
    if (difference.resume == Resume::fixed) refused += line;
    if (difference.resume == Resume::forced) forced += line;
    if (difference.resume == Resume::safe) taken += line;
  }
  if (!refused.empty()) {
    fail(ErrorKind::config,
         "{}: the run cannot go on with another experiment; start a new run, or take these changes back:{}",
         run.string(), refused);
  }
  if (!forced.empty() && !force) {
    fail(ErrorKind::config, "{}: these changes would change the results of the run; add --force to take them:{}",
         run.string(), forced);
  }
  if (!taken.empty()) log::info("changed for the rest of the run:{}", taken);
  if (!forced.empty())
    log::warn("changed by --force; the run no longer equals one that was not interrupted:{}", forced);
}

std::optional<CheckpointReader> find_checkpoint(const RunPaths& paths) {
  auto found = CheckpointStore(paths.checkpoints()).newest_valid();
  if (!found) return std::nullopt;
  for (const auto& refused : found->refused)
    log::warn("{}: {}; falling back to {}", refused.path.string(), refused.reason, found->file.path.string());
  return std::move(found->reader);
}

void check_same_data(const CheckpointReader& reader, Session& session, bool force) {
  const std::string saved = reader.text_attribute("data");
  const bool sampled = saved.starts_with("sampled:");
  if (!sampled && session.samples_digest()) {
    log::warn("{} tells the data by all of their samples, and now they are read when they are needed: not compared",
              reader.path().string());
    return;
  }
  if (saved == (sampled ? session.sampled_data_digest() : session.data_digest())) return;
  if (force) {
    log::warn("the data has changed since {} was written; going on by --force", reader.path().string());
  } else {
    fail(ErrorKind::data,
         "the data is not what {} was trained on; restore it, or add --force to go on with the new one",
         reader.path().string());
  }
}

void check_same_modules(const RunPaths& paths, bool force) {
  const auto before = read_status(paths).modules;
  std::set<std::string> known;
  for (const auto& [path, digest] : before) known.insert(digest);
  for (const UserModule& module : user_modules()) {
    const bool listed = before.contains(module.path.string());
    if (known.contains(module.sha256) || before.empty()) continue;
    if (!force) {
      fail(ErrorKind::data, "{}: {}; restore it, or add --force to go on with it", module.path.string(),
           listed ? "the module is not the one that the run was started with"
                  : "the run was started without this module");
    }
    log::warn("{}: the module is not one that the run was started with; going on by --force", module.path.string());
  }
}

void warn_if_bits_may_differ(const CheckpointReader& reader, const Device& device) {
  const bool same_device = reader.text_attribute("device") == device.name();
  const auto threads = reader.int_attribute("threads");
  if (same_device && threads == device.threads()) return;
  log::warn(
      "{} was written on {} with {} threads; going on on {} with {} threads, so bits may differ from an uninterrupted "
      "run",
      reader.path().string(), reader.text_attribute("device"), threads, device.name(), device.threads());
}

}  // namespace trainctl
