// Weights that a run begins with instead of its initialisers: `init_from` of its models.
#pragma once

#include <cstddef>
#include <vector>

#include "base/error.h"
#include "program/state_store.h"
#include "store/checkpoint.h"
#include "train/spec.h"

namespace trainctl {

/// An Error of that kind, which lists those there are, unless the checkpoint holds an average of that name.
void expect_average(const CheckpointReader& reader, const std::string& average, ErrorKind kind);

/// What the models' `init_from` name, read and checked.
class InitialWeights {
 public:
  InitialWeights() = default;
  /// Reads the checkpoints. A data Error lists everything that is missing, left over or of another shape (unless
  /// `strict: false`, where what does not fit is left as it is, and said); a config Error names a pattern that matches
  /// nothing.
  InitialWeights(const ExperimentSpec& spec, const StateSpec& state);
  /// Writes them to the state's variables.
  void write(StateStore& store) const;

 private:
  struct Array {
    int state;
    std::vector<std::byte> bytes;
  };
  void read(const std::string& model_name, const InitFrom& from, const StateSpec& state);

  std::vector<Array> arrays_;
};

}  // namespace trainctl
