#include <nlohmann/json.hpp>
#include <variant>

#include "arguments.h"
#include "base/error.h"
#include "base/sha256.h"
#include "output.h"
#include "report/text_table.h"
#include "schema/json_text.h"
#include "store/checkpoint.h"
#include "train/stored_choices.h"

namespace trainctl::app {
namespace {

using Json = nlohmann::ordered_json;

Json state_of(const CheckpointReader& reader) {
  try {
    return parse_json(reader.state_json());
  } catch (const Json::exception& error) {
    fail(ErrorKind::data, "{}: its state cannot be read: {}", reader.path().string(), error.what());
  }
}

class Inspect final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("CHECKPOINT", path_, "A checkpoint, as in RUN/checkpoints/last.h5.");
    arguments.flag("--experiment", experiment_,
                   "Print the experiment it holds, as YAML that runs again, and nothing else.");
    arguments.example("trainctl inspect runs/examples/fashion-mnist-lenet-1/checkpoints/best.h5");
  }

  int run(const Globals& globals) override {
    if (std::filesystem::is_directory(path_)) {
      fail(ErrorKind::usage, "{} is a folder; give a checkpoint, such as {}", path_,
           (std::filesystem::path(path_) / "checkpoints/last.h5").string());
    }
    const CheckpointReader reader = open_checkpoint(path_);
    if (globals.json)
      print_json(json_of(reader));
    else if (experiment_)
      print(reader.experiment_yaml());
    else
      print(text_of(reader));
    return 0;
  }

 private:
  static Json json_of(const CheckpointReader& reader) {
    Json attributes = Json::object();
    for (const auto& [name, value] : reader.attributes()) {
      std::visit([&, key = name](const auto& held) { attributes[key] = held; }, value);
    }
    Json arrays = Json::array();
    for (const auto& entry : reader.arrays()) {
      arrays.push_back({{"path", entry.path},
                        {"dtype", name(entry.type.dtype)},
                        {"shape", entry.type.shape.dims()},
                        {"bytes", entry.type.bytes()},
                        {"sha256", sha256_hex(reader.bytes_of(entry))}});
    }
    return {{"file", reader.path().string()},
            {"bytes", reader.file_bytes()},
            {"sha256", reader.digest()},
            {"valid", true},
            {"state", state_of(reader)},
            {"attributes", std::move(attributes)},
            {"arrays", std::move(arrays)},
            {"experiment", reader.experiment_yaml()},
            {"choices", choices_from_json(reader.choices_json(), reader.path().string())}};
  }

  static std::string text_of(const CheckpointReader& reader) {
    const Json state = state_of(reader);
    std::string text =
        fmt::format("{}\nwhole: {} bytes, SHA-256 {}\n", reader.path().string(), reader.file_bytes(), reader.digest());
    for (const auto& [key, value] : state.items()) {
      if (value.is_primitive())
        text += fmt::format("{} {}\n", key, value.is_string() ? value.get<std::string>() : json_text(value));
    }
    for (const auto& [key, value] : reader.attributes()) {
      if (state.contains(key)) continue;
      text += fmt::format("{} {}\n", key, std::visit([](const auto& held) { return fmt::format("{}", held); }, value));
    }
    using enum TextTable::Align;
    TextTable table({{"array"}, {"type"}, {"shape"}, {"bytes", right}});
    std::size_t bytes = 0;
    for (const auto& entry : reader.arrays()) {
      bytes += entry.type.bytes();
      table.add({entry.path, std::string(name(entry.type.dtype)), entry.type.shape.text(),
                 std::to_string(entry.type.bytes())});
    }
    return text + "\n" + table.text() + fmt::format("{} arrays, {} bytes\n", reader.arrays().size(), bytes);
  }

  std::string path_;
  bool experiment_ = false;
};

}  // namespace

std::unique_ptr<Command> make_inspect() {
  return std::make_unique<Inspect>();
}

}  // namespace trainctl::app
