#include "data/staging.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"

namespace trainctl {
namespace {

struct Slot {
  enum class Phase { free, filling, ready, failed };
  Phase phase = Phase::free;
  DataPosition at;
  std::vector<std::int32_t> ids;  // room for a whole batch
  std::int64_t count = 0;
  std::vector<std::byte*> fields;
  std::exception_ptr error;
};

/// Of a batch in a slot: what follows it is aligned.
std::size_t batch_bytes(const Field& field, std::int64_t batch) {
  constexpr std::size_t alignment = HostBytes::alignment;
  return (static_cast<std::size_t>(batch) * field.sample_bytes() + alignment - 1) / alignment * alignment;
}

}  // namespace

std::size_t Staging::memory_bytes(const DatasetInfo& info, std::int64_t batch_size, int slots) {
  std::size_t bytes = 0;
  for (const Field& field : info.fields) bytes += batch_bytes(field, batch_size);
  return bytes * static_cast<std::size_t>(slots);
}

// Batches have numbers 0, 1, 2, ... from the start; batch k lives in slot k mod slots. Three counters move over them:
// released <= taken <= claimed. A worker claims the next number as soon as its slot is free.
struct Staging::State {
  const SampleSource& source;
  const Sampler& sampler;
  HostBytes memory;
  std::vector<Slot> slots;
  std::vector<const std::byte*> field_views;  // slots x fields, for StagedBatch

  std::mutex mutex;
  std::condition_variable slot_freed;
  std::condition_variable batch_done;
  bool stop = false;
  std::uint64_t claimed = 0;
  std::uint64_t taken = 0;
  std::uint64_t released = 0;
  DataPosition next_at;
  std::int64_t order_epoch = -1;
  std::vector<std::int32_t> order;
  int threads;
  std::vector<std::thread> workers;

  State(const SampleSource& source_in, const Sampler& sampler_in, Options options)
      : source(source_in),
        sampler(sampler_in),
        slots(static_cast<std::size_t>(options.slots)),
        order(sampler_in.samples()),
        threads(options.threads) {
    const std::vector<Field>& fields = source.info().fields;
    const std::int64_t batch = sampler.options().batch_size;
    memory = HostBytes(memory_bytes(source.info(), batch, options.slots), true);
    std::byte* at = memory.data();
    for (Slot& slot : slots) {
      slot.ids.resize(static_cast<std::size_t>(batch));
      for (const Field& field : fields) {
        slot.fields.push_back(at);
        field_views.push_back(at);
        at += batch_bytes(field, batch);
      }
    }
  }

  ~State() { end_reading(); }

  void end_reading() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    slot_freed.notify_all();
    for (std::thread& worker : workers) worker.join();
    workers.clear();
  }

  void begin_reading(DataPosition start) {
    stop = false;
    claimed = taken = released = 0;
    for (Slot& slot : slots) slot.phase = Slot::Phase::free;
    next_at = start;
    for (int i = 0; i < threads; ++i) workers.emplace_back([this] { work(); });
  }

  Slot& slot_of(std::uint64_t batch) { return slots[batch % slots.size()]; }

  // Takes the next batch number and notes its samples in the slot; the mutex is held.
  Slot& claim() {
    Slot& slot = slot_of(claimed++);
    if (order_epoch != next_at.epoch) {
      sampler.order(next_at.epoch, order);
      order_epoch = next_at.epoch;
    }
    slot.phase = Slot::Phase::filling;
    slot.at = next_at;
    slot.count = sampler.batch_samples(next_at.offset);
    std::copy_n(order.begin() + next_at.offset, slot.count, slot.ids.begin());
    next_at = sampler.next(next_at);
    return slot;
  }

  void fill(Slot& slot) const {
    const std::span<const std::int32_t> ids = std::span(slot.ids).first(static_cast<std::size_t>(slot.count));
    for (std::size_t field = 0; field < slot.fields.size(); ++field) source.read(field, ids, slot.fields[field]);
  }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      slot_freed.wait(lock, [&] { return stop || claimed < released + slots.size(); });
      if (stop) return;
      Slot& slot = claim();
      lock.unlock();
      std::exception_ptr error;
      try {
        fill(slot);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      slot.error = error;
      slot.phase = error ? Slot::Phase::failed : Slot::Phase::ready;
      batch_done.notify_one();
    }
  }
};

Staging::Staging(const SampleSource& source, const Sampler& sampler, Options options) {
  require(options.threads >= 1 && options.slots >= 1, "staging needs a thread and a slot");
  state_ = std::make_unique<State>(source, sampler, options);
}

Staging::Staging(const SampleSource& source, const Sampler& sampler, DataPosition start, Options options)
    : Staging(source, sampler, options) {
  seek(start);
}

Staging::~Staging() = default;

void Staging::seek(DataPosition start) {
  require(start.epoch >= 0 && start.offset >= 0, "a position in the data is not negative");
  if (start.offset >= state_->sampler.epoch_samples()) start = {start.epoch + 1, 0};
  state_->end_reading();
  state_->begin_reading(start);
}

bool Staging::ready() const {
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  return s.claimed > s.taken && s.slot_of(s.taken).phase == Slot::Phase::ready;
}

StagedBatch Staging::next() {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  require(!s.workers.empty(), "staging is to begin somewhere");
  require(s.taken - s.released < s.slots.size(), "all staged batches are held; release one first");
  Slot& slot = s.slot_of(s.taken);
  s.batch_done.wait(lock, [&] {
    return s.claimed > s.taken && (slot.phase == Slot::Phase::ready || slot.phase == Slot::Phase::failed);
  });
  if (slot.error) std::rethrow_exception(slot.error);
  const std::size_t fields = slot.fields.size();
  const std::size_t index = s.taken++ % s.slots.size();
  return {.at = slot.at,
          .count = slot.count,
          .fields = std::span(s.field_views).subspan(index * fields, fields),
          .ids = std::span(slot.ids).first(static_cast<std::size_t>(slot.count))};
}

void Staging::release() {
  State& s = *state_;
  {
    const std::lock_guard lock(s.mutex);
    require(s.released < s.taken, "no staged batch is held");
    s.slot_of(s.released++).phase = Slot::Phase::free;
  }
  s.slot_freed.notify_one();
}

std::span<std::byte> Staging::memory() {
  return state_->memory.span();
}

}  // namespace trainctl
