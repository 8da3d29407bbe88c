// A device that puts as many runs of a program into one launch as a test wants.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device/device.h"
#include "worst_order.h"

namespace trainctl::test {

/// Another device, with the number of runs that go into one launch chosen; if `worst`, launches run one by one in the
/// worst order that is allowed.
class Together final : public Device {
 public:
  Together(Device& inner, int most_runs, bool worst) : inner_(inner), most_runs_(most_runs), worst_(worst) {}
  int replays = 0;  ///< that were run

  std::string_view name() const override { return inner_.name(); }
  std::string description() const override { return inner_.description(); }
  int threads() const override { return inner_.threads(); }
  bool reduced_precision() const override { return inner_.reduced_precision(); }
  void* allocate(std::size_t bytes) override { return inner_.allocate(bytes); }
  void release(void* memory) noexcept override { inner_.release(memory); }
  Stream* stream() override { return inner_.stream(); }
  bool concurrent() const override { return inner_.concurrent(); }
  int most_runs() const override { return most_runs_; }
  std::unique_ptr<Replay> record(std::vector<BoundLaunch> launches) override {
    struct Counted final : Replay {
      Together& device;
      std::vector<BoundLaunch> launches;
      std::vector<std::unique_ptr<Replay>> parts;
      explicit Counted(Together& on) : device(on) {}
      void run() override {
        ++device.replays;
        if (!device.worst_) return parts[0]->run();
        in_worst_order(launches, [&](std::size_t i) { parts[i]->run(); });
      }
    };
    auto replay = std::make_unique<Counted>(*this);
    if (worst_) {
      for (const BoundLaunch& launch : launches)
        replay->parts.push_back(inner_.record({{launch.launch, launch.arguments, {}}}));
      replay->launches = std::move(launches);
    } else {
      replay->parts.push_back(inner_.record(std::move(launches)));
    }
    return replay;
  }

 protected:
  void do_upload(void* to, const void* from, std::size_t bytes) override { inner_.upload(to, from, bytes); }
  void do_download(void* to, const void* from, std::size_t bytes) override { inner_.download(to, from, bytes); }
  void do_synchronize() override { inner_.synchronize(); }

 private:
  Device& inner_;
  int most_runs_;
  bool worst_;
};

}  // namespace trainctl::test
