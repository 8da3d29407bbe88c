#include "nn/transforms/images.h"

namespace trainctl {
namespace {

/// A window at a random place of the padded image, drawn for each sample: an integer uniform in
/// [0, H + 2 padding - height], likewise for the width.
struct RandomCrop final : Transform {
  std::optional<Pair<std::int64_t>> size;
  Pair<std::int64_t> padding{0, 0};
  double fill = 0.0;

  static Schema<RandomCrop> schema() {
    return Schema<RandomCrop>("Cut a window out of a random place.")
        .field("size", &RandomCrop::size, at_least(1), "Height and width of the window; by default the image's.",
               unit("pixels"))
        .field("padding", &RandomCrop::padding, at_least(0), "Border around the image first.", unit("pixels"))
        .field("fill", &RandomCrop::fill, "Value of the border, as images are at this place in the list.")
        .example("{type: random_crop, padding: 2}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const {
    if (!size && padding == Pair<std::int64_t>{0, 0})
      diagnostics.error(node, "without 'size' or 'padding' there is nothing to crop.");
  }
  bool random() const override { return true; }
  Value build(Builder& b, Value x) const override {
    expect_images("random_crop", x);
    const Pair<std::int64_t> window = size.value_or(Pair<std::int64_t>{x.dim(2), x.dim(3)});
    if (window.first > x.dim(2) + 2 * padding.first || window.second > x.dim(3) + 2 * padding.second) {
      fail(ErrorKind::config, "random_crop cuts {} x {} out of images {} with padding {}, {}", window.first,
           window.second, x.shape().text(), padding.first, padding.second);
    }
    RandomCropAttributes attributes;
    attributes.height = window.first;
    attributes.width = window.second;
    attributes.padding_height = padding.first;
    attributes.padding_width = padding.second;
    attributes.fill = fill;
    attributes.stream = b.random_stream();
    return b.apply1("random_crop", nn::attributes(attributes), {x, b.step()});
  }
};

const Register<Transform, RandomCrop> registered{"random_crop"};

}  // namespace
}  // namespace trainctl
