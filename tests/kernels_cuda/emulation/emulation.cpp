#include "emulation.h"

#include <fmt/core.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cuda_runtime.h"
#include "runtime.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulation {
namespace {

/// A stack, and where on it execution was left.
class Fiber {
 public:
  /// The stack that the program runs on already.
  Fiber() = default;
  /// A stack on which `entry` will begin; it never returns.
  explicit Fiber(void (*entry)())
      : memory_(std::make_unique_for_overwrite<char[]>(stack_bytes)), bottom_(memory_.get()), bytes_(stack_bytes) {
    getcontext(&start_);
    start_.uc_stack.ss_sp = memory_.get();
    start_.uc_stack.ss_size = stack_bytes;
    makecontext(&start_, entry, 0);
  }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Leaves this fiber, until someone switches back, and goes on in `other`.
  [[gnu::noinline]] void switch_to(Fiber& other) {
    previous = this;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&shadow_, other.bottom_, other.bytes_);
#endif
    if (__builtin_setjmp(left_) == 0) other.go_on();
    arrive();
  }
  /// To be called first by `entry`.
  void arrive() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(shadow_, &previous->bottom_, &previous->bytes_);
#endif
  }

 private:
  [[noreturn, gnu::noinline]] void go_on() {
    if (memory_ && !std::exchange(begun_, true)) setcontext(&start_);
    __builtin_longjmp(left_, 1);
  }

  static constexpr std::size_t stack_bytes = 128 << 10;
  static inline Fiber* previous = nullptr;
  std::unique_ptr<char[]> memory_;
  const void* bottom_ = nullptr;
  std::size_t bytes_ = 0;
  void* shadow_ = nullptr;
  bool begun_ = false;
  ucontext_t start_;
  void* left_[5];  // the compiler's own jmp_buf: the C library's knows of one stack only, and is slow
};

constexpr int warp_size = 32;
constexpr std::byte garbage{0xFF};
constexpr std::size_t shared_without_asking = 48 << 10, most_shared = 227 << 10;
constexpr std::size_t guard_bytes = 256;

enum class State : std::uint8_t { ready, at_barrier, at_exchange, ended };

struct Thread {
  State state = State::ready;
  Fiber* fiber = nullptr;  ///< that it waits on
  Place place;             ///< where it waits
  std::uint32_t lanes = 0;
  std::uint64_t value = 0;
  int source = 0;
  Exchanged exchanged{};
};

/// The block that is being run.
struct Block {
  std::vector<Thread> threads;
  std::vector<std::uint32_t> exchanging;  ///< of each warp, a bit for each lane that waits in exchange()
  int begun = 0, ended = 0, at_barrier = 0;
  int current = 0;
  const std::function<void()>* body = nullptr;
  std::string failure;
  std::vector<const void*> poisoned;  ///< variables in shared memory that a thread has come to
};

Block block;
std::vector<std::unique_ptr<Fiber>> fibers;
std::vector<Fiber*> idle;  ///< those on which no thread waits
Fiber home;
Fiber* running = nullptr;
bool backwards = false;
std::size_t allowed_shared = shared_without_asking;
struct alignas(128) SharedLine {
  std::byte bytes[128];
};
std::vector<SharedLine> shared_memory;

int thread_count() {
  return static_cast<int>(block.threads.size());
}

/// The i-th number below `count` in the order in which things are run.
std::int64_t ordered(std::int64_t i, std::int64_t count) {
  return backwards ? count - 1 - i : i;
}

/// Changes from number to number, without a period.
bool odd(std::int64_t number) {
  return std::popcount(static_cast<std::uint64_t>(number)) % 2 != 0;
}

/// How often launches have been run.
std::map<std::string, std::int64_t>& runs() {
  static std::map<std::string, std::int64_t> all;
  return all;
}

std::string text_of(const Place& place) {
  return fmt::format("{}:{}", place.file_name(), place.line());
}

/// Gives up the launch, from within a thread.
[[noreturn]] void give_up(std::string why) {
  block.failure = std::move(why);
  for (;;) running->switch_to(home);
}

/// Lets the current thread wait until it is made ready.
void wait() {
  block.threads[block.current].fiber = running;
  running->switch_to(home);
}

bool same(const Place& a, const Place& b) {
  return a.line() == b.line() && a.column() == b.column() && a.file_name() == b.file_name();
}

