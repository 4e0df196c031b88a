#include "failures/failure_process.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <tuple>

#include "tests/error_of.hpp"
#include "tests/failures/runs.hpp"

using namespace runcast;
using doctest::Approx;

namespace {

std::string refusal(const std::string& yaml) {
  Document document = Document::parse(yaml, "f.yaml");
  read_failures(document.root());
  return error_of([&] { document.finish(); });
}

std::string refusal_of_class(const std::string& fields) {
  return refusal("classes:\n  - {name: x, rate: 1 /day, " + fields + "}\n");
}

std::vector<double> gaps(Law law, double shape, int count) {
  FailureModel model;
  FailureClass failure = test::job_failure(EventRate(1e-3));
  failure.law = law;
  failure.shape = shape;
  model.classes = {failure};
  FailureProcess process(model, JobScale{}, 7, 0);
  std::vector<double> result;
  Duration last{};
  for (int i = 0; i < count; ++i) {
    result.push_back(to_seconds(process.next_on_wall().at - last).value);
    last = process.next_on_wall().at;
    process.take(0);
  }
  return result;
}

}  // namespace

TEST_CASE("RSC-1's rate gives an MTTF of 1.80 h at 16,384 GPUs and 0.225 h at 131,072") {
  // 2,048 nodes x 6.50e-3 /node-day = 13.3 a day (RC-05); 16,384 nodes: 8 times that (RC-06).
  const FailureModel rsc = test::library_failures("rsc-1");
  const auto mttf = [&](std::int64_t nodes) {
    return 1 / unplanned_rate(rsc, JobScale{nodes, 8, 1, 0}).value / kHour;
  };
  CHECK(mttf(2048) == Approx(1.803).epsilon(1e-3));
  CHECK(mttf(16384) == Approx(0.2254).epsilon(1e-3));
  // Known miss: measured 7.9 h at 1,024 GPUs; the hardware-attributed rate alone gives 28.8 h (RC-07).
  CHECK(mttf(128) == Approx(28.8).epsilon(2e-3));
}

TEST_CASE("RSC-2 fails 2.34 times per 1,000 node-days") {
  const FailureModel rsc = test::library_failures("rsc-2");
  CHECK(unplanned_rate(rsc, JobScale{1000, 8, 1, 0}).value * kDay == Approx(2.34).epsilon(1e-12));
}

TEST_CASE("LLaMA-3's 18 causes sum to 419 unplanned events in 54 days on 2,048 nodes, and 47 planned") {
  const FailureModel llama = test::library_failures("llama3-54-day");
  const JobScale scale{2048, 8, 128, 405e9};
  REQUIRE(llama.classes.size() == 19);
  CHECK(unplanned_rate(llama, scale) * Seconds(54 * kDay) == Approx(419).epsilon(1e-5));
  CHECK(system_rate(llama.classes.back(), scale) * Seconds(54 * kDay) == Approx(47).epsilon(1e-5));
  // Hardware or suspected: 78 % of the 419 (paper), without software 54, dependency 2, host maintenance 32:
  // RC-03.
  double soft = 0;
  for (const FailureClass& f : llama.classes)
    if (f.name == "software" || f.name == "dependency" || f.name == "host_maintenance")
      soft += system_rate(f, scale) * Seconds(54 * kDay);
  CHECK(1 - soft / 419 == Approx(0.78).epsilon(0.02));
}

TEST_CASE("the default model has 4.0e-3 unplanned events per node-day, 0.6 of them swaps") {
  const FailureModel model = test::library_failures("default");
  const JobScale scale{1000, 8, 1, 0};
  CHECK(unplanned_rate(model, scale).value * kDay == Approx(4.0).epsilon(1e-4));
  double swaps = 0;
  for (const FailureClass& f : model.classes)
    if (f.action == Action::swap) swaps += system_rate(f, scale).value * kDay;
  CHECK(swaps / 4.0 == Approx(0.6).epsilon(0.04));  // 242 / 419 = 0.578
}

TEST_CASE("the empty model never fails") {
  const FailureModel none = test::library_failures("none");
  CHECK(unplanned_rate(none, JobScale{100, 8, 1, 0}) == EventRate(0));
  CHECK(FailureProcess(none, JobScale{}, 1, 0).next_on_wall().at.ns == kNever.ns);
}

