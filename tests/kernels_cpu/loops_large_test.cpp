// Loops at sizes where threads share the work: the same results as one thread's and as every other level's, also in
// place.
#include "kernels_cpu/loops_run.h"
#include "ops/norm.h"
#include "ops/optimizer.h"
#include "ops/pool2d.h"
#include "ops/softmax.h"

using namespace trainctl;
using namespace trainctl::test;

namespace {

constexpr const char* layouts[] = {"", "acdb", "aBcd8b", "aBcd16b", "Abcd16a"};

/// Runs on one thread of the baseline level, and compares every level, 1 and 3 threads, in place and not with it.
void check_everywhere(LoopRun run, double tolerance) {
  std::vector<std::vector<float>> expected;
  {
    const UseIsa use(cpu::Isa::v2);
    expected = run.run();
  }
  for (const cpu::Isa level : all_levels) {
    const UseIsa use(level);
    for (const int threads : {1, 2, 3}) {
      run.threads = threads;
      run.in_place = false;
      const auto apart = run.run();
      run.in_place = true;
      CHECK_MESSAGE(run.run() == apart, run.op, " gives other bits in place");
      for (std::size_t k = 0; k < expected.size(); ++k) {
        INFO(run.op, " ", std::string(cpu::name(level)), " layout=", run.layout, " threads=", threads, " output=", k);
        CHECK(difference(apart[k], expected[k]) < tolerance);
      }
    }
  }
}

/// Numbers for a tensor in a layout, its padding zero.
std::vector<float> laid_out(const TensorType& type, const std::string& tag, unsigned seed) {
  const Layout layout(tag);
  const std::vector<float> values = numbers(type.elements(), -2, 3, seed);
  std::vector<float> memory(layout.bytes(type) / sizeof(float));
  for (std::int64_t i = 0; i < type.elements(); ++i) {
    std::int64_t index[4], rest = i;
    for (int axis = 3; axis >= 0; --axis) index[axis] = rest % type.shape[axis], rest /= type.shape[axis];
    memory[layout.offset(type, index)] = values[i];
  }
  return memory;
}

/// How many of a tensor's numbers are not zero.
std::int64_t nonzero(const std::vector<float>& memory) {
  return static_cast<std::int64_t>(std::ranges::count_if(memory, [](float value) { return value != 0.0f; }));
}

}  // namespace

TEST_CASE("batch norm: threads that share channels, levels and layouts agree") {
  BatchNormAttributes attributes;
  attributes.activation.kind = Activation::Kind::relu;
  // 20 and 3 channels: padding in blocks, threads that share the channels out and threads that share a channel.
  for (const std::int64_t channels : {20, 3}) {
    const TensorType x{DType::f32, {18, channels, 11, 13}}, c{DType::f32, {channels}};
    for (const std::string layout : layouts) {
      const auto data = laid_out(x, layout, 1), dy = laid_out(x, layout, 2), y = laid_out(x, layout, 3),
                 sum = laid_out(x, layout, 4);
      const auto gamma = numbers(channels, 0.5, 2, 5), beta = numbers(channels, -1, 1, 6),
                 mean = numbers(channels, 0, 1, 7), variance = numbers(channels, 0.5, 2, 8);
      const LoopRun forward{.op = "batch_norm",
                            .attributes = &attributes,
                            .inputs = {x, c, c, x},
                            .values = {data, gamma, beta, sum},
                            .outputs = {x, c, c},
                            .layout = layout};
      check_everywhere(forward, 1e-5);
      CHECK(nonzero(forward.run()[0]) <= x.elements());
      attributes.gives_sum = true;
      check_everywhere({.op = "batch_norm_backward",
                        .attributes = &attributes,
                        .inputs = {x, x, c, c, c, x},
                        .values = {data, dy, mean, variance, gamma, y},
                        .outputs = {x, c, c, x},
                        .layout = layout},
                       1e-5);
      attributes.gives_sum = false;
      check_everywhere({.op = "batch_norm_inference",
                        .attributes = &attributes,
                        .inputs = {x, c, c, c, c},
                        .values = {data, gamma, beta, mean, variance},
                        .outputs = {x},
                        .layout = layout},
                       1e-5);
    }
  }
}

