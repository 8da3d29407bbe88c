#include "program/state_store.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "base/error.h"
#include "base/philox.h"
#include "graph/builtin.h"

namespace trainctl {
namespace {

/// Element i of the variable's start. Four words of one Philox call give two elements.
void fill_random(const Init& init, std::uint64_t stream, std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); i += 2) {
    const Words4 random =
        philox4x32({{static_cast<std::uint32_t>(i / 2), static_cast<std::uint32_t>(i / 2 >> 32), 0, 0}}, stream);
    double first = uniform_double(random.word[0], random.word[1]);
    double second = uniform_double(random.word[2], random.word[3]);
    if (init.kind == Init::Kind::normal) {  // Box & Muller, 1958
      const double radius = std::sqrt(-2.0 * std::log(1.0 - first));
      const double angle = 2.0 * std::numbers::pi * second;
      first = init.a + init.b * radius * std::cos(angle);
      second = init.a + init.b * radius * std::sin(angle);
    } else {
      first = init.a + (init.b - init.a) * first;
      second = init.a + (init.b - init.a) * second;
    }
    values[i] = first;
    if (i + 1 < values.size()) values[i + 1] = second;
  }
}

template <typename T>
std::vector<std::byte> converted(const std::vector<double>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const T value = static_cast<T>(values[i]);
    std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
  }
  return bytes;
}

/// A reorder of a variable, to another element type where one is asked for.
class Reordering {
 public:
  Reordering(const TensorType& from, const Layout& given, const Layout& layout, DType dtype,
             const std::string& device_name, int threads)
      : from_(from),
        to_{dtype, from.shape},
        given_(given),
        layout_(layout),
        attributes_(given, layout),
        threads_(threads) {
    for (const auto* entry : KernelRegistry::instance().find("reorder", device_name)) {
      plan_ = entry->kernel->plan(request());
      kernel_ = entry->kernel.get();
      if (plan_) return;
    }
    fail(ErrorKind::internal, "the device has no reorder between two layouts of state");
  }
  Reordering(const Reordering&) = delete;
  Reordering& operator=(const Reordering&) = delete;

  std::size_t copy_bytes() const { return layout_.bytes(to_); }
  const KernelPlan& plan() const { return *plan_; }
  std::unique_ptr<Launch> prepare() const { return kernel_->prepare(request(), *plan_); }

 private:
  KernelRequest request() const {
    return {.op = "reorder",
            .attributes = &attributes_,
            .inputs = {&input_, 1},
            .outputs = {&to_, 1},
            .input_layouts = {&given_, 1},
            .threads = threads_};
  }

  TensorType from_, to_;
  const TensorType* input_ = &from_;
  Layout given_, layout_;
  ReorderAttributes attributes_;
  int threads_;
  const Kernel* kernel_ = nullptr;
  std::optional<KernelPlan> plan_;
};

bool lies_row_major(const StateVariable& variable) {
  return variable.layout.same_places(variable.type.shape, Layout());
}

/// What the reorders between a variable's layout and the row-major one need.
struct ExchangeBytes {
  std::size_t rows = 0, workspace = 0;

  ExchangeBytes(const StateSpec& spec, const Device& device) {
    for (int i = 0; i < spec.size(); ++i) {
      const StateVariable& variable = spec[i];
      if (lies_row_major(variable)) continue;
      rows = std::max(rows, variable.type.bytes());
      for (const bool out : {true, false}) {
        const Reordering reordering(variable.type, out ? variable.layout : Layout(), out ? Layout() : variable.layout,
                                    variable.type.dtype, std::string(device.name()), device.threads());
        workspace = std::max(workspace, reordering.plan().workspace_bytes);
      }
    }
  }
};

}  // namespace

void* StateStore::address(int state) {
  const StateVariable& variable = spec_[state];
  const int root = root_of(state);
  const std::size_t offset = static_cast<std::size_t>(variable.root_offset) * size_bytes(variable.type.dtype);
  if (const auto adopted = adopted_.find(root); adopted != adopted_.end())
    return static_cast<std::byte*>(adopted->second) + offset;
  auto found = memory_.find(root);
  if (found == memory_.end()) found = memory_.emplace(root, Buffer(device_, spec_[root].type.bytes())).first;
  return found->second.data() + offset;
}

void StateStore::reserve() {
  for (int state = 0; state < spec_.size(); ++state) {
    address(state);
    if (!lies_row_major(spec_[state])) exchange(state);
  }
}

void StateStore::adopt(int state, void* memory) {
  require(spec_[state].root < 0 && !memory_.contains(state), "only a variable without memory can adopt some");
  adopted_[state] = memory;
}

void StateStore::initialise(std::uint64_t seed) {
  for (int state = 0; state < spec_.size(); ++state) {
    const bool data = !spec_[state].saved && spec_[state].root < 0 && spec_.members(state).empty();
    if (spec_.members(state).empty() && !data && !adopted_.contains(state)) initialise(state, seed);
  }
}

