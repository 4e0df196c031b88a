// What a search finds is what looking at every layout finds; what it lists can be run.
#include "scenarios/search.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "scenarios/search_engine.hpp"
#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

const Library& library() {
  static const Library kLibrary;
  return kLibrary;
}

SearchQuestion question(const std::vector<std::string>& axes) {
  SearchQuestion q;
  for (const std::string& axis : axes) set_axis(q.axes, axis);
  return q;
}

Json search(const ScenarioSource& source, const SearchQuestion& q, int threads) {
  ExperimentOptions options;
  options.threads = threads;
  Json json = search_document(source, q, library(), options);
  json.erase("seconds");
  json.erase("timing");
  return json;
}

struct SmallSpace {
  const char* name;
  std::vector<std::string> sets;
  std::vector<std::string> tensor, pipeline, context, expert;
};

// A dense model on one node, experts on two, and a GPT with learned positions on old GPUs: what fits is found by
// reading and simulating every combination of keys as a scenario of its own, with no part of the search.
const std::vector<SmallSpace>& small_spaces() {
  static const std::vector<SmallSpace> kSpaces = {
      {"one-node", {"training.global_batch=64"}, {"1", "2", "4"}, {"1", "2", "4"}, {"1", "2"}, {"1"}},
      {"one-node",
       {"model=mixtral-8x7b", "cluster.nodes=4", "training.global_batch=64",
        "cluster.fabric=infiniband-ndr-rail"},
       {"1", "4"},
       {"1", "2", "4"},
       {"1"},
       {"1", "4", "8"}},
      {"one-node",
       {"model=gpt-22b", "cluster.node=dgx-a100-80", "training.global_batch=32",
        "training.sequence_length=2048"},
       {"1", "2", "4", "8"},
       {"1", "2", "4", "8"},
       {"1"},
       {"1"}}};
  return kSpaces;
}

std::string joined(const std::vector<std::string>& values) {
  return fmt::format("[{}]", fmt::join(values, ","));
}

struct Brute {
  double step_s = 1e99;
  int fit = 0;
};

Brute every_layout(const ScenarioSource& source, const SmallSpace& space) {
  Brute best;
  const std::vector<std::pair<std::string, std::string>> schedules = {
      {"1f1b", "1"}, {"interleaved_1f1b", "2"}, {"interleaved_1f1b", "4"}, {"zb_v", "2"}};
  for (const auto& t : space.tensor)
    for (const auto& p : space.pipeline)
      for (const auto& c : space.context)
        for (const auto& e : space.expert)
          for (const auto& [schedule, v] : schedules) {
            if (p == "1" && schedule == "interleaved_1f1b") continue;  // searches leave it out
            for (const char* b : {"1", "2"})
              for (const char* recompute : {"none", "full"})
                for (const char* sharding : {"zero1", "zero3"}) {
                  const std::vector<std::string> sets = {
                      "layout.tensor=" + t,
                      "layout.sequence_parallel=" + std::string(t == "1" ? "false" : "true"),
                      "layout.pipeline=" + p,
                      "layout.context=" + c,
                      "layout.data=auto",
                      "layout.expert=" + e,
                      "schedule.name=" + schedule,
                      "schedule.virtual_stages=" + v,
                      "training.micro_batch=" + std::string(b),
                      "training.recompute=" + std::string(recompute),
                      "training.sharding=" + std::string(sharding)};
                  try {
                    Document document = source.open(sets);
                    const Scenario s = read_scenario(document, library());
                    if (!memory_of(s).fits) continue;
                    ++best.fit;
                    best.step_s = std::min(best.step_s, to_seconds(step_of(s, 1, false).time).value);
                  } catch (const ConfigError&) {
                  }
                }
          }
  return best;
}

TEST_CASE(
    "the best of a search is the best of all layouts, each read and simulated by itself, for three models") {
  for (const SmallSpace& space : small_spaces()) {
    CAPTURE(space.sets.front());
    ScenarioSource source = scenario_source(space.name, library());
    source.sets = space.sets;
    source.sets.emplace_back("layout.order=[tensor, context, pipeline, data]");
    SearchQuestion q = question(
        {"tensor=" + joined(space.tensor), "pipeline=" + joined(space.pipeline),
         "context=" + joined(space.context), "expert=" + joined(space.expert), "expert_tensor=[1]",
         "schedule=[1f1b,interleaved_1f1b,zb_v]", "virtual_stages=[2,4]", "group_size=[auto]",
         "micro_batch=[1,2]", "recompute=[none,full]", "sharding=[zero1,zero3]", "sequence_parallel=[true]",
         "overlap.data=[true]", "overlap.pipeline=[true]", "overlap.tensor=[false]", "overlap.expert=[false]",
         "order=[tensor-context-pipeline-data]"});
    q.top = 3;
    const Json found = search(source, q, 2);
    const Brute brute = every_layout(source, space);
    CHECK(brute.fit > 50);
    REQUIRE(found["layouts"].size() == 3);
    CHECK(found["layouts"][0]["step_s"].get<double>() == brute.step_s);
  }
}

