// The batches of a split, from its spec.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "data/sampler.h"
#include "train/spec.h"

namespace trainctl {

/// The sampler of the split `name`, whose data set is `info`. Reads single fields of the data where a subset or a
/// sampler looks at them. Batches of a split that is not trained on are no larger than it. Throws a config Error that
/// names the split.
std::unique_ptr<Sampler> make_sampler(const ExperimentSpec& spec, const std::string& name, const DatasetInfo& info,
                                      bool trains);

/// Warns of samples that training and another split have in common: their parts of one data set overlap.
void warn_of_shared_samples(const ExperimentSpec& spec,
                            const std::map<std::string, std::unique_ptr<Sampler>, std::less<>>& samplers);

/// Throws a config Error where a field's classes have other names in another split than in training: class numbers
/// would mean different things.
void check_same_classes(const std::map<std::string, DatasetInfo, std::less<>>& data);

}  // namespace trainctl
