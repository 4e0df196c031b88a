#include "failures/checkpoint.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/error_of.hpp"
#include "tests/failures/runs.hpp"

using namespace runcast;
using doctest::Approx;

namespace {

constexpr Seconds minutes(double m) { return Seconds(m * kMinute); }
constexpr Seconds hours(double h) { return Seconds(h * kHour); }
double in_minutes(Seconds s) { return s.value / kMinute; }

std::string refusal(const std::string& yaml) {
  Document document = Document::parse(yaml, "c.yaml");
  read_checkpoint(document.root());
  return error_of([&] { document.finish(); });
}

CheckpointSettings settings_of(const std::string& yaml) {
  Document document = Document::parse(yaml, "c.yaml");
  const CheckpointSettings settings = read_checkpoint(document.root());
  document.finish();
  return settings;
}

}  // namespace

TEST_CASE("Daly's published optima: 117 min at M = 24 h, 57 min at M = 6 h") {
  // FGCS 22(3) 303, figures 3 and 4: delta 5 min, R 10 min, T_s 500 h (RC-13, RC-14).
  CHECK(in_minutes(daly_interval(minutes(5), hours(24))) == Approx(116.69).epsilon(1e-4));
  CHECK(in_minutes(exact_optimal_interval(minutes(5), hours(24))) == Approx(116.69).epsilon(1e-4));
  CHECK(in_minutes(daly_interval(minutes(5), hours(6))) == Approx(56.71).epsilon(1e-4));
  const Seconds day = daly_expected_time(hours(500), minutes(116.69), minutes(5), minutes(10), hours(24));
  CHECK(in_hours(day) == Approx(547.9).epsilon(1e-4));
  const Seconds six = daly_expected_time(hours(500), minutes(56.71), minutes(5), minutes(10), hours(6));
  CHECK(in_hours(six) == Approx(610.2).epsilon(1e-4));
  CHECK(hours(500) / six == Approx(0.8194).epsilon(1e-4));
}

TEST_CASE("the exact optimum is where Daly's expected time is least") {
  const Seconds best = exact_optimal_interval(minutes(5), hours(6));
  const auto time = [&](double factor) {
    return daly_expected_time(hours(500), best * factor, minutes(5), minutes(10), hours(6)).value;
  };
  CHECK(time(1) < time(0.999));
  CHECK(time(1) < time(1.001));
}

TEST_CASE("errors of Young and of Daly's two orders against the exact optimum") {
  // delta / M = 0.01: +4.9 / -2.5 / -0.001 %; 0.1: +16.7 / -9.4 / -0.04 %.
  for (const auto& [ratio, young, first, higher] :
       {std::array{0.01, 4.9, -2.5, -0.001}, std::array{0.1, 16.7, -9.4, -0.04}}) {
    const Seconds m(1), delta(ratio), exact = exact_optimal_interval(delta, m);
    CHECK(std::abs(100 * (young_interval(delta, m) / exact - 1) - young) < 0.06);
    CHECK(std::abs(100 * (daly_first_order_interval(delta, m) / exact - 1) - first) < 0.06);
    CHECK(std::abs(100 * (daly_interval(delta, m) / exact - 1) - higher) < 0.01);
  }
}

TEST_CASE("saves that cost more than twice the MTTF are made once per MTTF") {
  CHECK(daly_interval(Seconds(3), Seconds(1)) == Seconds(1));
}

TEST_CASE("Daly's higher order holds up to saves of twice the MTTF: 0.8885 MTTF at 1.9") {
  // delta / 2M = 0.95: sqrt(3.8) (1 + sqrt(0.95) / 3 + 0.95 / 9) - 1.9 = 1.949359 x 1.430448 - 1.9; from 2 on it is M.
  CHECK(daly_interval(Seconds(1.9), Seconds(1)).value == Approx(0.888457).epsilon(1e-6));
  for (const double delta : {2.0, 2.5, 2.9}) CHECK(daly_interval(Seconds(delta), Seconds(1)) == Seconds(1));
}

