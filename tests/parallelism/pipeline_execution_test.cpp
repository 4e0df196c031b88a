// Pipeline schedules executed slot by slot, against closed forms and against schedule_cases.csv.
// schedule_cases.csv: 215 exact cases (makespan, idle time inside each rank, peak chunks) of an independent
// dependency-graph scheduler with the order rules of the papers and with rational arithmetic, printed to six
// digits. Columns F, I, W are costs of one rank's share of a micro-batch unless the note says "stage".
#include "parallelism/pipeline_execution.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <numeric>
#include <sstream>
#include <string>
#include <tuple>

namespace runcast {
namespace {

// One time unit of a case. Divisible by 2 .. 8 and by 10^4, so that every cost here is a whole number of ns.
constexpr std::int64_t kUnit = 840'000;
Duration units(double x) { return {std::llround(x * static_cast<double>(kUnit))}; }
double in_units(Duration d) { return static_cast<double>(d.ns) / static_cast<double>(kUnit); }

// Costs by stage; B = I + W, and F&B = factor x (F + B).
struct StageCosts : PipelineWork {
  std::vector<double> forward, input_gradient, weight_gradient;  // [stage], units
  double together = 1;
  Duration message{};

  StageCosts(int stages, double f, double i, double w, double p2p = 0)
      : forward(static_cast<std::size_t>(stages), f),
        input_gradient(static_cast<std::size_t>(stages), i),
        weight_gradient(static_cast<std::size_t>(stages), w),
        message(units(p2p)) {}

