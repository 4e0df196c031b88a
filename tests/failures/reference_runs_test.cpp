// Published and independently computed runs against the simulation. The Monte Carlo column below was made by
// another program; agreement is asked to within both confidence intervals.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/failures/runs.hpp"

using namespace runcast;
using doctest::Approx;

namespace {

// 54 wall days at LLaMA-3's rate: 419 failures expected in up-time 54 d - 419 R; 47 planned stops of length
// R.
RunInput llama(double restart_min, test::Saves saves) {
  const double restart = restart_min * kMinute, window = 54 * kDay;
  RunInput in = test::simple_run(1, saves, restart);
  FailureClass planned = test::job_failure(EventRate(47 / window), Action::planned);
  planned.name = "planned";
  planned.duration = Seconds(restart);
  in.failures.classes = {test::job_failure(EventRate(419 / (window - 419 * restart))), planned};
  in.window = Seconds(window);
  return in;
}

RunInput daly(double interval_min) {
  RunInput in = test::simple_run(1, {interval_min * kMinute, 300, 0}, 600);
  in.failures.clock = HazardClock::always;
  in.failures.classes = {test::job_failure(EventRate(1 / (6 * kHour)))};
  in.window = Seconds(200 * kDay);
  return in;
}

}  // namespace

TEST_CASE("Daly's exact expectation holds at M 6 h, delta 5 min, R 10 min, at three intervals") {
  // T_s / E[T] = .7938 / .8194 / .7810. sd of one 200-day run .003-.007: 1,000 trials know the mean to
  // .0002-.0004 (95 %); the window's cut adds about interval / window = 2e-4.
  for (const auto& [interval, expected] : {std::pair{30.0, 0.7938}, {56.7167, 0.8194}, {120.0, 0.7810}}) {
    const auto this_interval = interval;
    CAPTURE(this_interval);
    const Seconds exact = daly_expected_time(Seconds(1), Seconds(interval * kMinute), Seconds(300),
                                             Seconds(600), Seconds(6 * kHour));
    CHECK(1 / exact.value == Approx(expected).epsilon(1e-4));
    CHECK(std::abs(test::trials(daly(interval), 1000).goodput.mean - 1 / exact.value) < 0.0007);
  }
}

TEST_CASE("500 h of work at M 6 h take Daly's 610.2 h") {
  // FGCS 22(3), figure 4. One-second steps; 56 min 43 s between saves.
  RunInput in = test::simple_run(500 * 3600, {3403, 300, 0}, 600);
  in.failures.clock = HazardClock::always;
  in.failures.classes = {test::job_failure(EventRate(1 / (6 * kHour)))};
  const RunSummary s = test::trials(in, 2000);
  const double half_width = s.days.ci95_high - s.days.mean;
  CHECK(half_width * 24 < 0.8);
  // T_s / tau is not whole: the last segment is shorter and saved all the same, 300 s at most.
  CHECK(std::abs(s.days.mean * 24 - 610.2) < half_width * 24 * 1.5 + 0.1);
  CHECK(s.unfinished == 0);
}

TEST_CASE("LLaMA-3's rate with seven restart times and intervals") {
  // Monte Carlo reference +- its 95 %: .0003-.0012; ours at 1,000 trials .0001-.0006.
  struct Row {
    double restart_min;
    test::Saves saves;
    double goodput, tolerance, sd;
  };
  for (const Row& row :
       {Row{10, {600, 2, 60}, 0.9060, 0.0008, 0.0041}, Row{8, {600, 2, 60}, 0.9176, 0.0007, 0.0036},
        Row{5, {900, 5, 120}, 0.9150, 0.0007, 0.0037}, Row{5, {300, 1, 60}, 0.9484, 0.0005, 0.0022},
        Row{10, {1800, 5, 120}, 0.8507, 0.0013, 0.0068}, Row{15, {900, 5, 120}, 0.8570, 0.0012, 0.0059},
        Row{10, {3600, 20, 120}, 0.7764, 0.0019, 0.0106}}) {
    const RunSummary s = test::trials(llama(row.restart_min, row.saves), 1000);
    CAPTURE(row.goodput);
    CHECK(std::abs(s.goodput.mean - row.goodput) < row.tolerance);
    CHECK(s.goodput.sd == Approx(row.sd).epsilon(0.1));
    CHECK(s.unplanned.mean == Approx(419).epsilon(0.01));
  }
}

TEST_CASE("the restart's tail moves the spread, not the mean") {
  RunInput in = llama(10, {600, 2, 60});
  in.recovery.spread = 1;
  const RunSummary s = test::trials(in, 1000);
  CHECK(std::abs(s.goodput.mean - 0.9061) < 0.0009);
  CHECK(s.goodput.sd == Approx(0.0051).epsilon(0.1));
}

TEST_CASE("failures that also strike restarts cost a tenth of a point") {
  RunInput in = llama(10, {600, 2, 60});
  in.failures.clock = HazardClock::always;
  // Reference .9047; here planned stops are struck too.
  CHECK(std::abs(test::trials(in, 1000).goodput.mean - 0.9047) < 0.0012);
}

