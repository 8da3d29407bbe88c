#include "train/session.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "base/sha256.h"
#include "data/source_digest.h"
#include "schema/yaml.h"

namespace trainctl {

namespace {

/// Copies all samples of a field to the device, piece by piece, from a source that does not hold them.
void upload_samples(const SampleSource& source, std::size_t field, void* to, Device& device) {
  constexpr std::size_t piece_bytes = std::size_t{16} << 20;
  const std::size_t sample_bytes = source.info().fields[field].sample_bytes();
  const auto samples = static_cast<std::size_t>(source.info().samples);
  std::vector<std::int32_t> ids(
      std::clamp<std::size_t>(piece_bytes / std::max<std::size_t>(sample_bytes, 1), 1, samples));
  HostBytes piece(ids.size() * sample_bytes);
  for (std::size_t first = 0; first < samples; first += ids.size()) {
    const std::span some(ids.data(), std::min(ids.size(), samples - first));
    std::iota(some.begin(), some.end(), static_cast<std::int32_t>(first));
    source.read(field, some, piece.data());
    device.upload(static_cast<std::byte*>(to) + first * sample_bytes, piece.data(), some.size() * sample_bytes);
  }
}

}  // namespace

Session::Session(Device& device, Blueprint& blueprint, const std::vector<std::string>& splits, Plans plans,
                 Choices choices)
    : device_(device),
      blueprint_(blueprint),
      state_(device, blueprint.state()),
      scalars_(device),
      programs_(device, state_, scalars_),
      choices_(std::move(choices)),
      planned_(std::move(plans)) {
  load(splits);
}

void Session::load(const std::vector<std::string>& splits) {
  // Splits of one data set share it; different ones are read at the same time.
  using Source = std::shared_ptr<const SampleSource>;
  std::map<std::string, std::shared_future<Source>> loading;
  std::map<std::string, std::string> text_of_split;
  for (const std::string& name : splits) {
    const SplitSpec& split = *blueprint_.spec().data.find(name);
    const Dataset* dataset = split.dataset.get();
    const std::string text = to_yaml(split.dataset.write());
    text_of_split[name] = text;
    if (loading.contains(text)) continue;
    const bool loaded = blueprint_.placement(name).loaded;
    loading[text] = std::async(std::launch::async, [dataset, loaded]() -> Source {
                      if (!loaded) return dataset->open();
                      return std::make_shared<Table>(dataset->load());
                    }).share();
  }
  std::vector<std::pair<std::string, Source>> sources;
  for (const std::string& name : splits) {
    SplitData& data = data_[name];
    data.source = loading[text_of_split[name]].get();
    if (!blueprint_.placement(name).loaded && dynamic_cast<const Table*>(data.source.get())) {
      log::warn("data.{}: is {}, but '{}' cannot be read in parts; all of it is in memory", name,
                blueprint_.placement(name).reason, blueprint_.spec().data.find(name)->dataset.type());
    }
    if (blueprint_.placement(name).streams())
      stream(name, data);
    else
      place(name, data);
    sources.emplace_back(name, data.source);
  }
  for (const std::string& name : splits) {
    const auto& subset = blueprint_.spec().data.find(name)->subset;
    if (subset && subset->ids_file) listed_ += sha256_hex(ids_text(name, blueprint_.sampler(name).ids())) + "\n";
  }
  // Without training nothing is saved that would tell it.
  const auto when = data_.contains("train") ? std::launch::async : std::launch::deferred;
  digest_future_ = std::async(when, [this, sources] {
    if (samples_digest()) return sampled_data_digest();
    std::string joined = listed_;
    for (const auto& [name, source] : sources) joined += name + ":" + source->digest() + "\n";
    return sha256_hex(joined);
  });
}

bool Session::samples_digest() const {
  return std::ranges::any_of(data_, [&](const auto& split) { return !blueprint_.placement(split.first).loaded; });
}

std::string Session::sampled_data_digest() const {
  std::string joined = listed_;
  for (const auto& [name, data] : data_) joined += name + ":" + sampled_digest(*data.source) + "\n";
  return "sampled:" + sha256_hex(joined);
}

void Session::stream(const std::string& split, SplitData& data) {
  const StateSpec& spec = blueprint_.state();
  std::vector<int> states;
  for (const Field& field : data.source->info().fields)
    states.push_back(spec.find(fmt::format("data/{}/{}", split, field.name)));
  data.stream = std::make_unique<StreamedSplit>(data.source, blueprint_.sampler(split), states, state_,
                                                blueprint_.spec().data.reading_threads(device_));
  const int order = spec.find(fmt::format("data/{}/order", split));
  data.order.resize(static_cast<std::size_t>(spec[order].type.elements()));
  std::iota(data.order.begin(), data.order.end(), 0);
  state_.write(order, data.order.data());
}

void Session::bring(std::string_view split, std::int64_t epoch, std::int64_t offset) {
  SplitData& data = data_.find(split)->second;
  if (data.stream) scalars_.set(Blueprint::streamed_position, data.stream->bring({epoch, offset}));
}

void Session::place(const std::string& split, SplitData& data) {
  const StateSpec& spec = blueprint_.state();
  const auto* table = dynamic_cast<const Table*>(data.source.get());
  const std::vector<Field>& fields = data.source->info().fields;
  for (std::size_t field = 0; field < fields.size(); ++field) {
    const int state = spec.find(fmt::format("data/{}/{}", split, fields[field].name));
    if (!table) {
      upload_samples(*data.source, field, state_.address(state), device_);
    } else if (device_.memory()) {
      state_.write(state, table->columns()[field].data());
    } else {  // the data set is used where it lies; a program never writes to it
      state_.adopt(state, const_cast<std::byte*>(table->columns()[field].data()));
    }
  }
  data.order_state = spec.find(fmt::format("data/{}/order", split));
  data.order.resize(blueprint_.sampler(split).samples());
}

const std::string& Session::data_digest() {
  if (digest_future_.valid()) digest_ = digest_future_.get();
  return digest_;
}

Plan Session::plan(const ProgramKey& key) {
  auto ready = planned_.extract(key);
  Plan made = ready ? std::move(ready.mapped()) : plan_one(blueprint_, key, device_, choices_);
  tell_lost(made);
  return made;
}

void Session::tell_lost(const Plan& plan) {
  if (plan.lost_choices.empty() || told_lost_) return;
  told_lost_ = true;
  const LostChoice& first = plan.lost_choices.front();
  log::warn(
      "{}: {} was computed by '{}' when the run was saved, which this build, library or device does not have; it is by "
      "'{}' now{}, and bits may differ from that run's",
      first.path.empty() ? "the step" : first.path, first.op, first.chosen, first.taken,
      plan.lost_choices.size() > 1 ? fmt::format(" (and {} more are others)", plan.lost_choices.size() - 1) : "");
}

Choices Session::choices() const {
  Choices all = choices_;
  for (const auto& [key, plan] : planned_) record_choices(plan, all);
  for (const auto& [key, program] : compiled_) record_choices(program->plan(), all);
  return all;
}

Program& Session::program(const ProgramKey& key) {
  if (const auto found = compiled_.find(key); found != compiled_.end()) return *found->second;
  return *(compiled_[key] = &programs_.add(plan(key)));
}

void Session::reserve() {
  std::size_t most = 0;
  for (const ProgramKey& key : blueprint_.programs()) {
    if (compiled_.contains(key)) continue;
    const Plan& ready = planned_.emplace(key, plan(key)).first->second;
    most = std::max(most, ready.arena_bytes);
    for (const Storage& storage : ready.storages) {
      if (storage.kind == Storage::Kind::working_copy)
        state_.working_copy(storage.state, storage.layout, storage.dtype, ready.options.device, ready.options.threads);
    }
  }
  state_.reserve();
  programs_.reserve(most);
}

void Session::set_epoch(std::string_view split, std::int64_t epoch) {
  SplitData& data = data_.find(split)->second;
  if (data.stream) return;  // batches come in order
  const Sampler& sampler = blueprint_.sampler(split);
  if (!sampler.varies()) epoch = 0;
  if (data.order_epoch == epoch) return;
  sampler.order(epoch, data.order);
  state_.write(data.order_state, data.order.data());
  data.order_epoch = epoch;
}

void Session::load_initial_weights() {
  initial_weights_ = InitialWeights(blueprint_.spec(), blueprint_.state());
}

void Session::initialise() {
  state_.initialise(static_cast<std::uint64_t>(blueprint_.spec().seed));
  initial_weights_.write(state_);
  initial_weights_ = {};
}

void Session::clear_sums(std::string_view split) {
  for (const auto& reported : blueprint_.assembly().reported(split)) {
    const std::vector<double> zeros(reported.numbers);
    for (const int sum : reported.sums) state_.write(sum, zeros.data());
  }
  if (split != "train") return;
  const double zero = 0.0;
  for (const int count : blueprint_.assembly().finite_updates()) state_.write(count, &zero);
}

std::vector<double> Session::read_sums(std::string_view split) const {
  std::vector<double> sums;
  for (const auto& reported : blueprint_.assembly().reported(split)) {
    for (const int sum : reported.sums) {
      const auto first = static_cast<std::ptrdiff_t>(sums.size());
      sums.resize(sums.size() + static_cast<std::size_t>(state_.spec()[sum].type.elements()));
      state_.read(sum, sums.data() + first);
    }
  }
  return sums;
}

std::vector<Measured> Session::measure(std::string_view split, const std::vector<double>& sums, double samples) const {
  std::vector<Measured> values;
  const std::vector<Assembly::Reported>& all = blueprint_.assembly().reported(split);
  std::map<int, double> skipped;  // samples, by entry
  std::size_t at = 0;
  for (const auto& reported : all) {
    if (reported.skipped) skipped[reported.entry] = sums[at + 1];
    at += reported.numbers;
  }
  at = 0;
  for (const auto& reported : all) {
    const std::span<const double> own(sums.data() + at, reported.numbers);
    at += reported.numbers;
    const double counted = samples - skipped[reported.entry];
    if (counted <= 0.0 && !reported.skipped) continue;  // of nothing there is no mean
    const double value = Assembly::finish(reported, own, counted);
    const double shown = std::isnan(value) ? NAN : value;  // nobody should have to read "-nan"
    values.push_back({fmt::format("{}/{}", split, reported.name), shown});
  }
  return values;
}

std::int64_t Session::finite_updates() const {
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (const int count : blueprint_.assembly().finite_updates())
    least = std::min(least, static_cast<std::int64_t>(state_.read_scalar<double>(count)));
  return least;
}

}  // namespace trainctl
