#include "data/staging.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "data/data_files.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

// Two fields: 12 floats and a label, both telling the sample's number.
Table numbered(std::int64_t samples) {
  Column x{.field = {.name = "input", .shape = {3, 4}}, .storage = HostBytes(static_cast<std::size_t>(samples) * 48)};
  Column y{.field = {.name = "target", .dtype = DType::i64, .classes = samples},
           .storage = HostBytes(static_cast<std::size_t>(samples) * 8)};
  for (std::int64_t i = 0; i < samples; ++i) {
    for (int k = 0; k < 12; ++k) reinterpret_cast<float*>(x.data())[i * 12 + k] = static_cast<float>(i) + 0.01F * k;
    reinterpret_cast<std::int64_t*>(y.data())[i] = i;
  }
  std::vector<Column> columns;
  columns.push_back(std::move(x));
  columns.push_back(std::move(y));
  return {samples, std::move(columns)};
}

// Checks a batch against a gather that needs no staging.
void check_batch(const StagedBatch& batch, DataPosition at, const Table& table, const Sampler& sampler) {
  CHECK(batch.at == at);
  REQUIRE(batch.count == sampler.batch_samples(at.offset));
  const std::vector<std::int32_t> order = sampler.order(at.epoch);
  const std::span<const std::int32_t> ids =
      std::span(order).subspan(static_cast<std::size_t>(at.offset), static_cast<std::size_t>(batch.count));
  CHECK(std::ranges::equal(batch.ids, ids));
  REQUIRE(batch.fields.size() == 2);
  for (std::size_t field = 0; field < 2; ++field) {
    std::vector<std::byte> expected(ids.size() * table.info().fields[field].sample_bytes());
    table.read(field, ids, expected.data());
    CHECK(std::memcmp(batch.fields[field], expected.data(), expected.size()) == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(batch.fields[field]) % HostBytes::alignment == 0);
  }
}

// Fails when sample `bad` is read.
class FailingSource final : public SampleSource {
 public:
  FailingSource(const Table& table, std::int32_t bad) : table_(table), bad_(bad) {}
  const DatasetInfo& info() const override { return table_.info(); }
  std::string digest() const override { return table_.digest(); }
  void read(std::size_t field, std::span<const std::int32_t> ids, std::byte* out) const override {
    if (std::ranges::find(ids, bad_) != ids.end()) fail(ErrorKind::data, "sample {} is damaged", bad_);
    table_.read(field, ids, out);
  }

 private:
  const Table& table_;
  std::int32_t bad_;
};

// Lets the readers go only when told, and counts them.
class GatedSource final : public SampleSource {
 public:
  explicit GatedSource(const Table& table) : table_(table) {}
  const DatasetInfo& info() const override { return table_.info(); }
  std::string digest() const override { return table_.digest(); }
  void read(std::size_t field, std::span<const std::int32_t> ids, std::byte* out) const override {
    {
      std::unique_lock lock(mutex_);
      ++waiting_;
      changed_.notify_all();
      changed_.wait(lock, [&] { return open_; });
    }
    table_.read(field, ids, out);
  }
  void wait_for_readers(int count) const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ >= count; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  int reads() const {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }

 private:
  const Table& table_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable int waiting_ = 0;
  bool open_ = false;
};

}  // namespace

TEST_CASE("staging gives what a direct gather gives, whatever the threads and slots") {
  const Table table = numbered(103);
  for (const bool drop_last : {false, true}) {
    const Sampler sampler(103, {.batch_size = 10, .shuffle = true, .drop_last = drop_last, .seed = 5});
    for (const int threads : {1, 2, 4}) {
      for (const int slots : {1, 3, 8}) {
        Staging staging(table, sampler, {}, {.threads = threads, .slots = slots});
        DataPosition at;
        for (int batch = 0; batch < 40; ++batch, at = sampler.next(at)) {
          check_batch(staging.next(), at, table, sampler);
          staging.release();
        }
        CHECK(at.epoch >= 3);
      }
    }
  }
}

TEST_CASE("staging starts at any position") {
  const Table table = numbered(50);
  const Sampler sampler(50, {.batch_size = 8, .shuffle = true, .seed = 5});
  for (DataPosition at{3, 0}; at.epoch == 3; at = sampler.next(at)) {
    Staging staging(table, sampler, at, {});
    check_batch(staging.next(), at, table, sampler);
  }
  Staging at_end(table, sampler, {3, 50}, {});
  check_batch(at_end.next(), {4, 0}, table, sampler);
}

