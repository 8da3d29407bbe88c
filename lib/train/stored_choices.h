// Choices of implementations as a checkpoint holds them.
#pragma once

#include <string>
#include <string_view>

#include "program/choices.h"
#include "store/checkpoint.h"

namespace trainctl {

std::string choices_to_json(const Choices& choices);
/// None of an empty text, as checkpoints of older versions have it. A data Error that begins with `source` if it is
/// damaged.
Choices choices_from_json(std::string_view text, std::string_view source);
/// Those of a checkpoint.
Choices choices_of(const CheckpointReader& reader);

}  // namespace trainctl
