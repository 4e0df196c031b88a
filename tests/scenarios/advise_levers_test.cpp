// Each lever of `advise` on a scenario where it ought to fire: it does, and its row is `run` with the row's assignments.
#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "scenarios/advise.hpp"
#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Sets = std::vector<std::string>;

// A small model on two nodes of H100: no lever that is not asked for is looked at.
const char* const kSmall =
    "model: llama-7b\n"
    "cluster: {node: hgx-h100, nodes: 2}\n"
    "layout: {tensor: 1, pipeline: 1, data: auto}\n"
    "training:\n"
    "  tokens: 4B\n"
    "  sequence_length: 4096\n"
    "  global_batch: 128\n"
    "  micro_batch: 1\n"
    "  recompute: full\n"
    "  sharding: zero1\n"
    "failures: default\n"
    "economics: {gpu_hour: 3.50 USD}\n";

ExperimentOptions few_trials() {
  ExperimentOptions options;
  options.trials = 8;
  return options;
}

Json advice_of(const Sets& sets, const Sets& names) {
  std::vector<Lever> table = levers();
  std::erase_if(table,
                [&](const Lever& lever) { return std::ranges::find(names, lever.name) == names.end(); });
  return advise_document({kSmall, "small.yaml", sets}, Library(), few_trials(), AdviceSearch::none, table);
}

Json run_of(const Sets& sets, const Json& row) {
  const ScenarioSource source{kSmall, "small.yaml", sets};
  return run_document(source.open(row.at("set").get<Sets>()), Library(), few_trials());
}

// The row of a lever, whose figures are those of `run` with its assignments, and that saves something.
Json checked_row(const Sets& sets, const std::string& lever) {
  CAPTURE(lever);
  const Json advice = advice_of(sets, {lever});
  REQUIRE(advice.at("rows").size() == 1);
  const Json row = advice.at("rows")[0];
  CHECK(row.at("lever") == lever);
  const Json run = run_of(sets, row);
  const Json& after = row.at("after");
  CHECK(after.at("step_s") == run.at("step").at("time_s"));
  CHECK(after.at("days") == run.at("run").at("days").at("mean"));
  CHECK(after.at("total_usd") == run.at("cost").at("total_usd"));
  CHECK(after.at("co2e_t") == run.at("cost").at("co2e_t"));
  CHECK(row.at("before") == advice.at("base"));
  CHECK(row.at("usd_saved").get<double>() ==
        doctest::Approx(row["before"]["total_usd"].get<double>() - after["total_usd"].get<double>())
            .epsilon(1e-9));
  CHECK((row.at("usd_saved") > 0 || row.at("co2e_t_saved") > 0));
  // What was tried is told with the reason why it is not the row; one is.
  std::size_t taken = 0;
  for (const Json& tried : row.at("tried")) {
    if (tried.at("taken") == true) {
      ++taken;
      CHECK(tried.at("set") == row.at("set"));
      CHECK(tried.at("total_usd") == after.at("total_usd"));
    } else {
      CHECK(!tried.at("why_not").get<std::string>().empty());
    }
  }
  CHECK(taken == 1);
  return row;
}

bool sets_contain(const Json& row, const std::string& set) {
  const Sets all = row.at("set").get<Sets>();
  return std::ranges::find(all, set) != all.end();
}

const Json& tried_of(const Json& row, const std::string& proposed) {
  for (const Json& tried : row.at("tried"))
    if (tried.at("proposed") == proposed) return tried;
  FAIL("not tried: " << proposed);
  return row;
}

class HourlyFile {
 public:
  explicit HourlyFile(const char* text) { std::ofstream(path_) << text; }
  ~HourlyFile() { std::filesystem::remove(path_); }
  HourlyFile(const HourlyFile&) = delete;
  HourlyFile& operator=(const HourlyFile&) = delete;
  std::string set() const { return "economics.hourly=" + path_.string(); }

