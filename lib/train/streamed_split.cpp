#include "train/streamed_split.h"

#include <utility>

namespace trainctl {
namespace {

/// One batch for each thread to read into, those that are ready, and those on their way to the device.
Staging::Options options(int threads, int places) {
  return {.threads = threads, .slots = threads + 1 + places};
}

}  // namespace

StreamedSplit::StreamedSplit(std::shared_ptr<const SampleSource> source, const Sampler& sampler,
                             const std::vector<int>& states, StateStore& state, int threads)
    : source_(std::move(source)),
      sampler_(sampler),
      device_(state.device()),
      places_(static_cast<int>(state.spec()[states.front()].type.shape[0] / sampler.options().batch_size)),
      staging_(*source_, sampler, options(threads, places_)),
      parts_(states.size()) {
  for (std::size_t field = 0; field < states.size(); ++field)
    rows_.push_back(
        {static_cast<std::byte*>(state.address(states[field])), source_->info().fields[field].sample_bytes()});
  if (places_ > 1) queue_ = device_.upload_queue(staging_.memory(), places_);
}

std::int64_t StreamedSplit::bring(DataPosition at) {
  if (!is(at_, at)) {
    if (!is(next_, at)) seek(at);
    if (filled_ == here_ + 1) fill();
    if (queue_) {
      device_.launch_held();  // what reads the batch that is left
      if (here_ >= 0) queue_->leave(place(here_));
      queue_->enter(place(here_ + 1));
    }
    ++here_;
    at_ = at;
    next_ = sampler_.next(at);
    if (queue_) {
      release();
      if (filled_ - released_ < places_ && staging_.ready()) fill();
    }
  }
  return place(here_) * sampler_.options().batch_size;
}

/// A batch that is ahead already is dropped: its place is filled again.
void StreamedSplit::seek(DataPosition at) {
  for (; released_ < filled_; ++released_) queue_->wait(place(released_));
  filled_ = released_ = here_ + 1;
  staging_.seek(at);
}

/// Copies the next batch to its place.
void StreamedSplit::fill() {
  if (filled_ - released_ == places_) {
    queue_->wait(place(released_++));
    staging_.release();
  }
  const StagedBatch batch = staging_.next();
  const std::int64_t row = place(filled_) * sampler_.options().batch_size;
  for (std::size_t field = 0; field < rows_.size(); ++field) {
    const Rows& rows = rows_[field];
    parts_[field] = {.to = rows.memory + static_cast<std::size_t>(row) * rows.sample_bytes,
                     .from = batch.fields[field],
                     .bytes = static_cast<std::size_t>(batch.count) * rows.sample_bytes};
  }
  if (queue_) {
    queue_->fill(place(filled_), parts_);
  } else {
    for (const UploadQueue::Part& part : parts_) device_.upload(part.to, part.from, part.bytes);
    staging_.release();
    ++released_;
  }
  ++filled_;
}

/// Gives back what has been copied.
void StreamedSplit::release() {
  for (; released_ < filled_ && queue_->filled(place(released_)); ++released_) staging_.release();
}

std::size_t StreamedSplit::host_bytes(const DatasetInfo& info, std::int64_t batch_size, int threads, int places) {
  return Staging::memory_bytes(info, batch_size, options(threads, places).slots);
}

}  // namespace trainctl
