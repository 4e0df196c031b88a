// Small unfolded pipelines, derived by hand. Unless a case says otherwise: a forward takes 1 ms, a backward 2 ms,
// messages nothing.
#include "parallelism/unfolded_execution.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "parallelism/critical_path.hpp"

using namespace runcast;
using namespace runcast::literals;

namespace {

// p pipeline ranks of `replicas` x `tensor` members, each replica's tensor group a cell with `collectives` a pass.
struct Small {
  PipelineSchedule schedule;
  UnfoldedPlan plan;

  Small(const char* name, int ranks, int microbatches, int replicas, int tensor,
        std::int64_t collectives = 0) {
    ScheduleRequest request;
    request.ranks = ranks;
    request.microbatches = microbatches;
    schedule = find_schedule(name)->build(request);
    plan.schedule = &schedule;
    plan.members = replicas * tensor;
    plan.cells = replicas;
    plan.tensor = tensor;
    for (int q = 0; q < plan.members; ++q) plan.tensor_of.push_back(static_cast<std::int16_t>(q % tensor));
    plan.pass_of.resize(schedule.slots.size());
    plan.links.resize(schedule.slots.size() * schedule.slots.size());
    for (std::size_t rank = 0; rank < schedule.slots.size(); ++rank) {
      for (const Duration length : {1_ms, 2_ms}) {
        UnfoldedPass pass;
        pass.compute = length;
        pass.collectives = collectives;
        plan.passes.push_back(pass);
      }
      for (const Slot& slot : schedule.slots[rank])
        plan.pass_of[rank].push_back(
            static_cast<std::uint32_t>(2 * rank + (slot.pass == Pass::forward ? 0 : 1)));
      plan.data.emplace_back(static_cast<std::size_t>(schedule.stages));
      plan.stream_free.emplace_back(static_cast<std::size_t>(tensor));
    }
  }

  // Member q of a pipeline rank takes f times as long.
  void slow(int rank, int q, double f) {
    for (const std::size_t pass :
         {2 * static_cast<std::size_t>(rank), 2 * static_cast<std::size_t>(rank) + 1}) {
      UnfoldedPass& one = plan.passes[pass];
      if (one.own.empty()) one.own.assign(static_cast<std::size_t>(plan.members), one.compute);
      Duration& own = one.own[static_cast<std::size_t>(q)];
      own = Duration{static_cast<std::int64_t>(static_cast<double>(own.ns) * f)};
    }
  }
  void reduce(Duration length, int buckets = 1) {
    for (std::size_t rank = 0; rank < plan.data.size(); ++rank) {
      plan.data[rank][rank].reduce.assign(static_cast<std::size_t>(plan.tensor), length);
      plan.data[rank][rank].buckets = buckets;
    }
  }
  void messages(Duration length) {
    for (UnfoldedLink& link : plan.links) link.nominal = length;
  }
};

Duration makespan(const UnfoldedTrace& trace) {
  Time last{};
  for (const Time end : trace.gradients_end) last = std::max(last, end);
  return last - Time{};
}

}  // namespace

TEST_CASE("equal ranks of a 1F1B pipeline take (m + p - 1)(F + B) in every replica") {
  // (8 + 4 - 1) x 3 ms = 33 ms; rank 0 ends last.
  Small s("1f1b", 4, 8, 3, 2, 2);
  const UnfoldedTrace trace = execute(s.plan);
  CHECK(makespan(trace) == 33_ms);
  for (int q = 0; q < 6; ++q) CHECK(trace.gradients_end[static_cast<std::size_t>(q)] == Time{} + 33_ms);
  for (const Duration wait : trace.cell_wait) CHECK(wait == 0_ms);
  // 4 ranks x 16 slots x 6 members, and 8 messages up and down 3 links for each member.
  CHECK(trace.rank_events == 4 * 16 * 6 + 2 * 8 * 3 * 6);
}