 private:
  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() /
      ("runcast-hourly-" + std::to_string(std::filesystem::hash_value(std::filesystem::current_path())) +
       "-" + std::to_string(reinterpret_cast<std::uintptr_t>(this)) + ".csv");
};

}  // namespace

TEST_CASE(
    "schedule: 8 stages with 8 micro-batches waste 7/8 of the ideal in the bubble, and another order less") {
  const Json row = checked_row(
      {"layout.pipeline=8", "layout.data=2", "training.global_batch=16", "schedule.name=1f1b"}, "schedule");
  CHECK(row["usd_saved"].get<double>() > 0.05 * row["before"]["total_usd"].get<double>());
  CHECK(row["combined"] == true);
}

TEST_CASE("sharding: all parameters are gathered twice a micro-batch for memory that is not needed") {
  const Json row = checked_row({"training.sharding=zero3", "cluster.network_per_gpu=50 Gbps"}, "sharding");
  CHECK(sets_contain(row, "training.sharding=none") + sets_contain(row, "training.sharding=zero1") +
            sets_contain(row, "training.sharding=zero2") ==
        1);
}

TEST_CASE(
    "optimizer: a step of one sequence is mostly the reading of states, and small states are read faster") {
  const Json row = checked_row({"cluster.nodes=1", "cluster.gpus_per_node=1", "model=mpt-1b",
                                "training.global_batch=1", "training.tokens=40M"},
                               "optimizer");
  CHECK(row["asks_for"] == "recipe");
}

TEST_CASE(
    "checkpoint: synchronous saves of a minute every ten are made rarer, asynchronous or put in memory") {
  const Json row = checked_row(
      {"checkpoint={mode: sync, interval: 10 min, block: 60 s}", "training.tokens=8B"}, "checkpoint");
  // 1 minute in 11 is lost, 9 %, and nearly all of it comes back.
  CHECK(row["days_saved"].get<double>() > 0.07 * row["before"]["days"].get<double>());
  tried_of(row, "copies in peers' memory, every minute");
  tried_of(row, "copies on local disks");
}

TEST_CASE("recovery: without spares a hot-spare job waits for each repair, an elastic one goes on") {
  const Json row = checked_row({"recovery={policy: hot_spare, spares: 0}", "training.tokens=20B",
                                "failures={classes: [{name: node, rate: 1 /node-month, repair: 1 day}]}"},
                               "recovery");
  CHECK(sets_contain(row, "recovery.policy=elastic"));
}

TEST_CASE("spares: two idle nodes by rule beside two that work are half of the bill, and none are needed") {
  const Json row = checked_row({}, "spares");
  CHECK(row["today"] == "2 spares, by rule");
  CHECK(sets_contain(row, "recovery.spares=0"));
  // 2 of 4 nodes that are paid: half of the dollars, but for what the policy without spares takes longer.
  CHECK(row["usd_saved"].get<double>() ==
        doctest::Approx(row["before"]["total_usd"].get<double>() / 2).epsilon(0.05));
}

TEST_CASE(
    "capacity: from on demand to spot, with a term's discount as second best; from spot that is taken back "
    "all the "
    "time to one of the others; from a term to spot") {
  const Json row = checked_row({}, "capacity");
  CHECK(sets_contain(row, "economics.capacity=spot"));
  CHECK(row["second"]["proposed"] == "reserved");
  // 40 % off all that is paid for by the hour.
  CHECK(row["second"]["usd_saved"].get<double>() ==
        doctest::Approx(0.4 * row["before"]["total_usd"].get<double>()).epsilon(1e-3));
  const Json away =
      checked_row({"economics.capacity=spot", "economics.spot={rate: 20 /node-hour}"}, "capacity");
  CHECK(sets_contain(away, "economics.capacity=reserved"));
  CHECK(tried_of(away, "on demand")["total_usd"] < away["before"]["total_usd"]);
  const Json term = checked_row({"economics.capacity=reserved"}, "capacity");
  CHECK(sets_contain(term, "economics.capacity=spot"));
}

