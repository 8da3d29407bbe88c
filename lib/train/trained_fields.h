// What samples of the training data are, as a checkpoint keeps it: predictions need it where the data are not at hand.
#pragma once

#include <string>
#include <string_view>

#include "data/field.h"

namespace trainctl {

/// {"fields": [{"name", "dtype", "shape", "classes", "class_names", "columns"}]}.
std::string fields_to_json(const DatasetInfo& data);
/// The fields again, of no samples. A data Error that begins with `source` if the text is damaged.
DatasetInfo fields_from_json(std::string_view text, std::string_view source);

}  // namespace trainctl
