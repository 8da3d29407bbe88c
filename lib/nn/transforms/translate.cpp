#include <cmath>

#include "nn/transforms/images.h"

namespace trainctl {
namespace {

/// Shifts each image by a random whole number of pixels, uniform in [-most, most] for each axis; what comes in is
/// `fill`.
struct Translate final : Transform {
  std::optional<Pair<std::int64_t>> pixels;
  std::optional<Pair<double>> fraction;
  double fill = 0.0;

  static Schema<Translate> schema() {
    return Schema<Translate>("Shift the image by a random distance.")
        .field("pixels", &Translate::pixels, at_least(0), "Greatest shift along height and width.", unit("pixels"))
        .field("fraction", &Translate::fraction, at_least(0.0), below(1.0),
               "Instead of 'pixels': the greatest shift as a part of height and width, rounded.")
        .field("fill", &Translate::fill, "Value of what comes in, as images are at this place in the list.")
        .example("{type: translate, fraction: 0.1}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const {
    if (pixels.has_value() == fraction.has_value()) diagnostics.error(node, "give either 'pixels' or 'fraction'.");
  }
  bool random() const override { return true; }
  Value build(Builder& b, Value x) const override {
    expect_images("translate", x);
    RandomCropAttributes attributes;
    attributes.height = x.dim(2);
    attributes.width = x.dim(3);
    attributes.padding_height = pixels ? pixels->first : rounded(fraction->first, x.dim(2));
    attributes.padding_width = pixels ? pixels->second : rounded(fraction->second, x.dim(3));
    attributes.fill = fill;
    attributes.stream = b.random_stream();
    return b.apply1("random_crop", nn::attributes(attributes), {x, b.step()});
  }

 private:
  static std::int64_t rounded(double part, std::int64_t extent) {
    return std::llround(part * static_cast<double>(extent));
  }
};

const Register<Transform, Translate> registered{"translate"};

}  // namespace
}  // namespace trainctl
