#include "nn/transforms/images.h"

namespace trainctl {
namespace {

enum class Direction { horizontal, vertical };

}  // namespace

template <>
struct EnumNames<Direction> {
  static constexpr EnumName<Direction> names[] = {{Direction::horizontal, "horizontal"},
                                                  {Direction::vertical, "vertical"}};
};

namespace {

/// Mirrors each image with probability p.
struct RandomFlip final : Transform {
  double p = 0.5;
  Direction direction = Direction::horizontal;

  static Schema<RandomFlip> schema() {
    return Schema<RandomFlip>("Mirror the image with some probability.")
        .field("p", &RandomFlip::p, between(0.0, 1.0), "Probability of a mirrored image.")
        .field("direction", &RandomFlip::direction, "Horizontal swaps left and right, vertical top and bottom.")
        .example("random_flip");
  }
  bool random() const override { return true; }
  Value build(Builder& b, Value x) const override {
    expect_images("random_flip", x);
    RandomFlipAttributes attributes;
    attributes.p = p;
    attributes.horizontal = direction == Direction::horizontal;
    attributes.stream = b.random_stream();
    return b.apply1("random_flip", nn::attributes(attributes), {x, b.step()});
  }
};

const Register<Transform, RandomFlip> registered{"random_flip"};

}  // namespace
}  // namespace trainctl
