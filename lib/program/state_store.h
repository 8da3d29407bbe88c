// The memory of everything that outlives a step.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device/device.h"
#include "graph/state.h"

namespace trainctl {

/// Device memory of the state variables of an experiment, and of the working copies that programs made of them.
class StateStore {
 public:
  StateStore(Device& device, const StateSpec& spec) : device_(device), spec_(spec) {}

  /// Address of a variable; its root's memory is allocated, zeroed, when first asked for.
  void* address(int state);
  /// Takes the memory of all variables now.
  void reserve();
  /// Lets a variable lie in memory that the caller keeps alive: a data set on the CPU.
  void adopt(int state, void* memory);
  /// Fills every variable that has no root of its own kind with its Init: random ones from Philox with stream
  /// hash(seed, name). Group roots are filled through their members.
  void initialise(std::uint64_t seed);
  /// Fills one variable with its Init.
  void initialise(int state, std::uint64_t seed);

  /// Row-major on the host, whatever the layout on the device.
  void read(int state, void* host) const;
  void write(int state, const void* host);
  template <typename T>
  T read_scalar(int state) const {
    T value{};
    read(state, &value);
    return value;
  }
  /// The elements of the f32 variable of that name; empty if there is none.
  std::vector<float> floats(std::string_view name) const;
  const StateSpec& spec() const { return spec_; }
  Device& device() const { return device_; }
  /// Bytes of all variables that have memory now, working copies included.
  std::size_t bytes() const;

  /// A variable in another layout or element type, as programs read it.
  struct WorkingCopy {
    int state;
    Layout layout;
    DType dtype;
    Buffer memory;
    bool stale = true;
    std::unique_ptr<Launch> launch;  ///< the reorder that refreshes it
    Buffer workspace;
    void* from = nullptr;  ///< of the reorder: kept so that launch arguments stay in place
    void* to = nullptr;
  };
  /// The working copy of that variable, layout and element type, made and stale if new.
  WorkingCopy& working_copy(int state, const Layout& layout, DType dtype, const std::string& device_name, int threads);
  /// Bytes that a working copy of a variable takes, with what refreshing it needs.
  static std::size_t working_copy_bytes(const StateVariable& variable, const Layout& layout, DType dtype,
                                        const std::string& device_name, int threads);
  /// Bytes that reading and writing takes where variables do not lie row-major on the device.
  static std::size_t exchange_bytes(const StateSpec& spec, const Device& device);
  /// After variables were written from outside (initialisation, a checkpoint, another program).
  void mark_stale(int root);
  void refresh(WorkingCopy& copy);

 private:
  /// The reorders between a variable's layout and `rows_`. The addresses are kept so that launch arguments stay.
  struct Exchange {
    std::unique_ptr<Launch> to_rows, from_rows;
    void* placed = nullptr;
    void* rows = nullptr;
  };
  int root_of(int state) const { return spec_[state].root < 0 ? state : spec_[state].root; }
  Exchange& exchange(int state);
  void reorder(Launch& launch, void* const* from, void* const* to);

  Device& device_;
  const StateSpec& spec_;
  std::map<int, Buffer> memory_;  // by root
  std::map<int, void*> adopted_;  // by root
  std::vector<std::unique_ptr<WorkingCopy>> copies_;
  std::map<int, Exchange> exchanges_;
  Buffer rows_;  // a variable in row-major order, on its way from or to the host
  Buffer rows_workspace_;
};

}  // namespace trainctl
