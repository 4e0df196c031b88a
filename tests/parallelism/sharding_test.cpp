// What groups, owners, accumulation and transfers add to a step, each told from a twin that differs in it alone.
#include <doctest/doctest.h>

#include "sim/units.hpp"
#include "tests/parallelism/steps.hpp"

namespace runcast {
namespace {

double seconds(Duration d) { return to_seconds(d).value; }

// LLaMA-3 8B by data parallelism alone; nothing but what a test sets differs between two steps.
StepCase data_parallel(int ranks) {
  StepCase c;
  c.layout.data = ranks;
  c.training.sharding.kind = Sharding::Kind::zero1;
  c.profile.jitter = 0;
  c.microbatches = 4;
  return c;
}

double total_of(const StepResult& r, const std::string& collective) {
  double sum = 0;
  for (const CommunicationTotal& total : r.communication)
    if (total.group == "data" && total.collective == collective) sum += total.time.value;
  return sum;
}

TEST_CASE("owners that broadcast one after the other add their overhead once a rank and step") {
  StepCase c = data_parallel(16);
  c.profile.overlap_parameters = false;  // the gather stands before the first forward pass
  const double before = seconds(c.run().time);
  c.profile.owner_overhead = Seconds(1e-3);
  // 16 owners x 1 ms; whole nanoseconds a bucket round up by less than 1 us in all.
  CHECK(seconds(c.run().time) - before == doctest::Approx(16e-3).epsilon(1e-4));
}

TEST_CASE("an optimizer shared by one node's ranks does not gather over the network") {
  StepCase whole = data_parallel(64), node = data_parallel(64);
  node.training.sharding.group = 8;
  // Parameters come from 64 ranks over NICs, or from 8 over NVLink, which is faster whatever the ring.
  const StepResult a = whole.run(), b = node.run();
  CHECK(total_of(b, "all_gather") < total_of(a, "all_gather"));
  // Gradients must then be whole in each node: an all-reduce over all replicas, at least a reduce-scatter's time.
  CHECK(total_of(b, "reduce_scatter") + total_of(b, "all_reduce") >= total_of(a, "reduce_scatter"));
}

TEST_CASE("gradients that are added by a kernel of their own cost their traffic for each micro-batch") {
  StepCase fused = data_parallel(1), separate = data_parallel(1);
  fused.training.sharding.kind = separate.training.sharding.kind = Sharding::Kind::none;
  separate.profile.accumulation = GradientAccumulation::separate;
  // The fused epilogue moves 3 B an element of the weight gradients, the separate kernel 2 + 2 x 4 B and its launch.
  CHECK(separate.run().time > fused.run().time);
  separate.profile.gradient_bytes = 2;  // 16-bit main gradients: 6 B instead of 10
  StepCase wide = separate;
  wide.profile.gradient_bytes = 4;
  CHECK(separate.run().time < wide.run().time);
}

TEST_CASE("a slower network moves idle time into transfers and leaves the schedule's own bubble alone") {
  StepCase fast, slow;
  for (StepCase* c : {&fast, &slow}) {
    c->layout.tensor = 8;  // each pipeline rank is a node, so that messages cross the network
    c->layout.sequence_parallel = true;
    c->layout.pipeline = 4;
    c->point_to_point = PointToPoint::async;
  }
  slow.node.nic.bandwidth = fast.node.nic.bandwidth * 0.1;
  const StepResult a = fast.run(), b = slow.run();
  CHECK(b.breakdown.bubble == a.breakdown.bubble);
  CHECK(b.breakdown.pipeline_exposed > a.breakdown.pipeline_exposed);
  CHECK(a.breakdown.pipeline_exposed > Duration{});
}

TEST_CASE("ZeRO-3 without overlap exposes every gather and reduction") {
  StepCase hidden = data_parallel(16), exposed = data_parallel(16);
  hidden.training.sharding.kind = exposed.training.sharding.kind = Sharding::Kind::zero3;
  exposed.training.overlap.data = false;
  const StepResult a = hidden.run(), b = exposed.run();
  CHECK(b.time > a.time);
  CHECK(seconds(b.breakdown.data_exposed) ==
        doctest::Approx(total_of(b, "all_gather") + total_of(b, "reduce_scatter")).epsilon(1e-4));
}

}  // namespace
}  // namespace runcast