TEST_CASE("a repair without failures only lengthens each downtime") {
  // M + D outside the exponentials: E[T] grows by (M + D) / M.
  const auto t = [](Seconds d) {
    return daly_expected_time(hours(1), minutes(30), minutes(5), minutes(10), hours(6), d);
  };
  CHECK(t(hours(3)) / t(Seconds(0)) == Approx(1.5).epsilon(1e-12));
}

TEST_CASE("at Young's interval the first-order waste is sqrt(2 delta / M) + R / M") {
  const Seconds m = hours(3.1), delta(60), restart(0);
  const double waste = first_order_waste(young_interval(delta, m), delta, restart, m);
  CHECK(waste == Approx(std::sqrt(2 * 60 / m.value)).epsilon(1e-12));
  CHECK(waste == Approx(0.104).epsilon(0.005));  // a fully blocking 60 s save at LLaMA-3's rate
}

TEST_CASE("the asynchronous closed form gives 0.9075 for LLaMA-3 at R 10 min, tau 10 min, b 2 s, p 1 min") {
  // M = (54 d - 419 x 10 min) / 419 of up-time; 47 planned stops of 10 min in 54 days.
  const Seconds mttf((54 * kDay - 419 * 600.0) / 419);
  const double planned = 47 * 600.0 / (54 * kDay);
  CHECK(async_goodput(minutes(10), Seconds(2), minutes(1), minutes(10), mttf, planned) ==
        Approx(0.9075).epsilon(2e-4));
}

TEST_CASE("asynchronous saves never come faster than they are durable") {
  CHECK(async_optimal_interval(Seconds(2), Seconds(60), hours(3)) == young_interval(Seconds(2), hours(3)));
  CHECK(async_optimal_interval(Seconds(0), Seconds(60), hours(3)) == Seconds(60));
}

TEST_CASE("one level of the multi-level formula is the first-order waste") {
  const std::vector<LevelTerms> one{{minutes(30), Seconds(5), Seconds(0), minutes(10), 1}};
  CHECK(multi_level_waste(one, hours(3)) ==
        Approx(first_order_waste(minutes(30), Seconds(5), minutes(10), hours(3))).epsilon(1e-12));
  // A level that recovers a quarter of the events is due half as often.
  CHECK(multi_level_interval(Seconds(5), 0.25, hours(3)) / young_interval(Seconds(5), hours(3)) ==
        Approx(2).epsilon(1e-12));
}

TEST_CASE("GEMINI: MT-NLG to a 20 Gb/s store takes 42 min and wastes 105 min a failure") {
  // 530B x 12 B / 2.5 GB/s = 2,544 s = 42.4 min; 42.4 + 42.4/2 + 42.4 = 106 min (published 42 + 21 + 42).
  const Seconds save = Bytes(530e9 * 12) / Bandwidth(20e9 / 8);
  CHECK(in_minutes(save) == Approx(42).epsilon(0.01));
  CHECK(in_minutes(gemini_wasted_time(save, save, save)) == Approx(105).epsilon(0.0105));
}

TEST_CASE("GEMINI: two copies on 16 machines survive two losses with 0.9333, three with 0.80") {
  CHECK(gemini_memory_recovery(16, 2, 1) == 1);
  CHECK(gemini_memory_recovery(16, 2, 2) == Approx(14.0 / 15).epsilon(1e-12));
  CHECK(gemini_memory_recovery(16, 2, 3) == Approx(0.8).epsilon(1e-12));
  CHECK(gemini_memory_recovery(128, 2, 2) == Approx(0.992).epsilon(5e-4));
  CHECK(gemini_memory_recovery(1000, 2, 2) == Approx(0.999).epsilon(5e-5));
}

TEST_CASE("RSC's closed form: 0.93 at 5-min saves, 0.676 hourly, 0.92 for 12,000 GPUs") {
  // arXiv 2410.21680: r_f 6.5e-3 /node-day, u0 5 min (RC-09..11).
  const EventRate rate(6.5e-3 / kDay);
  CHECK(rsc_goodput(2048, rate, minutes(5), minutes(5), Seconds(0)) == Approx(0.9307).epsilon(1e-4));
  CHECK(rsc_goodput(2048, rate, minutes(5), minutes(60), Seconds(0)) == Approx(0.6764).epsilon(2e-4));
  CHECK(rsc_goodput(1500, rate, minutes(5), minutes(7), Seconds(10)) == Approx(0.9205).epsilon(1e-4));
}

