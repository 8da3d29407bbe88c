#include <cmath>

#include "nn/functional.h"
#include "nn/layer.h"
#include "ops/resample.h"

namespace trainctl {
namespace {

enum class UpsampleMode { nearest, bilinear };

}  // namespace

template <>
struct EnumNames<UpsampleMode> {
  static constexpr EnumName<UpsampleMode> names[] = {{UpsampleMode::nearest, "nearest"},
                                                     {UpsampleMode::bilinear, "bilinear"}};
};

namespace {

/// Images made larger (or smaller) by interpolation, as PyTorch does it. Row i of OH takes of the H rows
///   nearest   floor(i H / OH)
///   bilinear  the two neighbours of max((i + 1/2) H / OH - 1/2, 0), or, with align_corners, of i (H - 1) / (OH - 1)
/// Shapes: x (N, C, H, W), y (N, C, OH, OW), (OH, OW) = size, or scale_factor times (H, W).
struct Upsample final : Layer {
  std::optional<Pair<std::int64_t>> size;
  std::optional<Pair<double>> scale_factor;
  UpsampleMode mode = UpsampleMode::nearest;
  bool align_corners = false;

  static Schema<Upsample> schema() {
    return Schema<Upsample>("Make images larger by interpolation.")
        .field("size", &Upsample::size, at_least(1), "Height and width of the output.", unit("pixels"))
        .field("scale_factor", &Upsample::scale_factor, above(0.0),
               "Instead of `size`: by how much height and width grow; it must make whole numbers of them.")
        .field("mode", &Upsample::mode, "nearest: the pixel that is there; bilinear: weighted neighbours.")
        .field("align_corners", &Upsample::align_corners,
               "For bilinear: whether the centres of the corner pixels stay where they are, rather than the borders.")
        .example("{type: upsample, scale_factor: 2, mode: bilinear}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const {
    if (size.has_value() == scale_factor.has_value())
      diagnostics.error(node, "upsample needs 'size' or 'scale_factor', one of them.");
    if (align_corners && mode == UpsampleMode::nearest) diagnostics.error(node, "'align_corners' needs mode bilinear.");
  }
  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "upsample");
    if (x.shape().rank() != 4) fail(ErrorKind::config, "upsample needs images (N, C, H, W), got {}", x.shape().text());
    Resample2dAttributes attributes;
    attributes.output = size
                            ? std::array{size->first, size->second}
                            : std::array{scaled(x.dim(2), scale_factor->first), scaled(x.dim(3), scale_factor->second)};
    attributes.bilinear = mode == UpsampleMode::bilinear;
    attributes.align_corners = align_corners;
    return {b.apply1("resample2d", nn::attributes(attributes), {x})};
  }

 private:
  static std::int64_t scaled(std::int64_t extent, double factor) {
    const double result = static_cast<double>(extent) * factor;
    if (result < 1.0 || std::fabs(result - std::round(result)) > 1e-9 * result)
      fail(ErrorKind::config, "{} pixels times {} are {}, not a whole number; give `size`", extent, factor, result);
    return std::llround(result);
  }
};

const Register<Layer, Upsample> registered{"upsample"};

}  // namespace
}  // namespace trainctl
