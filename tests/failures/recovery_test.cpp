#include "failures/recovery.hpp"

#include <doctest/doctest.h>

#include "tests/error_of.hpp"
#include "tests/failures/runs.hpp"

using namespace runcast;
using namespace runcast::literals;
using doctest::Approx;

namespace {

RecoverySettings settings_of(const std::string& yaml) {
  Document document = Document::parse(yaml, "r.yaml");
  const RecoverySettings settings = read_recovery(document.root());
  document.finish();
  return settings;
}

std::string refusal(const std::string& yaml) {
  return error_of([&] { settings_of(yaml); });
}

Duration state(const Timeline& t, RecoveryState s) { return t[static_cast<std::size_t>(s)]; }

constexpr RecoveryTimes kTimes{10_s, 180_s, 20_s, 60_s, 10_s, 60_s, 0_s};

}  // namespace

TEST_CASE("communicators take 5 s and 0.3 s per 1,000 GPUs: 9.9 s at 16,384") {
  const RecoveryPlan plan = resolve(RecoverySettings{}, JobScale{2048, 8, 128, 405e9}, FailureModel{});
  CHECK(to_seconds(plan.times.initialize).value == Approx(9.9152).epsilon(1e-9));
}

TEST_CASE("the default restart of 405B on 16,384 GPUs takes 6.6 min") {
  // 10 + 180 + 20 + 60 + 9.9 + 56.7 (5.67 TB at 100 GB/s) + 60 = 396.6 s.
  const JobScale scale{2048, 8, 128, 405e9};
  const CheckpointPlan checkpoint = resolve(CheckpointSettings{}, scale, EventRate(0));
  const RecoveryPlan plan = resolve(RecoverySettings{}, scale, FailureModel{});
  CHECK(planned_restart(plan, checkpoint).value == Approx(396.6).epsilon(1e-3));
}

TEST_CASE("warm standbys are there in 20 s, cold spares in 5 min") {
  const auto reschedule = [](const char* policy) {
    RecoverySettings s;
    s.policy = policy;
    return resolve(s, JobScale{64, 8, 8, 0}, FailureModel{}).times.reschedule;
  };
  CHECK(reschedule("hot_spare") == 20_s);
  CHECK(reschedule("cold_spare") == 300_s);
}

TEST_CASE("automatic spares are the 99 % quantile of nodes in repair, at least 2") {
  // 2,048 nodes x 2.96e-3 /day x 40.4 h: 10.2 nodes out on average, 18 at 99 %.
  FailureModel model;
  FailureClass failure;
  failure.rate = {EventRate(2.96e-3 / kDay), "node"};
  model.classes = {failure};
  CHECK(resolve(RecoverySettings{}, JobScale{2048, 8, 128, 0}, model).spares == 18);
  CHECK(resolve(RecoverySettings{}, JobScale{1, 8, 1, 0}, model).spares == 2);
}

TEST_CASE("automatic spares and the warning count the time that nodes spend in the repair shop") {
  // One node a day leaves. Ten days of manual repair for each: Poisson(10), 18 at 99 %. So do half new nodes after 14
  // days and half burnt in for 6. A class with a repair of its own, of a day, needs 4.
  FailureModel model;
  FailureClass failure;
  failure.rate = {EventRate(1 / kDay), ""};
  model.classes = {failure};
  const JobScale scale{100, 8, 10, 0};
  const auto spares = [&](const char* shop) {
    return resolve(settings_of("repair: {automatic: 0 s, " + std::string(shop) + "}"), scale, model).spares;
  };
  CHECK(spares("manual: 10 days, manual_share: 1") == 18);
  CHECK(spares("manual: 20 days, manual_share: 0.5") == 18);
  CHECK(spares("manual_share: 0, retire: 0.5, replacement: 14 days, burn_in: 6 days") == 18);
  const auto said = warnings(
      resolve(settings_of("{policy: wait, repair: {automatic: 0 s, manual: 10 days, manual_share: 1}}"),
              scale, model),
      model, scale);
  REQUIRE(said.size() == 1);
  CHECK(said[0].find("10.0 are in repair on average (one leaves every 24.0 h, a repair takes 240.0 h)") !=
        std::string::npos);
  model.classes[0].repair = Seconds(kDay);
  model.classes[0].own_repair = true;
  CHECK(spares("manual: 10 days, manual_share: 1") == 4);
}

TEST_CASE("a restart on the same nodes skips the wait and the rescheduling") {
  Incident incident;
  incident.detect = 10_s;
  incident.load = 30_s;
  const Timeline t = find_recovery_policy("hot_spare")->timeline(incident, kTimes);
  CHECK(state(t, RecoveryState::wait_for_spare) == 0_s);
  CHECK(state(t, RecoveryState::reschedule) == 0_s);
  CHECK(state(t, RecoveryState::load) == 30_s);
}

TEST_CASE("in-process recovery starts no process and warms nothing up") {
  const Timeline t = find_recovery_policy("in_process")->timeline(Incident{}, kTimes);
  CHECK(state(t, RecoveryState::start) == 0_s);
  CHECK(state(t, RecoveryState::warm_up) == 0_s);
  CHECK(state(t, RecoveryState::initialize) == 10_s);
}

TEST_CASE("only in_memory adds a level of saves, in front of the durable one") {
  RecoverySettings s;
  const CheckpointPlan plain = resolve(CheckpointSettings{}, JobScale{64, 8, 8, 70e9}, EventRate(0));
  CHECK(with_memory_level(plain, s, JobScale{64, 8, 8, 70e9}).levels.size() == 1);
  s.policy = "in_memory";
  const CheckpointPlan more = with_memory_level(plain, s, JobScale{64, 8, 8, 70e9});
  REQUIRE(more.levels.size() == 2);
  CHECK(more.levels[0].name == "memory");
  CHECK(more.durable().name == "durable");
}

