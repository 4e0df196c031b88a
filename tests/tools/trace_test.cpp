// Traces: a hand-checked step byte for byte, slices that nest, arrows with both ends, streams that fill the step, and
// sizes that are kept by leaving ranks out.
#include <doctest/doctest.h>
#include <zlib.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "scenarios/experiment.hpp"
#include "sim/error.hpp"
#include "tests/tools/hand_checked_step.hpp"
#include "tools/commands/trace.hpp"
#include "tools/report/gantt.hpp"
#include "tools/report/trace.hpp"
#include "tools/report/trace_diff.hpp"
#include "tools/report/trace_lanes.hpp"

using namespace runcast;

namespace {

using Json = nlohmann::ordered_json;

Scenario scenario(const std::string& name, const std::vector<std::string>& assignments = {}) {
  const Library library;
  const LibraryEntry& entry = library.get("runs", name, "test", "test");
  Document document = Document::parse(entry.text, entry.path);
  for (const std::string& assignment : assignments) document.set(assignment);
  return read_scenario(document, library);
}

std::vector<RankId> ranks(std::initializer_list<int> values) {
  std::vector<RankId> list;
  for (const int value : values) list.emplace_back(value);
  return list;
}

std::vector<RankId> all_ranks(const StepTimeline& timeline) {
  std::vector<RankId> list;
  for (int r = 0; r < timeline.layout().world(); ++r) list.emplace_back(r);
  return list;
}

// Compute and idle slices follow each other without gap or overlap from the beginning to the end of the step.
bool fills_the_step(const RankTimeline& r) {
  std::map<Time, Time> end_of;
  for (const TimelineSlice& s : r.slices)
    if (s.depth == 0 && (s.stream == TimelineStream::compute || s.stream == TimelineStream::idle))
      if (!end_of.emplace(s.start, s.end).second) return false;
  Time now = r.begin;
  while (now < r.end) {
    const auto next = end_of.find(now);
    if (next == end_of.end()) return false;
    now = next->second;
    end_of.erase(next);
  }
  return now == r.end && end_of.empty();
}

// Slices of one thread lie in each other or do not touch.
bool nests(const RankTimeline& r) {
  const Lanes lanes(r);
  std::map<int, std::vector<Time>> open;
  for (std::size_t i = 0; i < r.slices.size(); ++i) {
    std::vector<Time>& ends = open[lanes.tid(i)];
    while (!ends.empty() && ends.back() <= r.slices[i].start) ends.pop_back();
    if (!ends.empty() && ends.back() < r.slices[i].end) return false;
    ends.push_back(r.slices[i].end);
  }
  return true;
}

std::int64_t ns(const Json& microseconds) { return std::llround(microseconds.get<double>() * 1000); }

// Each arrow has a beginning and an end, each strictly inside a slice of its thread.
void check_arrows(const Json& trace) {
  struct Slice {
    std::int64_t begin, end;
  };
  std::map<std::pair<int, int>, std::vector<Slice>> slices;
  std::map<std::int64_t, std::string> arrows;
  for (const Json& e : trace["traceEvents"])
    if (e["ph"] == "X") slices[{e["pid"], e["tid"]}].push_back({ns(e["ts"]), ns(e["ts"]) + ns(e["dur"])});
  for (const Json& e : trace["traceEvents"]) {
    if (e["ph"] != "s" && e["ph"] != "f") continue;
    arrows[e["id"].get<std::int64_t>()] += e["ph"].get<std::string>();
    bool inside = false;
    for (const Slice& s : slices[{e["pid"], e["tid"]}])
      inside = inside || (s.begin < ns(e["ts"]) && ns(e["ts"]) < s.end);
    CHECK(inside);
  }
  for (const auto& [id, ends] : arrows) CHECK((ends == "sf" || ends == "fs"));
}

Json about() { return {{"scenario", "hand-checked"}}; }

}  // namespace

