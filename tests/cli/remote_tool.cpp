// What s3_test.py drives: one store, one command after the other.
//   remote_tool CONFIG.yaml < COMMANDS > ANSWERS
// A command is a line: put KEY FILE | get KEY FILE | find KEY | list [PREFIX] | remove KEY | cancel_after SECONDS. An
// answer is a line of JSON: {"seconds", "cpu_seconds", "peak_bytes"} with what came of it, or with "cause" and
// "message".
#include <sys/resource.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "remote/remote.h"
#include "schema/yaml.h"

using namespace trainctl;
using nlohmann::json;

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

json answer_to(ObjectStore& store, const std::string& line, std::jthread& canceller) {
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
  } else if (command == "cancel_after") {
    canceller = std::jthread([&store, seconds = std::stod(key)] {
      std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
      store.cancel();
    });
  } else {
    fail(ErrorKind::usage, "unknown command '{}'", command);
  }
  return answer;
}

}  // namespace

int main(int, char** arguments) {
  try {
    log::configure({.level = log::Level::debug});
    const Spec spec = parse<Spec>(parse_yaml_file(arguments[1]));
    const auto store = spec.remote->open();
    std::jthread canceller;
    for (std::string line; std::getline(std::cin, line);) {
      const double start = monotonic_seconds();
      const double start_cpu = cpu_seconds();
      json answer;
      try {
        answer = answer_to(*store, line, canceller);
      } catch (const RemoteError& error) {
        answer = {{"cause", name(error.cause())}, {"message", error.what()}};
      } catch (const Error& error) {
        answer = {{"cause", "other"}, {"message", error.what()}};
      }
      answer["seconds"] = monotonic_seconds() - start;
      answer["peak_bytes"] = peak_bytes();
      answer["cpu_seconds"] = cpu_seconds() - start_cpu;
      std::cout << answer.dump() << std::endl;
    }
    return 0;
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';
    return error.exit_code();
  }
}
