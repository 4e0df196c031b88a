// See the header.
#include "scenarios/gpu_activity.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "sim/error.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

enum class Activity { busy, communication, bubble, loading, other };
constexpr std::array<std::string_view, 5> kActivities{"busy", "communication", "bubble", "loading", "other"};
using Shares = std::array<double, kActivities.size()>;

Activity activity_of(SliceKind kind) {
  switch (kind) {
    case SliceKind::bubble:
      return Activity::bubble;
    case SliceKind::transfer:
    case SliceKind::data_wait:
    case SliceKind::barrier_wait:
      return Activity::communication;
    case SliceKind::loading:
      return Activity::loading;
    case SliceKind::other:
      return Activity::other;
    default:
      return Activity::busy;
  }
}

// Adds the slice's time to the stretches that it lies in.
void add(std::vector<Shares>& spent, Activity activity, double begin, double end, double width) {
  const auto last = spent.size() - 1;
  for (auto i = std::min(last, static_cast<std::size_t>(begin / width)); i <= last; ++i) {
    const double from = std::max(begin, static_cast<double>(i) * width);
    const double to = std::min(end, i == last ? end : static_cast<double>(i + 1) * width);
    if (to <= from) return;
    spent[i][static_cast<std::size_t>(activity)] += to - from;
  }
}

Json shares_json(const Shares& spent) {
  double sum = 0;
  for (const double time : spent) sum += time;
  Json json;
  for (std::size_t a = 0; a < kActivities.size(); ++a)
    json[std::string(kActivities[a])] = sum > 0 ? spent[a] / sum : 0;
  return json;
}

}  // namespace

nlohmann::ordered_json step_activity_json(const StepTimeline& timeline, int slices) {
  INVARIANT(slices > 0);
  const double width = to_seconds(timeline.step().time).value / slices;
  std::vector<Shares> spent(static_cast<std::size_t>(slices));
  const int ranks = timeline.layout().pipeline;
  for (int pipeline = 0; pipeline < ranks; ++pipeline) {
    const RankTimeline r = timeline.of(timeline.layout().rank(0, 0, pipeline, 0));
    for (const TimelineSlice& s : r.slices) {
      if (s.depth > 0 || (s.stream != TimelineStream::compute && s.stream != TimelineStream::idle)) continue;
      add(spent, activity_of(s.kind), to_seconds(s.start - r.begin).value, to_seconds(s.end - r.begin).value,
          width);
    }
  }
  Shares all{};
  Json rows = Json::array();
  for (std::size_t i = 0; i < spent.size(); ++i) {
    for (std::size_t a = 0; a < all.size(); ++a) all[a] += spent[i][a];
    Json row = {{"end_s", width * static_cast<double>(i + 1)}};
    row.update(shares_json(spent[i]));
    rows.push_back(std::move(row));
  }
  Json json = shares_json(all);
  json["slices"] = std::move(rows);
  return json;
}

nlohmann::ordered_json states_json(const StateShares& shares) {
  Json json;
  for (std::size_t i = 0; i < shares.size(); ++i) json[std::string(kPowerStateNames[i])] = shares[i];
  return json;
}

}  // namespace runcast
