// A launch allocates nothing: operator new is counted while it runs. What oneDNN allocates inside of itself is its own
// affair.
#include <doctest/doctest.h>

#include "counted_allocations.h"
#include "graph/builtin.h"
#include "kernels_cpu/run_kernel.h"
#include "ops/conv2d.h"
#include "ops/linear.h"

using namespace trainctl;
using namespace trainctl::test;

TEST_CASE("launches allocate nothing") {
  const auto f32 = [](Shape shape) { return std::optional<TensorType>(TensorType{DType::f32, shape}); };
  auto convolution = std::make_shared<Conv2dAttributes>();
  convolution->input_shape = {16, 6, 9, 9};
  convolution->weight_shape = {16, 6, 3, 3};
  const auto linear = std::make_shared<LinearAttributes>();
  const std::vector<Application> applications{
      {"conv2d", convolution, {f32({16, 6, 9, 9}), f32({16, 6, 3, 3}), f32({16})}},
      {"conv2d", convolution, {f32({16, 6, 9, 9}), f32({16, 6, 3, 3}), f32({16}), f32({16, 16, 7, 7})}},
      {"conv2d_backward_data", convolution, {f32({16, 16, 7, 7}), f32({16, 6, 3, 3})}},
      {"conv2d_backward_weights", convolution, {f32({16, 6, 9, 9}), f32({16, 16, 7, 7})}},
      {"linear", linear, {f32({20, 30}), f32({40, 30}), f32({40})}},
      {"linear_backward_data", linear, {f32({20, 40}), f32({40, 30})}},
      {"linear_backward_weights", linear, {f32({20, 30}), f32({20, 40})}},
  };
  // oneDNN reads its environment when the first primitive of a process runs.
  PreparedKernel first(applications.back(), kernel("linear_backward_weights", "onednn"), 2);
  first.set_inputs(applications.back().values());
  first.run();
  int checked = 0;
  for (const Application& application : applications) {
    for (const auto* entry : KernelRegistry::instance().find(application.op, "cpu")) {
      if (entry->priority == priority::reference) continue;
      PreparedKernel prepared(application, *entry, 2);
      if (!prepared.planned()) continue;
      CAPTURE(application.op);
      CAPTURE(prepared.plan().implementation);
      prepared.set_inputs(application.values());
      allocations = 0;
      counting = true;
      prepared.run();
      prepared.run();
      counting = false;
      CHECK(allocations == 0);
      ++checked;
    }
  }
  CHECK(checked >= 10);
  counting = true;
  ::operator delete(::operator new(1));
  counting = false;
  CHECK(allocations >= 1);
}
