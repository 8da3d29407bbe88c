#include "kernels/cpu/onednn/activation_pass.h"

#include "kernels/cpu/loops/activation_loops.h"

namespace trainctl::onednn {
namespace {

using namespace cpu;  // for TRAINCTL_BEST

class ActivatedLaunch final : public Launch {
 public:
  ActivatedLaunch(std::unique_ptr<Launch> launch, const ActivationJob& job)
      : launch_(std::move(launch)), function_(TRAINCTL_BEST(activation)), job_(job) {}
  void run(const LaunchArguments& arguments) override {
    launch_->run(arguments);
    function_(job_, {arguments.outputs, arguments.outputs, nullptr, nullptr, 1, 1});
  }

 private:
  std::unique_ptr<Launch> launch_;
  void (*function_)(const ActivationJob&, const Operands&);
  ActivationJob job_;
};

}  // namespace

bool fuses(const Activation& activation) {
  if (activation.kind == Activation::Kind::relu) return false;  // oneDNN's makes zeros of NaN
  if (activation.kind == Activation::Kind::softplus) return activation.alpha == 1.0;
  return activation.kind != Activation::Kind::tanh && activation.kind != Activation::Kind::gelu_tanh;
}

std::unique_ptr<Launch> then_activate(std::unique_ptr<Launch> launch, const Activation& activation, std::size_t count,
                                      int threads) {
  if (fuses(activation)) return launch;
  const ActivationJob job{static_cast<Curve>(activation.kind), static_cast<float>(activation.alpha),
                          static_cast<long>(count), threads};
  return std::make_unique<ActivatedLaunch>(std::move(launch), job);
}

}  // namespace trainctl::onednn