TEST_CASE(
    "FT-HSDP: a failure each 18 min leaves 44 % with 10 min stalls on the wall's clock, 64 % on the run's") {
  // arXiv 2602.00277 (RC-23).
  CHECK(recovery_goodput(minutes(18), minutes(10), HazardClock::always) == Approx(0.444).epsilon(0.002));
  CHECK(recovery_goodput(minutes(18), minutes(3), HazardClock::always) == Approx(0.833).epsilon(0.001));
  CHECK(recovery_goodput(minutes(18), minutes(10), HazardClock::up) == Approx(0.643).epsilon(0.001));
  CHECK(recovery_goodput(minutes(18), minutes(3), HazardClock::up) == Approx(0.857).epsilon(0.001));
}

TEST_CASE("Gemini 2.5: four interruptions an hour of 30 s at 97 % throughput leave 0.934") {
  // Tech report 2.3 (RC-27): the split between stalls and slower steps is not published, hence 0.02.
  CHECK(elastic_goodput(4, EventRate(1 / kHour), Seconds(30), Seconds(0), 0.97) ==
        Approx(0.934).epsilon(0.02));
}

TEST_CASE("silent corruption loses its latency and half an interval") {
  CHECK(corruption_loss(hours(8), hours(1)) == hours(8.5));
}

TEST_CASE("SPARe's redundancy is floor(log2 N + 0.833)") {
  CHECK(spare_redundancy(200) == 8);    // log2 = 7.64
  CHECK(spare_redundancy(600) == 10);   // 9.23
  CHECK(spare_redundancy(1000) == 10);  // 9.97
  CHECK(spare_redundancy(143) == 7);    // 7.1599 + 0.833 = 7.993
  CHECK(spare_redundancy(144) == 8);    // 7.1699 + 0.833 = 8.003
  // Without restarts it is Young's interval and one save more: s + sqrt(s^2 + 2 s T_f), s = 2, T_f = 3: 2
  // + 4.
  CHECK(spare_checkpoint_interval(Seconds(2), Seconds(3), Seconds(0)) == Seconds(6));
}

// ---- reading --------------------------------------------------------------------------------------------

TEST_CASE("BLOOM's sync save: 2.3 TB at 57.5 GB/s blocks 40 s, 0.37 % of three hours") {
  // BigScience chronicles (RC-29): 40 / 10,800 = 0.0037.
  const CheckpointSettings s = settings_of("{interval: 3 h, mode: sync, bytes: 2.3 TB, write: 57.5 GB/s}");
  const CheckpointPlan plan = resolve(s, JobScale{48, 8, 8, 176e9}, EventRate(0));
  CHECK(plan.durable().block.value == Approx(40).epsilon(1e-12));
  CHECK(plan.durable().persist == Seconds(0));
  CHECK(plan.durable().block / plan.durable().interval == Approx(0.0037).epsilon(0.002));
}

TEST_CASE("a checkpoint is 14 bytes per parameter: 405B makes 5.67 TB") {
  const CheckpointPlan plan = resolve(CheckpointSettings{}, JobScale{2048, 8, 128, 405e9}, EventRate(0));
  CHECK(plan.bytes.value == Approx(5.67e12).epsilon(1e-12));
  CHECK(plan.durable().persist.value == Approx(56.7).epsilon(1e-12));  // at 100 GB/s
  CHECK(plan.durable().load.value == Approx(56.7).epsilon(1e-12));
}

TEST_CASE("loading a checkpoint takes at least 30 s") {
  CHECK(resolve(CheckpointSettings{}, JobScale{1, 8, 1, 8e9}, EventRate(0)).durable().load == Seconds(30));
}

