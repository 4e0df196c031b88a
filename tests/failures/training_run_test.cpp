#include "failures/training_run.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "failures/save_history.hpp"
#include "failures/save_levels.hpp"
#include "tests/failures/runs.hpp"

using namespace runcast;
using namespace runcast::literals;
using doctest::Approx;
using test::clockwork;
using test::seconds_in;
using test::simple_run;

namespace {

constexpr double kNear = 1e-8;  // clockwork failures are exact to some nanoseconds in 1,000 s

}  // namespace

TEST_CASE("without failures a run takes its steps and its saves, to the nanosecond") {
  // 1,000 steps of 7 s; 60 s rounds up to 9 steps = 63 s between saves; saves after 63, 126, .. < 7,000 s:
  // 111; the last one waits until it is durable: 2 + 60 s.
  RunInput in = simple_run(1000, {60, 2, 60}, 0);
  in.steps.phases[0].step_time = Seconds(7);
  const RunResult r = simulate_run(in, 1, 0);
  CHECK(r.wall == ideal_time(in.steps) + 2_s * 111 + 62_s);
  CHECK(r.of(Bucket::useful) == 7000_s);
  CHECK(r.of(Bucket::checkpoint) == 284_s);
  CHECK(r.saves == 112);
  CHECK(r.finished);
  CHECK(r.interruptions() == 0);
}

TEST_CASE("phases of different step times keep their saves on step boundaries") {
  // 10 steps of 3 s, then 10 of 5 s; every 12 s: 4 steps of the first kind: saves at 12, 24; then 36 lies in
  // the second phase (30 + 5 k): 40; then 52 -> 55; 67 -> 70; 80 is the end. 5 saves and the last.
  RunInput in = simple_run(0, {12, 1, 0}, 0);
  in.steps.phases = {{10, Seconds(3), {}}, {10, Seconds(5), {}}};
  const RunResult r = simulate_run(in, 1, 0);
  CHECK(r.saves == 6);
  CHECK(r.wall == 86_s);
}

TEST_CASE("a phase on a quarter of the nodes meets a quarter of their failures, and all of the job's") {
  // 16 nodes of 1e-4 /s each: 10,000 s on 4 of them meet 4 failures, 10,000 s on all 16; failures of the whole job, 2e-4
  // /s, 2 in each phase. 400 trials know 4 + 16 = 20 to sqrt(20/400) = .22, 4 to .1, the job's 4 to .1; three sigma.
  // A failure costs nothing but the 5 s that a save every 10 s leaves on average: .2 % more time to fail.
  RunInput in = simple_run(0, {10, 0, 0}, 0);
  in.steps.phases = {{10'000, Seconds(1), {}, 4}, {10'000, Seconds(1), {}}};
  in.scale.nodes = 16;
  FailureClass node = test::job_failure(EventRate(1e-4));
  node.name = "node";
  node.domain = Domain::node;
  node.rate.per = "node";
  in.failures.classes = {node, test::job_failure(EventRate(2e-4))};
  const RunSummary both = test::trials(in, 400);
  CHECK(both.events[0].interruptions == Approx(20).epsilon(0.66 / 20));
  CHECK(both.events[1].interruptions == Approx(4).epsilon(0.3 / 4));
  in.steps.phases.pop_back();
  CHECK(test::trials(in, 400).events[0].interruptions == Approx(4).epsilon(0.3 / 4));
}

TEST_CASE("a failure loses the work since the last durable save") {
  // Cycles of 300 s and a 10-s save: saves end at 310, 620, 930 (work 900). Failure at 1,000: work 970.
  // Restart until 1,100, replay of 70 until 1,170, save of 1,200 from 1,400 to 1,410, 90 more until the
  // window's end at 1,500.
  RunInput in = simple_run(1, {300, 10, 0}, 100);
  in.failures.classes = {clockwork(1000)};
  in.window = Seconds(1500);
  const RunResult r = simulate_run(in, 1, 0);
  CHECK(seconds_in(r, Bucket::useful) == Approx(1290).epsilon(kNear));
  CHECK(seconds_in(r, Bucket::recomputed) == Approx(70).epsilon(kNear));
  CHECK(seconds_in(r, Bucket::checkpoint) == Approx(40).epsilon(kNear));
  CHECK(seconds_in(r, Bucket::restart) == Approx(100).epsilon(kNear));
  CHECK(r.unplanned == 1);
  CHECK(r.wall == 1500_s);
}

