// Unfolded steps of the library's scenarios: as folded where ranks are equal, and what one slow GPU does to thousands.
#include "scenarios/unfolded_document.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "scenarios/experiment.hpp"
#include "scenarios/scenario.hpp"
#include "tests/scenarios/experiment_helpers.hpp"

using namespace runcast;

namespace {

Scenario scenario_of(const std::string& name, const std::vector<std::string>& settings) {
  Document document = library_run(name, settings);
  return read_scenario(document, Library());
}

// llama3-405b-16k with 8 replicas: 1,024 ranks, 16 micro-batches each.
const std::vector<std::string> kSmall = {"cluster.nodes=128", "training.global_batch=128"};

}  // namespace

TEST_CASE("16,384 ranks on their own clocks take the folded step of LLaMA-3 405B to the nanosecond") {
  const Scenario s = scenario_of("llama3-405b-16k", {});
  const UnfoldedResult unfolded = unfolded_step_of(s, 1, false);
  const StepResult folded = step_of(s, 1, true);
  CHECK(unfolded.ranks == 16'384);
  CHECK(unfolded.step.time.ns == folded.time.ns);
  CHECK(unfolded.step.breakdown.bubble.ns == folded.breakdown.bubble.ns);
  CHECK(unfolded.step.breakdown.pipeline_exposed.ns == folded.breakdown.pipeline_exposed.ns);
  CHECK(unfolded.step.breakdown.data_exposed.ns == folded.breakdown.data_exposed.ns);
  // 256 slots on each rank, 127 messages up and down the 128 stages for 16 micro-batches on each column.
  CHECK(unfolded.rank_events == 16'384 * 256 + 2 * 127 * 16 * 1024);
  for (const WaitSummary& wait : unfolded.waits)
    CHECK((wait.ranks == 0 || wait.for_whom == "messages of neighbour stages"));
}

TEST_CASE("one of 16,384 GPUs 10 % slow makes the 127 other replicas wait in the gradient reduction") {
  // Stage 7 of replica 5, tensor 3. Every rank of the other replicas waits: 127 x 128.
  const Scenario s =
      scenario_of("llama3-405b-16k", {"cluster.faults=[{stage: 7, replica: 5, tensor: 3, slowdown: 1.1}]"});
  const UnfoldedResult r = unfolded_step_of(s, 1, false);
  CHECK(r.step.time > r.symmetric);
  CHECK(r.waited_for.value / 128 == 5);
  CHECK(r.waits[2].for_whom == "other replicas, in gradient reductions");
  CHECK(r.waits[2].ranks >= 127 * 128);
  CHECK(r.waits[2].ranks < 16'384);  // not the slow replica's last
  // Its 7 tensor peers wait for it inside every pass.
  CHECK(r.waits[0].ranks >= 7);
}

TEST_CASE("a GPU 10 % slow on the first, a middle or the last stage costs what it has on the critical path") {
  for (const int stage : {0, 7, 15}) {
    CAPTURE(stage);
    std::vector<std::string> settings = kSmall;
    settings.push_back("cluster.faults=[{stage: " + std::to_string(stage) + ", replica: 2, slowdown: 1.1}]");
    const UnfoldedResult r = unfolded_step_of(scenario_of("llama3-405b-16k", settings), 1, true);
    const double growth = to_seconds(r.step.time - r.symmetric).value;
    double slowdown = 0, sum = 0, saves = 0;
    for (const CauseShare& cause : r.causes) {
      sum += to_seconds(cause.time).value;
      if (cause.cause != PathCause::slowdown) continue;
      slowdown = to_seconds(cause.time).value;
      saves = cause.saved_per_second;
    }
    CHECK(sum == doctest::Approx(to_seconds(r.step.time).value).epsilon(1e-9));
    CHECK(growth > 0);
    CHECK(r.slowest.value == 2 * 128 + stage * 8);
    // Without the slow GPU the path is shorter by its slowdown, and no path was longer before: growth <= slowdown.
    // (10 %: the fitted spread of a large job's ranks is a share of the step.) It saves what it has on the path.
    CHECK(growth <= 1.1 * slowdown);
    CHECK(saves > 0.9);
  }
}

TEST_CASE("a scenario with faults is unfolded in every command, and a factor of 1 changes nothing") {
  std::vector<std::string> settings = kSmall;
  const double whole = step_of("llama3-405b-16k", settings)["step"]["time_s"].get<double>();
  settings.emplace_back("cluster.faults=[{rank: 17, slowdown: 1}]");
  const Scenario one = scenario_of("llama3-405b-16k", settings);
  CHECK(to_seconds(step_of(one, 1, true).time).value == whole);
  settings.back() = "cluster.faults=[{rank: 17, slowdown: 1.5}]";
  const nlohmann::ordered_json slow = step_of("llama3-405b-16k", settings);
  CHECK(slow["step"]["time_s"].get<double>() > whole);
  CHECK(slow["step"]["unfolded"]["symmetric_time_s"].get<double>() == whole);
  CHECK(slow["step"]["unfolded"]["slowest"]["rank"].get<int>() == 17);
  double sum = 0;
  for (const auto& [key, value] : slow["step"]["breakdown_s"].items()) sum += value.get<double>();
  CHECK(sum == doctest::Approx(slow["step"]["time_s"].get<double>()).epsilon(1e-9));
  const Scenario s = scenario_of("llama3-405b-16k", settings);
  CHECK(to_seconds(step_of(s, 1, true).time).value == slow["step"]["time_s"].get<double>());
}

TEST_CASE(
    "thermal throttling of a rack, a degraded cable and jitter slow the step; a worse case slows it more") {
  const auto time_with = [](const std::string& faults) {
    std::vector<std::string> settings = kSmall;
    settings.push_back("cluster.faults=" + faults);
    return step_of(scenario_of("llama3-405b-16k", settings), 1, false).time;
  };
  const Duration whole = time_with("[{rank: 0, slowdown: 1}]");
  const Duration rack = time_with("[{rack: 3, slowdown: 1.08}]"),
                 hot = time_with("[{rack: 3, slowdown: 1.2}]");
  CHECK(rack > whole);
  CHECK(hot > rack);
  CHECK(time_with("[{jitter: 0.02}]") > whole);
  CHECK(time_with("[{link: node3.gpu1-node3.nvswitch, capacity: 0.5}]") > whole);
  CHECK(time_with("[{node: 3, host_slowdown: 20}]") > whole);
}
