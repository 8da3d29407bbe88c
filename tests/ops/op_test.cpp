// Every op: its gradient against differences of its reference, and that it has cases.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

#include "device/kernel.h"
#include "ops/gradient.h"
#include "ops/op_case.h"

using namespace trainctl;
using namespace trainctl::test;

TEST_CASE("the vjp of each op equals central differences") {
  int checked = 0;
  for (const OpCase& op_case : op_cases()) {
    if (std::ranges::none_of(op_case.inputs, &Operand::differentiable)) continue;
    INFO(op_case.full_name());
    CHECK(check_gradient(op_case) == "");
    ++checked;
  }
  CHECK(checked > 0);
}

TEST_CASE("case names are unique and every op has a case") {
  std::set<std::string> names, ops;
  for (const OpCase& op_case : op_cases()) {
    CHECK_MESSAGE(names.insert(op_case.full_name()).second, op_case.full_name());
    ops.insert(op_case.op);
  }
  for (const auto& op : OpRegistry::instance().ops()) {
    if (op->storage() != Op::Storage::compute) continue;  // nothing runs
    if (op->name() == "reorder") continue;                // made by the planner, and tested with it
    CHECK_MESSAGE(ops.contains(std::string(op->name())), "op '", op->name(), "' has no case");
  }
}

TEST_CASE("every op has a kernel of its own on the cpu") {
  for (const auto& op : OpRegistry::instance().ops()) {
    if (op->storage() != Op::Storage::compute) continue;
    const auto entries = KernelRegistry::instance().find(op->name(), "cpu");
    CHECK_MESSAGE(std::ranges::any_of(entries, [](const auto* entry) { return entry->op != "*"; }), "op '", op->name(),
                  "' has none");
  }
}
