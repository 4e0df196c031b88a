// Spot capacity: what is taken back, what stands in, what is paid, and the same run on demand beside it.
#include <doctest/doctest.h>

#include <cmath>

#include "scenarios/run_experiment.hpp"
#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Settings = std::vector<std::string>;

// 8 nodes of 8 GPUs for some 3.7 days.
Json run(const Settings& more, std::int64_t trials = 4) {
  Settings settings{"cluster.nodes=8", "cluster.fabric=infiniband-ndr-rail", "training.tokens=200B",
                    "training.global_batch=512"};
  settings.insert(settings.end(), more.begin(), more.end());
  ExperimentOptions options;
  options.trials = trials;
  return run_document(library_run("one-node", settings), Library(), options);
}

Settings with(Settings settings, const Settings& more) {
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

double number(const Json& json, const char* pointer) {
  return json.at(Json::json_pointer(pointer)).get<double>();
}

const Settings kSpot{"economics.capacity=spot"};

}  // namespace

TEST_CASE("the run on demand beside spot is the scenario with capacity on demand, to the digit") {
  // Nodes that return after 6 h, a tenth of them taken each hour, make 11 spares and short saves; on demand 2 spares do.
  for (const char* interval : {"auto", "daly"}) {
    CAPTURE(interval);
    const Settings same{"recovery.policy=hot_spare", "economics.spot.rate=0.1 /node-hour",
                        "economics.spot.back=6 h", std::string("checkpoint.interval=") + interval,
                        "storage.gb_month=0.1 USD"};
    const Json spot = run(with(same, kSpot)), plain = run(same);
    const Json& beside = spot["cost"]["spot"];
    CHECK(beside["on_demand_usd"] == plain["cost"]["total_usd"]);
    CHECK(beside["on_demand_days"] == plain["run"]["days"]["mean"]);
    CHECK(beside["on_demand_spares"] == plain["run"]["spares"]);
    CHECK(beside["usd"] == spot["cost"]["total_usd"]);
    CHECK(plain["run"]["spares"] == 2);
    CHECK(number(spot, "/run/spares") > 5);
  }
}

TEST_CASE("spot pays above its break-even discount and not below, with and without nodes on demand") {
  // Dollars are linear in the discount: at 1 % above break-even spot is cheaper, at 1 % below dearer.
  for (const char* fallback : {"true", "false"})
    for (const char* back : {"1 h", "12 h"}) {
      CAPTURE(fallback);
      CAPTURE(back);
      const Settings same = with(kSpot, {"recovery.policy=elastic", "economics.spot.rate=0.05 /node-hour",
                                         std::string("economics.spot.back=") + back,
                                         std::string("economics.spot.fallback=") + fallback});
      const Json json = run(same);
      const double even = number(json, "/cost/spot/break_even_discount");
      const double on_demand = number(json, "/cost/spot/on_demand_usd");
      for (const double step : {-0.01, 0.01}) {
        const double discount = even + step;
        if (discount < 0 || discount > 1) continue;
        const Json other = run(with(same, {"economics.spot.discount=" + std::to_string(discount)}));
        CHECK(other["cost"]["spot"]["pays"] == (step > 0));
        CHECK((number(other, "/cost/spot/usd") < on_demand) == (step > 0));
        CHECK(number(other, "/cost/spot/break_even_discount") == doctest::Approx(even).epsilon(1e-9));
      }
      // 1 - d = (on demand - F) / (H - F) in GPU-hours x price; storage costs nothing here.
      const double price = 1.0 / number(json, "/cost/usd_per_gpu_hour") * 0.35;
      const double hours = number(json, "/cost/gpu_hours") + number(json, "/cost/spare_gpu_hours");
      const double rented = number(json, "/cost/spot/on_demand_gpu_hours");
      const double storage = number(json, "/cost/storage_usd");
      CHECK(1 - even ==
            doctest::Approx(((on_demand - storage) * price - rented) / (hours - rented)).epsilon(1e-9));
    }
}