TEST_CASE("rates count nodes, GPUs, groups or the job") {
  const JobScale scale{16, 8, 1, 0};
  FailureClass f = test::job_failure(EventRate(1));
  CHECK(system_rate(f, scale) == EventRate(1));
  f.rate.per = "node";
  CHECK(system_rate(f, scale) == EventRate(16));
  f.rate.per = "gpu";
  CHECK(system_rate(f, scale) == EventRate(128));
  f.rate.per = "group";
  f.domain = Domain::group;
  f.size = 4;
  CHECK(system_rate(f, scale) == EventRate(4));
}

TEST_CASE("a class is addressed by its name's FNV-1a hash of 64 bits") {
  // Test vectors of Fowler, Noll and Vo: "", "a", "foobar".
  CHECK(class_address("") == 0xcbf29ce484222325U);
  CHECK(class_address("a") == 0xaf63dc4c8601ec8cU);
  CHECK(class_address("foobar") == 0x85944171f73967e8U);
}

TEST_CASE("an event takes n b + (1 - b)^n nodes of a domain of n on average, as it takes one at least") {
  const JobScale scale{1000, 8, 1, 0};
  FailureClass failure;
  CHECK(mean_victims(failure, scale) == 1);
  failure.domain = Domain::group;
  for (const auto& [size, blast, taken] :
       {std::tuple{2, 0.5, 1.25}, {2, 0.1, 1.01}, {4, 0.25, 1.31640625}, {16, 1.0, 16.0}}) {
    failure.size = size;
    failure.blast = blast;
    CHECK(mean_victims(failure, scale) == Approx(taken).epsilon(1e-12));
  }
  failure.domain = Domain::job;
  CHECK(mean_victims(failure, scale) == 0);
}

TEST_CASE("every law keeps the mean gap, and its own spread") {
  // Coefficients of variation: exponential 1; Weibull k = 0.7: 1.462; lognormal sigma 1: sqrt(e - 1) = 1.311;
  // gamma k = 4: 0.5. 40,000 draws know a mean to 1.5 % (3 sigma at cv 1.5: 0.022) and a cv to some percent.
  struct Case {
    Law law;
    double shape, cv;
  };
  for (const Case& c : {Case{Law::exponential, 1, 1}, Case{Law::weibull, 0.7, 1.462},
                        Case{Law::lognormal, 1, 1.311}, Case{Law::gamma, 4, 0.5}}) {
    const std::vector<double> sample = gaps(c.law, c.shape, 40000);
    CAPTURE(static_cast<int>(c.law));
    CHECK(mean(sample) == Approx(1000).epsilon(0.022));
    CHECK(standard_deviation(sample) / mean(sample) == Approx(c.cv).epsilon(0.05));
  }
}

TEST_CASE("a class that is taken away leaves the failures of the others where they were") {
  FailureModel two;
  two.classes = {test::job_failure(EventRate(1e-3)), test::job_failure(EventRate(1e-3))};
  two.classes[1].name = "another";
  FailureModel one = two;
  one.classes.pop_back();
  FailureProcess both(two, JobScale{}, 3, 5), single(one, JobScale{}, 3, 5);
  for (int i = 0; i < 20; ++i) {
    while (both.next_on_wall().failure != 0) both.take(1);
    CHECK(both.next_on_wall().at == single.next_on_wall().at);
    both.take(0);
    single.take(0);
  }
}

TEST_CASE("a class is read with its unit, law and action") {
  Document document = Document::parse(
      "clock: up\nclasses:\n"
      "  - {name: rack, domain: group, size: 9, rate: 0.2 /group-year, law: weibull, shape: 0.7, action: "
      "swap,\n"
      "     repair: 4 h, detect: 1 min}\n",
      "f.yaml");
  const FailureModel model = read_failures(document.root());
  document.finish();
  CHECK(model.clock == HazardClock::up);
  REQUIRE(model.classes.size() == 1);
  const FailureClass& f = model.classes[0];
  CHECK(f.size == 9);
  CHECK(f.rate.per == "group");
  CHECK(f.law == Law::weibull);
  CHECK(f.shape == 0.7);
  CHECK(f.repair == Seconds(4 * kHour));
  CHECK(*f.detect == Seconds(60));
}

