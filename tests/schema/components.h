// Components that the tests of lib/schema share: a small world of layers and optimizers.
#pragma once

#include "schema/schema.h"

namespace sample {

using namespace trainctl;

enum class Mode { min, max };
enum class Padding { same, valid };

struct Layer {
  static constexpr const char* kind = "test_layer";
  virtual ~Layer() = default;
  std::string name;
  template <typename T>
  static void common(Schema<T>& schema) {
    schema.field("name", &Layer::name, "A name for its parameters.");
  }
};

struct Optimizer {
  static constexpr const char* kind = "test_optimizer";
  virtual ~Optimizer() = default;
};

}  // namespace sample

template <>
struct trainctl::EnumNames<sample::Mode> {
  static constexpr EnumName<sample::Mode> names[] = {{sample::Mode::min, "min"}, {sample::Mode::max, "max"}};
};
template <>
struct trainctl::EnumNames<sample::Padding> {
  static constexpr EnumName<sample::Padding> names[] = {{sample::Padding::same, "same"},
                                                        {sample::Padding::valid, "valid"}};
};

namespace sample {

struct Unrelated {  // puts Layer at an offset inside Conv2d
  virtual ~Unrelated() = default;
  std::int64_t filler = 77;
};

struct Conv2d final : Unrelated, Layer {
  std::int64_t out_channels = 0;
  Pair<std::int64_t> kernel_size{3, 3};
  std::variant<Padding, Pair<std::int64_t>> padding = Padding::same;
  double eps = 1e-5;
  bool bias = true;
  static Schema<Conv2d> schema() {
    return Schema<Conv2d>("Slide filters over an image.")
        .required("out_channels", &Conv2d::out_channels, at_least(1), "Number of filters.")
        .field("kernel_size", &Conv2d::kernel_size, at_least(1), "Size of a filter.", unit("pixels"))
        .field("padding", &Conv2d::padding, at_least(0), "Zeros around the image.")
        .field("eps", &Conv2d::eps, above(0.0), "Added to the variance.", resume(Resume::forced))
        .field("bias", &Conv2d::bias, "Whether to add a bias.")
        .example("{type: conv2d, out_channels: 32, kernel_size: 3}");
  }
};

struct Dropout final : Layer {
  Live p = 0.5;
  static Schema<Dropout> schema() {
    return Schema<Dropout>("Drop values at random.")
        .field("p", &Dropout::p, at_least(0), below(1), "Share that is dropped.", resume(Resume::safe))
        .example("dropout");
  }
};

struct Sequence final : Layer {
  std::vector<Component<Layer>> layers;
  static Schema<Sequence> schema() {
    return Schema<Sequence>("One after the other.").field("layers", &Sequence::layers, "Layers.");
  }
};

struct Sgd final : Optimizer {
  Live lr = 0.1;
  std::array<double, 2> betas{0.9, 0.999};
  static Schema<Sgd> schema() {
    return Schema<Sgd>("Plain descent.")
        .required("lr", &Sgd::lr, above(0), "Step size.", resume(Resume::safe))
        .field("betas", &Sgd::betas, between(0, 1), "Decay rates.");
  }
};

struct Keep {
  std::int64_t last = 2;
  std::optional<std::string> best;
  Mode mode = Mode::min;
  static Schema<Keep> schema() {
    return Schema<Keep>("What stays.")
        .field("last", &Keep::last, at_least(0), "Newest checkpoints.")
        .field("best", &Keep::best, "Value that decides.", non_empty())
        .field("mode", &Keep::mode, "Which is better.");
  }
};

struct Spec {
  std::string name = "run";
  Path root = "runs";
  Progress max{3, Progress::Unit::epochs};
  std::optional<WallTime> time_limit;
  std::vector<std::variant<Progress, WallTime>> every;
  Keep keep;
  Component<Optimizer> optimizer;
  Component<Layer> head{"dropout"};
  Named<Layer> extras;
  OrderedMap<Live> weights;
  std::vector<std::string> tags;
  std::pair<std::int64_t, double> pair{1, 2.5};
  Node layers;
  double low = 0.0;
  double high = 1.0;

  static Schema<Spec> schema() {
    return Schema<Spec>("A small spec.")
        .field("name", &Spec::name, "Name.", non_empty(), resume(Resume::safe))
        .field("root", &Spec::root, "Folder of runs.")
        .field("max", &Spec::max, "How long.", above(0), resume(Resume::safe))
        .field("time_limit", &Spec::time_limit, "How long by the clock.", resume(Resume::safe))
        .field("every", &Spec::every, "When to save.")
        .field("keep", &Spec::keep, "What to keep.", resume(Resume::safe))
        .required("optimizer", &Spec::optimizer, "How to step.", resume(Resume::forced))
        .field("head", &Spec::head, "Last layer.")
        .field("extras", &Spec::extras, "More layers by name.")
        .field("weights", &Spec::weights, "Weights by name.", at_least(0))
        .field("tags", &Spec::tags, "Words.")
        .field("pair", &Spec::pair, "Two numbers.")
        .field("layers", &Spec::layers, "The model.", holds_list("test_layer"))
        .field("low", &Spec::low, "Lower bound.")
        .field("high", &Spec::high, "Upper bound.")
        .later("distributed", "training on many machines");
  }
  void check(Diagnostics& diagnostics, const Node& node) const {
    if (low > high) diagnostics.error(node, "'low' is above 'high'.");
  }
};

}  // namespace sample
