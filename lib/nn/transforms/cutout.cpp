#include "nn/transforms/images.h"

namespace trainctl {
namespace {

/// Hides a square with its centre at a random place of the image, cut off at the borders (DeVries & Taylor, 2017).
struct Cutout final : Transform {
  std::int64_t size = 8;
  double fill = 0.0;

  static Schema<Cutout> schema() {
    return Schema<Cutout>("Hide a square at a random place.")
        .required("size", &Cutout::size, at_least(1), "Side of the square.", unit("pixels"))
        .field("fill", &Cutout::fill, "Value of the square, as images are at this place in the list.")
        .example("{type: cutout, size: 8}");
  }
  bool random() const override { return true; }
  Value build(Builder& b, Value x) const override {
    expect_images("cutout", x);
    CutoutAttributes attributes;
    attributes.size = size;
    attributes.fill = fill;
    attributes.stream = b.random_stream();
    return b.apply1("cutout", nn::attributes(attributes), {x, b.step()});
  }
};

const Register<Transform, Cutout> registered{"cutout"};

}  // namespace
}  // namespace trainctl
