// Fills the template's marks: title, style, data, D3, scripts.
#include "tools/report/html.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/error.hpp"
#include "tools/report/html_files.hpp"
#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"
#include "tools/report/trace.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostSlices = 40'000;  // about 1.2 MB of the file, and what a page draws at once

std::string file(std::string_view name) {
  for (const HtmlFile& one : html_files()) {
    if (one.name != name) continue;
    std::string text;
    for (const std::string_view chunk : one.chunks) text += chunk;
    return text;
  }
  INVARIANT(false);
  return {};
}

// No name can end the script that holds the data: '<' is written by its number.
std::string script_safe(const std::string& json) {
  std::string text;
  for (const char c : json) {
    if (c == '<')
      text += "\\u003c";
    else
      text += c;
  }
  return text;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

void fill(std::string& page, std::string_view mark, const std::string& text) {
  const std::size_t at = page.find(mark);
  INVARIANT(at != std::string::npos);
  page.replace(at, mark.size(), text);
}

// Thousandths of a microsecond do not show.
double us(std::int64_t ns) { return static_cast<double>(ns / 10) / 100; }

Json slices_json(const RankTimeline& r) {
  Json slices = Json::array();
  for (const TimelineSlice& s : r.slices) {
    const bool drawn = s.stream == TimelineStream::compute || s.stream == TimelineStream::idle ||
                       s.stream == TimelineStream::data;
    if (!drawn || s.depth > 0) continue;
    Json one = {us(s.start.ns - r.begin.ns), us((s.end - s.start).ns), static_cast<int>(s.kind), s.stage,
                s.microbatch};
    if (s.kind == SliceKind::forward_backward || s.kind == SliceKind::transfer ||
        s.stream == TimelineStream::data)
      one.push_back(s.name);
    slices.push_back(std::move(one));
  }
  return slices;
}

Json memory_json(const RankTimeline& r) {
  Json points = Json::array();
  for (const MemoryPoint& m : r.memory)
    points.push_back(
        {us(m.at.ns - r.begin.ns) / 1e6, std::round(in_gib(m.activations + r.other_memory) * 1000) / 1000});
  points.push_back({us((r.end - r.begin).ns) / 1e6, points.back()[1]});
  return points;
}

}  // namespace

Json timeline_json(const StepTimeline& timeline) {
  Json kinds = Json::array(), ranks = Json::array();
  for (int k = 0; k <= static_cast<int>(SliceKind::barrier_wait); ++k)
    kinds.push_back(name_of(static_cast<SliceKind>(k)));
  std::vector<RankId> left_out, usual = timeline.usual_ranks();
  // As far as the page holds them in the order of importance; drawn in the order of stages.
  std::vector<RankTimeline> shown;
  std::size_t slices = 0;
  for (const RankId rank : usual) {
    RankTimeline r = timeline.of(rank);
    slices += r.slices.size();
    if (slices > kMostSlices && !shown.empty())
      left_out.push_back(rank);
    else
      shown.push_back(std::move(r));
  }
  std::ranges::stable_sort(shown, {}, [](const RankTimeline& r) { return std::pair(r.pipeline, r.rank); });
  for (const RankTimeline& r : shown)
    ranks.push_back({{"name", rank_name(r, timeline.layout())},
                     {"short", "stage " + std::to_string(r.pipeline) +
                                   (timeline.unfolded() ? ", rank " + std::to_string(r.rank.value) : "")},
                     {"end", us((r.end - r.begin).ns)},
                     {"slices", slices_json(r)},
                     {"memory", memory_json(r)}});
  Json out = {{"kinds", std::move(kinds)}, {"ranks", std::move(ranks)}};
  if (!left_out.empty()) out["note"] = "Left out for the page's size: ranks " + rank_list(left_out) + ".";
  return out;
}

std::string html_report(const Json& document) {
  std::string page = file("report.html");
  const std::string name = text_of(document, "scenario.name");
  fill(page, "@STYLE@", file("report.css"));
  fill(page, "@D3@", file("d3.min.js"));
  fill(page, "@SCRIPT@", file("charts.js") + file("gantt.js") + file("report.js"));
  // What the user wrote comes last, and the title, which stands first, after the data: no name is taken for a mark.
  fill(page, "@DATA@", script_safe(json_text(document)));
  fill(page, "@TITLE@", escaped(name.empty() ? "Runcast" : name));
  return page;
}

}  // namespace runcast
