// Chrome trace events of one trial of a run (trace.hpp): where its time goes, what struck, how long each recovery
// took, and counters. Whole microseconds; a run of weeks is drawn at its own scale, which otherData tells.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"
#include "tools/report/trace.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

std::int64_t us(double seconds) { return static_cast<std::int64_t>(seconds * 1e6); }

enum Line { kStates, kStruck, kCheckpoints, kRecoveries };

class RunTrace {
 public:
  void line(int tid, const std::string& name) {
    events_.push_back(
        {{"ph", "M"}, {"pid", 0}, {"tid", tid}, {"name", "thread_name"}, {"args", {{"name", name}}}});
    events_.push_back({{"ph", "M"},
                       {"pid", 0},
                       {"tid", tid},
                       {"name", "thread_sort_index"},
                       {"args", {{"sort_index", tid}}}});
  }
  void slice(int tid, double begin, double end, const std::string& name, Json args) {
    events_.push_back({{"ph", "X"},
                       {"pid", 0},
                       {"tid", tid},
                       {"ts", us(begin)},
                       {"dur", us(end) - us(begin)},
                       {"name", name},
                       {"args", std::move(args)}});
  }
  void instant(int tid, double at, const std::string& name, Json args) {
    events_.push_back({{"ph", "i"},
                       {"pid", 0},
                       {"tid", tid},
                       {"ts", us(at)},
                       {"s", "t"},
                       {"name", name},
                       {"args", std::move(args)}});
  }
  void counter(double at, const std::string& name, Json value) {
    events_.push_back(
        {{"ph", "C"}, {"pid", 0}, {"ts", us(at)}, {"name", name}, {"args", {{name, std::move(value)}}}});
  }
  void add(Json event) { events_.push_back(std::move(event)); }
  std::string text(const Json& about) const {
    std::string out =
        "{\"displayTimeUnit\":\"ms\",\"otherData\":" + json_text(about) + ",\n\"traceEvents\":[\n";
    for (std::size_t i = 0; i < events_.size(); ++i) out += (i > 0 ? ",\n" : "") + json_text(events_[i]);
    return out + "\n]}\n";
  }

 private:
  std::vector<Json> events_;
};

// Recoveries may overlap: the first line that is free takes them.
void add_recoveries(RunTrace& trace, const Json& events) {
  std::vector<double> free;
  for (const Json& e : events) {
    const double at = number_of(e, "at_s"), down = number_of(e, "down_s");
    if (!(down > 0)) continue;
    std::size_t lane = 0;
    while (lane < free.size() && free[lane] > at) ++lane;
    if (lane == free.size()) {
      free.push_back(0);
      trace.line(kRecoveries + static_cast<int>(lane),
                 lane == 0 ? "recovery" : fmt::format("recovery ({})", lane + 1));
    }
    free[lane] = at + down;
    trace.slice(kRecoveries + static_cast<int>(lane), at, at + down,
                words_of(text_of(e, "effect")) + ": " + words_of(text_of(e, "cause")), e);
  }
}

}  // namespace

std::string run_trace(const Json& document) {
  const Json& log = part_of(document, "studies.log");
  RunTrace trace;
  trace.add({{"ph", "M"},
             {"pid", 0},
             {"name", "process_name"},
             {"args", {{"name", fmt::format("run, trial {}", text_of(log, "trial"))}}}});
  trace.line(kStates, "where time goes");
  trace.line(kStruck, "what struck");
  trace.line(kCheckpoints, "checkpoints");
  double useful = 0;
  for (const Json& span : part_of(log, "spans")) {
    const double begin = number_of(span, "begin_s"), end = number_of(span, "end_s");
    const std::string bucket = text_of(span, "bucket");
    trace.slice(kStates, begin, end, words_of(bucket), Json::object());
    if (bucket == "checkpoint") trace.slice(kCheckpoints, begin, end, "save", Json::object());
    if (bucket != "useful") continue;
    useful += end - begin;
    if (end > 0) trace.counter(end, "goodput so far", useful / end);
  }
  std::int64_t struck = 0;
  double lost = 0;
  trace.counter(0, "interruptions", 0);
  for (const Json& event : part_of(log, "events")) {
    trace.instant(kStruck, number_of(event, "at_s"), text_of(event, "cause"), event);
    const double at = number_of(event, "at_s");
    if (number_of(event, "down_s") > 0) trace.counter(at, "interruptions", ++struck);
    trace.counter(at, "work lost, h", lost += number_of(event, "lost_s") / kHour);
    if (const double spares = number_of(event, "spares"); std::isfinite(spares))
      trace.counter(at, "spares free", spares);
  }
  add_recoveries(trace, part_of(log, "events"));
  return trace.text({{"scenario", text_of(document, "scenario.name")},
                     {"seed", part_of(document, "provenance.seed")},
                     {"trial", part_of(log, "trial")},
                     {"time", "of one simulated run; 1 us of the trace is 1 us of the run"},
                     {"step_s", part_of(document, "step.time_s")}});
}

}  // namespace runcast
