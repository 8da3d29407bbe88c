#include "store/checkpoint.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "base/error.h"
#include "base/temp_folder.h"
#include "store/hdf5.h"
#include "store/sample_checkpoint.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

std::string damage_of(Bytes bytes) {
  return data_error_of([&] { decode_checkpoint(std::move(bytes), "the.h5"); });
}

std::size_t resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
  }
  return 0;
}

int open_descriptors() {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

}  // namespace

TEST_CASE("a checkpoint gives back what was stored") {
  const TempFolder folder;
  SampleModel model(7);
  write_checkpoint(folder / "a.h5", model.contents());
  const CheckpointReader reader = open_checkpoint(folder / "a.h5");

  CHECK(reader.experiment_yaml() == "name: caf\u00e9\nseed: 42\n");
  CHECK(reader.history_json() == "{}");
  CHECK(reader.state_json() == "{\"step\": 7}");
  CHECK(reader.text_attribute("graph") == "0a1b");
  CHECK(reader.text_attribute("note") == "");
  CHECK(reader.int_attribute("threads") == 2);
  CHECK(reader.attributes().size() == 3);
  CHECK(reader.file_bytes() == std::filesystem::file_size(folder / "a.h5"));

  REQUIRE(reader.arrays().size() == 8);
  CHECK(reader.arrays().front().path == "model/0.bias");
  CHECK(reader.find("model/0.weight")->type == TensorType{DType::f32, {6, 50}});
  CHECK(reader.find("model/1.num_batches_tracked")->type == TensorType{DType::i64, {}});
  CHECK(reader.find("model") == nullptr);

  SampleModel other(0);
  CHECK_FALSE(other == model);
  reader.load(other.arrays());
  CHECK(other == model);
}

