// The unfolded step against the folded one where all ranks are equal, and against what is known where they are not.
#include "parallelism/unfolded_step.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/parallelism/unfolded_steps.hpp"

using namespace runcast;

namespace {

StepCase small_case() {
  StepCase c;
  c.layout.tensor = 2;
  c.layout.sequence_parallel = true;
  c.layout.pipeline = 4;
  c.layout.data = 4;
  c.training.sharding.kind = Sharding::Kind::zero1;
  c.microbatches = 8;
  return c;
}

void check_equal(const StepCase& c) {
  const StepResult folded = c.run();
  const UnfoldedResult unfolded = unfold(c);
  const StepBreakdown &a = folded.breakdown, &b = unfolded.step.breakdown;
  CHECK(unfolded.step.time.ns == folded.time.ns);
  CHECK(unfolded.step.last_rank == folded.last_rank);
  CHECK(b.compute.ns == a.compute.ns);
  CHECK(b.tensor_exposed.ns == a.tensor_exposed.ns);
  CHECK(b.context_exposed.ns == a.context_exposed.ns);
  CHECK(b.expert_exposed.ns == a.expert_exposed.ns);
  CHECK(b.pipeline_exposed.ns == a.pipeline_exposed.ns);
  CHECK(b.data_exposed.ns == a.data_exposed.ns);
  CHECK(b.bubble.ns == a.bubble.ns);
  CHECK(b.optimizer.ns == a.optimizer.ns);
  CHECK(b.other.ns == a.other.ns);
  CHECK(unfolded.step.mfu == doctest::Approx(folded.mfu).epsilon(1e-12));
}

}  // namespace

TEST_CASE("folded and unfolded agree to the nanosecond in every schedule") {
  for (const char* schedule :
       {"gpipe", "1f1b", "interleaved_1f1b", "zb_h1", "zb_h2", "zb_v", "dualpipe", "dualpipe_v"}) {
    CAPTURE(schedule);
    StepCase c = small_case();
    c.schedule = schedule;
    const std::string name = schedule;
    c.virtual_stages = name == "interleaved_1f1b" || name == "zb_v" || name == "dualpipe_v" ? 2 : 1;
    if (name == "dualpipe") c.virtual_stages = 2;
    c.microbatches = 16;
    check_equal(c);
  }
}

TEST_CASE("folded and unfolded agree to the nanosecond with every way to send messages") {
  for (const PointToPoint mode : {PointToPoint::blocking, PointToPoint::async, PointToPoint::overlapped})
    for (const char* schedule : {"1f1b", "interleaved_1f1b", "gpipe"}) {
      CAPTURE(static_cast<int>(mode));
      CAPTURE(schedule);
      StepCase c = small_case();
      c.point_to_point = mode;
      c.schedule = schedule;
      c.virtual_stages = std::string(schedule) == "interleaved_1f1b" ? 2 : 1;
      check_equal(c);
    }
}

TEST_CASE("folded and unfolded agree to the nanosecond with every sharding, with and without overlap") {
  for (const Sharding::Kind kind : {Sharding::Kind::none, Sharding::Kind::zero1, Sharding::Kind::zero2,
                                    Sharding::Kind::zero3, Sharding::Kind::hsdp})
    for (const bool overlap : {true, false}) {
      CAPTURE(name_of(kind));
      CAPTURE(overlap);
      StepCase c = small_case();
      c.schedule = "interleaved_1f1b";
      c.virtual_stages = 2;
      c.training.sharding.kind = kind;
      if (kind == Sharding::Kind::hsdp) c.training.sharding.group = 2;
      c.training.overlap.data = overlap;
      check_equal(c);
    }
}

TEST_CASE("folded and unfolded agree to the nanosecond at several sizes and layouts") {
  struct Shape {
    int tensor, context, pipeline, data;
  };
  for (const Shape s : {Shape{1, 1, 1, 1},
                        {1, 1, 1, 8},
                        {8, 1, 1, 1},
                        {1, 1, 4, 1},
                        {8, 1, 2, 4},
                        {2, 2, 2, 4},
                        {1, 4, 2, 2},
                        {4, 1, 8, 16},
                        {8, 2, 4, 32}}) {
    CAPTURE(s.tensor);
    CAPTURE(s.context);
    CAPTURE(s.pipeline);
    CAPTURE(s.data);
    StepCase c = small_case();
    c.layout.tensor = s.tensor;
    c.layout.sequence_parallel = s.tensor > 1;
    c.layout.context = s.context;
    c.layout.pipeline = s.pipeline;
    c.layout.data = s.data;
    check_equal(c);
  }
}

TEST_CASE("folded and unfolded agree to the nanosecond with the data axis inside the pipeline axis") {
  StepCase c = small_case();
  c.layout.order = {Axis::tensor, Axis::context, Axis::data, Axis::pipeline};
  check_equal(c);
}

TEST_CASE("folded and unfolded agree to the nanosecond with experts spread over replicas") {
  StepCase c = small_case();
  c.model = load_model("mixtral-8x7b");
  c.layout.expert = 8;
  check_equal(c);
}

