#include "train/streamed_split.h"

#include <utility>

namespace trainctl {

StreamedSplit::StreamedSplit(std::shared_ptr<const SampleSource> source, const Sampler& sampler,
                             std::vector<int> states, int threads)
    : source_(std::move(source)),
      sampler_(sampler),
      states_(std::move(states)),
      options_{.threads = threads, .slots = threads + 2} {}

void StreamedSplit::bring(DataPosition at, StateStore& state) {
  if (is(here_, at)) return;
  if (!staging_ || !is(next_, at)) {
    staging_.reset();  // its threads end before others begin
    staging_ = std::make_unique<Staging>(*source_, sampler_, at, options_);
  }
  const StagedBatch batch = staging_->next();
  for (std::size_t field = 0; field < states_.size(); ++field) state.write(states_[field], batch.fields[field]);
  staging_->release();
  here_ = at;
  next_ = sampler_.next(batch.at);
}

}  // namespace trainctl
