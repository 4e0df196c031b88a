// Everything breaks at every instant of a short run, under every policy: nothing is lost beyond the last save that
// survived, time closes, and the run never hangs.
#include <doctest/doctest.h>

#include <numeric>

#include "tests/failures/runs.hpp"

using namespace runcast;
using namespace runcast::literals;

namespace {

// 40 steps of 1 s on 8 nodes; durable every 10 s (block 1 s, durable 3 s later), copies in memory every 2 s.
RunInput short_run(const RecoveryPolicy& policy) {
  RecoverySettings recovery;
  recovery.policy = policy.name;
  recovery.spares = 3;
  recovery.cold_spares = 1;
  recovery.detect = Seconds(1);
  recovery.diagnose = Seconds(2);
  recovery.reschedule = Seconds(1);
  recovery.start = Seconds(2);
  recovery.initialize = Seconds(1);
  recovery.load = Seconds(1);
  recovery.warm_up = Seconds(1);
  recovery.stall = Seconds(1);
  recovery.rejoin = Seconds(1);
  recovery.spread = 0;
  recovery.replication_pace = 1;  // else no save is durable between two strokes
  recovery.memory.interval = Seconds(2);
  RunInput in;
  in.steps.phases = {{20, Seconds(1), {}}, {10, Seconds(2), {}}};
  in.scale = {8, 8, 8, 0};
  in.scale.nodes_per_leaf = 2;
  in.scale.nodes_per_rack = 4;
  in.checkpoint.levels = {
      {"durable", Seconds(10), Seconds(1), Seconds(3), Seconds(1), 1, TierKind::parallel_fs}};
  in.checkpoint = with_memory_level(in.checkpoint, recovery, in.scale);
  in.recovery = resolve(recovery, in.scale, in.failures);
  return in;
}

FailureClass blow(Action action, Domain domain, double at) {
  FailureClass failure = test::clockwork(at, action);
  failure.domain = domain;
  failure.size = domain == Domain::group ? 3 : domain >= Domain::leaf ? 0 : 1;
  failure.repair = Seconds(30);
  failure.duration = Seconds(5);
  failure.slowdown = 2;
  failure.notice = Seconds(6);
  failure.lookback = Seconds(4);
  failure.detect = Seconds(3);
  failure.evict = true;
  return failure;
}

void check_run(const RunInput& in, std::int64_t most_lost) {
  RunRecord record;
  const RunResult r = simulate_run(in, 1, 0, &record);
  CHECK(r.finished);
  CHECK(r.of(Bucket::useful) == ideal_time(in.steps));
  Duration sum;
  for (const Duration d : r.ledger) sum += d;
  CHECK(sum == r.wall);
  for (const RunEvent& e : record.events) {
    CHECK(e.lost.ns >= 0);
    if (e.effect != "rollback") CHECK(e.lost.ns <= most_lost);
  }
}

}  // namespace

TEST_CASE(
    "every kind of failure at every half second, under every policy, loses at most what was not durable") {
  // Between two durable saves lie 10 s of work, and a save is durable 4 s after it begins: at most 10 + 3 s of work and
  // the step at hand (2 s) are lost. The clockwork strikes again and again at multiples of the instant.
  const Duration most_lost = 15_s;
  for (const RecoveryPolicy& policy : recovery_policies()) {
    const RunInput plain = short_run(policy);
    for (const auto& [action, domain] : {std::pair{Action::swap, Domain::node},
                                         {Action::swap, Domain::group},
                                         {Action::swap, Domain::rack},
                                         {Action::reset, Domain::node},
                                         {Action::retry, Domain::job},
                                         {Action::retry, Domain::storage},
                                         {Action::planned, Domain::job},
                                         {Action::corrupt, Domain::job},
                                         {Action::slow, Domain::node},
                                         {Action::rollback, Domain::job},
                                         {Action::preempt, Domain::node},
                                         {Action::outage, Domain::storage},
                                         {Action::stall, Domain::link},
                                         {Action::swap, Domain::leaf}})
      for (double at = 21.5; at < 75; at += 0.5) {
        RunInput in = plain;
        in.failures.clock = HazardClock::up;
        in.failures.classes = {blow(action, domain, at)};
        CAPTURE(policy.name);
        const auto this_action = static_cast<int>(action);
        CAPTURE(this_action);
        const auto this_domain = static_cast<int>(domain);
        CAPTURE(this_domain);
        CAPTURE(at);
        check_run(in, most_lost.ns);
      }
  }
}

TEST_CASE("failures on the calendar strike recoveries too, at every instant, and the run still ends") {
  // Up to 9 s of recovery, 30 s of waiting: an event at each multiple of 47.x s hits every state in turn.
  for (const RecoveryPolicy& policy : recovery_policies()) {
    for (double at = 47; at < 80; at += 0.5) {
      RunInput in = short_run(policy);
      in.failures.clock = HazardClock::always;
      in.failures.classes = {blow(Action::swap, Domain::node, at),
                             blow(Action::reset, Domain::node, at * 1.07)};
      in.failures.classes[1].name = "second";
      CAPTURE(policy.name);
      CAPTURE(at);
      check_run(in, (15_s).ns);
    }
  }
}

