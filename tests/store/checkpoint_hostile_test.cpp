// Files with a correct hash that hold what trainctl never writes.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/philox.h"
#include "base/temp_folder.h"
#include "store/checkpoint.h"
#include "store/hdf5.h"
#include "store/sample_checkpoint.h"

using namespace trainctl;
using namespace trainctl::testing;
using hdf5::Handle;

namespace {

Handle scalar_space() {
  return Handle(H5Screate(H5S_SCALAR));
}

Handle space_of(std::vector<hsize_t> dims) {
  return Handle(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr));
}

Handle dataset(hid_t file, const char* path, hid_t type, const Handle& space, hid_t properties = H5P_DEFAULT) {
  const Handle links(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(links.get(), 1);
  return Handle(H5Dcreate2(file, path, type, space.get(), links.get(), properties, H5P_DEFAULT));
}

// The error of reading a file that HDF5 wrote by default, with the texts of a checkpoint and what `add` puts in.
std::string refusal_of(const std::function<void(hid_t)>& add, bool newest_format = false) {
  const TempFolder folder;
  const std::string path = (folder / "the.h5").string();
  {
    hdf5::prepare();
    const Handle creation(H5Pcreate(H5P_FILE_CREATE)), access(H5Pcreate(H5P_FILE_ACCESS));
    H5Pset_userblock(creation.get(), 512);
    H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG);
    if (newest_format) H5Pset_libver_bounds(access.get(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    const Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()));
    REQUIRE(file);
    for (const char* text : hdf5::text_paths) {
      const char value = '{';
      const Handle data = dataset(file.get(), text, H5T_C_S1, scalar_space());
      REQUIRE(H5Dwrite(data.get(), H5T_C_S1, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) >= 0);
    }
    add(file.get());
  }
  Bytes bytes = read_bytes(path, 1 << 30);
  forge_user_block(bytes);
  try {
    decode_checkpoint(std::move(bytes), "the.h5");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a file that HDF5 wrote plainly is accepted") {
  CHECK(refusal_of([](hid_t) {}) == "accepted");
  CHECK(refusal_of([](hid_t) {}, true) == "accepted");
  CHECK(refusal_of([](hid_t file) {
          const float values[3] = {1, 2, 3};
          const Handle data = dataset(file, "model/w", H5T_IEEE_F32LE, space_of({3}));
          H5Dwrite(data.get(), H5T_IEEE_F32LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
        }) == "accepted");
}

TEST_CASE("links that lead elsewhere are refused") {
  CHECK(
      contains(refusal_of([](hid_t f) { H5Lcreate_external("/etc/passwd", "/x", f, "out", H5P_DEFAULT, H5P_DEFAULT); }),
               "out: is a link to another file"));
  CHECK(contains(refusal_of([](hid_t f) { H5Lcreate_soft("/history", f, "soft", H5P_DEFAULT, H5P_DEFAULT); }),
                 "soft: is a symbolic link"));
  CHECK(contains(refusal_of([](hid_t f) { H5Lcreate_hard(f, "history", f, "twice", H5P_DEFAULT, H5P_DEFAULT); }),
                 "is a second link"));
  CHECK(contains(refusal_of([](hid_t f) {
                   const Handle group(H5Gcreate2(f, "loop", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
                   H5Lcreate_hard(f, "loop", group.get(), "again", H5P_DEFAULT, H5P_DEFAULT);
                 }),
                 "loop/again: is a second link"));
  CHECK(contains(refusal_of([](hid_t f) { H5Lcreate_hard(f, "/", f, "root", H5P_DEFAULT, H5P_DEFAULT); }),
                 "root: is a second link"));
}

TEST_CASE("data that lie elsewhere are refused") {
  CHECK(contains(refusal_of([](hid_t f) {
                   const Handle properties(H5Pcreate(H5P_DATASET_CREATE));
                   H5Pset_external(properties.get(), "/etc/passwd", 0, 16);
                   REQUIRE(dataset(f, "model/w", H5T_IEEE_F32LE, space_of({4}), properties.get()));
                 }),
                 "model/w: has its data in another file"));
  CHECK(contains(refusal_of(
                     [](hid_t f) {
                       const Handle properties(H5Pcreate(H5P_DATASET_CREATE));
                       const Handle space = space_of({4});
                       H5Pset_virtual(properties.get(), space.get(), "/tmp/other.h5", "/w", space.get());
                       REQUIRE(dataset(f, "model/w", H5T_IEEE_F32LE, space, properties.get()));
                     },
                     true),
                 "model/w: is a virtual data set"));
}

TEST_CASE("filters and chunks are refused, known or not") {
  for (const bool compressed : {false, true}) {
    CHECK(contains(refusal_of([&](hid_t f) {
                     const Handle properties(H5Pcreate(H5P_DATASET_CREATE));
                     const hsize_t chunk = 4;
                     H5Pset_chunk(properties.get(), 1, &chunk);
                     if (compressed) H5Pset_deflate(properties.get(), 6);
                     REQUIRE(dataset(f, "model/w", H5T_IEEE_F32LE, space_of({4}), properties.get()));
                   }),
                   "model/w: is not stored in one piece"));
  }
  CHECK(contains(refusal_of(
                     [](hid_t f) {
                       const Handle properties(H5Pcreate(H5P_GROUP_CREATE));
                       H5Pset_deflate(properties.get(), 6);
                       const Handle group(H5Gcreate2(f, "packed", H5P_DEFAULT, properties.get(), H5P_DEFAULT));
                       REQUIRE(group);
                     },
                     true),
                 "packed: is compressed or filtered"));
  unsigned plugins = 1;
  REQUIRE(H5PLget_loading_state(&plugins) >= 0);
  CHECK(plugins == 0);
}

TEST_CASE("shapes beyond the file are refused before anything is allocated") {
  for (const std::vector<hsize_t>& dims : {std::vector<hsize_t>{hsize_t{1} << 40},
                                           {hsize_t{1} << 20, hsize_t{1} << 20},
                                           {hsize_t{1} << 30, hsize_t{1} << 30}}) {
    const std::string message = refusal_of([&](hid_t f) { dataset(f, "model/w", H5T_IEEE_F32LE, space_of(dims)); });
    CHECK(contains(message, "model/w: is declared larger than the whole file"));
  }
  // Declared and never written: HDF5 has given it no place.
  CHECK(contains(refusal_of([](hid_t f) { dataset(f, "model/w", H5T_IEEE_F32LE, space_of({4})); }), "model/w: "));
  CHECK(contains(refusal_of([](hid_t f) {
                   dataset(f, "model/w", H5T_IEEE_F32LE, space_of({1, 1, 1, 1, 1, 1, 1}));
                 }),
                 "model/w: has 7 axes"));
}

TEST_CASE("types, objects and attributes that are never written are refused") {
  CHECK(
      contains(refusal_of([](hid_t f) { dataset(f, "w", H5T_IEEE_F32BE, space_of({1})); }), "w: has an element type"));
  CHECK(contains(refusal_of([](hid_t f) { dataset(f, "w", H5T_STD_U16LE, space_of({1})); }), "w: has an element type"));
  CHECK(
      contains(refusal_of([](hid_t f) { dataset(f, "w", H5T_STD_REF_OBJ, space_of({1})); }), "w: has an element type"));
  CHECK(contains(refusal_of([](hid_t f) { dataset(f, "w", H5T_C_S1, space_of({1})); }), "w: is a text"));
  CHECK(contains(refusal_of([](hid_t f) { dataset(f, "w", H5T_IEEE_F32LE, Handle(H5Screate(H5S_NULL))); }), "w: "));
  CHECK(contains(refusal_of([](hid_t f) {
                   const Handle type(H5Tcopy(H5T_IEEE_F32LE));
                   H5Tcommit2(f, "type", type.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
                 }),
                 "type: is neither a group nor a data set"));
  CHECK(contains(refusal_of([](hid_t f) {
                   const Handle space = scalar_space();
                   const Handle group(H5Gcreate2(f, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
                   const Handle attribute(
                       H5Acreate2(group.get(), "a", H5T_STD_I64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT));
                 }),
                 "g: has attributes"));
  CHECK(contains(refusal_of([](hid_t f) {
                   const Handle type(H5Tcopy(H5T_C_S1));
                   H5Tset_size(type.get(), H5T_VARIABLE);
                   const Handle space = scalar_space();
                   const Handle attribute(H5Acreate2(f, "a", type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT));
                 }),
                 "a: is neither a whole number nor a short text"));
  CHECK(contains(refusal_of([](hid_t f) {
                   const Handle space = space_of({2});
                   const Handle attribute(H5Acreate2(f, "a", H5T_STD_I64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT));
                 }),
                 "a: is not a single value"));
}

TEST_CASE("a text that is missing is refused") {
  CHECK(contains(refusal_of([](hid_t f) { H5Ldelete(f, "history", H5P_DEFAULT); }), "holds no /history"));
}

TEST_CASE("depth and number of objects are bounded") {
  CHECK(contains(refusal_of([](hid_t f) {
                   const Handle links(H5Pcreate(H5P_LINK_CREATE));
                   H5Pset_create_intermediate_group(links.get(), 1);
                   std::string path = "g";
                   for (int i = 0; i < 100; ++i) path += "/g";
                   const Handle group(H5Gcreate2(f, path.c_str(), links.get(), H5P_DEFAULT, H5P_DEFAULT));
                   REQUIRE(group);
                 }),
                 "is nested too deeply"));
  CHECK(contains(refusal_of(
                     [](hid_t f) {
                       for (int i = 0; i < 110'000; ++i) {
                         H5Lcreate_soft("x", f, std::to_string(i).c_str(), H5P_DEFAULT, H5P_DEFAULT);
                       }
                     },
                     true),
                 "symbolic link"));
}

TEST_CASE("random damage under a correct hash is an error or harmless, never a crash") {
  SampleModel model;
  const Bytes whole = encode_checkpoint(model.contents());
#if defined(__SANITIZE_ADDRESS__)  // which makes a fork slow
  constexpr int rounds = 200;
#else
  constexpr int rounds = 1000;
#endif
  int refused = 0;
  const auto attempt = [&](std::uint64_t round) {
    Bytes bytes = copy_of(whole.span());
    const int changes = 1 + static_cast<int>(random_bits(1, round, 0, 0) % 8);
    for (int i = 0; i < changes; ++i) {
      const Words4 bits = random_block(1, round, 1, static_cast<std::uint32_t>(i));
      const std::size_t at = 512 + uniform_below(bits.word[0], static_cast<std::uint32_t>(bytes.size - 512));
      bytes.data[at] = static_cast<std::byte>(bits.word[1] % 4 == 0 ? 0xff : bits.word[2]);
    }
    forge_user_block(bytes);
    try {
      const CheckpointReader reader = decode_checkpoint(std::move(bytes), "the.h5");
      for (const auto& entry : reader.arrays()) (void)reader.bytes_of(entry);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::data);
      ++refused;
    }
  };
  for (int round = 0; round < rounds; ++round) attempt(static_cast<std::uint64_t>(round));
  CHECK(refused > rounds / 4);
}
