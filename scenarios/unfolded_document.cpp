// Writes an unfolded step as JSON: the waits, the critical path by cause, and its stays rank by rank.
#include "scenarios/unfolded_document.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostVisits = 64;

double seconds(Duration d) { return to_seconds(d).value; }

// Coordinates of a rank on the grid of the layout; nothing for "no rank".
Json place_of(const Layout& l, RankId rank) {
  if (rank.value < 0) return nullptr;
  const auto at = [&](Axis axis) { return rank.value / l.stride(axis) % l.degree(axis); };
  return {{"rank", rank.value},
          {"stage", at(Axis::pipeline)},
          {"replica", at(Axis::data)},
          {"tensor", at(Axis::tensor)},
          {"context", at(Axis::context)}};
}

Json causes_json(const UnfoldedResult& r) {
  Json list = Json::array();
  for (const CauseShare& c : r.causes)
    list.push_back({{"cause", name_of(c.cause)},
                    {"time_s", seconds(c.time)},
                    {"share", c.share},
                    {"saved_per_second", c.saved_per_second}});
  return list;
}

Json visits_json(const Layout& l, const UnfoldedResult& r) {
  std::vector<const UnfoldedVisit*> visits;
  for (const UnfoldedVisit& v : r.visits) visits.push_back(&v);
  std::ranges::stable_sort(visits, std::ranges::greater(),
                           [](const UnfoldedVisit* v) { return v->to - v->from; });
  visits.resize(std::min(visits.size(), kMostVisits));
  std::ranges::stable_sort(visits, {}, [](const UnfoldedVisit* v) { return v->from; });
  Json list = Json::array();
  for (const UnfoldedVisit* v : visits) {
    Json one = place_of(l, v->rank);
    one["over"] = name_of(v->over);
    one["from_s"] = to_seconds(v->from).value;
    one["to_s"] = to_seconds(v->to).value;
    one["slowdown_s"] = seconds(v->slowdown);
    list.push_back(std::move(one));
  }
  return list;
}

}  // namespace

nlohmann::ordered_json unfolded_json(const Layout& l, const UnfoldedResult& r) {
  Json waits = Json::array();
  for (const WaitSummary& w : r.waits)
    waits.push_back({{"for", w.for_whom},
                     {"ranks", w.ranks},
                     {"mean_s", seconds(w.mean)},
                     {"longest_s", seconds(w.longest)}});
  return {{"ranks", r.ranks},
          {"rank_events", r.rank_events},
          {"symmetric_time_s", seconds(r.symmetric)},
          {"last", place_of(l, r.last)},
          {"slowest", place_of(l, r.slowest)},
          {"slowest_adds_s", seconds(r.slowest_adds)},
          {"waited_for", place_of(l, r.waited_for)},
          {"waits", std::move(waits)},
          {"critical_path",
           {{"causes", causes_json(r)}, {"stays", r.visits.size()}, {"longest_stays", visits_json(l, r)}}}};
}

}  // namespace runcast