TEST_CASE("batch norm keeps its digits far from zero") {
  const BatchNormAttributes attributes;
  const TensorType x{DType::f32, {64, 2, 32, 32}}, c{DType::f32, {2}};
  LoopRun run{.op = "batch_norm",
              .attributes = &attributes,
              .inputs = {x, c, c},
              .values = {numbers(x.elements(), 999, 1001), {1, 1}, {0, 0}},
              .outputs = {x, c, c},
              .threads = 2};
  double sum = 0, squares = 0;
  const std::int64_t plane = 32 * 32, count = 64 * plane;
  for (std::int64_t n = 0; n < 64; ++n) {
    for (std::int64_t i = 0; i < plane; ++i) sum += run.values[0][n * 2 * plane + i];
  }
  for (std::int64_t n = 0; n < 64; ++n) {
    for (std::int64_t i = 0; i < plane; ++i) squares += std::pow(run.values[0][n * 2 * plane + i] - sum / count, 2);
  }
  const auto result = run.run();
  CHECK(result[1][0] == doctest::Approx(sum / count).epsilon(1e-7));
  CHECK(result[2][0] == doctest::Approx(squares / count).epsilon(1e-5));
}

TEST_CASE("pools: threads, levels and layouts agree, and padding stays zero") {
  Pool2dAttributes attributes;
  for (const std::int64_t kernel : {2, 3}) {
    attributes.kernel = {kernel, kernel};
    attributes.padding = {kernel / 3, kernel / 3};
    const std::int64_t extent = (40 + 2 * (kernel / 3) - kernel) / 2 + 1;
    const TensorType x{DType::f32, {18, 20, 40, 40}}, y{DType::f32, {18, 20, extent, extent}},
        index{DType::u8, y.shape};
    attributes.input_shape = x.shape;
    for (const std::string layout : layouts) {
      const LoopRun forward{.op = "max_pool2d",
                            .attributes = &attributes,
                            .inputs = {x},
                            .values = {laid_out(x, layout, 1)},
                            .outputs = {y, index},
                            .layout = layout};
      const auto pooled = forward.run();
      CHECK(nonzero(pooled[0]) <= y.elements());
      const LoopRun backward{.op = "max_pool2d_backward",
                             .attributes = &attributes,
                             .inputs = {y, index},
                             .values = {laid_out(y, layout, 2), pooled[1]},
                             .outputs = {x},
                             .layout = layout,
                             .threads = 2};
      std::vector<float> expected;
      for (const cpu::Isa level : all_levels) {
        const UseIsa use(level);
        LoopRun threaded = forward;
        threaded.threads = 2;
        const auto again = threaded.run();
        CHECK(std::memcmp(again[0].data(), pooled[0].data(), pooled[0].size() * 4) == 0);
        CHECK(std::memcmp(again[1].data(), pooled[1].data(), pooled[1].size() * 4) == 0);
        const auto dx = backward.run()[0];
        if (expected.empty()) expected = dx;
        CHECK(dx == expected);
      }
      check_everywhere({.op = "avg_pool2d",
                        .attributes = &attributes,
                        .inputs = {x},
                        .values = {forward.values[0]},
                        .outputs = {y},
                        .layout = layout},
                       1e-5);
    }
  }
}

TEST_CASE("optimizers: threads and levels agree in place, and a step that is not finite changes nothing") {
  const TensorType p{DType::f32, {100003}}, scalar{DType::f32, {}}, whole{DType::i64, {}}, flag{DType::i32, {}};
  const auto weights = numbers(100003, -1, 1, 1), gradient = numbers(100003, -1, 1, 2), m = numbers(100003, -1, 1, 3),
             v = numbers(100003, 0, 1, 4);
  const AdamAttributes adam;
  LoopRun run{.op = "adam",
              .attributes = &adam,
              .inputs = {p, p, p, p, whole, scalar, scalar, scalar},
              .values = {weights, gradient, m, v, integer(6), number(1e-3f), number(0.1f), number(0.5f)},
              .outputs = {p, p, p, whole}};
  check_everywhere(run, 1e-5);
  run.inputs.push_back(flag);
  run.values.push_back(number(0.0f));  // the same bits as the integer 0
  for (const bool in_place : {false, true}) {
    run.in_place = in_place;
    const auto kept = run.run();
    CHECK(kept[0] == weights);
    CHECK(kept[1] == m);
    CHECK(kept[2] == v);
    CHECK(std::memcmp(kept[3].data(), integer(6).data(), 8) == 0);
  }
  const SgdAttributes sgd;
  check_everywhere({.op = "sgd",
                    .attributes = &sgd,
                    .inputs = {p, p, p, scalar, scalar, scalar},
                    .values = {weights, gradient, m, number(0.1f), number(0.01f), number(0.9f)},
                    .outputs = {p, p}},
                   1e-5);
}

TEST_CASE("softmax of long rows: threads and levels agree") {
  const TensorType x{DType::f32, {77, 301}};
  const SoftmaxAttributes attributes(-1);
  for (const char* op : {"softmax", "log_softmax"}) {
    check_everywhere(
        {.op = op, .attributes = &attributes, .inputs = {x}, .values = {numbers(x.elements(), -9, 9)}, .outputs = {x}},
        1e-5);
  }
}
