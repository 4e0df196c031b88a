// Pipeline schedules executed slot by slot, against closed forms and against schedule_cases.csv.
// schedule_cases.csv: 215 exact cases (makespan, idle time inside each rank, peak chunks) of an independent
// dependency-graph scheduler with the order rules of the papers and with rational arithmetic, printed to six digits.
// Columns F, I, W are costs of one rank's share of a micro-batch unless the note says "stage".
#include "parallelism/pipeline_execution.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <numeric>
#include <sstream>
#include <string>

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
      case Pass::forward: return units(forward[s]);
      case Pass::backward: return units(input_gradient[s] + weight_gradient[s]);
      case Pass::input_gradient: return units(input_gradient[s]);
      case Pass::weight_gradient: return units(weight_gradient[s]);
      case Pass::forward_backward: break;
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

PipelineTrace run(const PipelineSchedule& schedule, PipelineWork& work, PointToPoint mode = PointToPoint::async) {
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
    if (c == '"') quoted = !quoted;
    else if (c == ',' && !quoted) cells.emplace_back();
    else if (c != '\r') cells.back() += c;
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
  ScheduleRequest request{.ranks = std::stoi(row.at("p")), .microbatches = std::stoi(row.at("m")),
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
  const auto ratio = [](Duration a, Duration b) { return static_cast<double>(a.ns) / static_cast<double>(b.ns); };
  const auto integer = [](int x) { return std::to_string(x); };
  return {{"total", print("%.6g", in_units(total))},
          {"ideal", print("%.6g", in_units(ideal))},
          {"bubble_time", print("%.6g", in_units(total - ideal))},
          {"bubble_over_ideal", print("%.6f", ratio(total - ideal, ideal))},
          {"bubble_over_total", print("%.6f", ratio(total - ideal, total))},
          {"inner_bubble_per_rank", join(trace.idle_inside, [](Duration d) { return print("%.6g", in_units(d)); })},
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
    for (const auto& [column, text] : result_of(row)) {
      CAPTURE(column);
      CHECK(text == row.at(column));
    }
  }
}
}  // namespace
}  // namespace runcast
