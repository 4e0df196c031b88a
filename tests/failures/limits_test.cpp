// The ends of what is taken and of what the clock carries: the last value that is legal, and the first that is not.
#include "failures/limits.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "failures/node_hazard.hpp"
#include "failures/run_state.hpp"
#include "tests/error_of.hpp"
#include "tests/failures/runs.hpp"

using namespace runcast;
using namespace runcast::literals;
using doctest::Approx;

namespace {

template <class Read>
std::string refusal(const std::string& yaml, Read read) {
  return error_of([&] {
    Document document = Document::parse(yaml, "l.yaml");
    read(document.root());
    document.finish();
  });
}

std::string refusal_of_class(const std::string& fields) {
  return refusal("classes:\n  - {name: x, rate: 1 /day, " + fields + "}\n", read_failures);
}

std::string refusal_of_recovery(const std::string& yaml) { return refusal(yaml, read_recovery); }

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

constexpr double kYear = 365.25 * kDay;

}  // namespace

TEST_CASE("shapes of laws end at 0.01 and 3 for a lognormal, at 0.1 and 10 for the others") {
  for (const char* legal : {"law: lognormal, shape: 0.01", "law: lognormal, shape: 3",
                            "law: weibull, shape: 0.1", "law: gamma, shape: 10"})
    CHECK(refusal_of_class(legal).empty());
  CHECK(says(refusal_of_class("law: lognormal, shape: 0.0099"),
             "the shape of a lognormal law is from 0.01 to 3"));
  CHECK(says(refusal_of_class("law: lognormal, shape: 3.01"), "from 0.01 to 3"));
  CHECK(says(refusal_of_class("law: weibull, shape: 0.099"), "the shape of a weibull law is from 0.1 to 10"));
  CHECK(says(refusal_of_class("law: gamma, shape: 10.1"), "the shape of a gamma law is from 0.1 to 10"));
}

TEST_CASE("shapes of a recovery's states end where those of failures do, and a shop's at 0.1 and 3") {
  CHECK(refusal_of_recovery("start: {mean: 1 s, law: weibull, shape: 0.1}").empty());
  CHECK(refusal_of_recovery("start: {mean: 1 s, law: gamma, shape: 10}").empty());
  CHECK(refusal_of_recovery("start: {mean: 1 s, law: lognormal, shape: 0}").empty());
  CHECK(says(refusal_of_recovery("start: {mean: 1 s, law: weibull, shape: 0.099}"), "from 0.1 to 10"));
  CHECK(says(refusal_of_recovery("start: {mean: 1 s, law: lognormal, shape: 3.01}"), "from 0 to 3"));
  CHECK(refusal_of_recovery("repair: {law: gamma, shape: 0.1}").empty());
  CHECK(refusal_of_recovery("repair: {law: lognormal, shape: 3}").empty());
  CHECK(says(refusal_of_recovery("repair: {law: gamma, shape: 0.099}"),
             "the shape of a repair law is from 0.1 to 3"));
  CHECK(says(refusal_of_recovery("repair: {law: gamma, shape: 3.01}"),
             "the shape of a repair law is from 0.1 to 3"));
}

TEST_CASE("elastic training keeps 1 % of its throughput at least") {
  CHECK(refusal_of_recovery("elastic_overhead: 0.01").empty());
  CHECK(says(refusal_of_recovery("elastic_overhead: 0.0099"), "between 0.01 and 1"));
}

TEST_CASE("spares are a million nodes at most, groups 10,000, slowdowns a thousand") {
  CHECK(refusal_of_recovery("{spares: 1000000, cold_spares: 1000000, reserve: 1000000}").empty());
  CHECK(says(refusal_of_recovery("spares: 1000001"), "spares are nodes: from 0 to 1000000"));
  CHECK(says(refusal_of_recovery("cold_spares: 1000001"), "spare nodes are from 0 to 1000000"));
  CHECK(says(refusal_of_recovery("reserve: 1000001"), "spare nodes are from 0 to 1000000"));
  CHECK(refusal_of_recovery("{memory_copies: 10000, over_evict: 10000, replication: 10000}").empty());
  CHECK(says(refusal_of_recovery("memory_copies: 10001"), "copies are from 1 to 10000"));
  CHECK(says(refusal_of_recovery("over_evict: 10001"), "from 1 to 10000"));
  CHECK(says(refusal_of_recovery("replication: 10001"), "from 1 to 10000"));
  CHECK(refusal_of_class("action: slow, slowdown: 1000").empty());
  CHECK(says(refusal_of_class("action: slow, slowdown: 1001"), "from 1 to 1000"));
}