/// Ends the barrier if all that have not ended are there.
bool passes_barrier() {
  if (block.at_barrier == 0 || block.at_barrier + block.ended < thread_count()) return false;
  const Thread* first = nullptr;
  for (Thread& thread : block.threads) {
    if (thread.state != State::at_barrier) continue;
    if (!first) first = &thread;
    if (!same(thread.place, first->place))
      give_up(fmt::format("threads of a block are at different barriers: {} and {}", text_of(first->place),
                          text_of(thread.place)));
    thread.state = State::ready;
  }
  block.at_barrier = 0;
  return true;
}

void set_current(int thread) {
  block.current = thread;
  const auto number = static_cast<unsigned>(thread);
  threadIdx = {number, 0, 0};
  if (number < blockDim.x) return;
  threadIdx = {number % blockDim.x, number / blockDim.x % blockDim.y, number / blockDim.x / blockDim.y};
}

/// What fibers do: begin threads, one after another for as long as none waits. Where one does, the rest are begun on
/// another fiber, and this one ends the thread when it is ready again.
void begin_threads() {
  Fiber& self = *running;
  self.arrive();
  for (;;) {
    while (block.begun < thread_count()) {
      set_current(static_cast<int>(ordered(block.begun++, thread_count())));
      (*block.body)();
      block.threads[block.current].state = State::ended;
      ++block.ended;
      passes_barrier();
    }
    idle.push_back(&self);
    self.switch_to(home);
  }
}

void resume(Fiber& fiber) {
  running = &fiber;
  home.switch_to(fiber);
}

/// Where threads wait that will wait for ever.
std::string describe_waiting() {
  std::map<std::string, int> counts;
  for (const Thread& thread : block.threads) {
    const char* what = thread.state == State::at_barrier ? "at the barrier " : "for lanes of their warp at ";
    ++counts[thread.state == State::ended ? "have ended" : fmt::format("wait {}{}", what, text_of(thread.place))];
  }
  std::string text;
  for (const auto& [where, count] : counts) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, where);
  return text;
}

void run_block(int threads) {
  block.threads.assign(threads, {});
  block.exchanging.assign((threads + warp_size - 1) / warp_size, 0);
  block.begun = block.ended = block.at_barrier = 0;
  block.failure.clear();
  block.poisoned.clear();
  for (std::int64_t turn = 0, passed = 0; block.ended < threads && block.failure.empty();) {
    if (block.begun < threads) {
      if (idle.empty()) idle.push_back(fibers.emplace_back(std::make_unique<Fiber>(begin_threads)).get());
      Fiber& fiber = *idle.back();
      idle.pop_back();
      resume(fiber);
      continue;
    }
    const auto number = static_cast<int>(ordered(turn, threads));
    turn = (turn + 1) % threads;
    if (block.threads[number].state == State::ready) {
      set_current(number);
      resume(*block.threads[number].fiber);
      passed = 0;
    } else if (++passed == threads) {
      block.failure = "threads wait for each other: " + describe_waiting();
    }
  }
}

[[noreturn]] void refuse(const char* site, std::string_view why) {
  throw std::runtime_error(fmt::format("{}: {}", site, why));
}

void check_launch(const char* site, dim3 grid, dim3 size, std::size_t shared_bytes) {
  const auto within = [](dim3 extents, unsigned x, unsigned y, unsigned z) {
    return extents.x >= 1 && extents.x <= x && extents.y >= 1 && extents.y <= y && extents.z >= 1 && extents.z <= z;
  };
  if (!within(grid, 0x7FFFFFFF, 65535, 65535)) refuse(site, "there is no such grid");
  if (!within(size, 1024, 1024, 64) || size.x * size.y * size.z > 1024) refuse(site, "there is no such block");
  if (shared_bytes > allowed_shared) refuse(site, "more shared memory than cudaFuncSetAttribute has allowed");
}