TEST_CASE("a slowdown factor of 1 changes nothing") {
  const StepCase c = small_case();
  const UnfoldedResult nominal = unfold(c), one = unfold(c, one_slow(c, RankId(5), 1));
  CHECK(nominal.step.time.ns == one.step.time.ns);
  CHECK(nominal.step.time.ns == nominal.symmetric.ns);
  CHECK(nominal.waited_for.value == -1);  // equal replicas do not wait for each other
}

TEST_CASE("a slower GPU never makes the step faster, wherever it is") {
  for (const PointToPoint mode : {PointToPoint::blocking, PointToPoint::overlapped})
    for (const int rank : {0, 7, 13, 31}) {
      CAPTURE(rank);
      StepCase c = small_case();
      c.point_to_point = mode;
      Duration before = c.run().time;
      for (const double factor : {1.001, 1.01, 1.1, 1.5, 3.0}) {
        const Duration now = unfold(c, one_slow(c, RankId(rank), factor)).step.time;
        CHECK(now.ns > before.ns);
        before = now;
      }
    }
}

TEST_CASE(
    "one GPU 10 % slow on the first, a middle or the last stage slows the step as its critical path says") {
  for (const int stage : {0, 1, 3}) {
    CAPTURE(stage);
    const StepCase c = small_case();
    const RankId slow = c.layout.rank(1, 0, stage, 2);
    const UnfoldedResult nominal = unfold(c), r = unfold(c, one_slow(c, slow, 1.1), true);
    // The path goes through the slow GPU, and the step has grown by no more than the GPU has lost on it.
    CHECK(r.slowest == slow);
    CHECK(r.step.time > nominal.step.time);
    // (10 %: compute beside the data stream loses a share of itself again, and the job's fitted spread is a share.)
    const double growth = to_seconds(r.step.time - nominal.step.time).value;
    CHECK(growth <= to_seconds(r.slowest_adds).value * 1.1);
    // The other replicas wait for a rank of the slow one in the reductions.
    const int replica_of = r.waited_for.value / (c.layout.tensor * c.layout.pipeline);
    CHECK(replica_of == 2);
    for (const CauseShare& share : r.causes) {
      CAPTURE(name_of(share.cause));
      CHECK(share.saved_per_second <= 1.1);  // as above
      CHECK(share.saved_per_second >= 0);
    }
  }
}

TEST_CASE("the shares of the critical path add up to the step") {
  for (const char* schedule : {"1f1b", "interleaved_1f1b", "zb_h1", "dualpipe"})
    for (const PointToPoint mode : {PointToPoint::blocking, PointToPoint::overlapped})
      for (const double factor : {1.0, 1.2}) {
        CAPTURE(schedule);
        CAPTURE(factor);
        StepCase c = small_case();
        c.schedule = schedule;
        c.point_to_point = mode;
        c.virtual_stages =
            std::string(schedule) == "interleaved_1f1b" || std::string(schedule) == "dualpipe" ? 2 : 1;
        c.training.sharding.kind = Sharding::Kind::zero2;
        const UnfoldedResult r = unfold(c, one_slow(c, RankId(9), factor), true);
        Duration sum{};
        for (const CauseShare& share : r.causes) sum += share.time;
        CHECK(sum.ns == r.step.time.ns);
      }
}

TEST_CASE("jitter makes every group wait for its slowest member: the step grows, the same with one seed") {
  StepCase c = small_case();
  RankConditions noise;
  noise.jitter = 0.05;
  const UnfoldedResult a = unfold(c, noise, true), b = unfold(c, noise), calm = unfold(c);
  CHECK(a.step.time.ns == b.step.time.ns);
  CHECK(a.step.time.ns > calm.step.time.ns);
  // The mean of the slower of two lognormal draws of 5 % is 0.05 / sqrt(pi) = 2.8 % above the mean.
  const double growth = to_seconds(a.step.time) / to_seconds(calm.step.time) - 1;
  CHECK(growth > 0.01);
  CHECK(growth < 0.06);
}

// A stage amid the pipeline is 8 equal layers: with every host at half its pace it takes what it takes with twice the
// time of a layer's issue, as (gpu^4 + host^4)^(1/4) of each of them. A layer of 2048 tokens takes the GPU about
// as long as the millisecond of its issue.
TEST_CASE("hosts at half their pace are hosts with twice the work, in passes of any length") {
  StepCase c = small_case();
  c.training.sequence_length = 2048;
  c.profile.host_per_layer = Seconds(1e-3);
  const auto own = [](const StepCase& of, double host) {
    RankConditions conditions;
    conditions.gpu.assign(static_cast<std::size_t>(of.layout.world()), 1);
    conditions.host.assign(conditions.gpu.size(), host);
    UnfoldedModel model;
    with_input(of, [&](const StepInput& in) { plan_unfolded(in, conditions, 1, false, model); });
    const UnfoldedPass& pass = model.plan.passes.at(model.plan.pass_of.at(1).at(0));
    const Duration length = pass.own.empty() ? pass.nominal_own() : pass.own.front();
    return 1e3 * to_seconds(length).value;
  };
  const double slow = own(c, 2), nominal = own(c, 1);
  c.profile.host_per_layer = Seconds(2e-3);
  CHECK(slow == doctest::Approx(own(c, 1)).epsilon(1e-6));
  CHECK(slow > 1.2 * nominal);
  CHECK(slow < 1.9 * nominal);
}
