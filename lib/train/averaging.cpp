#include "train/averaging.h"

#include <algorithm>

namespace trainctl {

Averaging::Averaging(Session& session) : session_(session) {
  for (const auto& [name, average] : session.blueprint().spec().averages)
    slots_.push_back(session.scalars().slot(AverageStates::rate_name(name)));
  fresh_.resize(slots_.size());
}

void Averaging::set_rates(std::int64_t steps) {
  const Blueprint& blueprint = session_.blueprint();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Average& average = *blueprint.spec().averages.items[i].second;
    session_.scalars().set(slots_[i], static_cast<float>(average.rate(steps, blueprint.schedule())));
    fresh_[i] = false;
  }
}

bool Averaging::refresh(std::string_view name, std::int64_t steps, const std::function<bool()>& interrupted) {
  const auto& averages = session_.blueprint().spec().averages.items;
  for (std::size_t i = 0; i < averages.size(); ++i) {
    if (averages[i].first == name) return refresh(i, steps, interrupted);
  }
  return true;
}

bool Averaging::refresh_all(std::int64_t steps, const std::function<bool()>& interrupted) {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!refresh(i, steps, interrupted)) return false;
  }
  return true;
}

bool Averaging::refresh(std::size_t index, std::int64_t steps, const std::function<bool()>& interrupted) {
  const Blueprint& blueprint = session_.blueprint();
  const auto& [name, average] = blueprint.spec().averages.items[index];
  const bool nothing = blueprint.averages().refreshed(name).empty();
  if (nothing || fresh_[index] || average->taken(steps, blueprint.schedule()) == 0) return true;
  const Sampler& sampler = blueprint.sampler("train");
  const std::int64_t batches = std::min(sampler.batches(), average->refresh_batches.value_or(sampler.batches()));
  ScalarRow& scalars = session_.scalars();
  session_.set_epoch("train", 0);
  std::int64_t offset = 0;
  for (std::int64_t i = 0; i < batches; ++i) {
    if (interrupted()) return false;
    const std::int64_t samples = sampler.batch_samples(offset);
    session_.bring("train", 0, offset);
    scalars.set("position", offset);
    scalars.set("step", i);
    scalars.set("refresh_rate", static_cast<float>(1.0 / static_cast<double>(i + 1)));
    session_.program({Phase::refresh, "train", samples, 0, name}).run();
    offset += samples;
  }
  fresh_[index] = true;
  return true;
}

}  // namespace trainctl