TEST_CASE(
    "curriculum: at 32,768 tokens attention is much of the work, and 95 % of the tokens are first taken "
    "short") {
  const Json row = checked_row({"training.sequence_length=32768", "training.global_batch=16"}, "curriculum");
  CHECK(row["proposed"].get<std::string>().starts_with("95 % of the tokens at 2048, long context last"));
  CHECK(row["usd_saved"].get<double>() > 0.2 * row["before"]["total_usd"].get<double>());
}

TEST_CASE(
    "batch ramp: where a step has more tokens than the first critical batch, half of it takes fewer tokens") {
  const Json row = checked_row({"training.global_batch=512"}, "batch_ramp");
  CHECK(row["usd_saved"].get<double>() > 0.005 * row["before"]["total_usd"].get<double>());
}

TEST_CASE("early stop: the last tokens lower the loss by a hundredth, and are some of the bill") {
  const Json row = checked_row({}, "early_stop");
  CHECK(row["second"]["usd_saved"].get<double>() < row["usd_saved"].get<double>());
}

TEST_CASE("hardware: H100 at four times its price are dearer than the same work elsewhere") {
  const Json row = checked_row({"economics.gpu_hour=14 USD"}, "hardware");
  CHECK(row["asks_for"] == "machine");
  CHECK(sets_contain(row, "economics.gpu_hour="));
  CHECK(row["second"]["proposed"] != row["proposed"]);
  CHECK(row["finding"].get<std::string>().find("at ") != std::string::npos);
}

TEST_CASE("place: without series the cleanest grid, and the next one is told") {
  const Json row = checked_row({}, "place");
  CHECK(row["proposed"] == "us-west");
  CHECK(row["second"]["proposed"] == "europe");
  CHECK(row["usd_saved"] == 0);
  // 0.22 for 0.38 kg a kWh.
  CHECK(row["after"]["co2e_t"].get<double>() ==
        doctest::Approx(row["before"]["co2e_t"].get<double>() * 0.22 / 0.38).epsilon(1e-9));
  CHECK(tried_of(row, "europe")["why_not"].get<std::string>().find("CO2e is") != std::string::npos);
}

TEST_CASE("place: where a price window is the same everywhere, the own region keeps its clean grid") {
  // The run of 3 hours fits into the window; 13 h from 9 is 22.
  const Json row =
      checked_row({"economics.windows=[{from: 22, to: 6, price: 0.5}]", "economics.start_hour=9",
                   "economics.region=europe", "economics.carbon_intensity=50 g/kWh", "training.tokens=1B"},
                  "place");
  CHECK(row["proposed"] == "europe, starting in 13 h");
  CHECK(row["set"] == Json({"economics.start_hour=22"}));
  CHECK(row["co2e_t_saved"].get<double>() == doctest::Approx(0).epsilon(1e-9));
}

TEST_CASE(
    "place: a region that costs the same and emits less is found between the cheapest and the cleanest") {
  // us-east: 0.4 kg at price 1, 0.1 kg at price 2, by turns of 12 h; europe 0.3 kg at price 1 all along.
  std::string text = "region,kg_per_kwh,price\n";
  for (int hour = 0; hour < 24; ++hour) {
    text += hour < 12 ? "us-east,0.4,1\n" : "us-east,0.1,2\n";
    text += "europe,0.3,1\n";
  }
  const HourlyFile file(text.c_str());
  const Json row = checked_row({file.set(), "training.tokens=1B"}, "place");
  CHECK(row["proposed"] == "europe");
  CHECK(row["usd_saved"] == 0);
  CHECK(row["after"]["co2e_t"].get<double>() ==
        doctest::Approx(row["before"]["co2e_t"].get<double>() * 0.3 / 0.4).epsilon(1e-9));
}