TEST_CASE("a save that is not durable yet does not count") {
  // As above, but durable 100 s later: the save of 900 (930 + 100) is lost, the run goes back to 600.
  RunInput in = simple_run(1, {300, 10, 100}, 100);
  in.failures.classes = {clockwork(1000)};
  in.window = Seconds(1500);
  CHECK(seconds_in(simulate_run(in, 1, 0), Bucket::recomputed) == Approx(370).epsilon(kNear));
}

TEST_CASE("a save that is durable at the instant of the failure counts") {
  // Durable at 930 + 70 s minus 1 us, to stay clear of the clockwork's own nanoseconds.
  RunInput in = simple_run(1, {300, 10, 70 - 1e-6}, 100);
  in.failures.classes = {clockwork(1000)};
  in.window = Seconds(1500);
  CHECK(seconds_in(simulate_run(in, 1, 0), Bucket::recomputed) == Approx(70).epsilon(kNear));
}

TEST_CASE("a failure during a restart starts it again when hazards count wall time") {
  // Failures at 1,000, 2,000, ... of wall time; restart 1,500 s: no restart ever ends.
  RunInput in = simple_run(1, {300, 10, 0}, 1500);
  in.failures.clock = HazardClock::always;
  in.failures.classes = {clockwork(1000)};
  in.window = Seconds(10000);
  const RunResult r = simulate_run(in, 1, 0);
  CHECK(seconds_in(r, Bucket::restart) == Approx(9000).epsilon(kNear));
  CHECK(r.unplanned == 9);  // the tenth falls on the window's end, some nanoseconds beside it
}

TEST_CASE("a run that makes no progress is given up and says so") {
  RunInput in = simple_run(5000, {300, 10, 0}, 1500);
  in.failures.clock = HazardClock::always;
  in.failures.classes = {clockwork(1000)};
  const RunResult r = simulate_run(in, 1, 0);
  CHECK(!r.finished);
  CHECK(r.wall == 5000_s * 20 + to_clock(Seconds(30 * kDay)));
}

