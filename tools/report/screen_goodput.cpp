// What `goodput` shows besides the run: simulated curves, the run over time, one trial's events, and
// alternatives side by side.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

constexpr std::size_t kBar = 30;
constexpr std::size_t kMostEvents = 200;  // of a log on the screen; the document has all

// A curve of goodput with bars from a little below its worst point.
std::string goodput_curve(const Json& curve, const char* first, const char* key, bool is_time,
                          const Style& style) {
  double worst = 1, best = 0;
  for (const Json& point : curve) {
    worst = std::min(worst, number_of(point, "goodput"));
    best = std::max(best, number_of(point, "goodput"));
  }
  const double floor = std::max(0.0, worst - (best - worst) * 0.1);
  Columns table;
  table.column(first, Align::right);
  table.column("goodput", Align::right);
  table.column(fmt::format("bar from {}", percent(floor)), Align::left);
  for (const Json& point : curve) {
    const double goodput = number_of(point, "goodput"), x = number_of(point, key);
    const double fraction = best > floor ? (goodput - floor) / (best - floor) : 1;
    table.row({is_time ? time_text(x) : number(x), percent(goodput),
               bar(fraction, kBar, style) + (goodput == best ? " best" : "")});
  }
  return table.text(2);
}

std::string interval_study(const Json& interval, const Style& style) {
  if (!interval.is_object()) return {};
  std::string out = heading("CHECKPOINT INTERVAL, SIMULATED", style);
  for (const auto& [key, word] : {std::pair{"optimum_s", "best"}, {"young_s", "Young"}, {"daly_s", "Daly"}})
    if (const double value = number_of(interval, key); std::isfinite(value))
      out += fmt::format("   {} {}", word, time_text(value));
  return out + "\n" + goodput_curve(part_of(interval, "curve"), "interval", "interval_s", true, style);
}

std::string spare_study(const Json& spares, const Style& style) {
  if (!spares.is_array() || spares.empty()) return {};
  return heading("SPARE NODES, SIMULATED", style) + "\n" +
         goodput_curve(spares, "spares", "spares", false, style);
}

std::string band_lines(const Json& band) {
  if (!band.is_object()) return {};
  const auto range = [&](const char* key, double factor) {
    return fmt::format("{} to {}", number(number_of(band, fmt::format("{}.p5", key)) * factor),
                       number(number_of(band, fmt::format("{}.p95", key)) * factor));
  };
  return fmt::format(
      "  with rates as uncertain as the counts they come from, 90 % of runs take {} days at {} % goodput\n",
      range("days", 1), range("goodput", 100));
}

std::string time_study(const Json& points, const Style& style) {
  if (!points.is_array() || points.empty()) return {};
  Columns table;
  for (const char* name : {"day", "goodput", "GPUs computing", "done p5", "p50", "p95"})
    table.column(name, Align::right);
  table.column("done (median)", Align::left);
  for (std::size_t i = 3; i < points.size(); i += 4) {
    const Json& p = points[i];
    table.row({fixed(number_of(p, "day"), 1), percent(number_of(p, "goodput")),
               percent(number_of(p, "gpu_states.computing")), percent(number_of(p, "done_p5")),
               percent(number_of(p, "done_p50")), percent(number_of(p, "done_p95")),
               bar(number_of(p, "done_p50"), kBar, style)});
  }
  return heading("OVER TIME", style) + "\n" + table.text(2);
}

std::string log_study(const Json& log, const Style& style) {
  if (!log.is_object()) return {};
  const Json& events = part_of(log, "events");
  Columns table;
  table.column("day", Align::right);
  for (const char* name : {"cause", "effect"}) table.column(name, Align::left);
  for (const char* name : {"node", "nodes", "to do again", "down"}) table.column(name, Align::right);
  for (std::size_t i = 0; i < std::min(kMostEvents, events.size()); ++i) {
    const Json& e = events[i];
    const double node = number_of(e, "node");
    table.row({fixed(number_of(e, "at_s") / 86400, 3), words_of(text_of(e, "cause")), text_of(e, "effect"),
               std::isfinite(node) ? number(node) : "", number(number_of(e, "nodes")),
               time_text(number_of(e, "lost_s")), time_text(number_of(e, "down_s"))});
  }
  std::string out = heading(fmt::format("EVENTS OF TRIAL {}", text_of(log, "trial")), style) + "\n";
  out += table.empty() ? "  nothing struck\n" : table.text(2);
  if (events.size() > kMostEvents)
    out += fmt::format("  and {} more (--format json has all)\n", events.size() - kMostEvents);
  return out;
}

}  // namespace

std::string studies_part(const Json& document, const Style& style) {
  const Json& studies = part_of(document, "studies");
  if (!studies.is_object()) return {};
  std::string out = band_lines(part_of(studies, "uncertain_rates"));
  for (const std::string& text :
       {interval_study(part_of(studies, "interval"), style), spare_study(part_of(studies, "spares"), style),
        time_study(part_of(studies, "over_time"), style), log_study(part_of(studies, "log"), style)})
    if (!text.empty()) out += (out.empty() ? "" : "\n") + text;
  return out;
}

std::string comparison_part(const Json& document, const Style& style) {
  const Json& comparison = part_of(document, "comparison");
  if (!comparison.is_object()) return {};
  Columns table;
  table.column(text_of(comparison, "key"), Align::left);
  for (const char* name : {"days", "goodput %", "interruptions", "days more than the first", "95 %"})
    table.column(name, Align::right);
  bool gave_up = false;
  for (const Json& row : part_of(comparison, "alternatives")) {
    const double more = number_of(row, "difference.days.mean");
    const auto cell = [](double value, int decimals) {
      return std::isfinite(value) ? fixed(value, decimals) : std::string("-");
    };
    gave_up = gave_up || number_of(row, "unfinished") > 0;
    table.row({text_of(row, "value"), cell(number_of(row, "days.mean"), 2),
               cell(number_of(row, "goodput.mean") * 100, 2), cell(number_of(row, "interruptions.mean"), 1),
               std::isfinite(more) ? fmt::format("{:+.3f}", more) : std::string(),
               std::isfinite(more)
                   ? fmt::format("{:+.3f} to {:+.3f}", number_of(row, "difference.days.ci95_low"),
                                 number_of(row, "difference.days.ci95_high"))
                   : std::string()});
  }
  std::string out = heading("COMPARED ON THE SAME FAILURES", style) + "\n" + table.text(2);
  if (gave_up)
    out += "  trials that were given up have no days; differences are of trials that both finish\n";
  return out;
}

}  // namespace runcast