  Duration duration(int, const Slot& slot, Time) override {
    const auto s = static_cast<std::size_t>(slot.stage), b = static_cast<std::size_t>(slot.backward_stage);
    switch (slot.pass) {
      case Pass::forward:
        return units(forward[s]);
      case Pass::backward:
        return units(input_gradient[s] + weight_gradient[s]);
      case Pass::input_gradient:
        return units(input_gradient[s]);
      case Pass::weight_gradient:
        return units(weight_gradient[s]);
      case Pass::forward_backward:
        break;
    }
    return units(together * (forward[s] + input_gradient[b] + weight_gradient[b]));
  }
  Time not_before(int, const Slot&) override { return {}; }
  Duration transfer(int, int, Pass) override { return message; }
  void finished(int, const Slot&, Time, Time) override {}
};

PipelineSchedule build(std::string_view name, ScheduleRequest request) {
  const ScheduleRow* row = find_schedule(name);
  REQUIRE(row != nullptr);
  REQUIRE(row->refuse(request) == "");
  return row->build(request);
}

PipelineTrace run(const PipelineSchedule& schedule, PipelineWork& work,
                  PointToPoint mode = PointToPoint::async) {
  EventQueue queue;
  return execute(schedule, mode, work, queue);
}

double makespan(std::string_view name, ScheduleRequest request, double f, double i, double w, double p2p = 0,
                PointToPoint mode = PointToPoint::async) {
  const PipelineSchedule schedule = build(name, request);
  StageCosts costs(schedule.stages, f, i, w, p2p);
  return in_units(run(schedule, costs, mode).makespan);
}

// ---- schedule_cases.csv ---------------------------------------------------------------------------------

using Row = std::map<std::string, std::string>;

std::vector<std::string> split_csv(const std::string& line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      cells.emplace_back();
    else if (c != '\r')
      cells.back() += c;
  }
  return cells;
}

std::vector<Row> read_cases() {
  std::ifstream file(RUNCAST_SOURCE_DIR "/tests/parallelism/schedule_cases.csv");
  std::string line;
  REQUIRE(std::getline(file, line));
  const std::vector<std::string> names = split_csv(line);
  std::vector<Row> rows;
  while (std::getline(file, line)) {
    const std::vector<std::string> cells = split_csv(line);
    REQUIRE_MESSAGE(cells.size() >= names.size(), line);
    Row& row = rows.emplace_back();
    for (std::size_t i = 0; i < names.size(); ++i) row[names[i]] = cells[i];
    // A note with commas outside quotes.
    for (std::size_t i = names.size(); i < cells.size(); ++i) row[names.back()] += "," + cells[i];
  }
  return rows;
}

std::string print(const char* format, double x) {
  char text[32];
  std::snprintf(text, sizeof text, format, x);
  return text;
}

template <class Values, class Text>
std::string join(const Values& values, Text text) {
  std::string all;
  for (const auto& value : values) all += (all.empty() ? "" : "|") + text(value);
  return all;
}

double number_after(const std::string& text, const std::string& word, double otherwise) {
  const std::size_t at = text.find(word);
  return at == std::string::npos ? otherwise : std::stod(text.substr(at + word.size()));
}

// "layers=4/5/5/4" of a note: stage costs F = layers, B = 2 layers, and the head's on the last stage.
void cost_by_layers(StageCosts& costs, const std::string& note) {
  std::stringstream layers(note.substr(note.find("layers=") + 7));
  std::string count;
  for (double& f : costs.forward) {
    REQUIRE(std::getline(layers, count, '/'));
    f = std::stod(count);
  }
  costs.forward.back() += number_after(note, "head=", number_after(note, "+head", 0));
  costs.input_gradient = costs.weight_gradient = costs.forward;
}

// The same text as the row's result columns, computed.
Row result_of(const Row& row) {
  std::string name = row.at("schedule");
  ScheduleRequest request{.ranks = std::stoi(row.at("p")),
                          .microbatches = std::stoi(row.at("m")),
                          .chunks = std::stoi(row.at("v"))};
  if (!row.at("N").empty()) request.group_size = std::stoi(row.at("N"));
  request.extra_warmup = name == "interleaved_1f1b_ep_overlap";
  const bool uneven = name.ends_with("_uneven");
  if (name.starts_with("interleaved")) name = "interleaved_1f1b";
  if (name == "1f1b_uneven") name = "1f1b";
  if (name == "dualpipev") name = "dualpipe_v";
  const std::string& note = row.at("note");
  // DualPipe's two stages a rank are of two directions: a micro-batch sees one of them.
  const double parts = name == "dualpipe" ? 1 : request.chunks;
  const double f = std::stod(row.at("F")), i = std::stod(row.at("I")), w = std::stod(row.at("W"));
  const PipelineSchedule schedule = build(name, request);
  StageCosts costs(schedule.stages, f / parts, i / parts, w / parts, std::stod(row.at("p2p")));
  if (note.find("F&B=0.9") != std::string::npos) costs.together = 0.9;
  if (uneven) cost_by_layers(costs, note);
  const PipelineTrace trace = run(schedule, costs);

  const Duration total = trace.makespan;
  Duration ideal = units((f + i + w) * request.microbatches);
  if (uneven) {
    ideal = std::accumulate(trace.busy.begin(), trace.busy.end(), Duration{});
    ideal.ns /= request.ranks;
  }
  const auto ratio = [](Duration a, Duration b) {
    return static_cast<double>(a.ns) / static_cast<double>(b.ns);
  };
  const auto integer = [](int x) { return std::to_string(x); };
  return {{"total", print("%.6g", in_units(total))},
          {"ideal", print("%.6g", in_units(ideal))},
          {"bubble_time", print("%.6g", in_units(total - ideal))},
          {"bubble_over_ideal", print("%.6f", ratio(total - ideal, ideal))},
          {"bubble_over_total", print("%.6f", ratio(total - ideal, total))},
          {"inner_bubble_per_rank",
           join(trace.idle_inside, [](Duration d) { return print("%.6g", in_units(d)); })},
          {"peak_chunks_F_to_dgrad", join(peak_chunks_in_flight(schedule, false), integer)},
          {"peak_chunks_F_to_wgrad", join(peak_chunks_in_flight(schedule, true), integer)},
          {"chunks_per_rank", integer(schedule.chunks)}};
}

TEST_CASE("every row of schedule_cases.csv is reproduced to its last digit") {
  const std::vector<Row> rows = read_cases();
  REQUIRE(rows.size() == 215);
  for (const Row& row : rows) {
    CAPTURE(row.at("schedule"));
    CAPTURE(row.at("p") + "," + row.at("m") + "," + row.at("v") + "," + row.at("N") + " c=" + row.at("p2p"));
    CAPTURE(row.at("note"));
    for (const auto& cell : result_of(row)) {
      const std::string &column = cell.first, &text = cell.second;
      CAPTURE(column);
      CHECK(text == row.at(column));
    }
  }
}

// ---- closed forms, c = 0 --------------------------------------------------------------------------------

TEST_CASE("gpipe and 1f1b take (m+p-1)(F+B), idle (p-1-r)(F+B) inside rank r") {
  for (const char* name : {"gpipe", "1f1b"}) {
    for (int p = 1; p <= 9; ++p) {
      for (int m = 1; m <= 20; ++m) {
        CAPTURE(p);
        CAPTURE(m);
        const PipelineSchedule schedule = build(name, {.ranks = p, .microbatches = m});
        StageCosts costs(p, 1, 1, 1);  // F = 1, B = I + W = 2
        const PipelineTrace trace = run(schedule, costs);
        CHECK(trace.makespan == units((m + p - 1) * 3));
        for (int r = 0; r < p; ++r) {
          CHECK(trace.idle_inside[static_cast<std::size_t>(r)] == units((p - 1 - r) * 3));
          CHECK(trace.busy[static_cast<std::size_t>(r)] == units(m * 3));
          CHECK(trace.transfer_wait[static_cast<std::size_t>(r)] == Duration{});
        }
        CHECK(trace.transfers.empty());
      }
    }
  }
}

TEST_CASE("interleaved 1f1b takes m(F+B) + (p-1)(F+B)/v when no group is short") {
  for (int p = 1; p <= 8; ++p) {
    for (int v : {2, 3, 4, 7}) {
      for (int group : {p, p + 1, 2 * p}) {
        for (int groups = 1; groups <= 3; ++groups) {
          const int m = group * groups;
          CAPTURE(p);
          CAPTURE(v);
          CAPTURE(group);
          CAPTURE(m);
          // A chunk's F = 1/v and B = 2/v, times v.
          CHECK(v * makespan("interleaved_1f1b",
                             {.ranks = p, .microbatches = m, .chunks = v, .group_size = group}, 1.0 / v,
                             1.0 / v, 1.0 / v) ==
                doctest::Approx(v * m * 3 + (p - 1) * 3).epsilon(1e-12));
        }
      }
    }
  }
}

struct Split {
  double f, i, w;
};
constexpr Split kSplits[] = {{1, 1, 1}, {10, 11, 9}, {3, 2, 4}, {2, 3, 1}, {5, 5, 2}};

TEST_CASE("zb_h1 takes m(F+I+W) + (p-1) max(F, F+I-W)") {
  // Qi et al. 2023 give (p-1)(F+I-W), for W <= I; the last rank's first forward cannot come before (p-1)F.
  for (int p = 1; p <= 8; ++p) {
    for (int m : {p, p + 1, 2 * p, 4 * p}) {
      for (const auto& [f, i, w] : kSplits) {
        CHECK(makespan("zb_h1", {.ranks = p, .microbatches = m}, f, i, w) ==
              m * (f + i + w) + (p - 1) * std::max(f, f + i - w));
      }
    }
  }
}

TEST_CASE("zb_h2 takes m(F+I+W) + (p-1) max(F, F+I-2W), idle (p-1) max(0, F+I-2W) inside rank 0") {
  for (int p = 1; p <= 8; ++p) {
    for (int m : {2 * p - 1, 2 * p, 4 * p}) {
      for (const auto& [f, i, w] : kSplits) {
        const PipelineSchedule schedule = build("zb_h2", {.ranks = p, .microbatches = m});
        StageCosts costs(p, f, i, w);
        const PipelineTrace trace = run(schedule, costs);
        CAPTURE(p);
        CAPTURE(m);
        CHECK(in_units(trace.makespan) == m * (f + i + w) + (p - 1) * std::max(f, f + i - 2 * w));
        CHECK(in_units(trace.idle_inside[0]) == (p - 1) * std::max(0.0, f + i - 2 * w));
      }
    }
  }
}

TEST_CASE("zb_v with F = I = W has no idle time inside any rank and ends (p-1)F/2 after the ideal") {
  for (int p = 1; p <= 9; ++p) {
    for (int m : {2 * p - 1, 2 * p, 3 * p + 1, 5 * p}) {
      const PipelineSchedule schedule = build("zb_v", {.ranks = p, .microbatches = m, .chunks = 2});
      StageCosts costs(schedule.stages, 0.5, 0.5, 0.5);
      const PipelineTrace trace = run(schedule, costs);
      CAPTURE(p);
      CAPTURE(m);
      CHECK(in_units(trace.makespan) == 3 * m + (p - 1) * 0.5);
      for (const Duration idle : trace.idle_inside) CHECK(idle == Duration{});
    }
  }
}

TEST_CASE("dualpipe idles (p/2-1)(FB+B-3W) and dualpipe_v (p-1)(FB+B-3W) where F = I >= W") {
  for (const auto& [f, i, w] : {Split{1, 1, 1}, Split{5, 5, 2}, Split{2, 2, 1}}) {
    for (int p = 2; p <= 10; p += 2) {
      for (int m : {2 * p, 2 * p + 2, 4 * p}) {
        CAPTURE(p);
        CAPTURE(m);
        const double together = f + i + w, idle = together + i + w - 3 * w;
        CHECK(makespan("dualpipe", {.ranks = p, .microbatches = m, .chunks = 2}, f, i, w) ==
              m * together + (p / 2 - 1) * idle);
        CHECK(makespan("dualpipe_v", {.ranks = p, .microbatches = m, .chunks = 2}, f, i, w) ==
              2 * m * together + (p - 1) * idle);
      }
    }
  }
}

// ---- transfers ------------------------------------------------------------------------------------------

// Time that one more micro-batch takes in the steady state.
double period(std::string_view name, int p, int chunks, double c, PointToPoint mode) {
  const auto after = [&](int m) {
    return makespan(name, {.ranks = p, .microbatches = m, .chunks = chunks}, 1.0 / chunks, 1.0 / chunks,
                    1.0 / chunks, c, mode);
  };
  return (after(20 * p) - after(10 * p)) / (10 * p);
}

TEST_CASE("1f1b with async transfers has the period F+B+2c(p-1)/p, though nobody waits to send") {
  // The warm-up is p-r deep: one round of p micro-batches holds 2(p-1) transfers in its cycle.
  CHECK(period("1f1b", 4, 1, 0.1, PointToPoint::async) == doctest::Approx(3.15).epsilon(1e-12));
  CHECK(period("1f1b", 8, 1, 0.1, PointToPoint::async) == doctest::Approx(3.175).epsilon(1e-12));
  CHECK(period("1f1b", 4, 1, 0.5, PointToPoint::async) == doctest::Approx(3.75).epsilon(1e-12));
  CHECK(period("1f1b", 4, 1, 0.1, PointToPoint::overlapped) == doctest::Approx(3.15).epsilon(1e-12));
}

TEST_CASE("1f1b with blocking transfers has the period F+B+2c, with two ranks F+B+c") {
  // A middle rank stops twice a micro-batch: activations with both neighbours, then gradients with both. The
  // last of two ranks has one neighbour: its gradient goes out while the next activation comes in.
  CHECK(period("1f1b", 2, 1, 0.1, PointToPoint::blocking) == doctest::Approx(3.1).epsilon(1e-12));
  CHECK(period("1f1b", 3, 1, 0.1, PointToPoint::blocking) == doctest::Approx(3.2).epsilon(1e-12));
  CHECK(period("1f1b", 4, 1, 0.1, PointToPoint::blocking) == doctest::Approx(3.2).epsilon(1e-12));
  CHECK(period("1f1b", 8, 1, 0.5, PointToPoint::blocking) == doctest::Approx(4.0).epsilon(1e-12));
}

TEST_CASE("gpipe pays 2(p-1)c once, whatever m") {
  for (int p = 2; p <= 8; ++p) {
    for (int m : {1, 3, 16, 40}) {
      CHECK(makespan("gpipe", {.ranks = p, .microbatches = m}, 1, 1, 1, 0.1) ==
            doctest::Approx((m + p - 1) * 3 + 0.2 * (p - 1)).epsilon(1e-12));
    }
  }
}

TEST_CASE("16 ranks x 8 chunks, 32 micro-batches: 0.1 for a transfer makes 127.025 of 101.625") {
  // F = 0.125 a chunk: a transfer is almost as long as a chunk's forward.
  const ScheduleRequest request{.ranks = 16, .microbatches = 32, .chunks = 8};
  CHECK(makespan("interleaved_1f1b", request, 0.125, 0.125, 0.125) == 101.625);
  CHECK(makespan("interleaved_1f1b", request, 0.125, 0.125, 0.125, 0.1) == 127.025);
}

TEST_CASE("larger groups buy slack for transfers: 6.0 % over the ideal at N = 8, 1.7 % at N = 16") {
  // p = 8, v = 4, c = 0.1; m = 64 and 128; F+B = 3 a micro-batch.
  const auto overhead = [](int m, int group) {
    return makespan("interleaved_1f1b", {.ranks = 8, .microbatches = m, .chunks = 4, .group_size = group},
                    0.25, 0.25, 0.25, 0.1) /
               (3 * m) -
           1;
  };
  CHECK(overhead(64, 8) == doctest::Approx(0.060).epsilon(0.01));    // printed to one decimal
  CHECK(overhead(128, 16) == doctest::Approx(0.017).epsilon(0.03));  // likewise
}

// A schedule written by hand: `ranks` ranks, one stage each.
PipelineSchedule by_hand(int microbatches, std::vector<std::vector<Slot>> slots) {
  PipelineSchedule schedule;
  schedule.ranks = schedule.stages = static_cast<int>(slots.size());
  schedule.microbatches = microbatches;
  schedule.slots = std::move(slots);
  schedule.rank_of_stage.resize(1);
  for (int rank = 0; rank < schedule.ranks; ++rank) schedule.rank_of_stage[0].push_back(rank);
  schedule.direction_of_microbatch.assign(static_cast<std::size_t>(microbatches), 0);
  return schedule;
}
Slot slot(Pass pass, int stage, int microbatch) {
  return {.pass = pass, .stage = stage, .microbatch = microbatch};
}

// Two forwards of 1 on rank 0, whose messages of 3 queue on the one link: they arrive at 4 and 7.
PipelineSchedule two_forwards() {
  return by_hand(2, {{slot(Pass::forward, 0, 0), slot(Pass::forward, 0, 1)},
                     {slot(Pass::forward, 1, 0), slot(Pass::forward, 1, 1)}});
}

TEST_CASE(
    "async messages of one link run one behind the other, and the receiver's wait for them is counted") {
  const PipelineSchedule schedule = two_forwards();
  StageCosts costs(2, 1, 0, 0, 3);
  const PipelineTrace trace = run(schedule, costs);
  REQUIRE(trace.transfers.size() == 2);
  CHECK(in_units(trace.transfers[0].start - Time{}) == 1);
  CHECK(in_units(trace.transfers[0].end - Time{}) == 4);
  CHECK(in_units(trace.transfers[1].start - Time{}) == 4);  // sent at 2
  CHECK(in_units(trace.transfers[1].end - Time{}) == 7);
  CHECK(trace.transfers[1].microbatch == 1);
  CHECK(in_units(trace.ranks[0][1].end - Time{}) == 2);  // the sender went on at once
  CHECK(in_units(trace.makespan) == 8);
  CHECK(in_units(trace.idle_inside[1]) == 2);    // 5 to 7
  CHECK(in_units(trace.transfer_wait[1]) == 5);  // 1 to 4 and 5 to 7; not 0 to 1, when nothing was sent
  CHECK(trace.transfer_wait[0] == Duration{});
}

TEST_CASE("blocking messages hold both ends: the sender computes again only when the message is there") {
  const PipelineSchedule schedule = two_forwards();
  StageCosts costs(2, 1, 0, 0, 3);
  const PipelineTrace trace = run(schedule, costs, PointToPoint::blocking);
  // F0 0-1, message 1-4, both ranks compute 4-5, message 5-8, F1 on rank 1 8-9.
  CHECK(in_units(trace.ranks[0][1].start - Time{}) == 4);
  CHECK(in_units(trace.ranks[1][0].start - Time{}) == 4);
  CHECK(in_units(trace.transfers[1].start - Time{}) == 5);
  CHECK(in_units(trace.makespan) == 9);
  CHECK(in_units(trace.transfer_wait[0]) == 6);
  CHECK(in_units(trace.transfer_wait[1]) == 6);
}

TEST_CASE("a blocking sender waits for a receiver that computes") {
  // Rank 1's own forward of micro-batch 0 takes 5; rank 0's second message is ready at 3 and begins at 7.
  const PipelineSchedule schedule = two_forwards();
  StageCosts costs(2, 1, 0, 0, 1);
  costs.forward[1] = 5;
  const PipelineTrace trace = run(schedule, costs, PointToPoint::blocking);
  CHECK(in_units(trace.transfers[0].start - Time{}) == 1);
  CHECK(in_units(trace.transfers[1].start - Time{}) == 7);
  CHECK(in_units(trace.makespan) == 13);  // 8 + 5
  CHECK(in_units(trace.transfer_wait[0]) ==
        2);  // the two messages; 3 to 7 is waiting for a rank, not for bytes
}

TEST_CASE("a transfer of no length is the same in every mode and leaves no span") {
  for (const ScheduleRow& row : pipeline_schedules()) {
    const int chunks = row.name == "interleaved_1f1b" ? 3 : 1;
    const PipelineSchedule schedule = build(row.name, {.ranks = 4, .microbatches = 8, .chunks = chunks});
    StageCosts costs(schedule.stages, 1, 2, 1);
    const PipelineTrace async = run(schedule, costs, PointToPoint::async);
    CHECK(async.makespan == run(schedule, costs, PointToPoint::blocking).makespan);
    CHECK(async.makespan == run(schedule, costs, PointToPoint::overlapped).makespan);
    CHECK(async.transfers.empty());
  }
}

TEST_CASE("slots of no length run: a schedule of nothing but messages takes the way there and back") {
  const PipelineSchedule schedule = build("1f1b", {.ranks = 4, .microbatches = 1});
  StageCosts costs(4, 0, 0, 0, 1);
  CHECK(in_units(run(schedule, costs).makespan) == 6);
  CHECK(in_units(run(schedule, costs, PointToPoint::blocking).makespan) == 6);
}

TEST_CASE("no mode loses a slot and blocking is never faster than async") {
  for (const ScheduleRow& row : pipeline_schedules()) {
    for (int p : {1, 2, 3, 4, 6, 8}) {
      for (int m : {1, 3, 8, 16, 20}) {
        const ScheduleRequest request{
            .ranks = p, .microbatches = m, .chunks = row.name == "interleaved_1f1b" ? 2 : 1};
        if (!row.refuse(request).empty()) continue;
        const PipelineSchedule schedule = row.build(request);
        StageCosts costs(schedule.stages, 1, 1.3, 0.7, 0.25);
        const Duration async = run(schedule, costs).makespan;
        const PipelineTrace blocking = run(schedule, costs, PointToPoint::blocking);
        CAPTURE(row.name);
        CAPTURE(p);
        CAPTURE(m);
        CHECK(blocking.makespan >= async);
        for (std::size_t r = 0; r < schedule.slots.size(); ++r) {
          CHECK(blocking.ranks[r].size() == schedule.slots[r].size());
          CHECK(blocking.busy[r] + blocking.transfer_wait[r] <= blocking.makespan);
        }
      }
    }
  }
}

TEST_CASE("what a schedule does not refuse runs to its end") {
  for (const ScheduleRow& row : pipeline_schedules()) {
    for (int p = 1; p <= 9; ++p) {
      for (int m : {1, 2, 3, 5, 7, 8, 11, 16, 18, 21}) {
        for (int v : {1, 2, 3, 5}) {
          for (int group : {0, 1, 3, 4, 6, 9}) {
            for (bool extra : {false, true}) {
              const ScheduleRequest request{p, m, v, group, extra};
              if (!row.refuse(request).empty()) continue;
              CAPTURE(row.name);
              CAPTURE(p);
              CAPTURE(m);
              CAPTURE(v);
              CAPTURE(group);
              CAPTURE(extra);
              const PipelineSchedule schedule = row.build(request);
              StageCosts costs(schedule.stages, 1, 1, 1, 0.1);
              CHECK_NOTHROW(run(schedule, costs));
            }
          }
        }
      }
    }
  }
}

// ---- the caller's side ----------------------------------------------------------------------------------

TEST_CASE("a slot waits until the caller lets it start") {
  struct Gather : StageCosts {
    using StageCosts::StageCosts;
    Time not_before(int rank, const Slot&) override { return Time{} + units(rank == 0 ? 0 : 10); }
  };
  const PipelineSchedule schedule = by_hand(1, {{slot(Pass::forward, 0, 0)}, {slot(Pass::forward, 1, 0)}});
  Gather costs(2, 1, 0, 0, 2);
  const PipelineTrace trace = run(schedule, costs);
  CHECK(in_units(trace.makespan) == 11);
  CHECK(in_units(trace.transfer_wait[1]) == 2);  // 1 to 3; the rest is the caller's
}

TEST_CASE("the caller hears of each slot once, in the order of the ends") {
  struct Listener : StageCosts {
    using StageCosts::StageCosts;
    std::vector<Time> ends;
    void finished(int, const Slot&, Time start, Time end) override {
      CHECK(start <= end);
      ends.push_back(end);
    }
  };
  const PipelineSchedule schedule = build("dualpipe", {.ranks = 4, .microbatches = 8});
  Listener costs(schedule.stages, 1, 1, 1, 0.1);
  run(schedule, costs);
  std::size_t slots = 0;
  for (const auto& order : schedule.slots) slots += order.size();
  CHECK(costs.ends.size() == slots);
  CHECK(std::ranges::is_sorted(costs.ends));
}

TEST_CASE("a schedule that cannot end names its first stuck slot and the cycle of ranks that wait") {
  // Each rank first wants what the other makes second.
  PipelineSchedule schedule = by_hand(1, {{slot(Pass::backward, 0, 0), slot(Pass::forward, 0, 0)},
                                          {slot(Pass::forward, 1, 0), slot(Pass::backward, 1, 0)}});
  StageCosts costs(2, 1, 1, 1);
  CHECK_THROWS_WITH_AS(
      run(schedule, costs),
      "the pipeline is stuck: rank 0 at its slot 0, the backward of stage 0, micro-batch 0, waits for ever; "
      "rank 0 at its slot 0, the backward of stage 0, micro-batch 0 waits for rank 1; "
      "rank 1 at its slot 0, the forward of stage 1, micro-batch 0 waits for rank 0",
      InternalError);
  schedule.slots[0] = {slot(Pass::forward, 0, 0), slot(Pass::weight_gradient, 0, 0)};
  schedule.slots[1] = {slot(Pass::forward, 1, 0), slot(Pass::input_gradient, 1, 0)};
  CHECK_THROWS_WITH_AS(
      run(schedule, costs),
      "the pipeline is stuck: rank 0 at its slot 1, the weight gradient of stage 0, micro-batch "
      "0, waits for ever; rank 0 at its slot 1, the weight gradient of stage 0, micro-batch 0 "
      "waits for rank 0",
      InternalError);
}

TEST_CASE("a slot of a stage that its rank does not have is an internal error") {
  const PipelineSchedule schedule = by_hand(1, {{slot(Pass::forward, 1, 0)}, {slot(Pass::forward, 0, 0)}});
  StageCosts costs(2, 1, 1, 1);
  CHECK_THROWS_AS(run(schedule, costs), InternalError);
}

TEST_CASE("transfers are listed by start, then by the sending and the receiving rank") {
  const PipelineSchedule schedule = build("dualpipe", {.ranks = 8, .microbatches = 20});
  StageCosts costs(schedule.stages, 1, 1, 1, 0.3);
  const PipelineTrace trace = run(schedule, costs);
  // Each micro-batch crosses 7 boundaries forwards and 7 backwards.
  CHECK(trace.transfers.size() == 20 * 14);
  for (std::size_t i = 1; i < trace.transfers.size(); ++i) {
    const TransferSpan &a = trace.transfers[i - 1], &b = trace.transfers[i];
    CHECK(std::tuple(a.start, a.from_rank, a.to_rank) < std::tuple(b.start, b.from_rank, b.to_rank));
  }
}

TEST_CASE("64 ranks x 512 micro-batches and 35 ranks x 3 chunks x 280 keep their closed forms") {
  CHECK(makespan("1f1b", {.ranks = 64, .microbatches = 512}, 1, 1, 1) == (512 + 63) * 3);
  CHECK(makespan("interleaved_1f1b", {.ranks = 35, .microbatches = 280, .chunks = 3}, 1, 1, 1) ==
        3 * 280 * 3 + 34 * 3);
}
}  // namespace
}  // namespace runcast
