#include <algorithm>

#include "base/text.h"
#include "nn/functional.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

/// The same elements of each sample in row-major order under another shape: (N, ...) becomes (N, shape...). Copies
/// nothing. One extent may be -1: what the others leave.
struct Reshape final : Layer {
  std::vector<std::int64_t> shape;

  static Schema<Reshape> schema() {
    return Schema<Reshape>("Give each sample another shape.")
        .required("shape", &Reshape::shape, at_least(-1),
                  "The new shape without the batch axis; one extent may be -1, which stands for what is left.")
        .example("{type: reshape, shape: [-1, 7, 7]}");
  }
  void check(Diagnostics& diagnostics, const Node& node) const {
    if (std::ranges::count(shape, -1) > 1) diagnostics.error(node, "only one extent of 'shape' may be -1.");
    if (std::ranges::count(shape, 0) > 0) diagnostics.error(node, "an extent of 'shape' cannot be 0.");
    if (shape.size() + 1 > static_cast<std::size_t>(Shape::max_rank))
      diagnostics.error(node, fmt::format("'shape' can have {} extents at most.", Shape::max_rank - 1));
  }
  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "reshape");
    const std::int64_t available = x.shape().slice(1).elements();
    std::int64_t given = 1;
    for (const std::int64_t extent : shape) given *= extent == -1 ? 1 : extent;
    const bool open = std::ranges::count(shape, -1) > 0;
    if (open ? available % given != 0 : available != given) {
      fail(ErrorKind::config, "each sample has shape {}, so {} elements, which shape {} cannot hold",
           x.shape().slice(1).text(), available, Shape(std::span<const std::int64_t>(shape)).text());
    }
    Shape result{x.dim(0)};
    for (const std::int64_t extent : shape) result.push_back(extent == -1 ? available / given : extent);
    return {nn::reshape(b, x, result)};
  }
};

const Register<Layer, Reshape> registered{"reshape"};

}  // namespace
}  // namespace trainctl
