// What fail-slow events make of the step, from the unfolded step model.
#include "scenarios/slow_response.hpp"

#include <doctest/doctest.h>

#include "tests/scenarios/experiment_helpers.hpp"

using namespace runcast;
using doctest::Approx;

namespace {

FailureClass slow_class(double slowdown) {
  FailureClass failure;
  failure.name = "slow";
  failure.action = Action::slow;
  failure.slowdown = slowdown;
  return failure;
}

Scenario scenario(const std::string& name, const std::vector<std::string>& settings) {
  Document document = library_run(name, settings);
  return read_scenario(document, Library());
}

Seconds time_of(const Scenario& s) { return to_seconds(step_of(s, 1, false).time); }

}  // namespace

TEST_CASE("a slow node on one node is the step with all GPUs slow, told by the step with that fault") {
  Scenario s = scenario("one-node", {});
  const Seconds normal = time_of(s);
  const std::vector<SlowPoint> table = slow_response(s, slow_class(1.5), normal, 1);
  REQUIRE(table.size() == 1);
  Fault fault;
  fault.kind = Fault::Kind::node;
  fault.slowdown = 1.5;
  s.faults = {fault};
  CHECK(table[0].slowdown == 1.5);
  CHECK(table[0].step == Approx(time_of(s) / normal).epsilon(1e-12));
  // Kernels take 1.5 times as long, what is on the wire does not.
  CHECK(table[0].step > 1.3);
  CHECK(table[0].step <= 1.5);
}

TEST_CASE("some replicas stand for all: 2,048 ranks tell a slow node's cost on 4,096 to a hundredth") {
  const Scenario s = scenario("llama3-405b-16k", {"cluster.nodes=512", "training.global_batch=512"});
  REQUIRE(s.layout.data == 32);
  const Seconds normal = time_of(s);
  const double told = slow_response(s, slow_class(1.3), normal, 1)[0].step;
  // All replicas, the same three nodes of stages 0, 8 and 15: a node is a stage here.
  double whole = 0;
  for (const std::int64_t node : {0, 8, 15}) {
    Scenario slow = s;
    Fault fault;
    fault.kind = Fault::Kind::node;
    fault.place = node;
    fault.slowdown = 1.3;
    slow.faults = {fault};
    whole += (time_of(slow) / normal) / 3;
  }
  CHECK(told == Approx(whole).epsilon(0.01));
  CHECK(told > 1.1);
  CHECK(told < 1.3);
}

TEST_CASE("spread severities take five points that rise, a slow cable few of them, and a given share none") {
  Scenario s = scenario(
      "one-node", {"cluster.nodes=2", "cluster.fabric=infiniband-ndr-rail", "training.global_batch=64"});
  const Seconds normal = time_of(s);
  FailureClass spread = slow_class(1.4);
  spread.slowdown_spread = 0.8;
  const std::vector<SlowPoint> table = slow_response(s, spread, normal, 1);
  REQUIRE(table.size() == 5);
  CHECK(table[2].slowdown == Approx(1.4).epsilon(1e-12));
  for (std::size_t i = 1; i < table.size(); ++i) CHECK(table[i].step > table[i - 1].step);
  FailureClass cable = slow_class(4);
  cable.domain = Domain::link;
  const double by_cable = slow_response(s, cable, normal, 1)[0].step;
  CHECK(by_cable >= 1);
  CHECK(by_cable < slow_response(s, slow_class(4), normal, 1)[0].step);
  spread.sensitivity = 0.5;
  s.failures.classes = {spread, slow_class(1.2)};
  const FailureModel model = with_slow_responses(s, normal, 1);
  CHECK(model.classes[0].response.empty());
  CHECK(model.classes[1].response.size() == 1);
}
