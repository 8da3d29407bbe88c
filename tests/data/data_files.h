// Files for the tests of lib/data: good ones of each format, to damage.
#pragma once

#include <doctest/doctest.h>
#include <libdeflate.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/temp_folder.h"
#include "data/dataset.h"
#include "schema/schema.h"
#include "schema/yaml.h"

namespace trainctl::testing {

/// The message of the Error that `action` throws; fails the test if it throws none, or one of another kind.
template <typename Action>
std::string message_of(ErrorKind kind, Action action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK_MESSAGE(error.kind() == kind, error.what());
    return error.what();
  }
  FAIL_CHECK("no error was thrown");
  return {};
}

inline bool contains(std::string_view text, std::string_view part) {
  const bool found = text.find(part) != std::string_view::npos;
  if (!found) MESSAGE("'", std::string(part), "' is not in: ", std::string(text));
  return found;
}

/// The dataset that a spec describes.
inline Component<Dataset> dataset(const std::string& yaml) {
  return parse<Component<Dataset>>(parse_yaml_text(yaml));
}

template <typename T>
std::string raw_bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

template <typename T>
std::string big_endian(const std::vector<T>& values) {
  std::string out;
  for (const T value : values) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    std::reverse(bytes, bytes + sizeof(T));
    out.append(bytes, sizeof(T));
  }
  return out;
}

/// An IDX file: type code, extents, and the elements as they stand in the file.
inline std::string idx_file(std::uint8_t type, const std::vector<std::uint32_t>& dims, std::string_view elements) {
  std::string out{'\0', '\0', static_cast<char>(type), static_cast<char>(dims.size())};
  return out + big_endian(dims) + std::string(elements);
}

/// Bytes 0, 1, 2, ... modulo 251, so that every place is told from its neighbours.
inline std::string counting_bytes(std::size_t count) {
  std::string out(count, '\0');
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<char>(i % 251);
  return out;
}

inline std::string gzip(std::string_view contents) {
  libdeflate_compressor* compressor = libdeflate_alloc_compressor(6);
  std::string out(libdeflate_gzip_compress_bound(compressor, contents.size()), '\0');
  out.resize(libdeflate_gzip_compress(compressor, contents.data(), contents.size(), out.data(), out.size()));
  libdeflate_free_compressor(compressor);
  return out;
}

/// A .npy file of format version 1 to 3.
inline std::string npy_file(std::string_view descr, std::string_view shape, std::string_view elements, int version = 1,
                            std::string_view order = "False") {
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}", descr, order, shape);
  const std::size_t start = version == 1 ? 10 : 12;
  while ((start + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string out = "\x93NUMPY";
  out += static_cast<char>(version);
  out += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) out += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return out + header + std::string(elements);
}

}  // namespace trainctl::testing