// Each count is told apart: what was rejected and what fits are all that was counted.
TEST_CASE(
    "a search answers the same with one thread and three, counts every layout once, and lists what runs") {
  ScenarioSource source = scenario_source("one-node", library());
  SearchQuestion q =
      question({"context=[1]", "schedule=[1f1b,interleaved_1f1b,zb_h1,dualpipe_v]", "recompute=[none,full]"});
  const Json one = search(source, q, 1);
  CHECK(one == search(source, q, 3));
  CHECK(one["complete"] == true);
  CHECK(one["pruned"].get<std::int64_t>() + one["feasible"].get<std::int64_t>() ==
        one["counted"].get<std::int64_t>());
  CHECK(one["simulated"].get<std::int64_t>() <= one["feasible"].get<std::int64_t>() + 16);
  REQUIRE(!one["layouts"].empty());
  double before = 0;
  for (const Json& row : one["layouts"]) {
    CHECK(row["step_s"].get<double>() >= before);
    before = row["step_s"].get<double>();
    CHECK(row["bound_share"].get<double>() <= 1);
    Document document = source.open(row["set"].get<std::vector<std::string>>());
    const StepExperiment e = simulate(read_scenario(document, library()), 1);
    CHECK(to_seconds(e.step.time).value == row["step_s"].get<double>());
    CHECK(e.step.mfu == doctest::Approx(row["mfu"].get<double>()).epsilon(1e-9));
    CHECK(in_gib(e.memory.peak) == doctest::Approx(row["peak_gib"].get<double>()).epsilon(1e-9));
  }
}

// No point of the front is covered by another, and the best layout is one of them.
TEST_CASE("the front holds the fastest layout and trades time for memory") {
  const ScenarioSource source = scenario_source("one-node", library());
  const Json found =
      search(source, question({"context=[1]", "schedule=[1f1b]", "overlap.tensor=[false]"}), 2);
  const Json& front = found["pareto"];
  REQUIRE(front.size() >= 2);
  CHECK(front[0]["step_s"] == found["layouts"][0]["step_s"]);
  for (std::size_t i = 1; i < front.size(); ++i) {
    CHECK(front[i]["step_s"].get<double>() > front[i - 1]["step_s"].get<double>());
    CHECK(front[i]["peak_gib"].get<double>() < front[i - 1]["peak_gib"].get<double>());
  }
}

// With room for 5 candidates the space is gone through again and again until no bound is below the third best.
TEST_CASE("a search that remembers only five candidates finds the same layouts") {
  const ScenarioSource source = scenario_source("one-node", library());
  const SearchQuestion q = question({"context=[1]", "schedule=[1f1b,interleaved_1f1b]"});
  const SearchSpace space(source, q.axes, library());
  SearchSettings settings;
  settings.factor = {1};
  settings.top = 3;
  const SearchOutcome whole = search_layouts(space, settings);
  settings.kept = 5;
  const SearchOutcome small = search_layouts(space, settings);
  REQUIRE(whole.best.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(whole.best[i].choice == small.best[i].choice);
}

// 10 nodes cost ten times a second of one; the layouts of both are in one list, by what a token costs.
TEST_CASE("tokens per dollar compares clusters of several sizes, and a claim keeps layouts out") {
  ScenarioSource source = scenario_source("one-node", library());
  source.sets = {"cluster.fabric=infiniband-ndr-rail"};
  SearchQuestion q = question({"nodes=[1,2]", "context=[1]", "schedule=[1f1b]", "tensor=[1,2,4,8]"});
  q.objective = "tokens_per_dollar";
  const Json all = search(source, q, 2);
  double before = 0;
  for (const Json& row : all["layouts"]) {
    CHECK(row["usd_per_1t_tokens"].get<double>() >= before);
    before = row["usd_per_1t_tokens"].get<double>();
  }
  q.allowed = [](const Json& row) { return row["gpus"].get<int>() == 16; };
  for (const Json& row : search(source, q, 2)["layouts"]) CHECK(row["gpus"] == 16);
}

TEST_CASE("a choice that is misspelt is told with the nearest name") {
  SearchAxes axes;
  const auto message = [&](const std::string& text) -> std::string {
    try {
      set_axis(axes, text);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message("tensr=[1]") == "--space: no choice is called 'tensr', did you mean 'tensor'?");
  CHECK(message("tensor=") == "--space: 'tensor=' names no values; write for example tensor=[4, 8]");
  CHECK(message("recompute=[some]") == "--space: recompute: 'some' is none of: none, selective, full");
}

}  // namespace
}  // namespace runcast