void run_grid(const char* site, dim3 grid, dim3 size, std::size_t shared_bytes, const std::function<void()>& thread) {
  gridDim = grid;
  blockDim = size;
  block.body = &thread;
  shared_memory.resize((shared_bytes + guard_bytes) / sizeof(SharedLine) + 1);
  const auto guarded = std::as_writable_bytes(std::span(shared_memory));
  const std::int64_t blocks = std::int64_t{grid.x} * grid.y * grid.z;
  for (std::int64_t i = 0; i < blocks; ++i) {
    const auto number = static_cast<std::uint64_t>(ordered(i, blocks));
    blockIdx = {static_cast<unsigned>(number % grid.x), static_cast<unsigned>(number / grid.x % grid.y),
                static_cast<unsigned>(number / grid.x / grid.y)};
    std::ranges::fill(guarded, garbage);
    run_block(static_cast<int>(size.x * size.y * size.z));
    if (block.failure.empty() &&
        std::ranges::any_of(guarded.subspan(shared_bytes), [](std::byte byte) { return byte != garbage; }))
      block.failure = "wrote beyond its shared memory";
    if (block.failure.empty()) continue;
    idle.clear();
    fibers.clear();  // threads wait on them
    refuse(site, fmt::format("block ({}, {}, {}): {}", blockIdx.x, blockIdx.y, blockIdx.z, block.failure));
  }
}

}  // namespace

void run(const char* site, dim3 grid, dim3 size, std::size_t shared_bytes, cudaStream_t stream,
         std::function<void()> thread) {
  const std::lock_guard lock(mutex());
  check_launch(site, grid, size, shared_bytes);
  std::int64_t& count = runs()[site];
  const cudaError_t status = enqueue(stream, [=, &count] {
    backwards = odd(++count);
    run_grid(site, grid, size, shared_bytes, thread);
  });
  if (status != cudaSuccess) refuse(site, "not on a stream of the device's");
}

Launches::Launches(std::initializer_list<const char*> sites) {
  for (const char* site : sites) runs()[site];
}

void poison(void* memory, std::size_t bytes) {
  if (std::ranges::find(block.poisoned, memory) != block.poisoned.end()) return;
  block.poisoned.push_back(memory);
  std::memset(memory, static_cast<int>(garbage), bytes);
}

void* dynamic_shared() {
  return shared_memory.data();
}

void barrier(const Place& place) {
  Thread& self = block.threads[block.current];
  self.state = State::at_barrier;
  self.place = place;
  ++block.at_barrier;
  if (!passes_barrier()) wait();
}

int lane() {
  return block.current % warp_size;
}

Exchanged exchange(std::uint32_t lanes, std::uint64_t value, int source, const Place& place) {
  Thread& self = block.threads[block.current];
  if ((lanes >> lane() & 1) == 0 || (lanes >> source & 1) == 0)
    give_up(fmt::format("{}: lane {} asks lane {}, of lanes {:#x}", text_of(place), lane(), source, lanes));
  self.state = State::at_exchange;
  self.place = place;
  self.lanes = lanes;
  self.value = value;
  self.source = source;
  std::uint32_t& exchanging = block.exchanging[block.current / warp_size];
  exchanging |= 1u << lane();
  if ((exchanging & lanes) == lanes) {
    const std::span warp = std::span(block.threads).subspan(block.current - lane());
    const auto each = [&](auto visit) {
      for (std::uint32_t left = lanes; left; left &= left - 1) visit(std::countr_zero(left));
    };
    bool all = true;
    Exchanged exchanged{};
    each([&](int i) {
      all = all && warp[i].lanes == lanes && same(warp[i].place, place);
      exchanged.votes |= static_cast<std::uint32_t>(warp[i].value != 0) << i;
    });
    if (all) {
      each([&](int i) {
        warp[i].exchanged = {warp[warp[i].source].value, exchanged.votes};
        warp[i].state = State::ready;
      });
      exchanging &= ~lanes;
      return self.exchanged;
    }
  }
  wait();
  return self.exchanged;
}

std::string launches_not_run() {
  std::string sites;
  for (const auto& [site, count] : runs()) {
    if (count == 0) sites += (sites.empty() ? "" : " ") + site;
  }
  return sites;
}

// A limit holds for all launches of a kernel, those prepared before it was set too. So it is an error here to lower
// one.
cudaError_t allow_shared(const void* kernel, int bytes) {
  static std::map<const void*, int> limits;
  if (bytes < 0 || static_cast<std::size_t>(bytes) > most_shared) return cudaErrorInvalidValue;
  if (bytes < std::exchange(limits[kernel], bytes)) return cudaErrorInvalidValue;
  allowed_shared = std::max(allowed_shared, static_cast<std::size_t>(bytes));
  return cudaSuccess;
}

}  // namespace emulation
