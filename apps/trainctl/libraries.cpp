// Versions of the libraries that this program is linked to, as they are at run time where they can be asked.
#include "base/libraries.h"

#include <fmt/core.h>
#include <hdf5.h>
#include <libdeflate.h>
#include <oneapi/dnnl/dnnl.h>
#include <openssl/crypto.h>
#include <png.h>
#include <spdlog/version.h>
#include <zlib.h>

#include <cstdio>  // for jpeglib.h
// clang-format off
#include <jpeglib.h>
// clang-format on
#include <CLI/Version.hpp>
#include <nlohmann/json.hpp>

namespace trainctl::app {
namespace {

std::string dotted(unsigned major, unsigned minor, unsigned patch) {
  return fmt::format("{}.{}.{}", major, minor, patch);
}

std::string hdf5() {
  unsigned major = 0, minor = 0, patch = 0;
  H5get_libversion(&major, &minor, &patch);
  return dotted(major, minor, patch);
}

// libjpeg-turbo gives its version as bare tokens.
#define TRAINCTL_TEXT_OF(tokens) #tokens
#define TRAINCTL_TEXT(tokens) TRAINCTL_TEXT_OF(tokens)
std::string libjpeg() {
#ifdef LIBJPEG_TURBO_VERSION
  return TRAINCTL_TEXT(LIBJPEG_TURBO_VERSION);
#else
  return fmt::format("libjpeg {}", JPEG_LIB_VERSION);
#endif
}

std::string onednn() {
  const dnnl_version_t* version = dnnl_version();
  return dotted(static_cast<unsigned>(version->major), static_cast<unsigned>(version->minor),
                static_cast<unsigned>(version->patch));
}

const RegisterLibrary registered[] = {
    {"CLI11", CLI11_VERSION},
    {"HDF5", hdf5()},
    {"OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING)},
    {"fmt", dotted(FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
    {"libdeflate", LIBDEFLATE_VERSION_STRING},
    {"libjpeg-turbo", libjpeg()},
    {"libpng", png_get_libpng_ver(nullptr)},
    {"nlohmann/json", dotted(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
    {"oneDNN", onednn()},
    {"spdlog", dotted(SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH)},
    {"yaml-cpp", TRAINCTL_YAML_CPP_VERSION},
    {"zlib", zlibVersion()},
};

}  // namespace
}  // namespace trainctl::app