TEST_CASE(
    "regions of the hourly file are regions: the first is today's where none is named, and each can be") {
  const HourlyFile file("region,kg_per_kwh\nDE,0.4\nSE,0.03\n");
  const Json row = checked_row({file.set(), "training.tokens=1B"}, "place");
  CHECK(row["today"] == "DE");
  CHECK(row["set"] == Json({"economics.region=SE"}));
  CHECK(row["after"]["co2e_t"].get<double>() ==
        doctest::Approx(row["before"]["co2e_t"].get<double>() * 0.03 / 0.4).epsilon(1e-9));
  const ScenarioSource source{kSmall, "small.yaml", {file.set(), "economics.region=NO"}};
  CHECK(error_of([&] {
          run_document(source.open(), Library(), few_trials());
        }).find("legal: us-east us-west europe asia-pacific global DE SE") != std::string::npos);
}

TEST_CASE("a combination that is refused is no proposal and no error") {
  // A quarter of the replicas has not the memory, two stages have; with them dualpipe is the best order, and without the
  // layout that made two of them it is refused.
  const Json advice =
      advice_of({"model=llama3-8b", "cluster.nodes=1", "layout.tensor=2", "layout.sequence_parallel=true",
                 "training.sequence_length=8192", "training.tokens=10B", "training.recompute=none",
                 "training.phases=[{tokens: 1B, gpu_share: 0.25}]"},
                {"layout", "schedule", "place"});
  CHECK(advice["combined"]["levers"] == Json({"layout", "place", "schedule"}));
  CHECK(advice["combined"]["worth"][0].contains("usd_saved") ==
        false);  // of the layout: the schedule needs it
}

TEST_CASE("the combination fits when layout, sharding and recomputation together do and none of them alone") {
  const Json advice =
      advice_of({"cluster.node=hgx-a100-40", "cluster.nodes=1", "model=llama3-8b",
                 "training.sequence_length=8192", "training.recompute=none", "training.sharding=none"},
                {"recompute", "sharding"});
  CHECK(advice["base"]["fits"] == false);
  for (const Json& row : advice["rows"]) CHECK((row["after"]["fits"] == false || row.contains("stands_on")));
  CHECK(advice["combined"]["after"]["fits"] == true);
}

TEST_CASE("a lever that helps only on top of others saves what it does beyond them") {
  // Tensor traffic there is to hide only after the layout that fits has made some.
  const Sets sets{"cluster.node=hgx-a100-40",      "cluster.nodes=1",         "model=llama3-8b",
                  "training.sequence_length=8192", "training.recompute=none", "training.sharding=none"};
  const Json advice = advice_of(sets, {"layout", "sharding", "overlap"});
  std::size_t on_top = 0;
  for (const Json& row : advice["rows"]) {
    CHECK(row["usd_saved"].get<double>() ==
          doctest::Approx(row["before"]["total_usd"].get<double>() - row["after"]["total_usd"].get<double>())
              .epsilon(1e-9));
    const Json run = run_of(sets, row);
    CHECK(row["after"]["total_usd"] == run["cost"]["total_usd"]);
    if (!row.contains("stands_on")) {
      CHECK(row["before"] == advice["base"]);
      continue;
    }
    ++on_top;
    CHECK(row["stands_on"]["levers"].size() == 2);
    const Json beside = run_of(sets, row["stands_on"]);
    CHECK(row["before"]["total_usd"] == beside["cost"]["total_usd"]);
    CHECK(row["set"].size() > row["stands_on"]["set"].size());
  }
  CHECK(on_top == 1);
}

TEST_CASE("everything together goes on from what asks for nothing, and is what its assignments give") {
  const Json advice = advice_of({}, {"recompute", "spares", "early_stop", "capacity"});
  const Json &same = advice["combined"], &all = advice["combined_all"];
  CHECK(same["levers"] == Json({"spares", "recompute"}));
  CHECK(all["levers"].size() > same["levers"].size());
  CHECK(all["after"]["total_usd"].get<double>() < same["after"]["total_usd"].get<double>());
  const Json run = run_of({}, all);
  CHECK(all["after"]["total_usd"] == run["cost"]["total_usd"]);
  CHECK(all["after"]["days"] == run["run"]["days"]["mean"]);
}

}  // namespace runcast
