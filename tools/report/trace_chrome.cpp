// Chrome trace events of a step (trace.hpp). One event a line; ranks are written one by one until the size is used up.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/error.hpp"
#include "tools/report/number.hpp"
#include "tools/report/trace.hpp"
#include "tools/report/trace_lanes.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kFlowBytes = 100;       // of one end of an arrow, at most
constexpr std::size_t kOverheadBytes = 4096;  // header and footer

std::string microseconds(std::int64_t ns) { return fmt::format("{}.{:03}", ns / 1000, ns % 1000); }

struct FlowEnd {
  std::int64_t id = 0;
  bool sent = false;
  int pid = 0, tid = 0;
  std::int64_t at = 0;  // ns
  int peer = 0;
};

std::string metadata(int pid, int tid, std::string_view what, const std::string& value) {
  return fmt::format("{{\"ph\":\"M\",\"pid\":{},\"tid\":{},\"name\":\"{}\",\"args\":{{{}}}}},\n", pid, tid,
                     what, value);
}

std::string slice_event(const TimelineSlice& s, int pid, int tid) {
  std::string args;
  if (s.stage >= 0) args += fmt::format("\"stage\":{}", s.stage);
  if (s.microbatch >= 0) args += fmt::format("{}\"microbatch\":{}", args.empty() ? "" : ",", s.microbatch);
  if (s.peer >= 0) args += fmt::format("{}\"peer\":{}", args.empty() ? "" : ",", s.peer);
  return fmt::format(
      "{{\"ph\":\"X\",\"pid\":{},\"tid\":{},\"ts\":{},\"dur\":{},\"name\":\"{}\",\"cat\":\"{}\",\"args\":{{{}"
      "}}}},\n",
      pid, tid, microseconds(s.start.ns), microseconds((s.end - s.start).ns), s.name, name_of(s.kind), args);
}

// The arrow leaves in the first half of the message's slice and arrives in the second.
FlowEnd flow_end(const TimelineSlice& s, int pid, int tid) {
  const bool sent = s.kind == SliceKind::send;
  const std::int64_t third = (s.end - s.start).ns / 3;
  return {s.flow, sent, pid, tid, s.start.ns + (sent ? third : 2 * third), s.peer};
}

std::string flow_event(const FlowEnd& f) {
  return fmt::format(
      "{{\"ph\":\"{}\",{}\"id\":{},\"pid\":{},\"tid\":{},\"ts\":{},\"name\":\"P2P\",\"cat\":\"p2p\"}},\n",
      f.sent ? 's' : 'f', f.sent ? "" : "\"bp\":\"e\",", f.id, f.pid, f.tid, microseconds(f.at));
}

std::string memory_events(const RankTimeline& r) {
  std::string text;
  for (const MemoryPoint& m : r.memory)
    text += fmt::format(
        "{{\"ph\":\"C\",\"pid\":{},\"ts\":{},\"name\":\"memory GiB\",\"args\":{{\"weights, optimizer, "
        "buffers\":{:.3f},\"activations\":{:.3f}}}}},\n",
        r.rank.value, microseconds(m.at.ns), in_gib(r.other_memory), in_gib(m.activations));
  return text;
}

std::string rank_text(const StepTimeline& timeline, const RankTimeline& r, std::vector<FlowEnd>& flows) {
  const int pid = r.rank.value;
  std::string text =
      metadata(pid, 0, "process_name", "\"name\":\"" + rank_name(r, timeline.layout()) + "\"") +
      metadata(pid, 0, "process_sort_index",
               fmt::format("\"sort_index\":{}", r.pipeline * timeline.layout().world() + pid));
  const Lanes lanes(r);
  for (const Lanes::Lane& lane : lanes.all()) {
    text += metadata(pid, lane.tid, "thread_name", "\"name\":\"" + lane.name + "\"");
    text += metadata(pid, lane.tid, "thread_sort_index", fmt::format("\"sort_index\":{}", lane.tid));
  }
  for (std::size_t i = 0; i < r.slices.size(); ++i) {
    const TimelineSlice& slice = r.slices[i];
    text += slice_event(slice, pid, lanes.tid(i));
    if (slice.flow >= 0 && (slice.end - slice.start).ns > 2)
      flows.push_back(flow_end(slice, pid, lanes.tid(i)));
  }
  return text + memory_events(r);
}

}  // namespace

std::string rank_name(const RankTimeline& r, const Layout& l) {
  std::string at = fmt::format("pp{} dp{} tp{}", r.pipeline, r.data, r.tensor);
  if (l.context > 1) at += fmt::format(" cp{}", r.context);
  return fmt::format("rank {} ({}) node {}", r.rank.value, at, r.node.value);
}

std::string rank_list(std::vector<RankId> ranks) {
  std::ranges::sort(ranks);
  std::string text;
  for (std::size_t i = 0; i < ranks.size();) {
    std::size_t last = i;
    while (last + 1 < ranks.size() && ranks[last + 1].value == ranks[last].value + 1) ++last;
    text += text.empty() ? "" : ", ";
    text += last == i ? fmt::format("{}", ranks[i].value)
                      : fmt::format("{}-{}", ranks[i].value, ranks[last].value);
    i = last + 1;
  }
  return text;
}

TraceText chrome_trace(const StepTimeline& timeline, const std::vector<RankId>& ranks, double most_bytes,
                       const Json& about) {
  TraceText out;
  std::string body;
  std::vector<FlowEnd> flows;
  std::set<int> shown;
  double used = static_cast<double>(kOverheadBytes);
  for (const RankId rank : ranks) {
    if (!out.left_out.empty()) {
      out.left_out.push_back(rank);
      continue;
    }
    std::vector<FlowEnd> own;
    const std::string text = rank_text(timeline, timeline.of(rank), own);
    used += static_cast<double>(text.size() + own.size() * kFlowBytes);
    if (used > most_bytes) {
      if (out.shown.empty())
        throw ConfigError(fmt::format(
            "--trace-size: one rank at this level needs {}; a larger --trace-size or a coarser --trace-level",
            bytes_text(used)));
      out.left_out.push_back(rank);
      continue;
    }
    body += text;
    flows.insert(flows.end(), own.begin(), own.end());
    out.shown.push_back(rank);
    shown.insert(rank.value);
  }
  // An arrow has both ends or is not drawn.
  for (const FlowEnd& flow : flows)
    if (shown.contains(flow.peer)) body += flow_event(flow);
  body.resize(body.size() - 2);  // the last comma

  Json other = about;
  other["time"] = "of one simulated step; 1 us of the trace is 1 us of the step";
  other["ranks_shown"] = rank_list(out.shown);
  other["ranks_of_job"] = timeline.layout().world();
  other["ranks_left_out_for_size"] = rank_list(out.left_out);
  out.text = "{\"displayTimeUnit\":\"ms\",\"otherData\":" + json_text(other) + ",\n\"traceEvents\":[\n" +
             body + "\n]}\n";
  return out;
}

}  // namespace runcast
