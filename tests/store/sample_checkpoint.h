// A small checkpoint for tests, and files made by the HDF5 library itself.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "store/checkpoint.h"
#include "store/user_block.h"

namespace trainctl::testing {

/// Arrays of every stored type with memory of their own, filled with numbers that depend on `step`.
struct SampleModel {
  explicit SampleModel(std::int64_t step = 1) : batches{step}, labels(5), sums(4), bytes(7), weight(6 * 50), bias(6) {
    std::iota(weight.begin(), weight.end(), static_cast<float>(step));
    std::iota(bias.begin(), bias.end(), -static_cast<float>(step));
    std::iota(sums.begin(), sums.end(), 0.5 * static_cast<double>(step));
    std::iota(labels.begin(), labels.end(), static_cast<std::int32_t>(step));
    std::iota(bytes.begin(), bytes.end(), static_cast<std::uint8_t>(step));
  }

  std::vector<StoredArray> arrays() {
    return {{"model/0.weight", {{DType::f32, {6, 50}}, weight.data()}},
            {"model/0.bias", {{DType::f32, {6}}, bias.data()}},
            {"model/1.num_batches_tracked", {{DType::i64, {}}, batches.data()}},
            {"optimizer/default/exp_avg/0.weight", {{DType::f32, {6, 50}}, weight.data()}},
            {"state/metric_sums", {{DType::f64, {4}}, sums.data()}},
            {"state/labels", {{DType::i32, {5}}, labels.data()}},
            {"state/bytes", {{DType::u8, {7}}, bytes.data()}},
            {"state/none", {{DType::f32, {0, 3}}, nullptr}}};
  }

  CheckpointContents contents() {
    return {.arrays = arrays(),
            .experiment_yaml = "name: caf\u00e9\nseed: 42\n",
            .history_json = "{}",
            .state_json = "{\"step\": " + std::to_string(batches[0]) + "}",
            .attributes = {{"graph", std::string("0a1b")}, {"threads", std::int64_t{2}}, {"note", std::string()}}};
  }

  friend bool operator==(const SampleModel&, const SampleModel&) = default;

  std::vector<std::int64_t> batches;
  std::vector<std::int32_t> labels;
  std::vector<double> sums;
  std::vector<std::uint8_t> bytes;
  std::vector<float> weight, bias;
};

inline Bytes copy_of(ByteSpan span) {
  Bytes bytes{std::make_unique<std::byte[]>(span.size()), span.size()};
  std::memcpy(bytes.data.get(), span.data(), span.size());
  return bytes;
}

/// Makes the user block fit whatever follows it.
inline void forge_user_block(Bytes& file) {
  const std::string block = make_user_block(file.span().subspan(512));
  std::memcpy(file.data.get(), block.data(), block.size());
}

/// The message of the data Error that `work` must end with; empty if it ends with none or another.
inline std::string data_error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.kind() == ErrorKind::data ? error.what() : "";
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace trainctl::testing