// Forward slots reach stage 3 after three forwards and messages, at 3 (1 + 0.1) = 3.3 ms. It then alternates; the
// forward of micro-batch 2 comes late: stage 2 gets the first gradient at 6.3 + 0.1, works on it until 8.4, on its third
// forward until 9.4, and the message is there at 9.5, 0.2 ms after stage 3 was done.
TEST_CASE("the trace of 1F1B on 4 stages with 8 micro-batches is its golden file, byte for byte") {
  const StepTimeline timeline = hand_checked_step();
  const RankTimeline last = timeline.of(RankId(3));
  std::vector<std::int64_t> forwards;
  for (const TimelineSlice& s : last.slices)
    if (s.kind == SliceKind::forward) forwards.push_back(s.start.ns);
  REQUIRE(forwards.size() == 8);
  CHECK(forwards[0] == 3'300'000);
  CHECK(forwards[1] == 6'300'000);
  CHECK(forwards[2] == 9'500'000);
  const std::string path = std::string(RUNCAST_SOURCE_DIR) + "/tests/golden/trace_p4_m8.trace";
  const std::string text = chrome_trace(timeline, ranks({0, 1, 2, 3}), 50e6, about()).text;
  if (std::getenv("RUNCAST_WRITE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << text;
  std::ifstream in(path, std::ios::binary);
  const std::string golden(std::istreambuf_iterator<char>(in), {});
  CHECK(text == golden);
  check_arrows(Json::parse(text));
}

TEST_CASE("compute and idle slices fill the step of every rank, and slices of a thread nest") {
  for (const PointToPoint transfers :
       {PointToPoint::overlapped, PointToPoint::async, PointToPoint::blocking}) {
    const StepTimeline timeline = hand_checked_step(transfers);
    for (const RankId rank : all_ranks(timeline)) {
      CHECK(fills_the_step(timeline.of(rank)));
      CHECK(nests(timeline.of(rank)));
    }
  }
  for (const char* name : {"llama3-70b", "deepseek-v3-2048", "megatron-1t"})
    for (const TimelineLevel level : {TimelineLevel::microbatch, TimelineLevel::op}) {
      CAPTURE(name);
      const StepTimeline timeline = timeline_of(scenario(name), 1, false, level);
      const std::vector<RankId> usual = timeline.usual_ranks();
      CHECK(usual.size() == static_cast<std::size_t>(timeline.layout().pipeline));
      for (const RankId rank : {usual.front(), usual.back()}) {
        CHECK(fills_the_step(timeline.of(rank)));
        CHECK(nests(timeline.of(rank)));
      }
    }
}

TEST_CASE(
    "each schedule's trace fills the step too: split backwards, V shapes, both directions, no barrier") {
  for (const char* schedule : {"gpipe", "zb_h1", "zb_h2", "zb_v", "dualpipe", "dualpipe_v"}) {
    CAPTURE(schedule);
    const StepTimeline timeline =
        timeline_of(scenario("llama3-70b", {"schedule={name: " + std::string(schedule) + "}"}), 1, false,
                    TimelineLevel::layer);
    for (const RankId rank : timeline.usual_ranks()) {
      CHECK(fills_the_step(timeline.of(rank)));
      CHECK(nests(timeline.of(rank)));
    }
  }
}

TEST_CASE("on a symmetric cluster an unfolded rank's slots are the folded ones; a slow rank's are longer") {
  const auto slots = [](const RankTimeline& r) {
    std::vector<std::pair<Time, Time>> times;
    for (const TimelineSlice& s : r.slices)
      if (s.stream == TimelineStream::compute && s.depth == 0) times.emplace_back(s.start, s.end);
    return times;
  };
  const Scenario even = scenario("llama3-70b");
  const StepTimeline folded = timeline_of(even, 1, false, TimelineLevel::microbatch);
  const StepTimeline unfolded = timeline_of(even, 1, true, TimelineLevel::microbatch);
  for (const int rank : {0, 17, 1023}) {
    CHECK(fills_the_step(unfolded.of(RankId(rank))));
    CHECK(slots(folded.of(RankId(rank))) == slots(unfolded.of(RankId(rank))));
  }
  const StepTimeline slow =
      timeline_of(scenario("llama3-70b", {"cluster.faults=[{rank: 17, slowdown: 1.2}]"}), 1, false,
                  TimelineLevel::microbatch);
  CHECK(slow.unfolded());
  CHECK(slow.step().time > folded.step().time);
  CHECK(nests(slow.of(RankId(17))));
  CHECK(fills_the_step(slow.of(RankId(17))));
  const std::vector<RankId> usual = slow.usual_ranks();
  CHECK(std::ranges::find(usual, RankId(17)) != usual.end());  // the critical path goes through it
}

TEST_CASE("memory counters peak at the memory of the stage") {
  const StepTimeline timeline = hand_checked_step();
  for (int p = 0; p < 4; ++p) {
    const RankTimeline r = timeline.of(RankId(p));
    double most = 0;
    for (const MemoryPoint& m : r.memory) most = std::max(most, m.activations.value);
    CHECK(r.other_memory.value == doctest::Approx(10 * kGiB).epsilon(1e-12));
    CHECK(most == doctest::Approx((4 - p) * kGiB).epsilon(1e-12));
    CHECK(r.memory.back().activations.value == 0);
  }
}

// 128 ranks of 16 stages: messages go between stages, so that dropped ranks take their arrows with them.
TEST_CASE("a trace stays inside its size by leaving ranks out, tells which, and keeps arrows whole") {
  const StepTimeline timeline = timeline_of(scenario("llama3-405b-16k"), 1, false, TimelineLevel::microbatch);
  const TraceText trace = chrome_trace(timeline, all_ranks(timeline), 2e6, about());
  CHECK(trace.text.size() <= 2e6);
  CHECK(trace.text.size() > 1e6);
  CHECK(trace.shown.size() + trace.left_out.size() == 16384);
  const Json json = Json::parse(trace.text);
  CHECK(json["otherData"]["ranks_of_job"] == 16384);
  CHECK(json["otherData"]["ranks_left_out_for_size"] ==
        std::to_string(trace.left_out.front().value) + "-16383");
  check_arrows(json);
  CHECK_THROWS_WITH_AS(chrome_trace(timeline, ranks({0}), 1000, about()),
                       doctest::Contains("--trace-size: one rank at this level needs "), ConfigError);
}

TEST_CASE("ranks are named by numbers, ranges or all, and written back as ranges") {
  Layout layout;
  layout.data = 64;
  CHECK(rank_list(ranks_named("17, 0,32-34", layout)) == "0, 17, 32-34");
  CHECK(ranks_named("all", layout).size() == 64);
  CHECK_THROWS_WITH_AS(ranks_named("64", layout), "--trace-ranks: 64 is too large; at most 63", ConfigError);
  CHECK_THROWS_WITH_AS(timeline_level("fine"), "--trace-level: 'fine' is none of step, microbatch, layer, op",
                       ConfigError);
}

TEST_CASE("gzip gives the same bytes each time and the text back") {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "{\"ph\":\"X\",\"ts\":" + std::to_string(i) + "},\n";
  const std::string packed = gzipped(text);
  CHECK(packed == gzipped(text));
  CHECK(packed.size() < text.size() / 4);
  CHECK(packed.substr(0, 2) == "\x1f\x8b");
  CHECK(packed.substr(4, 4) == std::string(4, '\0'));  // no time of writing
  z_stream stream{};
  REQUIRE(inflateInit2(&stream, 16 + MAX_WBITS) == Z_OK);
  std::string out(text.size(), '\0'), in = packed;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  CHECK(inflate(&stream, Z_FINISH) == Z_STREAM_END);
  inflateEnd(&stream);
  CHECK(out == text);
}

TEST_CASE("a run's trace has states, what struck, recoveries, checkpoints, spares, and tells its scale") {
  const Library library;
  const LibraryEntry& entry = library.get("runs", "llama3-405b-16k", "test", "test");
  ExperimentOptions options;
  options.trials = 2;
  options.log_trial = 1;
  Json document = run_document(Document::parse(entry.text, entry.path), library, options);
  const Json trace = Json::parse(run_trace(document));
  CHECK(trace["otherData"]["time"] == "of one simulated run; 1 us of the trace is 1 us of the run");
  CHECK(trace["otherData"]["trial"] == 1);
  std::map<std::string, int> threads;
  std::set<std::string> counters;
  std::int64_t end = 0, states = 0;
  for (const Json& e : trace["traceEvents"]) {
    if (e["ph"] == "M" && e["name"] == "thread_name") ++threads[e["args"]["name"]];
    if (e["ph"] == "C") counters.insert(e["name"].get<std::string>());
    if (e["ph"] != "X" || e["tid"] != 0) continue;
    CHECK(e["ts"].get<std::int64_t>() == end);  // the states follow each other
    end = e["ts"].get<std::int64_t>() + e["dur"].get<std::int64_t>();
    ++states;
  }
  CHECK(states > 1000);
  for (const char* name : {"where time goes", "what struck", "checkpoints", "recovery"})
    CHECK(threads[name] == 1);
  for (const char* name : {"goodput so far", "interruptions", "work lost, h", "spares free"})
    CHECK(counters.contains(name));
}

// Blocking transfers hold both ends: slots after the first messages start later.
TEST_CASE("a comparison of two steps tells which slots moved, and none for the same step") {
  const Json same = trace_diff(hand_checked_step(), hand_checked_step());
  CHECK(same["moved"] == 0);
  CHECK(same["same"] == 64);
  CHECK(diff_screen(same, Style{}).find("No slot moved.") != std::string::npos);
  const Json moved = trace_diff(hand_checked_step(), hand_checked_step(PointToPoint::blocking));
  CHECK(moved["moved"] > 32);
  CHECK(moved["only_in_a"] == 0);
  CHECK(moved["rows"][0]["moved_s"] > 0);
  CHECK(diff_screen(moved, Style{}).find("start in A") != std::string::npos);
}

// 33.6 ms of pipeline and 0.6 ms: stage 0 ends with a backward, stage 3 waits at both ends.
TEST_CASE("the Gantt chart in characters has a row a stage, in letters where there is no UTF-8") {
  const std::string text = gantt_text(hand_checked_step(), Style{}, 40);
  CHECK(text.starts_with("PIPELINE   of one step, "));
  CHECK(text.find("  stage   0 FFFF") != std::string::npos);
  CHECK(text.find("  stage   3 ....F") != std::string::npos);
  CHECK(text.find("F forward   B backward") != std::string::npos);
  CHECK(gantt_text(hand_checked_step(), Style{true, false}, 40).find("█") != std::string::npos);
}
