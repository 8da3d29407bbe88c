#include "train/split_sampler.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "schema/yaml.h"

namespace trainctl {
namespace {

SampleIds select_ids(const SplitSpec& split, const DatasetInfo& info, const FieldReader& read) {
  if (split.subset) return std::make_shared<const std::vector<std::int32_t>>(split.subset->select(info.samples, read));
  std::vector<std::int32_t> all(static_cast<std::size_t>(info.samples));
  std::iota(all.begin(), all.end(), 0);
  return std::make_shared<const std::vector<std::int32_t>>(std::move(all));
}

std::unique_ptr<Sampler> sampler_of(const ExperimentSpec& spec, const SplitSpec& split, bool trains,
                                    const DatasetInfo& info) {
  const FieldReader read = [&](std::string_view field) {
    info.field(field);  // an unknown name is told before anything is read
    Column column = split.dataset->load_field(field);
    if (column.storage.size() - column.offset < static_cast<std::size_t>(info.samples) * column.field.sample_bytes())
      fail(ErrorKind::data, "the dataset became shorter while it was read");
    return column;
  };
  Sampler::Options options{.batch_size = split.batch_size,
                           .shuffle = split.shuffle,
                           .drop_last = split.drop_last,
                           .seed = static_cast<std::uint64_t>(spec.seed)};
  SampleIds ids = select_ids(split, info, read);
  std::unique_ptr<const EpochOrder> order;
  if (split.sampler) {
    const SampleOrder& sampler = **split.sampler;
    std::optional<Column> values;
    if (!sampler.field().empty()) values = read(sampler.field());
    order = sampler.prepare({.ids = ids,
                             .values = values ? &*values : nullptr,
                             .seed = options.seed,
                             .update_samples = split.batch_size * (trains ? spec.trainer.accumulate : 1)});
  } else {
    order = split.shuffle ? shuffled(ids, options.seed) : orderly(ids);
  }
  // Where nothing is learnt a batch is only a part of the work, and few samples are one batch.
  if (!trains && !split.drop_last)
    options.batch_size = std::min(options.batch_size, std::max<std::int64_t>(1, order->samples()));
  return std::make_unique<Sampler>(std::move(ids), std::move(order), options);
}

}  // namespace

std::unique_ptr<Sampler> make_sampler(const ExperimentSpec& spec, const std::string& name, const DatasetInfo& info,
                                      bool trains) {
  try {
    return sampler_of(spec, *spec.data.find(name), trains, info);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::config) throw;
    fail(ErrorKind::config, "data.{}: {}", name, error.what());
  }
}

void warn_of_shared_samples(const ExperimentSpec& spec,
                            const std::map<std::string, std::unique_ptr<Sampler>, std::less<>>& samplers) {
  const auto train = samplers.find("train");
  if (train == samplers.end()) return;
  const SplitSpec& trained = *spec.data.find("train");
  for (const auto& [name, sampler] : samplers) {
    const SplitSpec& split = *spec.data.find(name);
    if (name == "train" || !(trained.subset || split.subset)) continue;
    if (to_yaml(trained.dataset.write()) != to_yaml(split.dataset.write())) continue;
    std::vector<std::int32_t> shared;  // both are ascending
    std::ranges::set_intersection(train->second->ids(), sampler->ids(), std::back_inserter(shared));
    if (shared.empty()) continue;
    log::warn("data.train and data.{} have {} of one dataset in common; see their 'subset'", name,
              counted(shared.size(), "sample"));
  }
}

void check_same_classes(const std::map<std::string, DatasetInfo, std::less<>>& data) {
  const auto train = data.find("train");
  if (train == data.end()) return;
  for (const auto& [name, info] : data) {
    for (const Field& field : info.fields) {
      if (name == "train" || !train->second.has(field.name)) continue;
      const Field& of_training = train->second.field(field.name);
      if (field.classes > of_training.classes && of_training.classes > 0) {
        log::warn("data.{}: '{}' has {} classes, and in data.train {}", name, field.name, field.classes,
                  of_training.classes);
      }
      const std::vector<std::string>& trained = of_training.class_names;
      if (field.class_names.empty() || trained.empty() || trained == field.class_names) continue;
      const auto [a, b] = std::ranges::mismatch(trained, field.class_names);
      fail(ErrorKind::config,
           "data.{}: the classes of '{}' are not those of data.train: class {} is '{}' here and '{}' there; list the "
           "same 'classes' in both datasets",
           name, field.name, a - trained.begin(), b == field.class_names.end() ? "missing" : *b,
           a == trained.end() ? "missing" : *a);
    }
  }
}

}  // namespace trainctl
