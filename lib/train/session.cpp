#include "train/session.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/sha256.h"
#include "schema/yaml.h"

namespace trainctl {

PlanOptions plan_options(const Device& device, const TrainerSpec& trainer) {
  if (trainer.precision != Precision::fp32 && !device.reduced_precision()) {
    fail(ErrorKind::config,
         "trainer.precision is {}, and device {} computes in fp32 only; use --device cuda, or precision: fp32",
         trainer.precision == Precision::tf32 ? "tf32" : "bf16", device.name());
  }
  return {.device = std::string(device.name()),
          .threads = device.threads(),
          .fast_math = trainer.fast_math,
          .tf32 = trainer.precision == Precision::tf32,
          .concurrent = device.concurrent()};
}

Session::Session(Device& device, Blueprint& blueprint, const std::vector<std::string>& splits)
    : device_(device),
      blueprint_(blueprint),
      state_(device, blueprint.state()),
      scalars_(device),
      programs_(device, state_, scalars_) {
  load(splits);
}

void Session::load(const std::vector<std::string>& splits) {
  // Splits of one data set share it; different ones are read at the same time.
  std::map<std::string, std::shared_future<std::shared_ptr<const Table>>> loading;
  std::map<std::string, std::string> text_of_split;
  for (const std::string& name : splits) {
    const SplitSpec& split = *blueprint_.spec().data.find(name);
    const Dataset* dataset = split.dataset.get();
    const std::string text = to_yaml(split.dataset.write());
    text_of_split[name] = text;
    if (loading.contains(text)) continue;
    loading[text] = std::async(std::launch::async, [dataset] {
                      return std::shared_ptr<const Table>(std::make_shared<Table>(dataset->load()));
                    }).share();
  }
  std::vector<std::pair<std::string, std::shared_ptr<const Table>>> tables;
  for (const std::string& name : splits) {
    SplitData& data = data_[name];
    data.table = loading[text_of_split[name]].get();
    place(name, data);
    tables.emplace_back(name, data.table);
  }
  std::string listed;  // what a file chose belongs to the data too
  for (const std::string& name : splits) {
    const auto& subset = blueprint_.spec().data.find(name)->subset;
    if (subset && subset->ids_file) listed += sha256_hex(ids_text(name, blueprint_.sampler(name).ids())) + "\n";
  }
  digest_future_ = std::async(std::launch::async, [tables, listed] {
    std::string joined = listed;
    for (const auto& [name, table] : tables) joined += name + ":" + table->digest() + "\n";
    return sha256_hex(joined);
  });
}

void Session::place(const std::string& split, SplitData& data) {
  const StateSpec& spec = blueprint_.state();
  for (const Column& column : data.table->columns()) {
    const int state = spec.find(fmt::format("data/{}/{}", split, column.field.name));
    // On the CPU the data set is used where it lies; a program never writes to it.
    if (device_.name() == "cpu") {
      state_.adopt(state, const_cast<std::byte*>(column.data()));
    } else {
      state_.write(state, column.data());
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
  if (auto ready = planned_.extract(key)) return std::move(ready.mapped());
  const auto graph = blueprint_.build(key);
  return plan_program(*graph, plan_options(device_, blueprint_.spec().trainer));
}

Program& Session::program(const ProgramKey& key) {
  if (const auto found = compiled_.find(key); found != compiled_.end()) return *found->second;
  return *(compiled_[key] = &programs_.add(plan(key)));
}

void Session::reserve() {
  std::size_t most = 0;
  for (const ProgramKey& key : blueprint_.programs()) {
    if (compiled_.contains(key)) continue;
    Plan ready = plan(key);
    most = std::max(most, ready.arena_bytes);
    planned_.emplace(key, std::move(ready));
  }
  programs_.reserve(most);
}

void Session::set_epoch(std::string_view split, std::int64_t epoch) {
  SplitData& data = data_.find(split)->second;
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
  const double zero = 0.0;
  for (const auto& reported : blueprint_.assembly().reported(split)) {
    for (const int sum : reported.sums) state_.write(sum, &zero);
  }
  if (split != "train") return;
  for (const int count : blueprint_.assembly().finite_updates()) state_.write(count, &zero);
}

std::vector<double> Session::read_sums(std::string_view split) const {
  std::vector<double> sums;
  for (const auto& reported : blueprint_.assembly().reported(split)) {
    for (const int sum : reported.sums) sums.push_back(state_.read_scalar<double>(sum));
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
    at += reported.sums.size();
  }
  at = 0;
  for (const auto& reported : all) {
    const std::span<const double> own(sums.data() + at, reported.sums.size());
    at += reported.sums.size();
    const double counted = samples - skipped[reported.entry];
    if (counted <= 0.0 && !reported.skipped) continue;  // of nothing there is no mean
    values.push_back({fmt::format("{}/{}", split, reported.name), Assembly::finish(reported, own, counted)});
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
