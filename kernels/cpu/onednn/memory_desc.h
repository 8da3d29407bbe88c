// Our layouts as oneDNN's descriptions of memory, and back. For the .cpp files of this folder alone: it brings oneDNN's
// headers.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <optional>

#include "device/layout.h"
#include "device/types.h"

namespace trainctl::onednn {

/// oneDNN's name of an element type, if it has one.
std::optional<dnnl::memory::data_type> data_type(DType dtype);
dnnl::memory::dims dims_of(const Shape& shape);

/// A tensor of `type` in `layout`, field by field: oneDNN's own tags are an enumeration of the orders that it has names
/// for.
dnnl::memory::desc described(const TensorType& type, const Layout& layout);
/// The way back, for a tensor of shape `shape` in the same memory: see Desc::layout.
std::optional<Layout> layout_of(const dnnl::memory::desc& md, const Shape& shape);

}  // namespace trainctl::onednn
