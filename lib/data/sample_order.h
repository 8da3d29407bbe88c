// In which order epochs visit samples: the `sampler` components. An order is a pure function of seed and epoch, so a
// position in the data is two numbers, and a resume is exact at any step.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "schema/schema.h"

namespace trainctl {

/// Sample numbers that are shared, not copied.
using SampleIds = std::shared_ptr<const std::vector<std::int32_t>>;

/// The order of every epoch.
class EpochOrder {
 public:
  virtual ~EpochOrder() = default;
  /// Sample numbers in an epoch's order.
  virtual std::int64_t samples() const = 0;
  /// Whether epochs differ.
  virtual bool varies() const = 0;
  /// Writes the order of an epoch to `out`, samples() long.
  virtual void write(std::int64_t epoch, std::span<std::int32_t> out) const = 0;
};

/// What an order is made for.
struct OrderContext {
  SampleIds ids;                    ///< the samples that may be visited
  const Column* values = nullptr;   ///< SampleOrder::field() of all samples of the data set; null if it names none
  std::uint64_t seed = 0;           ///< the experiment's
  std::int64_t update_samples = 1;  ///< samples of a full update: a step of an epoch's length
};

/// Interface of the `sampler` components. One file each in lib/data/samplers.
struct SampleOrder {
  static constexpr const char* kind = "sampler";
  virtual ~SampleOrder() = default;

  /// The field of the data whose values it needs; empty if none.
  virtual std::string_view field() const { return {}; }
  /// Throws a config Error where the data does not suit.
  virtual std::unique_ptr<EpochOrder> prepare(const OrderContext& context) const = 0;
};

/// The samples as they stand, over and over; `length` of them an epoch (0: all). Epoch e has those at positions
/// e * length ... modulo their number.
std::unique_ptr<EpochOrder> orderly(SampleIds ids, std::int64_t length = 0);

/// The samples shuffled anew for each pass over them, pass after pass; `length` of them an epoch (0: all), whatever
/// pass that is in. After any number of epochs no sample was visited twice more often than another.
std::unique_ptr<EpochOrder> shuffled(SampleIds ids, std::uint64_t seed, std::int64_t length = 0);

/// Shuffles `items` uniformly (Fisher-Yates; Durstenfeld, 1964) by the random words of (`stream`, `round`), nothing
/// else.
void shuffle_in_place(std::uint64_t stream, std::uint64_t round, std::span<std::int32_t> items);

/// Samples of an epoch that is `length` long, in steps or samples; 0 if it is not given.
std::int64_t samples_of(const std::optional<Progress>& length, const OrderContext& context);
/// The field `epoch_length` of several samplers: its documentation, and what is wrong with a value.
inline constexpr const char* epoch_length_doc =
    "How long an epoch is, in steps (updates) or samples; if left out, as many samples as there are.";
void check_epoch_length(const std::optional<Progress>& length, Diagnostics& diagnostics, const Node& node);

}  // namespace trainctl