TEST_CASE("the law's shape matters a tenth of a point at 10 min and two points at 60 min between saves") {
  // System-level Weibull, mean-matched, no planned stops, b 2 s, p 1 min.
  struct Row {
    double interval, shape, goodput, tolerance;
  };
  for (const Row& row :
       {Row{600, 0.7, 0.9120, 0.0009}, Row{600, 1, 0.9108, 0.0008}, Row{600, 1.5, 0.9105, 0.0006},
        Row{3600, 0.7, 0.8038, 0.0025}, Row{3600, 1, 0.7881, 0.002}, Row{3600, 1.5, 0.7806, 0.0018}}) {
    RunInput in = llama(10, {row.interval, 2, 60});
    in.failures.classes.pop_back();
    in.failures.classes[0].law = Law::weibull;
    in.failures.classes[0].shape = row.shape;
    CAPTURE(row.goodput);
    CHECK(std::abs(test::trials(in, 1000).goodput.mean - row.goodput) < row.tolerance);
  }
}

TEST_CASE("RSC: 0.714 with hourly saves, 0.934 with 5-min saves, 0.922 on 12,000 GPUs") {
  // arXiv 2410.21680 (RC-09..11): r_f 6.5e-3 /node-day, u0 5 min. The linear closed form says .676 for the
  // first.
  const auto run = [](std::int64_t nodes, test::Saves saves) {
    RunInput in = test::simple_run(1, saves, 300);
    in.scale.nodes = nodes;
    in.failures = test::library_failures("rsc-1");
    in.window = Seconds(54 * kDay);
    return test::trials(in, 1000).goodput.mean;
  };
  CHECK(std::abs(run(2048, {3600, 0, 0}) - 0.7143) < 0.002);
  CHECK(std::abs(run(2048, {300, 0, 0}) - 0.9338) < 0.0006);
  CHECK(std::abs(run(1500, {420, 10, 0}) - 0.9221) < 0.0006);
}

TEST_CASE("LLaMA-3 kept more than 90 %: needs restarts and intervals of at most 10 min") {
  // RC-02.
  CHECK(test::trials(llama(10, {600, 2, 60}), 200).goodput.mean > 0.90);
  CHECK(test::trials(llama(10, {3600, 2, 60}), 200).goodput.mean < 0.80);
}

TEST_CASE("a failure each 18 min: 10-min stalls leave 0.643, 3-min stalls 0.857 on the run's own clock") {
  // FT-HSDP (arXiv 2602.00277, RC-23). On the wall's clock a stall is itself struck and starts again: the run
  // is up for e^{-R/M} of the time, between (M-R)/M = .444 and M/(M+R).
  const auto run = [](double stall_min, HazardClock clock) {
    RunInput in = test::simple_run(1, {1, 0, 0}, stall_min * kMinute);
    in.failures.clock = clock;
    in.failures.classes = {test::job_failure(EventRate(1 / (18 * kMinute)))};
    in.window = Seconds(10 * kDay);
    const RunSummary s = test::trials(in, 400);
    return s.goodput.mean;
  };
  // 800 failures a trial, 400 trials: 0.1 %; half a step is lost at each failure: 0.5 / 1,080.
  CHECK(run(10, HazardClock::up) == Approx(0.643).epsilon(0.004));
  CHECK(run(3, HazardClock::up) == Approx(0.857).epsilon(0.003));
  CHECK(run(10, HazardClock::always) == Approx(std::exp(-10.0 / 18)).epsilon(0.004));
}

TEST_CASE("OPT-175B: about 105 restarts in 60 days on 124 nodes") {
  // RC-28 (arXiv 2205.01068, sec. 2.5): 35 manual and 70 and more automatic; 30 %.
  RunInput in = test::simple_run(1, {3600, 60, 0}, 600);
  in.scale.nodes = 124;
  in.failures = test::library_failures("opt-175b");
  in.recovery.policy = find_recovery_policy("restart");
  in.window = Seconds(60 * kDay);
  CHECK(test::trials(in, 200).unplanned.mean / 105 == Approx(1).epsilon(0.03));
}

TEST_CASE("1,600 H200 for four months: 205 faults, one in 14 h") {
  // RC-37 (Crusoe, GTC 2025): 10 %.
  RunInput in = test::simple_run(1, {3600, 60, 0}, 600);
  in.scale.nodes = 200;
  in.failures = test::library_failures("crusoe-h200");
  in.recovery.policy = find_recovery_policy("restart");
  in.window = Seconds(120 * kDay);
  const RunSummary s = test::trials(in, 200);
  CHECK(s.unplanned.mean / 205 == Approx(1).epsilon(0.03));
  CHECK(1 / unplanned_rate(in.failures, in.scale).value / kHour == Approx(14.05).epsilon(0.01));
}

