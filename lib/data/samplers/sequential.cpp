#include "data/sample_order.h"

namespace trainctl {
namespace {

/// The samples as they stand, over and over.
struct Sequential final : SampleOrder {
  std::optional<Progress> epoch_length;

  static Schema<Sequential> schema() {
    return Schema<Sequential>(
               "Visit the samples in their order. With an epoch_length the next epoch goes on where one ends, and "
               "after "
               "the last sample comes the first.")
        .field("epoch_length", &Sequential::epoch_length, epoch_length_doc)
        .example("sequential")
        .example("{type: sequential, epoch_length: 1000 steps}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const { check_epoch_length(epoch_length, diagnostics, node); }

  std::unique_ptr<EpochOrder> prepare(const OrderContext& context) const override {
    return orderly(context.ids, samples_of(epoch_length, context));
  }
};

const Register<SampleOrder, Sequential> registered{"sequential"};

}  // namespace
}  // namespace trainctl
