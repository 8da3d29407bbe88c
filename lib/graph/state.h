// What outlives a step: parameters, optimizer slots, running statistics, metric sums, data on the device.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "device/layout.h"
#include "device/types.h"

namespace trainctl {

/// The distribution that a state variable starts from. Random ones draw from Philox with stream hash(seed, name), so a
/// variable's start depends on the seed, its name and nothing else.
struct Init {
  enum class Kind : std::uint8_t { constant, uniform, normal };
  Kind kind = Kind::constant;
  double a = 0.0;  ///< constant: the value; uniform: lower bound; normal: mean
  double b = 0.0;  ///< uniform: upper bound; normal: standard deviation

  static Init zeros() { return {}; }
  static Init constant(double value) { return {Kind::constant, value, 0.0}; }
  static Init uniform(double low, double high) { return {Kind::uniform, low, high}; }
  static Init normal(double mean, double deviation) { return {Kind::normal, mean, deviation}; }
};

/// One named tensor that persists between steps.
struct StateVariable {
  std::string
      name;  ///< its path in a checkpoint: "model/0.weight", "optimizer/default/exp_avg/0.weight", "metrics/train/loss"
  TensorType type;
  Init init;
  bool saved = true;             ///< whether checkpoints hold it
  bool trainable = false;        ///< whether an optimizer may own it
  int root = -1;                 ///< index of the variable in whose memory it lies, or -1 if it has its own
  std::int64_t root_offset = 0;  ///< first element within the root
  int like = -1;                 ///< of a group: the one whose offsets and layouts its members have, or -1
  Layout layout{};               ///< how it lies in the device's memory; all but programs see it row-major
};

/// All state of an experiment, shared by its graphs. A variable is declared by the first graph that uses it; later ones
/// must agree on its type.
class StateSpec {
 public:
  static constexpr std::int64_t alignment = 16;  ///< members of a group begin at multiples of this many elements

  /// Index of the variable of that name, declared if new. An internal Error if it exists with another type.
  int declare(StateVariable variable);
  /// Index, or -1.
  int find(std::string_view name) const;
  const StateVariable& operator[](int index) const { return variables_[index]; }
  int size() const { return static_cast<int>(variables_.size()); }

  /// Lays the members (all of one dtype, none in a group yet) one behind the other in the memory of a new
  /// one-dimensional variable. What lies between members for alignment is zero and must stay so. Returns the root's
  /// index.
  int make_group(std::string name, const std::vector<int>& members, bool saved = false);
  /// A group of new variables with the types and offsets of `like`'s members: gradients, optimizer slots. A member's
  /// name is `prefix` followed by the name of the member it belongs to less its first component ("model/0.weight" →
  /// "<prefix>/0.weight").
  int make_group_like(std::string name, int like, std::string_view prefix, Init init, bool saved);
  /// Members of a group in order of their offsets.
  std::vector<int> members(int root) const;
  /// Has a member of a group lie in a layout of as many bytes, and with it the members at its place in the groups that
  /// are like its own. Before any program is planned that is to run.
  void place(int member, const Layout& layout);
  void set_trainable(int index, bool trainable) { variables_[index].trainable = trainable; }

 private:
  /// The group that a group was made like, and that one, and so on: the first of them.
  int first_like(int root) const;

  std::vector<StateVariable> variables_;
  std::map<std::string, int, std::less<>> by_name_;
};

}  // namespace trainctl