TEST_CASE("1,000 nodes at RSC's rates fail 6.50 and 2.34 times a day, as simulated") {
  // RC-05..08: r_f = 6.50 and 2.34 per 1,000 node-days, counted by simulation on the run's own clock.
  for (const auto& [name, rate] : {std::pair{"rsc-1", 6.50}, {"rsc-2", 2.34}}) {
    RunInput in = test::simple_run(1, {600, 0, 0}, 0);
    in.scale.nodes = 1000;
    in.failures = test::library_failures(name);
    in.recovery.policy = find_recovery_policy("restart");
    in.window = Seconds(100 * kDay);
    CHECK(test::trials(in, 100).unplanned.mean / (rate * 100) == Approx(1).epsilon(0.02));
  }
}

TEST_CASE("three of LLaMA-3's 419 interruptions needed people: the default makes it 2.9") {
  // RC-04; Poisson(2.93) lies in 0-8 with 99.7 %.
  CHECK(RecoverySettings{}.manual_probability * 419 == Approx(2.93).epsilon(0.01));
}

TEST_CASE("405B in 51 s: ByteCheckpoint's save and load are what the plan makes of its bandwidths") {
  // RC-22 (NSDI'25, table 8): block 0.59 s, save 51.06 s, load 129.49 s on 8,960 GPUs; 5.67 TB.
  CheckpointSettings settings;
  settings.block = Seconds(0.59);
  settings.write = Bandwidth(5.67e12 / 51.06);
  settings.read = Bandwidth(5.67e12 / 129.49);
  const CheckpointPlan plan = resolve(settings, JobScale{1120, 8, 70, 405e9}, EventRate(0));
  CHECK(plan.durable().persist.value == Approx(51.06).epsilon(1e-6));
  CHECK(plan.durable().load.value == Approx(129.49).epsilon(1e-6));
  CHECK(plan.durable().block.value == 0.59);
}

TEST_CASE("a save at every step leaves 40 %, 70 % and 99 % of the MFU, by how long it blocks") {
  // RC-26 (ByteRobust, SOSP'25, table 8): blocks of 6.77, 1.84 and 0.04 s; the step time is not told: 4.64 s, the mean of
  // the three that fit. 5 points.
  for (const auto& [block, mfu] : {std::pair{6.77, 0.3984}, {1.84, 0.7005}, {0.04, 0.9923}}) {
    RunInput in = test::simple_run(1000, {4.64, block, 0}, 0);
    in.steps.phases[0].step_time = Seconds(4.64);
    in.checkpoint.levels[0].interval = Seconds(4.64);
    in.window = Seconds(5000);
    const auto this_block = block;
    CAPTURE(this_block);
    CHECK(std::abs(simulate_run(in, 1, 0).goodput() - mfu) < 0.05);
  }
}

TEST_CASE(
    "elastic slices: interruptions several an hour, tens of seconds each, 97 % throughput, leave about 93 "
    "%") {
  // RC-27 (Gemini 2.5 report, sec. 2.3), a scenario: four an hour, a stall of 30 s, out for ten minutes of repair and
  // restart on 33 slices, each slice 3 % of the throughput, no pause to rejoin. 0.02.
  RunInput in = test::simple_run(1, {600, 0, 0}, 0);
  in.scale.nodes = in.scale.replicas = 33;
  FailureClass slice;
  slice.name = "slice";
  slice.rate = {EventRate(4.0 / kHour), ""};
  slice.repair = Seconds(0);
  in.failures.classes = {slice};
  RecoverySettings recovery;
  recovery.policy = "elastic";
  recovery.spares = 5;
  recovery.start = Seconds(9 * kMinute);
  recovery.rejoin = Seconds(0);
  recovery.elastic_overhead = 1;
  in.recovery = resolve(recovery, in.scale, in.failures);
  in.window = Seconds(30 * kDay);
  CHECK(std::abs(test::trials(in, 20).goodput.mean - 0.934) < 0.02);
}

TEST_CASE("150 s of recovery on 4,800 devices, near constant with scale, is 150 s of down time a failure") {
  // RC-33 (FlashRecovery, arXiv 2509.03047), an input: 10 s to detect, 60 s for processes, 60 s to warm up, 20 % of 150.
  // Only the communicators grow: 0.3 s a thousand GPUs, from 5.01 s on 32 devices to 6.44 s on 4,800.
  RecoverySettings recovery;
  recovery.policy = "restart";
  recovery.diagnose = Seconds(0);
  recovery.load = Seconds(10);
  recovery.spread = recovery.manual_probability = 0;
  double first = 0;
  for (const std::int64_t nodes : {4, 600}) {
    RunInput in = test::simple_run(100'000, {600, 0, 0}, 0);
    in.scale = {nodes, 8, 1, 0};
    in.failures.classes = {test::clockwork(5000)};
    in.recovery = resolve(recovery, in.scale, in.failures);
    const RunResult r = simulate_run(in, 1, 0);
    const double down = (test::seconds_in(r, Bucket::detect) + test::seconds_in(r, Bucket::restart)) /
                        static_cast<double>(r.unplanned);
    CAPTURE(nodes);
    CHECK(std::abs(down - 150) < 30);
    if (first > 0) CHECK(std::abs(down - first) < 2);
    first = down;
  }
}
