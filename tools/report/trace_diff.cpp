// The comparison and its screen (trace_diff.hpp).
#include "tools/report/trace_diff.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kRowsOnScreen = 20;

struct Placed {
  const TimelineSlice* slice = nullptr;
  std::size_t order = 0;  // among the slots of its rank
};
using Slots = std::map<std::string, Placed>;  // by name, which holds pass, micro-batch and stage

bool is_slot(const TimelineSlice& s) {
  return s.stream == TimelineStream::compute && s.depth == 0 && s.kind >= SliceKind::forward &&
         s.kind <= SliceKind::forward_backward;
}

Slots slots_of(const RankTimeline& r) {
  Slots slots;
  std::size_t order = 0;
  for (const TimelineSlice& s : r.slices)
    if (is_slot(s)) slots[s.name] = {&s, order++};
  return slots;
}

double seconds(Duration d) { return to_seconds(d).value; }
double since(const RankTimeline& r, Time t) { return static_cast<double>((t - r.begin).ns) * 1e-9; }

double idle_of(const RankTimeline& r) {
  Duration idle{};
  for (const TimelineSlice& s : r.slices)
    if (s.stream == TimelineStream::idle) idle += s.end - s.start;
  return seconds(idle);
}

struct Difference {
  Json rows = Json::array();
  std::int64_t same = 0, only_a = 0, only_b = 0, reordered = 0;
};

// Slots of one pipeline rank; the longest move in time.
double compare(const RankTimeline& a, const RankTimeline& b, int stage, Difference& out) {
  const Slots in_a = slots_of(a), in_b = slots_of(b);
  double longest = 0;
  for (const auto& [name, placed] : in_a)
    if (!in_b.contains(name)) ++out.only_a;
  for (const auto& [name, placed] : in_b) {
    const auto before = in_a.find(name);
    if (before == in_a.end()) {
      ++out.only_b;
      continue;
    }
    const TimelineSlice &from = *before->second.slice, &to = *placed.slice;
    if (before->second.order != placed.order) ++out.reordered;
    const double start_a = since(a, from.start), start_b = since(b, to.start);
    const double longer = seconds(to.end - to.start) - seconds(from.end - from.start);
    if (start_a == start_b && longer == 0) {
      ++out.same;
      continue;
    }
    longest = std::max(longest, std::abs(start_b - start_a));
    out.rows.push_back({{"stage", stage},
                        {"slot", name},
                        {"start_a_s", start_a},
                        {"start_b_s", start_b},
                        {"moved_s", start_b - start_a},
                        {"longer_s", longer}});
  }
  return longest;
}

}  // namespace

Json trace_diff(const StepTimeline& a, const StepTimeline& b) {
  Difference difference;
  Json stages = Json::array();
  const int both = std::min(a.layout().pipeline, b.layout().pipeline);
  for (int p = 0; p < both; ++p) {
    const RankTimeline in_a = a.of(a.layout().rank(0, 0, p, 0)), in_b = b.of(b.layout().rank(0, 0, p, 0));
    const double longest = compare(in_a, in_b, p, difference);
    stages.push_back({{"stage", p},
                      {"longest_move_s", longest},
                      {"idle_a_s", idle_of(in_a)},
                      {"idle_b_s", idle_of(in_b)}});
  }
  std::stable_sort(difference.rows.begin(), difference.rows.end(), [](const Json& x, const Json& y) {
    return x["start_b_s"].get<double>() < y["start_b_s"].get<double>();
  });
  return {{"step_s", {{"a", seconds(a.step().time)}, {"b", seconds(b.step().time)}}},
          {"pipeline", {{"a", a.layout().pipeline}, {"b", b.layout().pipeline}}},
          {"same", difference.same},
          {"moved", difference.rows.size()},
          {"reordered", difference.reordered},
          {"only_in_a", difference.only_a},
          {"only_in_b", difference.only_b},
          {"stages", std::move(stages)},
          {"rows", std::move(difference.rows)}};
}

std::string diff_screen(const Json& d, const Style& style) {
  const auto time = [](double s) { return time_text(s); };
  const auto signed_time = [&](double s) { return s < 0 ? "-" + time(-s) : "+" + time(s); };
  const double a = number_of(d, "step_s.a"), b = number_of(d, "step_s.b");
  std::string out =
      fmt::format("{}   step {} -> {} ({})\n", heading("SLOTS", style), time(a), time(b), signed_time(b - a));
  out += fmt::format(
      "  {} moved, {} of another place in their rank's order, {} the same, {} only in A, {} only in B\n",
      number(number_of(d, "moved")), number(number_of(d, "reordered")), number(number_of(d, "same")),
      number(number_of(d, "only_in_a")), number(number_of(d, "only_in_b")));
  Columns stages;
  stages.column("stage", Columns::Align::right);
  for (const char* name : {"longest move", "idle in A", "idle in B"})
    stages.column(name, Columns::Align::right);
  for (const Json& row : part_of(d, "stages"))
    stages.row({text_of(row, "stage"), time(number_of(row, "longest_move_s")),
                time(number_of(row, "idle_a_s")), time(number_of(row, "idle_b_s"))});
  out += stages.text(2);
  const Json& rows = part_of(d, "rows");
  if (rows.empty()) return out + "\nNo slot moved.\n";
  Columns slots;
  slots.column("stage", Columns::Align::right);
  slots.column("slot", Columns::Align::left);
  for (const char* name : {"start in A", "start in B", "moved", "longer by"})
    slots.column(name, Columns::Align::right);
  for (std::size_t i = 0; i < std::min(rows.size(), kRowsOnScreen); ++i)
    slots.row({text_of(rows[i], "stage"), text_of(rows[i], "slot"), time(number_of(rows[i], "start_a_s")),
               time(number_of(rows[i], "start_b_s")), signed_time(number_of(rows[i], "moved_s")),
               signed_time(number_of(rows[i], "longer_s"))});
  out += "\n" + heading("MOVED", style) + "   in the order of B\n" + slots.text(2);
  if (rows.size() > kRowsOnScreen)
    out += fmt::format("  and {} more; --format csv has all\n",
                       number(static_cast<double>(rows.size() - kRowsOnScreen)));
  return out;
}

}  // namespace runcast
