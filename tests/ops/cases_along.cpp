#include "ops/along.h"
#include "ops/embedding.h"
#include "ops/op_case.h"

namespace trainctl::test {
namespace {

std::vector<OpCase> along_cases() {
  struct Geometry {
    const char* name;
    Shape shape;
    int begin, end;
  };
  const Geometry geometries[] = {
      {"rows", {5, 7}, 0, 1},
      {"columns", {5, 7}, 1, 2},
      {"channels", {2, 3, 4, 5}, 1, 2},
      {"images", {2, 3, 4, 5}, 0, 2},
      {"everything", {4, 9}, 0, 0},
      {"nothing", {4, 9}, 0, 2},
      {"pixels", {3, 4, 5, 2}, 2, 4},
      {"long rows", {9, 4099}, 0, 1},
      {"long columns", {4099, 9}, 1, 2},
      {"many channels", {3, 130, 33}, 1, 2},
      {"scalar", {}, 0, 0},
      {"many columns", {40, 1030}, 1, 2},
  };
  std::vector<OpCase> cases;
  for (const Geometry& g : geometries) {
    const AlongAttributes attributes(g.shape, g.begin, g.end);
    const Shape kept = attributes.kept();
    cases.push_back({"dot_along", g.name, shared(attributes), {wanted(g.shape), wanted(g.shape)}, Match::close, 4.0});
    cases.push_back(
        {"dot_along", std::string(g.name) + ", sum", shared(attributes), {wanted(g.shape)}, Match::close, 4.0});
    cases.push_back({"scale_along", g.name, shared(attributes), {wanted(kept), wanted(g.shape)}});
    cases.push_back(
        {"scale_along", std::string(g.name) + ", spread", shared(attributes), {wanted(kept)}, Match::exact});
  }
  return cases;
}

OpCase one_hot(std::string name, Shape index, std::int64_t classes, DType dtype = DType::i64) {
  return {"one_hot",
          std::move(name),
          shared(OneHotAttributes(classes)),
          {integers(dtype, index, 0, classes)},
          Match::exact};
}

std::vector<OpCase> embedding_cases() {
  struct Geometry {
    const char* name;
    Shape index;
    std::int64_t rows, width;
    DType dtype = DType::i64;
    std::int64_t low = 0, high = 0;  ///< range of indices, by default all rows
  };
  const Geometry geometries[] = {
      {"words", {3, 5}, 7, 4},
      {"narrow index", {4}, 10, 16, DType::i32},
      {"one place", {1}, 1, 3},
      {"long", {33, 40}, 50, 130},
      {"one row taken often", {300}, 40, 37, DType::i64, 0, 2},
      {"out of range", {64}, 9, 5, DType::i64, -2, 12},
  };
  std::vector<OpCase> cases;
  for (const Geometry& g : geometries) {
    const Operand index = integers(g.dtype, g.index, g.low, g.high ? g.high : g.rows);
    Shape y = g.index;
    y.push_back(g.width);
    const Operand table = g.low < 0 ? f32({g.rows, g.width}) : wanted({g.rows, g.width});
    cases.push_back({"embedding", g.name, shared(EmbeddingAttributes()), {index, table}, Match::exact});
    EmbeddingAttributes backward;
    backward.rows = g.rows;
    cases.push_back({"embedding_backward", g.name, shared(backward), {index, f32(y)}, Match::close, 4.0});
  }
  return cases;
}

const RegisterCases along(along_cases());
const RegisterCases embedding(embedding_cases());
const RegisterCases classes({
    one_hot("rows", {33}, 10),
    one_hot("images", {2, 3, 4}, 5),
    one_hot("narrow index", {17}, 3, DType::i32),
    one_hot("large", {130, 40}, 21),
    {"one_hot", "out of range", shared(OneHotAttributes(4)), {integers(DType::i64, {5, 3}, -2, 6)}, Match::exact},
});

}  // namespace
}  // namespace trainctl::test