TEST_CASE("the automatic interval is Young's, the persist time at least, and 10 min when nothing fails") {
  const JobScale scale{2048, 8, 128, 405e9};
  const CheckpointSettings s = settings_of("{block: 2 s, persist: 60 s}");
  CHECK(resolve(s, scale, EventRate(0)).durable().interval == minutes(10));
  CHECK(resolve(s, scale, EventRate(1e-4)).durable().interval == young_interval(Seconds(2), Seconds(1e4)));
  CHECK(resolve(s, scale, EventRate(0.1)).durable().interval == Seconds(60));
  const CheckpointSettings daly = settings_of("{interval: daly, mode: sync, block: 5 min}");
  CHECK(in_minutes(resolve(daly, scale, EventRate(1 / (6 * kHour))).durable().interval) ==
        Approx(56.71).epsilon(1e-4));
}

TEST_CASE("an interval shorter than the save blocks is refused, and says how often saving is possible") {
  CHECK(refusal("interval: 1 s\nblock: 2 s\npersist: 0 s\n")
            .find("c.yaml:1:11: the checkpoint interval 1 s is shorter than its blocking time 2 s; save at "
                  "most every 2 s") != std::string::npos);
  CHECK(refusal("interval: 30 s\nblock: 2 s\npersist: 5 min\n")
            .find("the checkpoint interval 30 s is shorter than its time to be durable 5 min; save at most "
                  "every 5 min") != std::string::npos);
}

TEST_CASE("a word that is no interval is refused with the legal forms") {
  CHECK(refusal("interval: often\n")
            .find("'often' is no checkpoint interval; write a time (10 min), auto, young, daly or optimal") !=
        std::string::npos);
}

TEST_CASE("a sync save cannot be durable later than it ends") {
  CHECK(refusal("{mode: sync, persist: 10 s}")
            .find("a sync save is durable when it ends; leave out persist, or write mode: async") !=
        std::string::npos);
}

TEST_CASE("a resolved plan that cannot be kept is told in a sentence") {
  // 10 min between saves, but 5.67 TB at 1 GB/s takes 94.5 min to be durable.
  const CheckpointSettings s = settings_of("{interval: 10 min, write: 1 GB/s}");
  const auto sentences = problems(resolve(s, JobScale{2048, 8, 128, 405e9}, EventRate(0)));
  REQUIRE(sentences.size() == 1);
  CHECK(sentences[0] ==
        "the durable checkpoint interval 10 min is shorter than its time to be durable 94.5 min; save at "
        "most every "
        "94.5 min");
}

TEST_CASE("tiers stand before the durable level, the most frequent first") {
  const CheckpointSettings s = settings_of(
      "interval: 1 h\ntiers:\n  - {name: disk, interval: 20 min}\n  - {name: memory, interval: 1 min, "
      "covers: 0.9}\n");
  const CheckpointPlan plan = resolve(s, JobScale{2048, 8, 128, 405e9}, EventRate(0));
  REQUIRE(plan.levels.size() == 3);
  CHECK(plan.levels[0].name == "memory");
  CHECK(plan.levels[1].name == "disk");
  CHECK(plan.durable().name == "durable");
}

TEST_CASE("times of checkpoints end where the clock does: intervals at 10 years, the rest at one") {
  CHECK(refusal("interval: 1e9 days\n").find(":1:11: interval must be from 0 s to 3650 days") !=
        std::string::npos);
  CHECK(refusal("block: 2 year\n").find("block must be from 0 s to 365 days") != std::string::npos);
  CHECK(refusal("persist: 2 year\n").find("persist must be from 0 s to 365 days") != std::string::npos);
  CHECK(refusal("tiers:\n  - {name: disk, load: 2 year}\n").find("load must be from 0 s to 365 days") !=
        std::string::npos);
}

TEST_CASE("a checkpoint that takes years to write, and an optimum of millennia, do not leave the clock") {
  // 1 PB at 1 MB/s: 1e9 s, 32 years
  const CheckpointSettings slow = settings_of("{bytes: 1 PB, write: 1 MB/s}");
  const CheckpointPlan plan = resolve(slow, JobScale{}, EventRate(1e-4));
  REQUIRE(!problems(plan).empty());
  CHECK(problems(plan)[0].find("takes more than 365 days; raise checkpoint.write") != std::string::npos);
  // Young: sqrt(2 * 2 s / 1e-30 /s) = 2e15 s
  CHECK(resolve(settings_of("{interval: young}"), JobScale{}, EventRate(1e-30)).durable().interval ==
        Seconds(3650 * kDay));
}
