// Kinds of groups that meet in the network, and what that costs them.
#include "parallelism/kind_traffic.hpp"

#include <doctest/doctest.h>

#include "tests/parallelism/unfolded_steps.hpp"

using namespace runcast;

namespace {

// 4 nodes of 8 GPUs; tensor 4, pipeline 2, data 4: messages and reductions both leave the node.
StepCase two_kinds() {
  StepCase c;
  c.layout.tensor = 4;
  c.layout.sequence_parallel = true;
  c.layout.pipeline = 2;
  c.layout.data = 4;
  c.layout.order = {Axis::tensor, Axis::data, Axis::context, Axis::pipeline};
  c.training.sharding.kind = Sharding::Kind::zero1;
  return c;
}

}  // namespace

// Each GPU's message and ring go over its one NIC: alone each has it, together half. A kind that is busy for a share u
// of the step leaves the other 1 - u/2 of its rate.
TEST_CASE("a kind that is busy half of the time takes a quarter of the other's rate on a shared NIC") {
  const StepCase c = two_kinds();
  with_input(c, [&](const StepInput& in) {
    const Network alone(in.network->fabric(), packed_placement(32), Fidelity::flow);
    std::vector<KindTraffic> kinds = kind_traffic(alone, *in.layout, simulate_step(in));
    REQUIRE(kinds.size() == 2);
    CHECK(kinds[0].kind == "pipeline");
    CHECK(kinds[1].kind == "data");
    CHECK(kinds[0].groups.size() == 16);
    CHECK(kinds[1].groups.size() == 8);
    for (KindTraffic& kind : kinds) {
      CHECK(kind.busy > 0);
      CHECK(kind.busy < 1);
      kind.busy = 0.5;
    }
    const Network both(in.network->fabric(), packed_placement(32), Fidelity::flow, kinds);
    CHECK(both.left_beside(Collective::all_gather, kinds[1].groups) == doctest::Approx(0.75).epsilon(1e-9));
    CHECK(both.left_beside(Collective::send_receive, kinds[0].groups) == doctest::Approx(0.75).epsilon(1e-9));
    CHECK(alone.left_beside(Collective::send_receive, kinds[0].groups) == 1);
    const auto members = in.layout->group(Axis::data);
    CHECK(both.group(members, 8).inter / alone.group(members, 8).inter ==
          doctest::Approx(0.75).epsilon(1e-9));
    const RankId here(0), there = in.layout->rank(0, 0, 1, 0);
    const Seconds free = alone.point_to_point(here, there, Bytes(1e9)),
                  shared = both.point_to_point(here, there, Bytes(1e9));
    CHECK(free / shared == doctest::Approx(0.75).epsilon(1e-3));
  });
}

TEST_CASE("kinds that stay inside the node, and kinds alone, have nobody to contend with") {
  StepCase c = two_kinds();
  c.layout.order = {Axis::tensor, Axis::context, Axis::pipeline, Axis::data};  // both stages on one node
  with_input(c, [&](const StepInput& in) {
    const Network alone(in.network->fabric(), packed_placement(32), Fidelity::flow);
    const std::vector<KindTraffic> kinds = kind_traffic(alone, *in.layout, simulate_step(in));
    REQUIRE(kinds.size() == 1);
    CHECK(kinds[0].kind == "data");
    const Network same(in.network->fabric(), packed_placement(32), Fidelity::flow, kinds);
    CHECK(same.left_beside(Collective::all_gather, kinds[0].groups) == 1);
  });
}

// Streams of one kind may run beside each other: their times together outlast the step, which they then fill.
TEST_CASE("a kind is busy for its time over the step's, at most for all of it") {
  const StepCase c = two_kinds();
  with_input(c, [&](const StepInput& in) {
    StepResult step;
    step.time = to_clock(Seconds(1));
    CommunicationTotal& data = step.communication.emplace_back();
    data.group = "data";
    data.time = Seconds(0.25);
    CHECK(kind_traffic(*in.network, *in.layout, step).at(0).busy == doctest::Approx(0.25).epsilon(1e-9));
    data.time = Seconds(1.5);
    CHECK(kind_traffic(*in.network, *in.layout, step).at(0).busy == 1);
  });
}