TEST_CASE("equal contents give equal bytes, without times") {
  SampleModel model;
  const Bytes first = encode_checkpoint(model.contents());
  CHECK(first.text() == encode_checkpoint(model.contents()).text());
  CHECK(first.text() != encode_checkpoint(SampleModel(2).contents()).text());

  const TempFolder folder;
  write_checkpoint(folder / "a.h5", model.contents());
  const hdf5::Handle file(H5Fopen((folder / "a.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
  REQUIRE(file);
  for (const char* path : {"/", "/model", "/model/0.weight", "/experiment", "/state/scalars"}) {
    H5O_info_t info;
    REQUIRE(H5Oget_info_by_name(file.get(), path, &info, H5P_DEFAULT) >= 0);
    CHECK(info.mtime == 0);
    CHECK(info.ctime == 0);
  }
}

TEST_CASE("loading lists every difference and reads nothing") {
  SampleModel model(7), other(0);
  const CheckpointReader reader = decode_checkpoint(encode_checkpoint(model.contents()), "the.h5");
  auto wanted = other.arrays();
  wanted[0].view.type.shape = {50, 6};
  wanted[1].view.type.dtype = DType::i32;
  wanted[2].path = "model/1.steps";
  const std::string message = data_error_of([&] { reader.load(wanted); });
  CHECK(message ==
        "the.h5: does not belong to this experiment:\n"
        "  model/0.weight: f32(6, 50), expected f32(50, 6)\n"
        "  model/0.bias: f32(6), expected i32(6)\n"
        "  model/1.steps: missing, expected i64()\n"
        "  model/1.num_batches_tracked: i64(), not expected");
  CHECK(other == SampleModel(0));

  // Under a prefix the other arrays do not matter.
  auto model_only = other.arrays();
  model_only.resize(3);
  CHECK(!data_error_of([&] { reader.load(model_only); }).empty());
  reader.load(model_only, "model/");
  CHECK(other.bias == model.bias);
  CHECK(other.sums != model.sums);

  CHECK(!data_error_of([&] { reader.read(wanted[0]); }).empty());
  CHECK(contains(data_error_of([&] { reader.int_attribute("graph"); }), "graph"));
  CHECK(contains(data_error_of([&] { reader.text_attribute("none"); }), "none"));
}

TEST_CASE("what cannot be stored is refused when it is written") {
  SampleModel model;
  auto contents = model.contents();
  contents.arrays[0].view.type.dtype = DType::bf16;
  CHECK_THROWS_AS(encode_checkpoint(contents), Error);
  contents = model.contents();
  contents.arrays[1].path = contents.arrays[0].path;
  CHECK_THROWS_AS(encode_checkpoint(contents), Error);
  contents = model.contents();
  contents.attributes["long"] = std::string(100'000, 'x');
  CHECK_THROWS_AS(encode_checkpoint(contents), Error);
}

TEST_CASE("one flipped bit anywhere is noticed") {
  SampleModel model;
  const Bytes whole = encode_checkpoint(model.contents());
  int refused = 0, tried = 0;
  for (std::size_t at = 0; at < whole.size; at += at < 1024 ? 1 : 61, ++tried) {
    Bytes bytes = copy_of(whole.span());
    bytes.data[at] ^= std::byte{static_cast<unsigned char>(1u << (at % 8))};
    refused += damage_of(std::move(bytes)).starts_with("the.h5: ");
  }
  CHECK(refused == tried);
  CHECK(damage_of(copy_of(whole.span())) == "");
}

TEST_CASE("a file that is too short or too long is noticed") {
  SampleModel model;
  const Bytes whole = encode_checkpoint(model.contents());
  for (std::size_t size = 0; size < whole.size; size += size < 1024 ? 16 : 509) {
    CHECK(!damage_of(copy_of(whole.span().first(size))).empty());
  }
  CHECK(contains(damage_of(copy_of(whole.span().first(whole.size - 1))), "cut short"));
  Bytes longer{std::make_unique<std::byte[]>(whole.size + 1), whole.size + 1};
  std::memcpy(longer.data.get(), whole.data.get(), whole.size);
  CHECK(contains(damage_of(std::move(longer)), "too long"));
}

TEST_CASE("foreign files are called what they are") {
  CHECK(contains(damage_of(copy_of(bytes_of(std::string(2000, 'x')))), "not a trainctl checkpoint"));
  CHECK(contains(damage_of(copy_of(bytes_of(""))), "not a trainctl checkpoint"));
  std::string newer(2000, ' ');
  newer.replace(0, 23, "trainctl-checkpoint 99\n");
  CHECK(contains(damage_of(copy_of(bytes_of(newer))), "format version 99"));
  // A sound header in front of what is no HDF5 file.
  Bytes forged = copy_of(bytes_of(std::string(2000, 'x')));
  forge_user_block(forged);
  CHECK(contains(damage_of(std::move(forged)), "HDF5 cannot read it"));
}

TEST_CASE("thousands of saves keep memory and descriptors flat") {
  SampleModel model;
  const auto save = [&](int times) {
    for (int i = 0; i < times; ++i) {
      Bytes bytes = encode_checkpoint(model.contents());
      if (i % 100 == 0) decode_checkpoint(std::move(bytes), "the.h5").load(model.arrays());
    }
  };
  save(500);
  [[maybe_unused]] const std::size_t memory = resident_kib();
  const int descriptors = open_descriptors();
  save(10'000);
  CHECK(open_descriptors() == descriptors);
#if !defined(__SANITIZE_ADDRESS__)  // which keeps freed memory
  CHECK(resident_kib() < memory + 1024);
#endif
  CHECK(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL) == 0);
}

TEST_CASE("h5py reads a checkpoint as it is") {
  if (std::system("/usr/bin/python3 -c 'import h5py' > /dev/null 2>&1") != 0) {
    MESSAGE("skipped: /usr/bin/python3 has no h5py");
    return;
  }
  const TempFolder folder;
  SampleModel model(7);
  write_checkpoint(folder / "a.h5", model.contents());
  std::ofstream(folder / "check.py") << R"(
import sys, h5py, numpy as np
f = h5py.File(sys.argv[1], 'r')
w = f['/model/0.weight']
assert w.dtype == np.float32 and w.shape == (6, 50) and w.chunks is None
assert np.array_equal(w[()], 7 + np.arange(300, dtype=np.float32).reshape(6, 50))
assert f['model/1.num_batches_tracked'].shape == () and f['model/1.num_batches_tracked'][()] == 7
assert f['optimizer/default/exp_avg/0.weight'].shape == (6, 50)
assert f['state/metric_sums'].dtype == np.float64 and f['state/labels'].dtype == np.int32
assert f['state/bytes'].dtype == np.uint8 and f['state/none'].shape == (0, 3)
assert f['experiment'][()].decode() == 'name: caf\u00e9\nseed: 42\n'
assert f['history'][()] == b'{}'
assert f.attrs['threads'] == 2 and f.attrs['graph'] in ('0a1b', b'0a1b')
assert sorted(f) == ['experiment', 'history', 'model', 'optimizer', 'state']
)";
  const std::string command = "/usr/bin/python3 " + (folder / "check.py").string() + " " + (folder / "a.h5").string();
  CHECK(std::system(command.c_str()) == 0);
}

TEST_CASE("texts that not every version has are stored where they are told; files without them are read too") {
  SampleModel model(3);
  CheckpointContents contents = model.contents();
  const CheckpointReader without = decode_checkpoint(encode_checkpoint(contents), "a.h5");
  CHECK(without.fields_json().empty());
  CHECK(without.choices_json().empty());
  contents.fields_json = std::string(100000, 'x');
  contents.choices_json = std::string(200000, 'y');
  const CheckpointReader with = decode_checkpoint(encode_checkpoint(contents), "a.h5");
  CHECK(with.fields_json() == contents.fields_json);
  CHECK(with.choices_json() == contents.choices_json);
}