TEST_CASE("a share that is refused is read on as the nearest legal one") {
  Document document = Document::parse("co_occurring: 7\n", "l.yaml");
  CHECK(read_failures(document.root()).co_occurring == 1);
  CHECK(says(error_of([&] { document.finish(); }), "between 0 and 1"));
}

TEST_CASE("a run of just less than ten years is simulated, one of just more is not") {
  RunInput in = test::simple_run(1, {kDay, 0, 0}, 0);
  in.steps.phases[0].step_time = Seconds(9.99 * kYear);
  CHECK(problems(in).empty());
  in.steps.phases[0].step_time = Seconds(10.01 * kYear);
  REQUIRE(problems(in).size() == 1);
  CHECK(problems(in)[0] == "the run takes more than 10 years even without failures");
}

TEST_CASE("a hundred thousand events that never stop the job are simulated, one more is not") {
  RunInput in = test::simple_run(1, {60, 0, 0}, 0);
  FailureClass stall = test::job_failure(EventRate(1), Action::stall);
  in.failures.classes = {stall};
  in.window = Seconds(100'000);
  CHECK(problems(in).empty());
  in.window = Seconds(100'000.5);
  REQUIRE(problems(in).size() == 1);
  CHECK(says(problems(in)[0], "lower their rates to 100,000 times in all"));
}

// ---- the clock's end --------------------------------------------------------------------------------------

TEST_CASE("a failure that comes after 285 years never comes") {
  // The clock ends at 292 years, 9.22e9 s; gaps of 9e9 s and more are no event of any run.
  const auto first = [](double gap) {
    FailureModel model;
    model.classes = {test::clockwork(gap)};
    return FailureProcess(model, JobScale{}, 1, 0).next_on_wall().at;
  };
  CHECK(to_seconds(first(8.9e9)).value == Approx(8.9e9).epsilon(1e-9));
  CHECK(first(9.1e9).ns == kNever.ns);
  CHECK(first(9.5e9).ns == kNever.ns);
}

TEST_CASE("nor does the failure of a young node") {
  // Exponential with a mean of 9.5e9 s: of 1,000 draws some 14 lie between 9.0 and 9.2e9 s, and 22 up to 9.9e9.
  FailureModel model;
  model.classes = {test::job_failure(EventRate(1 / 9.5e9), Action::reset)};
  model.classes[0].domain = Domain::node;
  model.young.factor = 2;
  int reached = 0;
  for (std::uint64_t trial = 0; trial < 1000; ++trial) {
    const Duration next = NodeHazard(model, JobScale{}, Seconds(0), 1, trial).next();
    if (next.ns == kNever.ns) continue;
    ++reached;
    CHECK(to_seconds(next).value < 9e9);
  }
  CHECK(reached == Approx(1000 * (1 - std::exp(-9 / 9.5))).epsilon(0.1));
}

TEST_CASE("a time that is stretched without end is 36.5 years, an eighth of the clock") {
  // 2^63 ns / 8 = 1.153e18 ns.
  CHECK(to_seconds(scaled(to_clock(Seconds(kYear)), 36)).value / kYear == Approx(36).epsilon(1e-12));
  CHECK(to_seconds(scaled(to_clock(Seconds(kYear)), 1000)).value / kYear ==
        Approx(9.223372036854775807e9 / 8 / kYear).epsilon(1e-12));
}

TEST_CASE("nobody waits for a node for more than ten years, nor is slow for more than 32") {
  FleetPlan plan;
  NodeFleet fleet(plan, FailureModel{}, JobScale{2, 8, 1, 0}, 1, 0);
  RandomStream random(1, Purpose::repair, 0, 0), severity(1, Purpose::test, 0, 0);
  FailureClass failure = test::job_failure(EventRate(1));
  failure.domain = Domain::node;
  failure.action = Action::swap;
  failure.repair = failure.duration = Seconds(1e15);
  fleet.fail(0, failure, 0, Time{}, random);
  CHECK(fleet.ready(Time{}) == Time{} + 300'000'000_s);
  CHECK(draw_slow_stretch(failure, severity, random).length == 1'000'000'000_s);
}
