#include "device/layout.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace trainctl;

namespace {

/// Offsets of all elements in row-major order of their indices.
std::vector<std::size_t> offsets(const TensorType& type, const Layout& layout) {
  std::vector<std::size_t> all;
  std::int64_t index[Shape::max_rank]{};
  for (std::int64_t n = type.elements(); n-- > 0;) {
    all.push_back(layout.offset(type, index));
    for (int axis = type.shape.rank(); axis-- > 0;) {
      if (++index[axis] < type.shape[axis]) break;
      index[axis] = 0;
    }
  }
  return all;
}

}  // namespace

TEST_CASE("row-major offsets count up") {
  const TensorType type{DType::f32, {2, 3, 4}};
  const auto all = offsets(type, Layout());
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i] == i);
  CHECK(Layout().bytes(type) == 2 * 3 * 4 * 4);
}

TEST_CASE("channels last puts the channel innermost") {
  const TensorType type{DType::f32, {2, 3, 4, 5}};
  const std::int64_t index[] = {1, 2, 3, 4};
  CHECK(Layout("acdb").offset(type, index) == ((1 * 4 + 3) * 5 + 4) * 3 + 2);
}

TEST_CASE("blocked axes are padded and their blocks are innermost") {
  const TensorType type{DType::f32, {2, 20, 3, 3}};
  const Layout layout("aBcd16b");
  CHECK(layout.bytes(type) == 2 * 32 * 3 * 3 * 4);
  const std::int64_t index[] = {1, 17, 2, 1};
  CHECK(layout.offset(type, index) == (((1 * 2 + 1) * 3 + 2) * 3 + 1) * 16 + 1);
}

TEST_CASE("an axis may be blocked twice, the outer block holding the higher digits") {
  const TensorType type{DType::bf16, {32, 32}};
  const Layout layout("AB16b16a2b");
  const std::int64_t index[] = {17, 21};
  // b = 21 is within its block of 32: outer digit 10, inner digit 1; a = 17 is block 1, place 1.
  CHECK(layout.offset(type, index) == ((1 * 1 + 0) * 16 + 10) * 32 + 1 * 2 + 1);
  CHECK(layout.bytes(type) == 32 * 32 * 2);
}

TEST_CASE("no two elements share a place") {
  for (const char* tag : {"", "acdb", "aBcd16b", "aBcd8b", "Abcd16a", "ABcd4b16a4b"}) {
    const TensorType type{DType::f32, {5, 7, 2, 3}};
    const auto all = offsets(type, Layout(tag));
    CHECK(std::set<std::size_t>(all.begin(), all.end()).size() == all.size());
    CHECK(*std::max_element(all.begin(), all.end()) * 4 < Layout(tag).bytes(type));
  }
}

TEST_CASE("shapes print, slice and compare") {
  const Shape shape{2, 3, 4};
  CHECK(shape.text() == "(2, 3, 4)");
  CHECK(shape.elements() == 24);
  CHECK(shape.dim(-1) == 4);
  CHECK(shape.slice(1) == Shape{3, 4});
  CHECK(shape.slice(0, -1) == Shape{2, 3});
  CHECK(Shape{}.elements() == 1);
  CHECK(TensorType{DType::u8, shape}.text() == "u8(2, 3, 4)");
  CHECK(dtype_from_name("bf16") == DType::bf16);
}

TEST_CASE("layouts may differ in name alone") {
  const Layout rows, last("acdb"), blocked("aBcd16b");
  CHECK(rows.same_places({2, 1, 4, 5}, last));
  CHECK(last.same_places({2, 3, 1, 1}, rows));
  CHECK(!last.same_places({2, 3, 1, 5}, rows));
  CHECK(!rows.same_places({2, 3, 4, 5}, last));
  CHECK(blocked.same_places({2, 16, 1, 1}, blocked));
  CHECK(!blocked.same_places({2, 16, 1, 1}, rows));  // where there is padding this cannot be told from the order alone
}
