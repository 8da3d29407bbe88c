#include <doctest/doctest.h>

#include <cstring>

#include "graph/builtin.h"
#include "kernels/cpu/onednn/onednn.h"
#include "kernels_cpu/run_kernel.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

const std::vector<std::string> image_layouts{"",        "acdb",       "cdba",        "aBcd16b", "aBcd8b",
                                             "Abcd16a", "ABcd16b16a", "ABcd4a16b4a", "Acdb16a"};
const std::vector<Shape> image_shapes{{16, 32, 5, 3}, {19, 3, 4, 5}, {5, 17, 2, 7}};

/// The bytes of element i: what no two of the first elements share.
template <typename T>
T mark(std::int64_t i) {
  return static_cast<T>(i + 1);
}

/// Element by element by the definition of Layout.
template <typename T>
void check_reorder(DType dtype, const Shape& shape, const Layout& from, const Layout& to) {
  const TensorType type{dtype, shape};
  const auto attributes = std::make_shared<ReorderAttributes>(from, to);
  const std::vector<const TensorType*> inputs{&type};
  const std::vector<TensorType> outputs{type};
  const std::vector<Layout> given{from};
  const KernelRequest request{.op = "reorder",
                              .attributes = attributes.get(),
                              .inputs = inputs,
                              .outputs = outputs,
                              .input_layouts = given,
                              .threads = 2};
  const auto& entry = kernel("reorder", "onednn");
  const auto plan = entry.kernel->plan(request);
  REQUIRE(plan);
  CHECK(plan->inputs[0] == from);
  CHECK(plan->outputs[0] == to);
  CHECK(plan->implementation.find("ref") == std::string::npos);

  const auto device = DeviceRegistry::instance().find("cpu")->open(2);
  Buffer x(*device, from.bytes(type)), y(*device, to.bytes(type)), workspace(*device, plan->workspace_bytes);
  std::vector<T> expected(to.bytes(type) / sizeof(T), T{});
  std::int64_t index[4];
  std::int64_t i = 0;
  for (index[0] = 0; index[0] < shape[0]; ++index[0]) {
    for (index[1] = 0; index[1] < shape[1]; ++index[1]) {
      for (index[2] = 0; index[2] < shape[2]; ++index[2]) {
        for (index[3] = 0; index[3] < shape[3]; ++index[3], ++i) {
          reinterpret_cast<T*>(x.data())[from.offset(type, index)] = mark<T>(i);
          expected[to.offset(type, index)] = mark<T>(i);
        }
      }
    }
  }
  std::memset(y.data(), 0xff, y.bytes());
  void* sources[] = {x.data()};
  void* destinations[] = {y.data()};
  entry.kernel->prepare(request, *plan)
      ->run({.inputs = sources, .outputs = destinations, .workspace = workspace.data()});
  CHECK(std::memcmp(y.data(), expected.data(), y.bytes()) == 0);
}

}  // namespace

TEST_CASE("every layout into every other, padding zero") {
  for (const Shape& shape : image_shapes) {
    for (const std::string& from : image_layouts) {
      for (const std::string& to : image_layouts) {
        CAPTURE(shape.text());
        CAPTURE(from);
        CAPTURE(to);
        check_reorder<float>(DType::f32, shape, Layout(from), Layout(to));
      }
    }
  }
}

TEST_CASE("elements of any size") {
  const Layout blocked("aBcd16b"), batch("Abcd16a");
  for (const Shape& shape : image_shapes) {
    check_reorder<std::uint8_t>(DType::u8, shape, {}, blocked);
    check_reorder<std::int32_t>(DType::i32, shape, blocked, batch);
    check_reorder<std::int64_t>(DType::i64, shape, batch, {});
    check_reorder<double>(DType::f64, shape, {}, Layout("acdb"));
    check_reorder<std::int64_t>(DType::i64, shape, {}, {});
  }
}

TEST_CASE("a large copy is cut among threads without a gap") {
  check_reorder<float>(DType::f32, {64, 16, 17, 19}, {}, {});
}

TEST_CASE("layouts and oneDNN's descriptors say the same") {
  for (const Shape& shape : image_shapes) {
    for (const std::string& tag : image_layouts) {
      CAPTURE(shape.text());
      CAPTURE(tag);
      const TensorType type{DType::f32, shape};
      CHECK(onednn::Desc::of(type, Layout(tag)).layout(shape) == Layout(tag));
    }
  }
  const TensorType matrix{DType::f32, {5, 7}};
  CHECK(onednn::Desc::of(matrix).layout(matrix.shape) == Layout());
  CHECK(onednn::Desc::transposed(matrix).layout(matrix.shape) == Layout("ba"));
}

TEST_CASE("of layouts that are the same memory the one nearest to row-major is named") {
  const Shape one_channel{4, 1, 3, 5}, one_pixel{4, 6, 1, 1};
  CHECK(onednn::Desc::of({DType::f32, one_channel}, Layout("acdb")).layout(one_channel) == Layout());
  CHECK(onednn::Desc::of({DType::f32, one_pixel}, Layout("acdb")).layout(one_pixel) == Layout());
  CHECK(onednn::Desc::of({DType::f32, one_channel}, Layout("cadb")).layout(one_channel) == Layout("cabd"));
}

TEST_CASE("groups of weights become one axis where the memory allows it") {
  const Shape grouped{2, 32, 16, 3, 3}, merged{64, 16, 3, 3}, uneven{2, 24, 16, 3, 3}, uneven_merged{48, 16, 3, 3};
  CHECK(onednn::Desc::of({DType::f32, grouped}).layout(merged) == Layout());
  CHECK(onednn::Desc::of({DType::f32, grouped}, Layout("aBCde16c16b")).layout(merged) == Layout("ABcd16b16a"));
  CHECK(onednn::Desc::of({DType::f32, uneven}, Layout("aBCde16c16b")).layout(uneven_merged) == std::nullopt);
  const Shape depthwise{32, 1, 1, 3, 3}, depthwise_merged{32, 1, 3, 3};
  CHECK(onednn::Desc::of({DType::f32, depthwise}, Layout("Abcde16a")).layout(depthwise_merged) == Layout("Abcd16a"));
}