TEST_CASE("a rank 1.5 times slower on the first, second or last stage of 1F1B takes 40.5, 42 or 45 ms") {
  // The slow rank s (F 1.5, B 3) gets its first forward at s and the gradient of it 3 (3 - s) after that; from then
  // on it works without a gap: 8 B and the 4 + s F after the warm-up. Then the gradient passes s ranks, 2 each.
  //   s = 0:  1.5 + 9 + 8 x 3 + 4 x 1.5     = 40.5    slow on it: 0.5 + 8 + 2
  //   s = 1:  1 + 1.5 + 6 + 24 + 7.5 + 2    = 42      0.5 + 8 + 2.5
  //   s = 3:  3 + 8 x 4.5 + 6               = 45      8 x 1.5
  struct Case {
    int rank;
    Duration step, slowdown;
  };
  for (const Case c :
       {Case{0, Duration{40'500'000}, Duration{10'500'000}}, {1, 42_ms, 11_ms}, {3, 45_ms, 12_ms}}) {
    CAPTURE(c.rank);
    Small s("1f1b", 4, 8, 2, 1);
    s.slow(c.rank, 1, 1.5);
    const UnfoldedTrace trace = execute(s.plan);
    CHECK(makespan(trace).ns == c.step.ns);
    CHECK(trace.gradients_end[0] == Time{} + 33_ms);  // the other replica does not care
    const CriticalPath path = critical_path(s.plan, trace, 0, 1);
    CHECK(path.by_cause(PathCause::slowdown).ns == c.slowdown.ns);
    CHECK(path.by_cause(PathCause::compute).ns == (c.step - c.slowdown).ns);
  }
}

TEST_CASE("replicas wait for the slow one in the reduction of their gradients") {
  // As above (s = 1) with a reduction of 5 ms on each rank, which begins when the last replica has its gradients: on
  // rank 0 at 42 ms, not at 33. The others' own slots end at 33 all the same.
  Small s("1f1b", 4, 8, 3, 1);
  s.slow(1, 2, 1.5);
  s.reduce(5_ms);
  const UnfoldedTrace trace = execute(s.plan);
  CHECK(makespan(trace) == 47_ms);
  for (const std::size_t q : {0U, 1U}) {
    CHECK(trace.slots_end[q] == Time{} + 33_ms);
    CHECK(trace.gradients_end[q] == Time{} + 47_ms);
    CHECK(trace.replica_wait[q] == 9_ms);
  }
  CHECK(trace.replica_wait[2] == 0_ms);
  // The path of a replica that waited leads through the reduction to the slow one.
  const CriticalPath path = critical_path(s.plan, trace, 0, 0);
  CHECK(path.by_cause(PathCause::data) == 5_ms);
  CHECK(path.by_cause(PathCause::slowdown) == 11_ms);
  REQUIRE(path.visits.size() >= 2);
  CHECK(path.visits.back().member == 0);
  CHECK(path.visits.back().over == PathVisit::Over::reduction);
  CHECK(path.visits[path.visits.size() - 2].member == 2);
}

