// The emulated runtime's graphs: captured, and run in the worst order that their edges allow.
#include <algorithm>
#include <map>
#include <memory>

#include "call.h"

struct EmulatedExecutable {
  struct Node {
    Work work;
    std::vector<std::size_t> before;  ///< numbers of those that come after it
    std::size_t awaits = 0;           ///< how many come before it
  };
  std::vector<Node> nodes;

  void run() const {
    std::vector<std::size_t> left, ready;
    for (const Node& node : nodes) left.push_back(node.awaits);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (left[i] == 0) ready.push_back(i);
    }
    while (!ready.empty()) {
      // Either whatever was added first, or whatever could have been put off longest.
      const auto chosen = emulation::eager() ? std::ranges::min_element(ready) : std::ranges::max_element(ready);
      const std::size_t number = *chosen;
      ready.erase(chosen);
      nodes[number].work();
      for (const std::size_t next : nodes[number].before) {
        if (--left[next] == 0) ready.push_back(next);
      }
    }
  }
};

using emulation::call;

cudaError_t cudaGraphCreate(cudaGraph_t* graph, unsigned) {
  return call([&] { return *graph = new EmulatedGraph, cudaSuccess; });
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return call([&] {
    for (const EmulatedNode* node : graph->nodes) delete node;
    delete graph;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  return call([&] {
    std::map<const EmulatedNode*, std::size_t> numbers;
    auto made = std::make_unique<EmulatedExecutable>();
    for (const EmulatedNode* node : graph->nodes) {
      const std::size_t number = made->nodes.size();
      made->nodes.push_back({node->work, {}, node->after.size()});
      for (const EmulatedNode* earlier : node->after) {
        const auto found = numbers.find(earlier);
        if (found == numbers.end()) return cudaErrorInvalidValue;
        made->nodes[found->second].before.push_back(number);
      }
      numbers[node] = number;
    }
    *executable = made.release();
    return cudaSuccess;
  });
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return call([&] {
    emulation::drain_all();
    delete executable;
    return cudaSuccess;
  });
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
  return call([] { return cudaSuccess; });
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return call([&] {
    if (stream->captured) return cudaErrorStreamCaptureUnsupported;
    return emulation::enqueue(stream, [=] {
      executable->run();
      emulation::count_launch();
    });
  });
}

cudaError_t cudaStreamBeginCaptureToGraph(cudaStream_t stream, cudaGraph_t graph, const cudaGraphNode_t* after,
                                          const cudaGraphEdgeData*, std::size_t count, cudaStreamCaptureMode) {
  return call([&] {
    if (stream->captured) return cudaErrorStreamCaptureUnsupported;
    for (std::size_t i = 0; i < count; ++i) {
      if (std::ranges::find(graph->nodes, after[i]) == graph->nodes.end()) return cudaErrorInvalidValue;
    }
    stream->captured = graph;
    stream->last.assign(after, after + count);
    return cudaSuccess;
  });
}
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status, unsigned long long*,
                                     cudaGraph_t* graph, const cudaGraphNode_t** last, const cudaGraphEdgeData**,
                                     std::size_t* count) {
  return call([&] {
    *status = stream->captured ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    if (graph) *graph = stream->captured;
    if (last) *last = stream->last.data();
    if (count) *count = stream->last.size();
    return cudaSuccess;
  });
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return call([&] {
    if (!stream->captured) return cudaErrorInvalidValue;
    *graph = std::exchange(stream->captured, nullptr);
    return cudaSuccess;
  });
}
