// Which implementation was taken for what. A run keeps it, so that going on takes the same.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "device/kernel.h"

namespace trainctl {

struct Plan;  // holds what is declared here

/// From choice_key() of a request to the implementation that was taken for it (KernelPlan::implementation).
using Choices = std::map<std::string, std::string, std::less<>>;

/// A choice that could not be taken again.
struct LostChoice {
  std::string op, path;  ///< where it was first met
  std::string chosen, taken;
};

/// A request in a line: all of it that an implementation may be chosen by.
std::string choice_key(std::string_view device, const KernelRequest& request);

/// Adds what the steps of a plan take.
void record_choices(const Plan& plan, Choices& choices);

}  // namespace trainctl
