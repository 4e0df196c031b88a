// Kineto's events of one rank (kineto.hpp). A nanosecond's fraction of a microsecond is cut at both ends of a slice, so
// that slices that touch in the step touch in the file.
#include "tools/report/kineto.hpp"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "tools/report/number.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

std::int64_t us(Time t) { return t.ns / 1000; }

// A slice's "AG tensor ..." is an AllGather.
std::string full_name(const std::string& letters) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kNames = {{{"AG", "AllGather"},
                                                                                    {"RS", "ReduceScatter"},
                                                                                    {"AR", "AllReduce"},
                                                                                    {"A2A", "AllToAll"},
                                                                                    {"BC", "Broadcast"}}};
  for (const auto& [brief, full] : kNames)
    if (brief == letters) return std::string(full);
  return "SendRecv";
}

// The name that HTA sorts kernels by: communication begins with "nccl" [hta/utils/utils.py, get_kernel_type].
std::string kernel_name(const TimelineSlice& s) {
  switch (s.kind) {
    case SliceKind::send:
    case SliceKind::receive:
      return "ncclDevKernel_SendRecv";
    case SliceKind::gather:
      return "ncclDevKernel_AllGather";
    case SliceKind::reduce:
      return s.name.starts_with("RS") ? "ncclDevKernel_ReduceScatter" : "ncclDevKernel_AllReduce";
    case SliceKind::collective:
      return "ncclDevKernel_" + full_name(s.name.substr(0, s.name.find(' ')));
    default:
      return s.name;
  }
}

// Slots are kernels, or at the level of operators what they are made of.
bool is_kernel(const TimelineSlice& s, bool operators) {
  if (operators && s.stream == TimelineStream::compute)
    return s.kind == SliceKind::kernel || s.kind == SliceKind::optimizer || s.kind == SliceKind::other;
  return s.depth == 0 && s.stream != TimelineStream::scope && s.stream != TimelineStream::idle &&
         s.stream != TimelineStream::checkpoint;
}

constexpr int kProcess = 1;  // of the host's thread; kernels are of device 0

Json kernel_event(const TimelineSlice& s, Duration shift, std::int64_t correlation) {
  const std::int64_t begin = us(s.start + shift), end = us(s.end + shift);
  const int stream = static_cast<int>(s.stream) * 8 + 7;  // a compute stream is 15; any numbers do
  return {{"ph", "X"},
          {"cat", "kernel"},
          {"name", kernel_name(s)},
          {"pid", 0},
          {"tid", stream},
          {"ts", begin},
          {"dur", end - begin},
          {"args",
           {{"device", 0},
            {"context", 1},
            {"stream", stream},
            {"correlation", correlation},
            {"External id", correlation},
            {"runcast", s.name}}}};
}

// Each kernel has a launch on the host, an instant before it where there is room; HTA joins them by correlation.
Json launch_event(const TimelineSlice& s, Duration shift, std::int64_t correlation) {
  return {{"ph", "X"},
          {"cat", "cuda_runtime"},
          {"name", "cudaLaunchKernel"},
          {"pid", kProcess},
          {"tid", kProcess},
          {"ts", us(s.start + shift)},
          {"dur", 0},
          {"args", {{"correlation", correlation}, {"External id", correlation}}}};
}

}  // namespace

std::string kineto_trace(const StepTimeline& timeline, RankId rank, int steps) {
  const RankTimeline r = timeline.of(rank);
  std::string events;
  const auto add = [&](const Json& event) { events += (events.empty() ? "" : ",\n") + json_text(event); };
  add({{"ph", "M"},
       {"name", "process_name"},
       {"pid", 0},
       {"tid", 0},
       {"ts", 0},
       {"args", {{"name", "GPU 0"}}}});
  std::int64_t correlation = 0;
  for (int k = 0; k < steps; ++k) {
    const Duration shift = timeline.step().time * k - (r.begin - Time{});
    const std::int64_t begin = us(r.begin + shift), end = us(r.end + shift);
    add({{"ph", "X"},
         {"cat", "user_annotation"},
         {"name", fmt::format("ProfilerStep#{}", k)},
         {"pid", kProcess},
         {"tid", kProcess},
         {"ts", begin},
         {"dur", end - begin},
         {"args", Json::object()}});
    for (const TimelineSlice& s : r.slices) {
      if (!is_kernel(s, timeline.level() == TimelineLevel::op)) continue;
      ++correlation;
      add(launch_event(s, shift, correlation));
      add(kernel_event(s, shift, correlation));
    }
  }
  return fmt::format(
      "{{\n\"schemaVersion\": 1,\n\"deviceProperties\": [{{\"id\": 0, \"name\": \"simulated\", "
      "\"totalGlobalMem\": 0}}],\n"
      "\"distributedInfo\": {{\"backend\": \"nccl\", \"rank\": {}, \"world_size\": {}}},\n\"traceEvents\": "
      "[\n{}\n]\n}}\n",
      rank.value, timeline.layout().world(), events);
}

}  // namespace runcast
