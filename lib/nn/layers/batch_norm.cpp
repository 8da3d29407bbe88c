#include "nn/functional.h"
#include "nn/layer.h"
#include "ops/norm.h"

namespace trainctl {
namespace {

/// Normalisation of each channel over the batch (Ioffe & Szegedy, 2015).
///   y = weight (x - mean) / sqrt(var + eps) + bias
/// mean and var are the batch's (var biased) in training, the running ones in evaluation. Each training batch of n
/// values a channel moves them: running = (1 - momentum) running + momentum batch, with the unbiased var n / (n - 1).
/// Shapes: x, y (N, C, ...); weight, bias, running_mean, running_var (C); num_batches_tracked i64 scalar.
struct BatchNorm final : Layer {
  double eps = 1e-5;
  double momentum = 0.1;
  bool affine = true;
  bool track_running_stats = true;

  static Schema<BatchNorm> schema() {
    return Schema<BatchNorm>("Give each channel mean 0 and variance 1 over the batch, then scale and shift it.")
        .field("eps", &BatchNorm::eps, above(0.0), "Added to the variance before the root.")
        .field("momentum", &BatchNorm::momentum, between(0.0, 1.0), "Weight of a batch in the running statistics.")
        .field("affine", &BatchNorm::affine, "Whether to learn a scale and a shift.")
        .field("track_running_stats", &BatchNorm::track_running_stats,
               "Whether to keep running statistics for evaluation; without them it uses the batch's too.")
        .example("{type: batch_norm, momentum: 0.05}");
  }

  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "batch_norm");
    if (x.shape().rank() < 2) fail(ErrorKind::config, "batch_norm needs (N, C, ...), got {}", x.shape().text());
    const TensorType channels{DType::f32, {x.dim(1)}};
    const Value gamma =
        affine ? b.parameter("weight", channels.shape, Init::constant(1.0)) : b.graph().constant(channels, {1.0});
    const Value beta =
        affine ? b.parameter("bias", channels.shape, Init::zeros()) : b.graph().constant(channels, {0.0});
    BatchNormAttributes attributes;
    attributes.eps = eps;
    const AttributesPtr shared = nn::attributes(attributes);
    if (!track_running_stats) return {b.apply("batch_norm", shared, {x, gamma, beta})[0]};

    const int mean = b.buffer("running_mean", channels, Init::zeros());
    const int variance = b.buffer("running_var", channels, Init::constant(1.0));
    const int batches = b.buffer("num_batches_tracked", {DType::i64, {}}, Init::zeros());
    Graph& graph = b.graph();
    const bool refreshes = b.refreshes(mean);
    if (!b.training() && !refreshes) {
      return {b.apply1("batch_norm_inference", shared, {x, gamma, beta, graph.latest(mean), graph.latest(variance)})};
    }
    const std::int64_t n = x.shape().elements() / x.dim(1);
    if (n < 2)
      fail(ErrorKind::config,
           "batch_norm has one value a channel in a batch of {}, so no variance; take larger batches "
           "or drop the last one",
           x.dim(0));
    const Values out = b.apply("batch_norm", shared, {x, gamma, beta});
    track(b, mean, out[1], 1.0);
    track(b, variance, out[2], static_cast<double>(n) / static_cast<double>(n - 1));
    if (!refreshes) graph.update(batches, b.apply1("increment", nullptr, {graph.latest(batches)}));
    return {out[0]};
  }

 private:
  void track(Builder& b, int running, Value batch, double scale) const {
    MovingAverageAttributes attributes;
    attributes.rate = momentum;
    attributes.scales = {scale};
    Values operands{b.graph().latest(running), batch};
    if (b.refreshes(running)) operands.push_back(b.graph().scalar("refresh_rate"));
    b.graph().update(running, b.apply1("moving_average", nn::attributes(attributes), operands));
  }
};

const Register<Layer, BatchNorm> registered{"batch_norm"};

}  // namespace
}  // namespace trainctl
