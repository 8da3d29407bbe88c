#include "device/device.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernels/cpu/host.h"

using namespace trainctl;

namespace {

std::unique_ptr<Device> open(int threads) {
  return DeviceRegistry::instance().find("cpu")->open(threads);
}

/// Writes its number to the end of a list.
struct Note final : Launch {
  Note(std::vector<int>& list_, int number_) : list(list_), number(number_) {}
  void run(const LaunchArguments&) override { list.push_back(number); }
  std::vector<int>& list;
  int number;
};

}  // namespace

TEST_CASE("the cpu takes the usable cores, or as many threads as it is told") {
  CHECK(open(0)->threads() == cpu::usable_cores());
  CHECK(open(1)->threads() == 1);
  CHECK(open(3)->threads() == 3);
  CHECK(cpu::usable_cores() >= 1);
  CHECK_THROWS_AS(open(-1), Error);
  CHECK_THROWS_AS(open(1 << 20), Error);
}

TEST_CASE("the cpu says what it is") {
  const auto device = open(1);
  CHECK(device->name() == "cpu");
  CHECK(device->description().find("1 thread,") != std::string::npos);
  CHECK(DeviceRegistry::instance().find("cpu")->probe().size() == 1);
}

TEST_CASE("memory is zeroed and aligned, also where it was used before") {
  const auto device = open(1);
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{100}, std::size_t{4096}, (std::size_t{2} << 20) + 12}) {
    for (int round = 0; round < 3; ++round) {
      Buffer buffer(*device, bytes);
      CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64 == 0);
      CHECK(std::all_of(buffer.data(), buffer.data() + bytes, [](std::byte value) { return value == std::byte{0}; }));
      std::fill_n(buffer.data(), bytes, std::byte{7});
    }
  }
}

TEST_CASE("upload and download move bytes") {
  const auto device = open(1);
  Buffer buffer(*device, 8);
  const std::uint64_t sent = 0x0123456789abcdef;
  std::uint64_t received = 0;
  device->upload(buffer.data(), &sent, 8);
  device->download(&received, buffer.data(), 8);
  CHECK(received == sent);
}

TEST_CASE("too much memory is an environment error that says how much there is") {
  const auto device = open(1);
  for (const std::size_t bytes :
       {std::size_t{1} << 50, ~std::size_t{0}, cpu::available_bytes() + (std::size_t{64} << 30)}) {
    try {
      device->allocate(bytes);
      FAIL("allocated");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::environment);
      CHECK(std::string(error.what()).find("MiB available") != std::string::npos);
    }
  }
}

TEST_CASE("a replay runs its launches in order, every time") {
  const auto device = open(1);
  std::vector<int> list;
  Note first(list, 1), second(list, 2);
  const auto replay = device->record({{&first, {}, {}}, {&second, {}, {0}}, {&first, {}, {1}}});
  CHECK(list.empty());
  replay->run();
  replay->run();
  CHECK(list == std::vector<int>{1, 2, 1, 1, 2, 1});
}