TEST_CASE("a hopeless run is given up after 1,000 failures, not after 20 times its length") {
  // A failure a second, restarts of 10 minutes: nothing is ever done. 5,000 h of steps, 20 times that would be 3.6e8
  // failures.
  RunInput in = simple_run(5000 * 3600, {300, 10, 0}, 600);
  in.failures.clock = HazardClock::always;
  in.failures.classes = {test::job_failure(EventRate(1))};
  const RunResult r = simulate_run(in, 1, 0);
  CHECK(!r.finished);
  CHECK(r.unplanned <= 1'000);
  CHECK(r.unplanned > 990);
}

TEST_CASE("the pace of a run is looked at after 1,000 events, not before") {
  // Each second of up-time a failure, restarts of 10 min; the 1,000th ends the run and interrupts nothing any more.
  RunInput in = simple_run(5000 * 3600, {300, 10, 0}, 600);
  in.failures.classes = {clockwork(1)};
  const RunResult r = simulate_run(in, 1, 0);
  CHECK(!r.finished);
  CHECK(r.events_by_class[0] == 1'000);
  CHECK(r.unplanned == 999);
}

TEST_CASE("after 1,000 events a hundredth of the pace is asked for, after 10,000 half of it") {
  // Of 100 s up to a failure 60 are saved; 3,000 days of steps may take 20 times that and 30 days, 20.01 of them. With restarts
  // of 114,000 s 60 x 20.01 / 114,100 = 0.0105 of the work would be saved by then, with 127,000 s 0.0094.
  RunInput in = simple_run(3000 * 86'400, {60, 0, 0}, 114'000);
  in.failures.classes = {clockwork(100)};
  CHECK(simulate_run(in, 1, 0).events_by_class[0] == 10'000);
  in.recovery.times.start = 127'000_s;
  CHECK(simulate_run(in, 1, 0).events_by_class[0] == 1'000);
}

TEST_CASE("a run is given up when at its pace less than half of the work is saved at the end of its time") {
  // Of 100 s up to a failure 60 are saved; 30 days of steps may take 20 times that and 30 days. With restarts of 2,700 s
  // 60 x 21 / 2,800 = 0.45 of the work would be saved by then, with 2,100 s 0.573.
  RunInput in = simple_run(30 * 86'400, {60, 0, 0}, 2700);
  in.failures.classes = {clockwork(100)};
  CHECK(simulate_run(in, 1, 0).events_by_class[0] == 10'000);
  in.recovery.times.start = 2100_s;
  const RunResult longer = simulate_run(in, 1, 0);
  CHECK(longer.events_by_class[0] > 20'000);
  CHECK(longer.wall == to_clock(Seconds(21 * 30 * kDay)));
}

TEST_CASE("a run with many failures that gets on is not given up") {
  // A failure every 100 s costs 10 s and half of an interval of 10 s: 20,000 failures and more in 2e6 s of steps.
  RunInput in = simple_run(2'000'000, {10, 0, 0}, 10);
  in.failures.classes = {test::job_failure(EventRate(0.01))};
  const RunResult r = simulate_run(in, 1, 0);
  CHECK(r.finished);
  CHECK(r.unplanned > 20'000);
  CHECK(r.goodput() ==
        Approx(0.862).epsilon(0.01));  // async_goodput: 1 / (1 + (10 + 5 + 1 for the lost step) / 100)
}

TEST_CASE("events that never stop the job are bounded in number, in a sentence") {
  RunInput in = simple_run(1'000'000, {300, 10, 0}, 10);
  FailureClass slow = test::job_failure(EventRate(2), Action::slow);  // 2/s x (20 x 1e6 s + 30 days)
  slow.slowdown = 1.1;
  in.failures.classes = {slow};
  REQUIRE(problems(in).size() == 1);
  CHECK(problems(in)[0].find("strike 4.52e+07 times before a run is given up") != std::string::npos);
}

TEST_CASE("a planned stop saves first and loses nothing") {
  // At 500: work 490 (one save at 300). Save 10, stop 60, then 490 -> 560 work until 640.
  RunInput in = simple_run(1, {300, 10, 0}, 100);
  FailureClass planned = clockwork(500, Action::planned);
  planned.duration = Seconds(60);
  in.failures.classes = {planned};
  in.window = Seconds(640);
  const RunResult r = simulate_run(in, 1, 0);
  CHECK(seconds_in(r, Bucket::planned) == Approx(60).epsilon(kNear));
  CHECK(seconds_in(r, Bucket::checkpoint) == Approx(20).epsilon(kNear));
  CHECK(seconds_in(r, Bucket::recomputed) == 0);
  CHECK(seconds_in(r, Bucket::useful) == Approx(560).epsilon(kNear));
  CHECK(r.planned == 1);
}

TEST_CASE("a failure after a planned stop loses only what was done since") {
  // Stop at 500 with work 490, training again at 570; up-time 600 is wall 660: work 580, back to 490, not to
  // 300.
  RunInput in = simple_run(1, {300, 10, 0}, 10);
  FailureClass planned = clockwork(500, Action::planned);
  planned.duration = Seconds(60);
  in.failures.classes = {planned, clockwork(600)};
  in.window = Seconds(900);
  const RunResult r = simulate_run(in, 1, 0);
  CHECK(r.planned == 1);
  CHECK(r.unplanned == 1);
  CHECK(std::abs(seconds_in(r, Bucket::recomputed) - 90) <
        1.001);  // the clockwork may fall just past a step's end
}

TEST_CASE("a corruption is gone when a failure rolls back to before its onset") {
  // Onset at 1,000 (work 970), failure at 1,010: back to the save of 900. Nothing is found at 1,400.
  RunInput in = simple_run(1, {300, 10, 0}, 100);
  FailureClass corruption = clockwork(1000, Action::corrupt);
  corruption.detect = Seconds(400);
  in.failures.classes = {corruption, clockwork(1010)};
  in.window = Seconds(2000);
  const RunResult r = simulate_run(in, 1, 0);
  CHECK(r.unplanned == 1);
  CHECK(seconds_in(r, Bucket::sdc) == 0);
}

TEST_CASE("silent corruption rolls back to before its onset, not to the newest save") {
  // Onset at 1,000 (work 970), found at 1,400: work 1,360, with a save of 1,200 that holds the corruption.
  // Back to 900; restart until 1,500; 460 of replay and one save until 1,970; 80 more.
  RunInput in = simple_run(1, {300, 10, 0}, 100);
  FailureClass corruption = clockwork(1000, Action::corrupt);
  corruption.detect = Seconds(400);
  in.failures.classes = {corruption};
  in.window = Seconds(2050);
  const RunResult r = simulate_run(in, 1, 0);
  CHECK(seconds_in(r, Bucket::sdc) == Approx(460).epsilon(kNear));
  CHECK(seconds_in(r, Bucket::recomputed) == 0);
  CHECK(seconds_in(r, Bucket::useful) == Approx(1440).epsilon(kNear));
  CHECK(seconds_in(r, Bucket::checkpoint) == Approx(50).epsilon(kNear));
  CHECK(seconds_in(r, Bucket::restart) == Approx(100).epsilon(kNear));
}

TEST_CASE("corruption costs its latency and half an interval") {
  // 4.13: T_sdc + tau/2 = 2 h + 5 min for each event; one in 20 days, so that events seldom meet.
  RunInput in = simple_run(1, {600, 0, 0}, 0);
  FailureClass corruption = test::job_failure(EventRate(1 / (20 * kDay)), Action::corrupt);
  corruption.detect = Seconds(2 * kHour);
  in.failures.classes = {corruption};
  in.window = Seconds(2000 * kDay);
  const RunSummary s = test::trials(in, 100);
  const double lost = s.ledger[static_cast<std::size_t>(Bucket::sdc)] * 2000 * kDay / s.unplanned.mean;
  CHECK(lost == Approx(corruption_loss(Seconds(2 * kHour), Seconds(600)).value).epsilon(0.01));
}

TEST_CASE("mean lost compute is tau / 2 + p") {
  // M >> tau: about uniform in the interval.
  RunInput in = simple_run(1, {600, 0, 120}, 0);
  in.failures.classes = {test::job_failure(EventRate(1 / kDay))};
  in.window = Seconds(1000 * kDay);
  const RunSummary s = test::trials(in, 50);
  const double lost = s.ledger[static_cast<std::size_t>(Bucket::recomputed)] * 1000 * kDay / s.unplanned.mean;
  CHECK(lost == Approx(mean_lost_compute(Seconds(600), Seconds(120)).value).epsilon(0.01));
}

TEST_CASE("slow stretches are booked by their excess") {
  // Events of rate h and mean length d overlap as M/G/inf: slow for 1 - e^{-h d} of the time, half of it
  // excess at factor 2. h d = 0.5: 0.1967.
  RunInput in = simple_run(1, {600, 0, 0}, 0);
  FailureClass slow = test::job_failure(EventRate(1 / kDay), Action::slow);
  slow.duration = Seconds(kDay / 2);
  slow.slowdown = 2;
  in.failures.classes = {slow};
  in.window = Seconds(2000 * kDay);
  const RunSummary s = test::trials(in, 40);
  CHECK(s.ledger[static_cast<std::size_t>(Bucket::slow)] == Approx((1 - std::exp(-0.5)) / 2).epsilon(0.01));
  CHECK(s.goodput.mean == Approx(1 - (1 - std::exp(-0.5)) / 2).epsilon(0.005));
}

TEST_CASE("two hot spares and a third failure: the job waits for the first repair") {
  // Node failures at 1,000, 2,000, 3,000 of up-time; repairs take days, so the third swap waits.
  RunInput in = simple_run(1, {300, 0, 0}, 0);
  FailureClass failure = clockwork(1000, Action::swap);
  failure.domain = Domain::node;
  failure.repair = Seconds(30 * kDay);
  in.failures.classes = {failure};
  in.recovery.policy = find_recovery_policy("hot_spare");
  in.recovery.spares = 2;
  in.window = Seconds(3000 + 60);
  const RunResult enough = simulate_run(in, 1, 0);
  CHECK(enough.unplanned == 3);
  CHECK(seconds_in(enough, Bucket::wait_for_spare) == Approx(60).epsilon(1e-6));
  in.recovery.spares = 3;
  CHECK(seconds_in(simulate_run(in, 1, 0), Bucket::wait_for_spare) == 0);
}

TEST_CASE("without spares each swap waits for its own repair") {
  // Up clock, restart 0: mean wait = mean repair; share of time = repair / (MTTF + repair) = 1/3.
  RunInput in = simple_run(1, {60, 0, 0}, 0);
  FailureClass failure = test::job_failure(EventRate(1 / (2 * kDay)), Action::swap);
  failure.domain = Domain::node;
  failure.repair = Seconds(kDay);
  in.failures.classes = {failure};
  in.recovery.policy = find_recovery_policy("wait");
  in.window = Seconds(3000 * kDay);
  const RunSummary s = test::trials(in, 60);
  CHECK(s.ledger[static_cast<std::size_t>(Bucket::wait_for_spare)] == Approx(1.0 / 3).epsilon(0.01));
}

TEST_CASE("a group takes as many spares as it has nodes") {
  RunInput in = simple_run(1, {300, 0, 0}, 0);
  in.scale.nodes = 6;
  FailureClass failure = clockwork(1000, Action::swap);
  failure.domain = Domain::group;
  failure.size = 3;
  failure.repair = Seconds(30 * kDay);
  in.failures.classes = {failure};
  in.recovery.policy = find_recovery_policy("hot_spare");
  in.recovery.spares = 2;
  in.window = Seconds(1100);
  CHECK(seconds_in(simulate_run(in, 1, 0), Bucket::wait_for_spare) == Approx(100).epsilon(1e-6));
}

TEST_CASE("copies in memory lose less, and not at all when they are lost with their group") {
  RunInput in = simple_run(1, {3600, 0, 0}, 0);
  in.failures.classes = {test::job_failure(EventRate(1 / kDay))};
  in.window = Seconds(500 * kDay);
  const auto lost = [](const RunInput& input) {
    const RunSummary s = test::trials(input, 40);
    return s.ledger[static_cast<std::size_t>(Bucket::recomputed)] * 500 * kDay / s.unplanned.mean;
  };
  const double durable_only = lost(in);
  in.checkpoint.levels.insert(in.checkpoint.levels.begin(), {"memory", Seconds(60), Seconds(0), Seconds(0),
                                                             Seconds(0), 0.95, TierKind::peer_memory});
  // 0.95 of the events lose 30 s, the others half an hour: 4.5's sum q_l tau_l / 2 = 118.5 s.
  CHECK(durable_only == Approx(1800).epsilon(0.02));
  CHECK(lost(in) == Approx(0.95 * 30 + 0.05 * 1800).epsilon(0.05));  // 1,000 remote events: 3 % of 90 s
  // Two neighbours hold the same state; an event that takes both takes every copy of it.
  in.scale.nodes = 4;
  in.failures.classes[0].domain = Domain::group;
  in.failures.classes[0].size = 2;
  CHECK(lost(in) == Approx(1800).epsilon(0.02));
  in.checkpoint.levels.front().apart = true;  // the copy is two nodes away
  CHECK(lost(in) == Approx(0.95 * 30 + 0.05 * 1800).epsilon(0.05));
}

TEST_CASE("elastic training goes on slower with the lost replica out, and books the excess") {
  // One failure at 1,000 (work 970, at a step boundary to nanoseconds): stall 30, replica back after 500 s.
  // 500 s at pace 4/3: 375 of work and 125 of deficit (saves of 0 s). Rejoin 60.
  RunInput in = simple_run(1, {300, 0, 0}, 0);
  in.scale.nodes = in.scale.replicas = 4;
  FailureClass failure = clockwork(1000, Action::reset);
  failure.domain = Domain::node;
  in.failures.classes = {failure};
  in.recovery.policy = find_recovery_policy("elastic");
  in.recovery.times.start = 530_s;
  in.recovery.stall = 30_s;
  in.recovery.rejoin = 60_s;
  in.recovery.max_lost = 1;
  in.window = Seconds(1700);
  const RunResult r = simulate_run(in, 1, 0);
  CHECK(seconds_in(r, Bucket::restart) == Approx(90).epsilon(kNear));
  CHECK(seconds_in(r, Bucket::elastic_deficit) == Approx(125).epsilon(1e-6));
  CHECK(seconds_in(r, Bucket::recomputed) < 1.001);  // at most the current step
  CHECK(seconds_in(r, Bucket::checkpoint) == 0);
}

TEST_CASE("measured step times with lost replicas are used where they are given") {
  RunInput in = simple_run(1, {300, 0, 0}, 0);
  in.steps.phases[0].with_lost = {Seconds(1.25)};
  in.scale.nodes = in.scale.replicas = 4;
  FailureClass failure = clockwork(1000, Action::reset);
  failure.domain = Domain::node;
  in.failures.classes = {failure};
  in.recovery.policy = find_recovery_policy("elastic");
  in.recovery.times.start = to_clock(Seconds(10 * kDay));
  in.recovery.max_lost = 1;
  in.window = Seconds(1500);
  CHECK(seconds_in(simulate_run(in, 1, 0), Bucket::elastic_deficit) ==
        Approx(100).epsilon(1e-6));  // 500 (1 - 1/1.25)
}

TEST_CASE("time never runs backwards and no nanosecond is missing, for every policy") {
  for (const RecoveryPolicy& policy : recovery_policies()) {
    RecoverySettings recovery;
    recovery.policy = policy.name;
    RunInput in;
    in.steps.phases = {{20000, Seconds(3.3), {}}, {60000, Seconds(7.1), {}}};
    in.scale = {512, 8, 32, 70e9};
    in.failures = test::library_failures("default");
    FailureClass slow = test::job_failure(EventRate(1 / kDay), Action::slow);
    slow.slowdown = 1.3;
    slow.duration = Seconds(72 * kMinute);
    in.failures.classes.push_back(slow);
    in.checkpoint = with_memory_level(
        resolve(CheckpointSettings{}, in.scale, unplanned_rate(in.failures, in.scale)), recovery, in.scale);
    in.recovery = resolve(recovery, in.scale, in.failures);
    CAPTURE(policy.name);
    REQUIRE(problems(in).empty());
    for (std::uint64_t trial = 0; trial < 5; ++trial) {
      RunRecord record;
      const RunResult r = simulate_run(in, 11, trial, &record);
      Ledger again{};
      Time last{};
      for (const RunSpan& span : record.spans) {
        CHECK(span.begin == last);
        CHECK(span.end > span.begin);
        last = span.end;
        again[static_cast<std::size_t>(span.bucket)] += span.end - span.begin;
      }
      CHECK(last - Time{} == r.wall);
      CHECK(again == r.ledger);
      CHECK(r.finished);
      CHECK(r.of(Bucket::useful) == ideal_time(in.steps));  // every step is kept exactly once
    }
  }
}

TEST_CASE("jumping over equal cycles changes nothing: a trace of spans is the same run") {
  // With a second level whose interval is 5 times the first's, cycles are cut short; with it far away they
  // are not. Both runs must agree when the second level costs nothing and covers nothing new.
  RunInput in = simple_run(200000, {60, 1, 0}, 120);
  in.failures.classes = {test::job_failure(EventRate(1 / (3 * kHour)))};
  RunInput cut = in;
  cut.checkpoint.levels = {in.checkpoint.levels[0], in.checkpoint.levels[0]};
  cut.checkpoint.levels[1].interval = Seconds(300);
  cut.checkpoint.levels[1].block = Seconds(0);
  for (std::uint64_t trial = 0; trial < 20; ++trial) {
    const RunResult a = simulate_run(in, 5, trial), b = simulate_run(cut, 5, trial);
    // The last save is the durable level's: 1 s in the first run, 0 s in the second.
    CHECK(a.wall - b.wall == 1_s);
    CHECK(a.of(Bucket::recomputed) == b.of(Bucket::recomputed));
  }
}

TEST_CASE("the history of saves forgets what was not durable and what is corrupt") {
  SaveHistory history;
  CHECK(history.newest() == 0_s);
  history.add(100_s, Time{} + 110_s, 5, 100_s, 110_s);  // work 100 .. 500, durable at 110 .. 550
  CHECK(history.newest() == 500_s);
  history.drop_unfinished(Time{} + 440_s);
  CHECK(history.newest() == 400_s);
  history.drop_after(399_s);
  CHECK(history.newest() == 300_s);
  history.drop_unfinished(Time{} + 100_s);
  CHECK(history.newest() == 0_s);
}

TEST_CASE("runs that cannot be simulated are told in sentences") {
  RunInput in = simple_run(10, {1, 2, 0}, 0);
  CHECK(problems(in).at(0) ==
        "the durable checkpoint interval 1 s is shorter than its blocking time 2 s; save at most "
        "every 2 s");
  in = simple_run(10, {10, 2, 0}, 0);
  in.steps.phases.clear();
  CHECK(problems(in).at(0) == "the run has no steps");
  in = simple_run(10, {10, 2, 0}, 0);
  in.steps.phases[0].steps = 1'000'000'000;
  CHECK(problems(in).at(0) == "the run takes more than 10 years even without failures");
}

TEST_CASE("a step with a replica lost is not faster than the whole job's, however it was measured") {
  RunInput in = simple_run(1, {300, 0, 0}, 0);
  in.scale.nodes = in.scale.replicas = 4;
  in.failures.classes = {clockwork(1000, Action::reset)};
  in.failures.classes[0].domain = Domain::node;
  in.recovery.policy = find_recovery_policy("elastic");
  in.recovery.times.start = to_clock(Seconds(10 * kDay));
  in.recovery.max_lost = 1;
  in.window = Seconds(1500);
  // 500 s at 1.05: 500 (1 - 1 / 1.05); at 0.9 as at 1.
  for (const auto& [step, deficit] : {std::pair{1.05, 500 * (1 - 1 / 1.05)}, {0.9, 0.0}}) {
    in.steps.phases[0].with_lost = {Seconds(step)};
    CHECK(seconds_in(simulate_run(in, 1, 0), Bucket::elastic_deficit) == Approx(deficit).epsilon(1e-6));
  }
}

TEST_CASE("the first hour of a day has the sine of its middle: 3,000 s at a swing of a half take 2,816.2 s") {
  // 1 + sin(7.5 deg) / 2 = 1.06526310.
  RunInput in = simple_run(3000, {4000, 0, 0}, 0);
  in.conditions.diurnal = 0.5;
  CHECK(to_seconds(simulate_run(in, 1, 0).wall).value == Approx(3000 / 1.06526310).epsilon(1e-8));
}

TEST_CASE("the second hour of a day has a pace of its own, after 3,600 s of the first's") {
  // Work done: 3,600 s x (1 + sin(7.5 deg) / 2) in the first hour, the same with sin(22.5 deg) in the second, no rest.
  const double first = 3600 * (1 + std::sin(7.5 / 180 * 3.14159265358979323846) / 2);
  const double second = 3600 * (1 + std::sin(22.5 / 180 * 3.14159265358979323846) / 2);
  RunInput in = simple_run(1, {1e6, 0, 0}, 0);
  in.steps.phases[0].step_time = Seconds(first + second);
  in.conditions.diurnal = 0.5;
  CHECK(to_seconds(simulate_run(in, 1, 0).wall).value == Approx(7200).epsilon(1e-11));
}

TEST_CASE("a slow run whose saves slow it besides: each has its own share of the time") {
  // All runs at half speed: 600 s of work take 1,200. Then 120 s of persisting at factor 1.5 do 40 s of work, and of the
  // 80 s lost 120 (1 - 1 / 1.5) = 40 are the save's. The last 60 s of work take 120, and its save 120 to be durable.
  RunInput in = simple_run(700, {600, 0, 120}, 0);
  in.checkpoint.slowdown = 1.5;
  in.conditions.straggler = {1, 0};
  const RunResult r = simulate_run(in, 1, 0);
  CHECK(seconds_in(r, Bucket::useful) == Approx(700).epsilon(kNear));
  CHECK(seconds_in(r, Bucket::checkpoint) == Approx(40 + 120).epsilon(kNear));
  CHECK(seconds_in(r, Bucket::slow) == Approx(600 + 40 + 60).epsilon(kNear));
}

TEST_CASE(
    "a slower level saves at the nearest whole number of the faster one's saves, never before it is done") {
  const auto stride = [](double interval, double persist) {
    CheckpointPlan plan;
    plan.levels = {{"memory", Seconds(60), Seconds(0), Seconds(0), Seconds(0)},
                   {"durable", Seconds(interval), Seconds(0), Seconds(persist), Seconds(0)}};
    const StepGrid grid{0_s, 10'000_s, 1_s};
    SaveLevels levels(plan, std::nullopt, {grid});
    levels.set_grid(grid);
    return levels.level(1).stride;
  };
  CHECK(stride(145, 0) == 120_s);  // 2.42 minutes
  CHECK(stride(149, 0) == 120_s);
  CHECK(stride(151, 0) == 180_s);
  CHECK(stride(155, 0) == 180_s);
  CHECK(stride(145, 130) == 180_s);  // not done after two
}