TEST_CASE("failure classes that make no sense are refused in a sentence") {
  CHECK(refusal("classes:\n  - {name: x, rate: 1 /rack-day}\n")
            .find("f.yaml:2:21: a failure rate is per node, gpu, group or whole job; write 3.0e-3 /node-day "
                  "or 0.9 "
                  "/day") != std::string::npos);
  CHECK(refusal_of_class("domain: job")
            .find("an event of the whole job names no node to swap; legal: reset retry "
                  "planned corrupt slow rollback outage stall") != std::string::npos);
  CHECK(refusal_of_class("law: weibull, shape: 0").find("the shape of a weibull law is from 0.1 to 10") !=
        std::string::npos);
  CHECK(refusal_of_class("action: slow, slowdown: 0.5")
            .find("a slowdown is step time over normal step time: from 1 to 1000") != std::string::npos);
  CHECK(refusal_of_class("domain: group, size: 0").find("a group has from 1 to 10000 nodes") !=
        std::string::npos);
  CHECK(refusal("classes:\n  - {name: x, rate: 1 /day}\n  - {name: x, rate: 2 /day}\n")
            .find("two failure classes are named 'x'") != std::string::npos);
  CHECK(refusal_of_class("law: normal").find("normal") != std::string::npos);
}

TEST_CASE("rates and times that the clock cannot carry are refused where they stand, with the legal range") {
  CHECK(refusal("classes:\n  - {name: x, rate: 1e12 /node-day}\n")
            .find("f.yaml:2:21: a failure rate must be from 0 to 3600 /node-hour, one every second") !=
        std::string::npos);
  CHECK(refusal("classes:\n  - {name: x, rate: 2 /day, repair: 2 year}\n")
            .find("f.yaml:2:37: repair must be from 0 s to 365 days") != std::string::npos);
  CHECK(refusal_of_class("action: planned, duration: 9 year").find("duration must be from 0 s to 365 days") !=
        std::string::npos);
  CHECK(refusal_of_class("repair: 1 year").empty());
}

TEST_CASE("places, lemons, young nodes, slow and spot classes are read with their keys") {
  Document document = Document::parse(
      "classes:\n"
      "  - {name: row, domain: row, rate: 0.5 /row-year, blast: 0.5, repair: 8 h}\n"
      "  - {name: slow, domain: node, rate: 1 /day, action: slow, slowdown: 1.3, slowdown_spread: 0.8, "
      "sensitivity: 0.4}\n"
      "  - {name: auto, domain: node, rate: 1 /day, action: slow, slowdown: 1.3, sensitivity: auto, evict: "
      "true}\n"
      "  - {name: spot, rate: 0.01 /node-hour, action: preempt, notice: 30 s, observed: 12}\n"
      "  - {name: storage, domain: storage, rate: 1 /month, action: outage}\n"
      "lemons: {fraction: 0.02}\n"
      "young: {}\n"
      "co_occurring: 0.03\n",
      "f.yaml");
  FailureModel model = read_failures(document.root());
  document.finish();
  CHECK(model.classes[0].blast == 0.5);
  CHECK(*model.classes[1].sensitivity == 0.4);
  CHECK(!model.classes[2].sensitivity);
  CHECK(*model.classes[2].detect == Seconds(kHour));
  CHECK(model.classes[3].notice == Seconds(30));
  CHECK(model.classes[3].observed == 12);
  CHECK(model.lemons.multiplier == 10);
  CHECK(model.young.factor == 3);
  CHECK(model.co_occurring == 0.03);
  // A slow node's share reaches the step; without one the step model's table does: straight lines through (1, 1),
  // (1.2, 1.1) and (1.6, 1.4), and on beyond: 1.5 -> 1.1 + 0.3 x 0.75, 2 -> 1.4 + 0.4 x 0.75. Without both all wait.
  CHECK(step_factor(model.classes[1], 1.5) == Approx(1.2).epsilon(1e-12));
  CHECK(step_factor(model.classes[2], 1.5) == 1.5);
  model.classes[2].response = {{1.2, 1.1}, {1.6, 1.4}};
  CHECK(step_factor(model.classes[2], 1.1) == Approx(1.05).epsilon(1e-12));
  CHECK(step_factor(model.classes[2], 1.5) == Approx(1.325).epsilon(1e-12));
  CHECK(step_factor(model.classes[2], 2) == Approx(1.7).epsilon(1e-12));
}