void StateStore::initialise(int state, std::uint64_t seed) {
  const StateVariable& variable = spec_[state];
  std::vector<double> values(variable.type.elements(), variable.init.a);
  if (variable.init.kind != Init::Kind::constant) fill_random(variable.init, stream_hash(seed, variable.name), values);
  std::vector<std::byte> bytes;
  switch (variable.type.dtype) {
    case DType::f32:
      bytes = converted<float>(values);
      break;
    case DType::f64:
      bytes = converted<double>(values);
      break;
    case DType::i32:
      bytes = converted<std::int32_t>(values);
      break;
    case DType::i64:
      bytes = converted<std::int64_t>(values);
      break;
    case DType::u8:
      bytes = converted<std::uint8_t>(values);
      break;
    case DType::bf16:
      fail(ErrorKind::internal, "state '{}' cannot start in bf16", variable.name);
  }
  write(state, bytes.data());
}

StateStore::Exchange& StateStore::exchange(int state) {
  const auto [found, added] = exchanges_.try_emplace(state);
  Exchange& exchange = found->second;
  if (!added) return exchange;
  const StateVariable& variable = spec_[state];
  const auto reorder = [&](const Layout& from, const Layout& to) {
    return Reordering(variable.type, from, to, variable.type.dtype, std::string(device_.name()), device_.threads())
        .prepare();
  };
  exchange.to_rows = reorder(variable.layout, Layout());
  exchange.from_rows = reorder(Layout(), variable.layout);
  if (!rows_.data()) {
    const ExchangeBytes bytes(spec_, device_);
    rows_ = Buffer(device_, bytes.rows);
    rows_workspace_ = Buffer(device_, bytes.workspace);
  }
  exchange.placed = address(state);
  exchange.rows = rows_.data();
  return exchange;
}

void StateStore::reorder(Launch& launch, void* const* from, void* const* to) {
  device_.launch_held();
  launch.run({.inputs = from, .outputs = to, .workspace = rows_workspace_.data(), .stream = device_.stream()});
}

std::size_t StateStore::exchange_bytes(const StateSpec& spec, const Device& device) {
  const ExchangeBytes bytes(spec, device);
  return bytes.rows + bytes.workspace;
}

void StateStore::read(int state, void* host) const {
  auto& self = const_cast<StateStore&>(*this);  // memory is taken when it is first asked for
  const std::size_t bytes = spec_[state].type.bytes();
  if (lies_row_major(spec_[state])) return device_.download(host, self.address(state), bytes);
  Exchange& exchange = self.exchange(state);
  self.reorder(*exchange.to_rows, &exchange.placed, &exchange.rows);
  device_.download(host, exchange.rows, bytes);
}

std::vector<float> StateStore::floats(std::string_view name) const {
  const int state = spec_.find(name);
  if (state < 0) return {};
  std::vector<float> values(static_cast<std::size_t>(spec_[state].type.elements()));
  read(state, values.data());
  return values;
}

void StateStore::write(int state, const void* host) {
  const std::size_t bytes = spec_[state].type.bytes();
  if (lies_row_major(spec_[state])) {
    device_.upload(address(state), host, bytes);
  } else {
    Exchange& exchange = this->exchange(state);
    device_.upload(exchange.rows, host, bytes);
    reorder(*exchange.from_rows, &exchange.rows, &exchange.placed);
  }
  mark_stale(root_of(state));
}

std::size_t StateStore::bytes() const {
  std::size_t total = 0;
  for (const auto& [root, buffer] : memory_) total += buffer.bytes();
  for (const auto& copy : copies_) total += copy->memory.bytes();
  return total + rows_.bytes() + rows_workspace_.bytes();
}

StateStore::WorkingCopy& StateStore::working_copy(int state, const Layout& layout, DType dtype,
                                                  const std::string& device_name, int threads) {
  for (const auto& copy : copies_) {
    if (copy->state == state && copy->layout == layout && copy->dtype == dtype) return *copy;
  }
  const Reordering refresh(spec_[state].type, spec_[state].layout, layout, dtype, device_name, threads);
  auto copy = std::make_unique<WorkingCopy>();
  copy->state = state;
  copy->layout = layout;
  copy->dtype = dtype;
  copy->memory = Buffer(device_, refresh.copy_bytes());
  copy->workspace = Buffer(device_, refresh.plan().workspace_bytes);
  copy->launch = refresh.prepare();
  copies_.push_back(std::move(copy));
  return *copies_.back();
}

std::size_t StateStore::working_copy_bytes(const StateVariable& variable, const Layout& layout, DType dtype,
                                           const std::string& device_name, int threads) {
  const Reordering refresh(variable.type, variable.layout, layout, dtype, device_name, threads);
  return refresh.copy_bytes() + refresh.plan().workspace_bytes;
}

void StateStore::mark_stale(int root) {
  for (const auto& copy : copies_) {
    if (root_of(copy->state) == root) copy->stale = true;
  }
}

void StateStore::refresh(WorkingCopy& copy) {
  copy.from = address(copy.state);
  copy.to = copy.memory.data();
  copy.launch->run(
      {.inputs = &copy.from, .outputs = &copy.to, .workspace = copy.workspace.data(), .stream = device_.stream()});
  copy.stale = false;
}

}  // namespace trainctl