TEST_CASE("every policy of the table has a name, a sentence and a function") {
  for (const RecoveryPolicy& policy : recovery_policies()) {
    CHECK(!policy.name.empty());
    CHECK(policy.sentence.size() > 20);
    CHECK((policy.timeline != nullptr));
    CHECK(find_recovery_policy(policy.name) == &policy);
  }
  CHECK(find_recovery_policy("prayer") == nullptr);
}

TEST_CASE("recovery settings are read with their units; auto is a word") {
  const RecoverySettings s =
      settings_of("{policy: cold_spare, spares: 16, detect: 30 s, initialize: auto, load: 2 min, spread: 0}");
  CHECK(s.policy == "cold_spare");
  CHECK(*s.spares == 16);
  CHECK(s.detect == Seconds(30));
  CHECK(!s.initialize);
  CHECK(*s.load == Seconds(120));
}

TEST_CASE("recovery settings that make no sense are refused in a sentence") {
  CHECK(refusal("{policy: hot_spares}").find("did you mean 'hot_spare'") != std::string::npos);
  CHECK(refusal("{spread: -1}")
            .find("the spread of restart times (sigma of a lognormal factor) is between 0 and 3") !=
        std::string::npos);
  CHECK(refusal("{manual_probability: 2}").find("a probability is between 0 and 1") != std::string::npos);
  CHECK(refusal("{elastic_overhead: 0}")
            .find("the throughput kept by elastic training is between 0.01 and 1") != std::string::npos);
}

TEST_CASE("times of recovery are at most a year, each refused where it stands") {
  CHECK(refusal("{detect: 1000 year}").find(":1:10: detect must be from 0 s to 365 days") !=
        std::string::npos);
  for (const char* key : {"diagnose", "reschedule", "start", "initialize", "load", "warm_up", "manual",
                          "stall", "rejoin", "memory_interval", "memory_block", "memory_load"}) {
    CAPTURE(key);
    CHECK(refusal("{" + std::string(key) + ": 1e9 days}").find("must be from 0 s to 365 days") !=
          std::string::npos);
    CHECK(refusal("{" + std::string(key) + ": 365 days}").empty());
  }
}

TEST_CASE("each state may have a law of its own, and a repair shop its stages") {
  const RecoverySettings s = settings_of(
      "{policy: replicated, replication: 3, detect: {mean: 30 s, law: weibull, shape: 0.7}, load: {mean: "
      "auto, law: gamma, "
      "shape: 2}, start: 2 min, cold_spares: 4, repair: {crews: 2, retire: 0.01}}");
  CHECK(s.detect == Seconds(30));
  CHECK(!s.load);
  REQUIRE(s.laws[0].has_value());
  CHECK(s.laws[0]->law == Law::weibull);
  CHECK(s.laws[static_cast<std::size_t>(RecoveryState::load)]->shape == 2);
  CHECK(!s.laws[static_cast<std::size_t>(RecoveryState::start)]);
  CHECK(s.shop.staged);
  CHECK(s.shop.crews == 2);
  const RecoveryPlan plan = resolve(s, JobScale{64, 8, 8, 0}, FailureModel{});
  CHECK(plan.replication == 3);
  CHECK(plan.replication_pace == 3);  // three replicas compute each part
  CHECK(plan.fleet().cold == 4);
  CHECK(refusal("{detect: {mean: 30 s, law: weibull, shape: 0}}")
            .find("the shape of a weibull law is from 0.1 to 10") != std::string::npos);
}

TEST_CASE("the law of one state keeps its mean and leaves the others alone") {
  // Only starting takes time: 100 s on average, exponential; failures 1,000 s of up-time apart.
  RunInput in = test::simple_run(1, {1, 0, 0}, 100);
  in.failures.classes = {test::job_failure(EventRate(1e-3))};
  in.recovery.laws[static_cast<std::size_t>(RecoveryState::start)] = PhaseLaw{Law::exponential, 1};
  in.window = Seconds(100 * kDay);
  const RunSummary s = test::trials(in, 40);
  CHECK(s.ledger[static_cast<std::size_t>(Bucket::restart)] / (100.0 / 1100) == Approx(1).epsilon(0.01));
}

TEST_CASE("less than a tenth of a node in repair is nothing to be told of") {
  // One node, no spares, repairs of 40.4 h: 0.099 and 0.101 nodes are out on average.
  RecoverySettings s;
  s.policy = "wait";
  const auto said = [&](double out) {
    FailureModel model;
    FailureClass failure;
    failure.rate = {EventRate(out / (40.4 * kHour)), "node"};
    model.classes = {failure};
    return warnings(resolve(s, JobScale{}, model), model, JobScale{}).size();
  };
  CHECK(said(0.099) == 0);
  CHECK(said(0.101) == 1);
}

TEST_CASE("a policy that keeps fewer nodes than are in repair says that the job mostly waits") {
  FailureModel model;
  FailureClass failure;
  failure.rate = {EventRate(2.96e-3 / kDay), "node"};
  model.classes = {failure};
  const JobScale scale{2048, 8, 128, 405e9};
  RecoverySettings s;
  CHECK(warnings(resolve(s, scale, model), model, scale).empty());
  s.policy = "wait";
  const auto said = warnings(resolve(s, scale, model), model, scale);
  REQUIRE(said.size() == 1);
  CHECK(said[0] ==
        "policy wait keeps 0 spare nodes, but 10.2 are in repair on average (one leaves every 4.0 h, a "
        "repair takes 40.4 "
        "h): the job mostly waits; 18 spares last 99 % of the time");
}
