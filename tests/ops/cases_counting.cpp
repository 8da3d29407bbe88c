#include <cmath>

#include "ops/counting.h"
#include "ops/op_case.h"

namespace trainctl::test {
namespace {

struct Geometry {
  std::string name;
  Shape scores;
  Shape target;
  DType label = DType::i64;
  Domain domain = Domain::uniform(-6.0, 6.0);
  bool nan = false;
};

std::vector<OpCase> cases() {
  std::vector<OpCase> all;
  for (const Geometry& g : {Geometry{"rows", {33, 10}, {33}}, Geometry{"i32 labels", {7, 5}, {7}, DType::i32},
                            Geometry{"two classes", {50, 2}, {50}}, Geometry{"images", {2, 3, 5, 7}, {2, 5, 7}},
                            Geometry{"many rows", {3000, 30}, {3000}}, Geometry{"many classes", {9, 700}, {9}},
                            Geometry{"ties", {64, 6}, {64}, DType::i64, Domain::integers(0, 3)},
                            Geometry{"large scores", {64, 6}, {64}, DType::i64, Domain::uniform(-200.0, 200.0)},
                            Geometry{"nan", {60, 10}, {60}, DType::i64, Domain::uniform(-6.0, 6.0), true},
                            Geometry{"one score", {41, 1}, {41, 1}, DType::f32},
                            Geometry{"one score of images", {2, 1, 9, 8}, {2, 1, 9, 8}, DType::f32}}) {
    const bool one = g.label == DType::f32;
    const Operand target = one ? f32(g.target, Domain::uniform(0.0, 1.0)) : integers(g.label, g.target, 0, g.scores[1]);
    for (OpCase op_case : {OpCase{"class_counts",
                                  g.name,
                                  shared(ClassCountsAttributes(one ? 0.7 : 0.0)),
                                  {f32(g.scores, g.domain), target},
                                  Match::exact},
                           OpCase{"score_histogram",
                                  g.name,
                                  shared(ScoreHistogramAttributes(25)),
                                  {f32(g.scores, g.domain), target},
                                  Match::exact}}) {
      if (g.nan) {
        op_case.prepare = [](std::vector<RefTensor>& inputs) {
          for (std::int64_t i = 0; i < inputs[0].size(); i += 15) inputs[0][i] = NAN;
          for (std::int64_t i = 7; i < inputs[0].size(); i += 40) inputs[0][i] = i % 3 ? HUGE_VAL : -HUGE_VAL;
        };
      }
      all.push_back(op_case);
    }
  }
  return all;
}

const RegisterCases registered(cases());

}  // namespace
}  // namespace trainctl::test