TEST_CASE("staging reads on from anywhere, with the same memory, whatever is held or under way") {
  const Table table = numbered(50);
  const Sampler sampler(50, {.batch_size = 8, .shuffle = true, .seed = 5});
  Staging staging(table, sampler, {.threads = 3, .slots = 4});
  const std::byte* memory = staging.memory().data();
  for (const DataPosition start : {DataPosition{2, 0}, {2, 16}, {0, 48}, {1, 50}}) {
    staging.seek(start);
    DataPosition at = start.offset == 50 ? DataPosition{start.epoch + 1, 0} : start;
    for (int batch = 0; batch < 9; ++batch, at = sampler.next(at)) {
      check_batch(staging.next(), at, table, sampler);
      staging.release();
    }
    staging.next();  // held
    staging.next();
  }
  CHECK(staging.memory().data() == memory);
  CHECK(reinterpret_cast<std::uintptr_t>(memory) % 4096 == 0);
}

TEST_CASE("staging says whether a batch is ready, and a damaged one never is") {
  const Table table = numbered(40);
  const Sampler sampler(40, {.batch_size = 4});
  const FailingSource source(table, 5);
  Staging staging(source, sampler, {}, {.threads = 1, .slots = 2});
  while (!staging.ready()) std::this_thread::yield();
  check_batch(staging.next(), {0, 0}, table, sampler);
  for (int i = 0; i < 100; ++i) CHECK_FALSE(staging.ready());
  CHECK_THROWS_AS(staging.next(), Error);
  CHECK_FALSE(staging.ready());
}

TEST_CASE("several batches can be held; one too many is refused") {
  const Table table = numbered(50);
  const Sampler sampler(50, {.batch_size = 8, .shuffle = true});
  Staging staging(table, sampler, {}, {.threads = 2, .slots = 3});
  const StagedBatch first = staging.next();
  const StagedBatch second = staging.next();
  const StagedBatch third = staging.next();
  check_batch(first, {0, 0}, table, sampler);
  check_batch(second, {0, 8}, table, sampler);
  check_batch(third, {0, 16}, table, sampler);
  CHECK_THROWS_AS(staging.next(), Error);
  staging.release();
  check_batch(staging.next(), {0, 24}, table, sampler);
  check_batch(second, {0, 8}, table, sampler);
  for (int i = 0; i < 3; ++i) staging.release();
  CHECK_THROWS_AS(staging.release(), Error);
}

TEST_CASE("a reader's error reaches the consumer at its batch, and stays") {
  const Table table = numbered(40);
  const Sampler sampler(40, {.batch_size = 4});
  for (const int threads : {1, 4}) {
    const FailingSource source(table, 17);
    Staging staging(source, sampler, {}, {.threads = threads, .slots = 6});
    for (std::int64_t offset = 0; offset < 16; offset += 4) {
      check_batch(staging.next(), {0, offset}, table, sampler);
      staging.release();
    }
    for (int again = 0; again < 3; ++again) {
      CHECK(contains(message_of(ErrorKind::data, [&] { staging.next(); }), "sample 17 is damaged"));
    }
  }
}

TEST_CASE("readers fill the ring and no more") {
  const Table table = numbered(100);
  const Sampler sampler(100, {.batch_size = 10});
  GatedSource source(table);
  {
    Staging staging(source, sampler, {}, {.threads = 4, .slots = 2});
    source.wait_for_readers(2);
    CHECK(source.reads() == 2);  // two slots: the other two threads wait
    source.open();
    check_batch(staging.next(), {0, 0}, table, sampler);
  }                            // ends with batches unread and threads waiting
  CHECK(source.reads() == 4);  // two slots of two fields; nothing was released
}

TEST_CASE("the ring's memory holds the batches") {
  const Table table = numbered(50);
  const Sampler sampler(50, {.batch_size = 8});
  Staging staging(table, sampler, {}, {.threads = 1, .slots = 3});
  const std::span<std::byte> memory = staging.memory();
  CHECK(memory.size() == 3 * (8 * 48 + 8 * 8));
  for (int i = 0; i < 3; ++i) {
    const StagedBatch batch = staging.next();
    CHECK(batch.fields[0] >= memory.data());
    CHECK(batch.fields[1] + 64 <= memory.data() + memory.size());
  }
}
