// A slice goes to the first lane of its stream and peer in which it nests.
#include "tools/report/trace_lanes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace runcast {
namespace {

constexpr int kLanesPerStream = 1000;

struct OpenLane {
  int tid = 0;
  std::vector<Time> ends;  // of the slices that are open, outermost first
};

bool takes(OpenLane& lane, const TimelineSlice& s) {
  while (!lane.ends.empty() && lane.ends.back() <= s.start) lane.ends.pop_back();
  if (!lane.ends.empty() && lane.ends.back() < s.end) return false;
  lane.ends.push_back(s.end);
  return true;
}

std::string lane_name(const TimelineSlice& s, std::size_t number) {
  std::string name(name_of(s.stream));
  if (s.peer >= 0) name += fmt::format(" {} {}", s.kind == SliceKind::send ? "to" : "from", s.peer);
  return number == 0 ? name : fmt::format("{} ({})", name, number + 1);
}

}  // namespace

Lanes::Lanes(const RankTimeline& rank) {
  std::map<std::pair<TimelineStream, int>, std::vector<OpenLane>> open;
  std::map<TimelineStream, int> used;
  for (const TimelineSlice& s : rank.slices) {
    std::vector<OpenLane>& lanes = open[{s.stream, s.peer}];
    auto lane = std::ranges::find_if(lanes, [&](OpenLane& l) { return takes(l, s); });
    if (lane == lanes.end()) {
      const int tid = static_cast<int>(s.stream) * kLanesPerStream + used[s.stream]++;
      lanes_.push_back({tid, lane_name(s, lanes.size())});
      lanes.push_back({tid, {s.end}});
      lane = lanes.end() - 1;
    }
    tid_.push_back(lane->tid);
  }
}

}  // namespace runcast