TEST_CASE("an outage of the storage delays restarts and voids the saves that it meets") {
  // Outage from 1,000 s for long; a failure at 1,200 s: the restart waits for the storage, then goes back to the save of
  // 900 (durable before the outage). With an object store nothing waits.
  RunInput in = test::simple_run(1, {300, 10, 0}, 100);
  FailureClass outage = test::clockwork(1000, Action::outage);
  outage.domain = Domain::storage;
  outage.duration = Seconds(1e-3);
  FailureClass failure = test::clockwork(1200);
  failure.name = "failure";
  in.failures.classes = {outage, failure};
  in.window = Seconds(1400);
  const RunResult brief = simulate_run(in, 1, 0);
  CHECK(test::seconds_in(brief, Bucket::restart) == doctest::Approx(100).epsilon(1e-6));
  in.failures.classes[0].duration = Seconds(1e6);
  const RunResult lasting = simulate_run(in, 1, 0);
  CHECK(test::seconds_in(lasting, Bucket::restart) ==
        doctest::Approx(200).epsilon(1e-6));  // to the window's end
  in.checkpoint.levels[0].kind = TierKind::object_store;
  CHECK(test::seconds_in(simulate_run(in, 1, 0), Bucket::restart) == doctest::Approx(100).epsilon(1e-6));
}

TEST_CASE("a preemption with enough notice loses at most a step, one without loses the interval") {
  RunInput in = test::simple_run(1, {300, 10, 20}, 100);
  in.scale.nodes = 4;
  FailureClass preempt = test::clockwork(1000, Action::preempt);
  preempt.domain = Domain::node;
  preempt.repair = Seconds(0);
  preempt.notice = Seconds(120);
  in.failures.classes = {preempt};
  in.recovery.policy = find_recovery_policy("hot_spare");
  in.recovery.spares = 1;
  in.window = Seconds(1500);
  CHECK(test::seconds_in(simulate_run(in, 1, 0), Bucket::recomputed) < 1.001);
  in.failures.classes[0].notice = Seconds(20);  // a save takes 30 s
  CHECK(test::seconds_in(simulate_run(in, 1, 0), Bucket::recomputed) == doctest::Approx(70).epsilon(1e-6));
}

TEST_CASE("a corruption that is older than all retained saves costs the run, an archive keeps it") {
  // Onset at 1,000 s (work 970), found 2,000 s later; saves every 300 s. All are kept: back to 900. The newest two: back
  // to the start; with one in 500 s of work archived: back to 500.
  RunInput in = test::simple_run(1, {300, 0, 0}, 0);
  FailureClass corruption = test::clockwork(1000, Action::corrupt);
  corruption.detect = Seconds(2000);
  in.failures.classes = {corruption};
  in.window = Seconds(3999);
  const auto again = [&] { return test::seconds_in(simulate_run(in, 1, 0), Bucket::sdc); };
  CHECK(again() == doctest::Approx(999).epsilon(1e-3));  // to the window's end it repeats from 900 on
  in.checkpoint.retain = 2;
  RunRecord record;
  simulate_run(in, 1, 0, &record);
  REQUIRE(!record.events.empty());
  CHECK(to_seconds(record.events[0].lost).value == doctest::Approx(3000).epsilon(1e-3));
  in.checkpoint.archive = Seconds(500);
  record = {};
  simulate_run(in, 1, 0, &record);
  CHECK(to_seconds(record.events[0].lost).value == doctest::Approx(2500).epsilon(1e-3));
}

TEST_CASE("600,000 GPUs under every policy: each trial closes, whether it gets anywhere or not") {
  // 75,000 nodes, one failure in some minutes; links fewer than the library has them.
  for (const RecoveryPolicy& policy : recovery_policies()) {
    RecoverySettings recovery;
    recovery.policy = policy.name;
    RunInput in;
    in.steps.phases = {{2'000, Seconds(20), {}}};
    in.scale = {75'000, 8, 4'687, 405e9};
    in.failures = test::library_failures("places");
    for (FailureClass& failure : in.failures.classes)
      if (failure.name == "link_flap" || failure.name == "link") failure.rate.rate *= 0.01;
    in.checkpoint = with_memory_level(
        resolve(CheckpointSettings{}, in.scale, unplanned_rate(in.failures, in.scale)), recovery, in.scale);
    in.recovery = resolve(recovery, in.scale, in.failures);
    in.window = Seconds(kDay);
    CAPTURE(policy.name);
    REQUIRE(problems(in).empty());
    const RunResult r = simulate_run(in, 1, 0);
    CHECK(r.wall == to_clock(Seconds(kDay)));
    CHECK(r.unplanned > 50);
  }
}
