#include "ops/embedding.h"

#include "nn/functional.h"
#include "nn/init.h"
#include "nn/layer.h"

namespace trainctl {
namespace {

/// Learned vectors for whole numbers: y[i] = weight[x[i]]. A number outside of [0, num_embeddings) gives NaN, so that
/// training stops as diverged.
/// Shapes: x (N, ...) integers, y (N, ..., D) f32; weight (V, D), standard normal at the start; V = num_embeddings, D =
///   embedding_dim.
struct Embedding final : Layer {
  std::int64_t num_embeddings = 1;
  std::int64_t embedding_dim = 1;
  Component<Initializer> weight_init{"normal"};

  static Schema<Embedding> schema() {
    return Schema<Embedding>("Learned vectors for whole numbers, such as words of a vocabulary.")
        .required("num_embeddings", &Embedding::num_embeddings, at_least(1), "How many vectors; inputs are below it.")
        .required("embedding_dim", &Embedding::embedding_dim, at_least(1), "Length of a vector.")
        .field("weight_init", &Embedding::weight_init, "What the vectors start from.")
        .example("{type: embedding, num_embeddings: 1000, embedding_dim: 64}");
  }
  Values build(Builder& b, const Values& in) const override {
    const Value x = only(in, "embedding");
    const DType dtype = x.type().dtype;
    if (dtype != DType::i64 && dtype != DType::i32) {
      fail(ErrorKind::config,
           "embedding needs whole numbers (i32 or i64), got {}; it is a model's first layer, on a field of integers",
           x.type().text());
    }
    const Shape shape{num_embeddings, embedding_dim};
    const Value table = b.parameter("weight", shape, weight_init->init(Fans::of(shape)));
    return {b.apply1("embedding", nn::attributes(EmbeddingAttributes()), {x, table})};
  }
};

const Register<Layer, Embedding> registered{"embedding"};

}  // namespace
}  // namespace trainctl