TEST_CASE("where nearly all nodes are on demand no discount on the others makes spot pay") {
  // Each node is gone after 12 minutes and stays away for 10 days, the run takes 3.7: more than 99 % of the hours are on demand at
  // the full price, and eight restarts come on top.
  const Json json =
      run(with(kSpot, {"recovery.policy=hot_spare", "recovery.spares=0", "economics.spot.rate=5 /node-hour",
                       "economics.spot.back=10 d", "economics.spot.fallback=true"}));
  CHECK(json["cost"]["spot"]["break_even_discount"].is_null());
  CHECK(json["cost"]["spot"]["pays"] == false);
  // Not beyond the run's end: every node-hour on demand is one of the job's.
  CHECK(number(json, "/cost/spot/on_demand_gpu_hours") < number(json, "/cost/gpu_hours"));
  CHECK(number(json, "/cost/usd") < 3.5 * number(json, "/cost/gpu_hours"));
  // There is always another node on demand.
  CHECK(number(json, "/run/ledger/wait_for_spare") == doctest::Approx(0).epsilon(1e-12));
}

TEST_CASE("a node that was taken back is neither paid nor fed until it returns") {
  // Elastic without spares: the others go on. 64 x wall less 8 GPUs for an hour at each preemption; some 7 in each of 40
  // trials know their mean length to 1/sqrt(280) = 6 %, and little is cut off at the end.
  const Settings same{"failures=none", "recovery.policy=elastic", "recovery.spares=0"};
  const Json json =
      run(with(with(kSpot, same), {"economics.spot.rate=0.01 /node-hour", "economics.spot.back=1 h"}), 40);
  const double wall = 64 * 24 * number(json, "/run/days/mean"),
               away = number(json, "/cost/spot/away_gpu_hours");
  CHECK(away == doctest::Approx(8 * number(json, "/cost/spot/preemptions")).epsilon(0.2));
  CHECK(number(json, "/cost/gpu_hours") == doctest::Approx(wall - away).epsilon(1e-9));
  // Long absences, of which the end of the run cuts a part: energy of GPUs, hosts and dollars follow the hours that are
  // paid, the network's switches stay.
  const Json longer =
      run(with(with(kSpot, same), {"economics.spot.rate=0.01 /node-hour", "economics.spot.back=24 h"}));
  const double hours = number(longer, "/cost/gpu_hours"), all = 64 * 24 * number(longer, "/run/days/mean");
  CHECK(hours < 0.95 * all);
  CHECK(number(longer, "/cost/usd") == doctest::Approx(hours * 0.35 * 3.5).epsilon(1e-9));
  CHECK(number(longer, "/cost/energy/hosts_mwh") / number(json, "/cost/energy/hosts_mwh") ==
        doctest::Approx(hours / number(json, "/cost/gpu_hours")).epsilon(1e-9));
  double parts = 0;
  for (const auto& [part, value] : longer["cost"]["hours"].items()) parts += value.get<double>();
  CHECK(parts == doctest::Approx(hours).epsilon(1e-9));
}

TEST_CASE("spares stand in unpaid for twice: their own place is the one that is empty") {
  // Job and spares together are 8 + n nodes, less those that are away, for all of the wall time.
  const Json json = run(with(kSpot, {"failures=none", "recovery.policy=hot_spare", "recovery.spares=6",
                                     "economics.spot.rate=0.02 /node-hour", "economics.spot.back=6 h"}));
  const double wall = 24 * number(json, "/run/days/mean");
  const double paid = number(json, "/cost/gpu_hours") + number(json, "/cost/spare_gpu_hours");
  CHECK(paid + number(json, "/cost/spot/away_gpu_hours") == doctest::Approx(14 * 8 * wall).epsilon(1e-9));
  CHECK(number(json, "/cost/gpu_hours") > 0.99 * 64 * wall);
}

