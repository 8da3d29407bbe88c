#include "ops/linear.h"

#include <doctest/doctest.h>

#include "kernels/cpu/dispatch.h"
#include "kernels_cpu/run_kernel.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

std::vector<Application> applications(const Shape& rows, std::int64_t from, std::int64_t to, Activation activation) {
  Shape x = rows, y = rows;
  x.push_back(from);
  y.push_back(to);
  const auto f32 = [](const Shape& shape) { return std::optional<TensorType>(TensorType{DType::f32, shape}); };
  auto forward = std::make_shared<LinearAttributes>();
  forward->activation = activation;
  const auto backward = std::make_shared<LinearAttributes>();
  return {{"linear", forward, {f32(x), f32({to, from}), f32({to})}},
          {"linear", forward, {f32(x), f32({to, from}), std::nullopt}},
          {"linear_backward_data", backward, {f32(y), f32({to, from})}},
          {"linear_backward_weights", backward, {f32(x), f32(y)}}};
}

}  // namespace

TEST_CASE("linear layers on row-major operands, of any size") {
  const std::vector<Shape> rows{{1}, {5}, {96}, {3, 7}};
  const std::vector<std::pair<std::int64_t, std::int64_t>> features{{7, 3}, {84, 10}, {130, 65}, {1, 1}, {33, 700}};
  const std::vector<Activation> activations{
      {}, {Activation::Kind::relu, 0.0}, {Activation::Kind::gelu, 0.0}, {Activation::Kind::leaky_relu, 0.2}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (const auto& [from, to] : features) {
      for (const Application& application : applications(rows[i], from, to, activations[i])) {
        CAPTURE(application.op);
        CAPTURE(rows[i].text());
        CAPTURE(from);
        CAPTURE(to);
        PreparedKernel prepared(application, kernel(application.op, "onednn"), 2);
        REQUIRE(prepared.planned());
        CHECK(prepared.plan().implementation.find("ref") == std::string::npos);
        for (const Layout& layout : prepared.plan().inputs) CHECK(layout.row_major());
        const auto values = application.values();
        const auto expected = reference(application, values);
        prepared.set_inputs(values);
        prepared.run();
        for (std::size_t k = 0; k < expected.size(); ++k)
          CHECK(distance(prepared.output(static_cast<int>(k)), expected[k]) < 1e-5);
      }
    }
  }
}

TEST_CASE("the gradient of a bias has the same bits at any number of threads") {
  const Application application = applications({400}, 2, 333, {})[3];
  for (const cpu::Isa level : {cpu::Isa::v2, cpu::Isa::v3, cpu::Isa::v4}) {
    const cpu::Isa before = cpu::set_isa(level);
    std::vector<float> alone;
    for (const int threads : {1, 2, 3}) {
      PreparedKernel prepared(application, kernel(application.op, "onednn"), threads);
      prepared.set_inputs(application.values());
      prepared.run();
      if (threads == 1) alone = prepared.output(1);
      CHECK(prepared.output(1) == alone);
    }
    cpu::set_isa(before);
  }
}
