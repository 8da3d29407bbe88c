#include <doctest/doctest.h>

#include "nn/fixture.h"
#include "nn/transform.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

RefTensor transformed(const std::string& yaml, const Shape& shape, double step = 3.0) {
  const auto transform = from_yaml<Component<Transform>>(yaml, "data.train.transforms.0");
  Bench bench;
  const Builder::Scope scope(bench.builder, "transforms.0");
  const Value y = transform->build(bench.builder, bench.input(shape));
  bench.bindings.inputs["step"] = RefTensor(Shape{}, step);
  return bench.run().values.at(y.id());
}

std::string refused(const std::string& yaml, const Shape& shape) {
  return refusal([&] { transformed(yaml, shape); });
}

}  // namespace

TEST_CASE("normalize takes one number or one for each channel") {
  const RefTensor x = numbers("input", {2, 3, 2, 2});
  CHECK(transformed("{type: normalize, mean: 0.5, std: 2}", {2, 3, 2, 2})[5] == doctest::Approx((x[5] - 0.5) / 2));
  CHECK(transformed("{type: normalize, mean: [0, 1, 2], std: [1, 2, 4]}", {2, 3, 2, 2})[9] ==
        doctest::Approx((x[9] - 2) / 4));
  CHECK(contains(refused("{type: normalize, mean: [0, 1], std: 1}", {2, 3, 2, 2}), "2 numbers in 'mean'"));
  CHECK(contains(refused("{type: normalize, mean: 0, std: 0}", {2, 3, 2, 2}), "above 0"));
}

TEST_CASE("a crop is a window of the padded image, another one in another step") {
  const Shape shape{4, 1, 5, 5};
  CHECK(transformed("{type: random_crop, size: [3, 4]}", shape).shape == Shape{4, 1, 3, 4});
  const RefTensor a = transformed("{type: random_crop, padding: 2, fill: 9}", shape, 1);
  const RefTensor b = transformed("{type: random_crop, padding: 2, fill: 9}", shape, 2);
  CHECK(a.shape == shape);
  CHECK(a.data != b.data);
  CHECK(a.data == transformed("{type: random_crop, padding: 2, fill: 9}", shape, 1).data);
  CHECK(a.data == transformed("{type: translate, pixels: 2, fill: 9}", shape, 1).data);
  CHECK(a.data == transformed("{type: translate, fraction: 0.4, fill: 9}", shape, 1).data);
  CHECK(contains(refused("random_crop", shape), "nothing to crop"));
  CHECK(contains(refused("{type: random_crop, size: 9, padding: 1}", shape), "cuts 9 x 9"));
  CHECK(contains(refused("{type: translate, pixels: 2, fraction: 0.1}", shape), "either"));
  CHECK(contains(refused("{type: random_crop, padding: 1}", {2, 3}), "images (N, C, H, W)"));
}

TEST_CASE("a flip with certainty mirrors every image") {
  const RefTensor x = numbers("input", {2, 1, 2, 3});
  CHECK(transformed("{type: random_flip, p: 1}", {2, 1, 2, 3})[0] == x[2]);
  CHECK(transformed("{type: random_flip, p: 1, direction: vertical}", {2, 1, 2, 3})[0] == x[3]);
  CHECK(transformed("{type: random_flip, p: 0}", {2, 1, 2, 3}).data == x.data);
}

TEST_CASE("cutout hides a square") {
  const RefTensor y = transformed("{type: cutout, size: 3, fill: 9}", {1, 1, 8, 8});
  const auto hidden = std::count(y.data.begin(), y.data.end(), 9.0);
  CHECK(hidden >= 4);
  CHECK(hidden <= 9);
}