TEST_CASE("a restart on spot waits for its nodes, or has others at once on demand") {
  const Settings same =
      with(kSpot, {"failures=none", "recovery.policy=restart", "economics.spot.rate=0.01 /node-hour"});
  const auto days = [&](const Settings& more, double& preemptions) {
    const Json json = run(with(same, more), 20);
    preemptions = number(json, "/cost/spot/preemptions");
    return number(json, "/run/days/mean");
  };
  double few = 0, many = 0, rented = 0;
  const double hour = days({"economics.spot.back=1 h"}, few), day = days({"economics.spot.back=24 h"}, many),
               fallback = days({"economics.spot.back=24 h", "economics.spot.fallback=true"}, rented);
  // Each preemption waits for `back`; others that come meanwhile wait beside it. Some 7 x 20 waits are known to 8 %.
  CHECK(hour > fallback);
  CHECK(day > hour + 0.5 * few * 23 / 24);
  CHECK(day < fallback + 1.3 * many);
}

TEST_CASE("a budget counts each trial as cost.total_usd does") {
  // 2B tokens on 8 GPUs from 22 o'clock, at night for half the price: some 98 USD. All trials within 130 USD, none
  // within 60; without failures they cost the same, so that a cent decides.
  const Settings same{"training.tokens=2B", "economics.start_hour=22", "failures=none",
                      "economics.windows=[{from: 22, to: 6, price: 0.5}]", "storage.gb_month=10 USD"};
  ExperimentOptions options;
  options.trials = 3;
  const auto probability = [&](double budget) {
    Settings all = same;
    all.push_back("run.budget=" + std::to_string(budget) + " USD");
    return run_document(library_run("one-node", all), Library(), options);
  };
  const Json json = probability(1000);
  CHECK(number(json, "/run/budget/probability") == 1);
  const double total = number(json, "/cost/total_usd");
  CHECK(total > number(json, "/cost/usd"));
  CHECK(number(probability(total + 0.01), "/run/budget/probability") == 1);
  CHECK(number(probability(total - 0.01), "/run/budget/probability") == 0);
}

TEST_CASE(
    "a deadline that no start meets is told, and the cost's assumptions are listed where they were not set") {
  const Json json = run({"run.deadline=1 h"}, 2);
  CHECK(json["cost"]["where_and_when"]["meets_deadline"] == false);
  CHECK(json["cost"]["where_and_when"]["least_carbon"].is_null());
  CHECK(error_of([] { run({"run.deadline=0 s"}); }).find("a deadline is later than the begin: 3 week") !=
        std::string::npos);
  CHECK(error_of([] { run({"run.budget=0 USD"}); }).find("a budget is more than 0 USD") != std::string::npos);
  const Json met = run({"run.deadline=30 d"}, 2);
  CHECK(met["cost"]["where_and_when"]["least_carbon"]["region"] == "us-west");
  const auto count = [](const Json& document, const std::string& word) {
    int found = 0;
    for (const Json& line : document["provenance"]["assumptions"])
      if (line.get<std::string>().find(word) != std::string::npos) ++found;
    return found;
  };
  CHECK(count(json, "PUE") == 0);  // the run of the library gives it
  CHECK(count(json, "Carbon intensity 0.38 kg CO2e/kWh") == 1);
  CHECK(count(json, "Power of a GPU") == 1);
  CHECK(count(json, "A node draws") == 1);
  CHECK(count(json, "always set your cloud's") == 0);
  CHECK(count(run(kSpot, 2), "always set your cloud's") == 4);
  const Json set = run({"economics.capacity=spot", "economics.pue=1.2", "economics.carbon_intensity=50 g/kWh",
                        "economics.spot={rate: 0.02 /node-hour, notice: 30 s, back: 2 h, discount: 0.5}",
                        "economics.utilization=0.8", "economics.hosts=false"},
                       2);
  for (const char* word : {"PUE", "Carbon intensity", "Power of a GPU", "A node draws", "always set"})
    CHECK(count(set, word) == 0);
}

}  // namespace runcast
