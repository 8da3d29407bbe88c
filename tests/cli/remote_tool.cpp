// What s3_test.py drives: one store, one command after the other.
//   remote_tool CONFIG.yaml < COMMANDS > ANSWERS
// A command is a line: put KEY FILE | get KEY FILE | find KEY | list [PREFIX] | remove KEY. An answer is a line of
// JSON:
// {"seconds", "cpu_seconds", "peak_bytes"} with what came of it, or with "cause" and "message". The line "cancel" takes
// effect at once, whatever runs, and has no answer.
#include <sys/resource.h>

#include <condition_variable>
#include <deque>
#include <fstream>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "remote/remote.h"
#include "schema/json_text.h"
#include "schema/yaml.h"

using namespace trainctl;
using json = nlohmann::ordered_json;

namespace {

struct Spec {
  Component<Remote> remote;
  static Schema<Spec> schema() { return Schema<Spec>("A store.").required("remote", &Spec::remote, "The store."); }
};

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::int64_t peak_bytes() {  // getrusage() would tell of the process before exec, too
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::int64_t kibibytes = 0;
    if (word == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

const char* name(RemoteError::Cause cause) {
  constexpr const char* names[] = {"unreachable", "refused", "missing", "damaged", "cancelled"};
  return names[static_cast<int>(cause)];
}

json answer_to(ObjectStore& store, const std::string& line) {
  std::istringstream words(line);
  std::string command, key, file;
  words >> command >> key >> file;
  json answer = json::object();
  if (command == "put") {
    store.put(key, file);
  } else if (command == "get") {
    store.get(key, file);
  } else if (command == "find") {
    if (const auto found = store.find(key)) answer["bytes"] = found->bytes;
  } else if (command == "list") {
    answer["objects"] = json::object();
    for (const RemoteObject& object : store.list(key)) answer["objects"][object.key] = object.bytes;
  } else if (command == "remove") {
    store.remove(key);
  } else {
    fail(ErrorKind::usage, "unknown command '{}'", command);
  }
  return answer;
}

/// Commands in their order, read as they come.
class Commands {
 public:
  explicit Commands(ObjectStore& store) : reader_([this, &store] { read(store); }) {}

  /// Waits for the next one; nothing after the last.
  std::optional<std::string> next() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [&] { return ended_ || !lines_.empty(); });
    if (lines_.empty()) return {};
    std::string line = std::move(lines_.front());
    lines_.pop_front();
    return line;
  }

 private:
  void read(ObjectStore& store) {
    for (std::string line; std::getline(std::cin, line);) {
      if (line == "cancel") {
        store.cancel();
        continue;
      }
      const std::lock_guard lock(mutex_);
      lines_.push_back(line);
      came_.notify_one();
    }
    const std::lock_guard lock(mutex_);
    ended_ = true;
    came_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<std::string> lines_;
  bool ended_ = false;
  std::jthread reader_;  // the last, as it uses the others
};

}  // namespace

int main(int, char** arguments) {
  try {
    log::configure({.level = log::Level::debug});
    const Spec spec = parse<Spec>(parse_yaml_file(arguments[1]));
    const auto store = spec.remote->open();
    Commands commands(*store);
    while (const std::optional<std::string> line = commands.next()) {
      const double start = monotonic_seconds();
      const double start_cpu = cpu_seconds();
      json answer;
      try {
        answer = answer_to(*store, *line);
      } catch (const RemoteError& error) {
        answer = {{"cause", name(error.cause())}, {"message", error.what()}};
      } catch (const Error& error) {
        answer = {{"cause", "other"}, {"message", error.what()}};
      }
      answer["seconds"] = monotonic_seconds() - start;
      answer["peak_bytes"] = peak_bytes();
      answer["cpu_seconds"] = cpu_seconds() - start_cpu;
      std::cout << json_text(answer) << std::endl;
    }
    return 0;
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';
    return error.exit_code();
  }
}
