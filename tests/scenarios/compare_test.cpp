// Terms of a difference sum to it; elasticities that can be told without a simulation.
#include "scenarios/compare.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "scenarios/sensitivity.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

const Library& library() {
  static const Library kLibrary;
  return kLibrary;
}

ExperimentOptions few_trials() {
  ExperimentOptions options;
  options.trials = 10;
  return options;
}

double sum_of(const Json& terms) {
  double sum = 0;
  for (const auto& [key, value] : terms.items()) sum += value.get<double>();
  return sum;
}

double output(const Json& document, const std::string& key, std::size_t scenario) {
  for (const Json& row : document["outputs"])
    if (row["key"] == key) return row["values"][scenario].get<double>();
  return -1;
}

TEST_CASE("the terms of a comparison sum to the differences of step time and of days") {
  ScenarioSource base = scenario_source("llama3-70b", library()), slower = base, third = base;
  slower.sets = {"training.recompute=full", "checkpoint.interval=47 min"};
  third.sets = {"training.overlap.data=false"};
  const Json json = compare_document({base, slower, third}, library(), few_trials());
  CHECK(json["equal"] == false);
  for (std::size_t i = 1; i < 3; ++i) {
    CAPTURE(i);
    const double step = output(json, "step.time_s", i) - output(json, "step.time_s", 0);
    const double days = output(json, "run.days.mean", i) - output(json, "run.days.mean", 0);
    CHECK(sum_of(json["step_difference_s"][i - 1]["terms"]) == doctest::Approx(step).epsilon(1e-9));
    CHECK(sum_of(json["days_difference"][i - 1]["terms"]) == doctest::Approx(days).epsilon(1e-6));
  }
  // Recomputation is compute: its term is the largest of the first difference.
  CHECK(json["step_difference_s"][0]["terms"]["compute"].get<double>() > 0);
  std::set<std::string> keys;
  for (const Json& row : json["inputs"]) keys.insert(row["key"].get<std::string>());
  for (const char* key : {"training.recompute", "training.overlap.data", "checkpoint.interval"})
    CHECK(keys.contains(key));
  CHECK(keys.size() == 3);
}

TEST_CASE("a scenario does not differ from itself") {
  const ScenarioSource one = scenario_source("one-node", library());
  const Json json = compare_document({one, one}, library(), few_trials());
  CHECK(json["equal"] == true);
  CHECK(json["inputs"].empty());
  CHECK(json["step_difference_s"][0]["total"] == 0.0);
}

// Dollars are proportional to the price, days do not know it. A GPU of a higher peak is faster, by less than in
// proportion: memory and links stay. What the calibration leaves open is around the figure.
TEST_CASE("the price has elasticity 1 of dollars and 0 of days, the peak a negative one above -1") {
  ScenarioSource source = scenario_source("one-node", library());
  Document document = source.open();
  const Json json = sensitivity_json(read_scenario(document, library()), library(), few_trials());
  int seen = 0;
  for (const Json& row : json["rows"]) {
    if (row["name"] == "price of a GPU-hour") {
      ++seen;
      CHECK(row["usd"].get<double>() == doctest::Approx(1).epsilon(1e-9));
      CHECK(row["days"].get<double>() == 0);
    }
    if (row["name"] == "GPU peak rate") {
      ++seen;
      CHECK(row["step"].get<double>() < -0.3);
      CHECK(row["step"].get<double>() > -1);
    }
  }
  CHECK(seen == 2);
  const Json& step = json["calibration"]["step_s"];
  CHECK(step["low"].get<double>() < step["value"].get<double>());
  CHECK(step["high"].get<double>() > step["value"].get<double>());
  CHECK(step["high"].get<double>() < 2 * step["value"].get<double>());
}

}  // namespace
}  // namespace runcast