TEST_CASE("a group goes at the pace of its slowest member between its first and last collective") {
  // One rank, one micro-batch, 3 collectives a pass: 4 stretches of 0.25 ms. Member 1 is 1.2 times slower: 0.3 ms.
  // Forward: they meet at 0.3, part at 0.3 + 2 x 0.3 = 0.9, end at 1.15 and 1.2. Backward (stretches of 0.5 and 0.6):
  // member 0 would meet at 1.65, member 1 at 1.8; part at 3.0; end at 3.5 and 3.6.
  Small s("1f1b", 1, 1, 1, 2, 3);
  s.slow(0, 1, 1.2);
  const UnfoldedTrace trace = execute(s.plan);
  CHECK(trace.end[trace.at(0, 0, 0)] == Time{1'150'000});
  CHECK(trace.end[trace.at(0, 0, 1)] == Time{1'200'000});
  CHECK(trace.end[trace.at(0, 1, 0)] == Time{3'500'000});
  CHECK(trace.end[trace.at(0, 1, 1)] == Time{3'600'000});
  // Member 0 waited 0.05 + 0.1 in the forward and 0.15 + 0.2 in the backward.
  CHECK(trace.cell_wait[0] == Duration{500'000});
  CHECK(trace.cell_wait[1] == Duration{0});
}

TEST_CASE("members without collectives in a pass keep their own pace") {
  Small s("1f1b", 1, 2, 1, 2, 0);
  s.slow(0, 1, 2);
  const UnfoldedTrace trace = execute(s.plan);
  CHECK(trace.gradients_end[0] == Time{} + 6_ms);
  CHECK(trace.gradients_end[1] == Time{} + 12_ms);
}

TEST_CASE("a slow link delays the messages of its own rank alone") {
  // Two ranks, one micro-batch: F at 0-1, message 0.5, F 1.5-2.5, B 2.5-4.5, message 0.5, B 5-7. With 0.5 more on
  // the way there for replica 1: 7.5 ms.
  Small s("1f1b", 2, 1, 2, 1);
  s.messages(Duration{500'000});
  s.plan.links[1].of_member = {Duration{500'000}, 1_ms};  // from rank 0 to rank 1
  const UnfoldedTrace trace = execute(s.plan);
  CHECK(trace.gradients_end[0] == Time{} + 7_ms);
  CHECK(trace.gradients_end[1] == Time{7'500'000});
  CHECK(critical_path(s.plan, trace, 0, 1).by_cause(PathCause::transfer) == Duration{1'500'000});
}

TEST_CASE("a blocking message holds both ends, and the path goes through the receiver that was busy") {
  // gpipe, p = 2, m = 2, messages of 1 ms. Rank 0: F0 0-1, send 1-2, F1 2-3, send when rank 1 is free. Rank 1: F0
  // 2-3, receives 3-4, F1 4-5, B0 5-7, sends 7-8, B1 8-10, sends 10-11. Rank 0: B0 8-10 (held 7-8), takes 10-11, B1
  // 11-13.
  Small s("gpipe", 2, 2, 1, 1);
  s.plan.point_to_point = PointToPoint::blocking;
  s.messages(1_ms);
  const UnfoldedTrace trace = execute(s.plan);
  CHECK(makespan(trace) == 13_ms);
  const CriticalPath path = critical_path(s.plan, trace, 0, 0);
  Duration sum{};
  for (const PathSegment& segment : path.segments) sum += segment.to - segment.from;
  CHECK(sum == 13_ms);
  CHECK(path.by_cause(PathCause::transfer) + path.by_cause(PathCause::compute) == 13_ms);
}

TEST_CASE("all ranks slow by f are a pipeline whose compute is f times as long") {
  Small slow("1f1b", 4, 8, 2, 2, 3), scaled("1f1b", 4, 8, 2, 2, 3);
  slow.messages(Duration{300'000});
  scaled.messages(Duration{300'000});
  for (int rank = 0; rank < 4; ++rank)
    for (int q = 0; q < 4; ++q) slow.slow(rank, q, 1.25);
  for (UnfoldedPass& pass : scaled.plan.passes) pass.compute = Duration{pass.compute.ns * 5 / 4};
  const UnfoldedTrace a = execute(slow.plan), b = execute(scaled.plan);
  for (std::size_t i = 0; i < a.gradients_end.size(); ++i) CHECK(a.gradients_end[i] == b.gradients_end[i]);
}

TEST_CASE("a fast replica's slots that run beside a late reduction are slowed from where it begins") {
  // One stage, m = 2, gradients reduced after each micro-batch (ZeRO-2, N = 1) in 2 ms; compute beside loses half.
  // gpipe: F0 F1 B0 B1. Replica 0: F 0-1-2, B0 2-4; replica 1 is twice as slow: F 0-2-4, B0 4-8.
  // The first reduction begins at 8 when replica 1 has its gradients, and ends at 10. Replica 0's B1 is gated until
  // then: 10-12; replica 1's too: 10-14. The second reduction begins at 14: 16.
  Small s("gpipe", 1, 2, 2, 1);
  s.slow(0, 1, 2);
  s.reduce(2_ms);
  s.plan.holds_gradients = true;
  s.plan.overlap_slowdown = 0.5;
  const UnfoldedTrace trace = execute(s.plan);
  CHECK(trace.end[trace.at(0, 3, 0)] == Time{} + 12_ms);
  CHECK(trace.end[trace.at(0, 3, 1)] == Time{} + 14_ms);
  CHECK(makespan(trace) == 16_ms);
  // Waiting: replica 0 for the first reduction 8 - 4, for its gate 10 - 4, for the second 14 - 12.
  CHECK(trace.replica_wait[0] == 12_ms);
}

TEST_CASE("without overlap the reductions follow the last replica's last slot") {
  // Replica 1 is 1.5 times slower: (4 + 1) x 4.5 = 22.5 ms, then 3 ms.
  Small s("1f1b", 2, 4, 2, 1);
  s.slow(0, 1, 1.5);
  s.slow(1, 1, 1.5);
  s.reduce(3_ms);
  s.plan.overlap_data = false;
  const UnfoldedTrace trace = execute(s.plan);
  CHECK(trace.gradients_end[0] == Time{25'500'000});
  CHECK(trace.gradients_end[1] == Time{25'500'000});
  CHECK(trace.replica_wait[0] == Duration{7'500'000});
  CHECK(critical_path(s.plan, trace, 0, 0).by_cause(PathCause::data) == 3_ms);
}

TEST_CASE("a plan with a cause scaled takes that much less of it") {
  Small s("1f1b", 4, 8, 2, 1);
  s.slow(3, 1, 1.5);  // the last rank: 8 x 3 f + 9
  CHECK(makespan(execute(with_cause_scaled(s.plan, PathCause::slowdown, 0))) == 33_ms);
  CHECK(makespan(execute(with_cause_scaled(s.plan, PathCause::slowdown, 0.5))) == 39_ms);
  CHECK(makespan(execute(with_cause_scaled(s.plan, PathCause::transfer, 0))) == 45_ms);
}
