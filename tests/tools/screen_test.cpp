// The screen for people: every part with its units, aligned, in ASCII when asked, and honest about what is
// absent.
#include "tools/report/screen.hpp"

#include <doctest/doctest.h>

#include <sstream>

#include "tests/tools/sample_result.hpp"
#include "tools/explanations.hpp"

using namespace runcast;
using Json = nlohmann::ordered_json;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

bool is_ascii(const std::string& text) {
  for (const char letter : text)
    if (static_cast<unsigned char>(letter) > 127) return false;
  return true;
}

}  // namespace

TEST_CASE("the step shows its time, both utilizations and both bubbles, and its shares sum to 100 %") {
  const std::string screen = step_part(sample_result(), Style{});
  CHECK(has(screen,
            "STEP   10 s   400 model TFLOP/s per GPU   MFU 40.4 %   HFU 40.4 %   1,235 tokens/s per GPU"));
  CHECK(has(screen, "compute               7.0000   70.0 %  #####################\n"));  // 21 of 30 columns
  CHECK(has(screen, "bubble 20.0 % of the step; 25.0 % over the ideal"));
  CHECK_FALSE(has(screen, "data loading"));  // zero: not a line
}

TEST_CASE("the step's interval says what it rests on, and a warning has its own line") {
  Json document = sample_result();
  document["step"]["prediction"] = Json::parse(R"({"level": 0.8, "time_low_s": 9.5, "time_high_s": 11.25,
    "mfu_low": 0.359, "mfu_high": 0.425, "measured_steps": 41, "like": "the same GPU and number format", "warning": ""})");
  CHECK(has(
      step_part(document, Style{}),
      "\n  80 % interval 9.500 to 11.25 s, MFU 35.9 to 42.5 %   from the errors on 41 measured steps of the "
      "same GPU and number format\n  where the time goes"));
  document["step"]["prediction"]["warning"] =
      "4096 GPUs are more than twice the largest measured job on h100 (1024)";
  CHECK(has(step_part(document, Style{}),
            "\n  beyond what was measured: 4096 GPUs are more than twice the largest measured job on h100 "
            "(1024)\n"));
  CHECK_FALSE(has(step_part(sample_result(), Style{}), "interval"));
}

TEST_CASE("days and dollars show the interval that the step's error gives them") {
  Json document = sample_result();
  document["run"]["prediction"] = Json::parse(R"({"level": 0.8, "days_low": 20.4, "days_high": 24.2})");
  document["cost"]["prediction"] = Json::parse(R"({"level": 0.8, "usd_low": 219000, "usd_high": 260000})");
  CHECK(has(run_part(document, Style{}), "\n  80 % interval 20.40 to 24.20 days   from the step's"));
  CHECK(has(cost_part(document, Style{}), "\n  80 % interval 219,000 to 260,000 USD   from the step's\n"));
}

TEST_CASE(
    "owned hardware, contracted power and what CO2e compares with have a line each, where they are known") {
  Json document;
  document["cost"] = Json::parse(R"({"usd": null, "gpu_hours": 80, "co2e_t": 2.2, "co2e_market_t": 0.5,
    "capital_usd": 1234, "embodied_t": 0.125, "equivalents": {"flights_new_york_san_francisco": 2,
    "miles_by_car": 5450, "home_days": 57.9}, "where_and_when": {"least_carbon": null, "meets_deadline": false}})");
  const std::string screen = cost_part(document, Style{});
  CHECK(has(screen, "\n  as owned hardware, with its energy: 1,234 USD\n"));
  CHECK(has(screen, "\n  market-based, of the power that is contracted: 0.5000 t CO2e\n"));
  CHECK(has(screen, "\n  making the hardware, its share of the run: 0.1250 t CO2e\n"));
  CHECK(has(
      screen,
      "\n  as much CO2e as 2 flights New York - San Francisco, 5,450 miles by car or 57.9 days of a home\n"));
  CHECK(has(screen, "\n  no start meets the deadline: the run is longer\n"));
  document["cost"]["co2e_market_t"] = 2.2;  // no contract was given
  for (const char* key : {"capital_usd", "embodied_t", "equivalents", "where_and_when"})
    document["cost"].erase(key);
  const std::string plain = cost_part(document, Style{});
  for (const char* word : {"owned", "market", "making", "as much", "deadline"}) CHECK_FALSE(has(plain, word));
}

TEST_CASE("spot says from which discount it pays, and when none does") {
  Json document;
  document["cost"] = Json::parse(R"({"usd": 10, "spot": {"preemptions": 7, "days": 4, "usd": 10,
    "on_demand_days": 3.5, "on_demand_usd": 20, "break_even_discount": 0.125}})");
  CHECK(has(cost_part(document, Style{}),
            "  spot: 7 preemptions, 4 days and 10 USD, against 3.500 days and 20 USD on demand; pays from "
            "12.5 % off\n"));
  document["cost"]["spot"]["break_even_discount"] = -0.1;
  CHECK(has(cost_part(document, Style{}), "; pays without a discount\n"));
  document["cost"]["spot"]["break_even_discount"] = nullptr;
  document["cost"]["spot"]["usd"] = document["cost"]["spot"]["on_demand_usd"] = nullptr;
  CHECK(has(cost_part(document, Style{}),
            "  spot: 7 preemptions, 4 days, against 3.500 days on demand; no discount makes it pay\n"));
}

TEST_CASE("a run that does not finish says so in place of its days, and why; its cost is unknown") {
  Json document = sample_result();
  document["run"]["unfinished"] = 200;
  for (auto& [key, value] : document["run"]["days"].items()) value = nullptr;
  document["run"]["prediction"] = Json::parse(R"({"level": 0.8, "days_low": null, "days_high": null})");
  document["run"]["checkpoint"] = Json::parse(R"({"mttf_s": 3.5, "restart_s": 330})");
  document["cost"] = Json::parse(R"({"usd": null, "gpu_hours": null})");
  const std::string screen = run_part(document, Style{});
  CHECK(has(screen, "RUN   does not finish   (20 days without failures)"));
  CHECK(has(screen,
            "none of 200 trials finished: failures come faster than progress (one every 3.500 s, a restart "
            "takes 5.50 min)"));
  CHECK_FALSE(has(screen, "interval"));
  CHECK(has(cost_part(document, Style{}), "COST   unknown: the run does not finish\n"));
  document["run"]["unfinished"] = 12;
  document["run"]["days"] = sample_result()["run"]["days"];
  CHECK(has(run_part(document, Style{}), "12 of 200 trials did not finish"));
  CHECK_FALSE(has(run_part(sample_result(), Style{}), "finish"));
}

TEST_CASE(
    "memory shows the capacity as a line that every stage's bar is held against, equal stages in one row") {
  const std::string screen = memory_part(sample_result(), Style{});
  CHECK(has(screen, "peak 70.0 GiB of 79.3 GiB per GPU: fits, 9.3 GiB left"));
  CHECK(has(screen, "1-2"));
  // 32 columns are 79.3 GiB: sums 10, 30, 35, 68, 70 end at columns 4, 12, 14, 27, 28
  CHECK(has(screen, "WWWWGGGGGGGGOOAAAAAAAAAAAAAB    |\n"));
}

TEST_CASE("a stage that is too large reaches beyond the capacity line, and the verdict says by how much") {
  Json document = sample_result();
  document["step"]["memory"]["fits"] = false;
  document["step"]["memory"]["peak_gib"] = 89.3;
  document["step"]["memory"]["reason"] = "stage 0 needs 89.3 GiB";
  document["step"]["memory"]["stages"][0]["activations_gib"] = 52.3;
  const std::string screen = memory_part(document, Style{});
  CHECK(has(screen, "does not fit, 10.0 GiB too much\n  stage 0 needs 89.3 GiB\n"));
  CHECK(has(screen, "A|A"));
}

TEST_CASE(
    "the run shows mean, confidence interval and quantiles, and only the ledger's buckets that are used") {
  const std::string screen = run_part(sample_result(), Style{});
  CHECK(has(screen, "RUN   21.50 days   (20 days without failures)   goodput 93.0 %   200 trials"));
  CHECK(has(screen, "21.40 to 21.60"));
  CHECK(has(screen, "wait for spare         2.00 %"));
  CHECK_FALSE(has(screen, "sdc"));
}

TEST_CASE(
    "the screen is ASCII unless the style is Unicode, and has colour codes only when the style has colour") {
  const Json document = sample_result();
  CHECK(is_ascii(result_screen(document, Style{})));
  CHECK_FALSE(is_ascii(result_screen(document, Style{true, false})));
  CHECK_FALSE(has(result_screen(document, Style{true, false}), "\x1b"));
  CHECK(has(result_screen(document, Style{true, true}), "\x1b[1mSTEP\x1b[0m"));
}

TEST_CASE("no line of the screen ends in a space, and the assumptions and the seed are its end") {
  const std::string screen = result_screen(sample_result(), Style{true, false});
  std::istringstream lines(screen);
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK_FALSE(line.ends_with(' '));
  }
  CHECK(
      screen.ends_with("ASSUMED, NOT MEASURED\n  - 1.0 GiB a GPU for the CUDA context\n\nruncast 0.1.0, seed "
                       "1, scenario 00ff\n"));
}

TEST_CASE("a part that the result does not have is not on the screen") {
  Json document = sample_result();
  document.erase("run");
  document.erase("cost");
  const std::string screen = result_screen(document, Style{});
  CHECK_FALSE(has(screen, "RUN"));
  CHECK_FALSE(has(screen, "COST"));
  CHECK(result_screen(Json::object(), Style{}).empty());
}

TEST_CASE("the data degree that the file leaves to `auto` is what is left of the GPUs") {
  CHECK(has(scenario_part(sample_result(), Style{}),
            "tensor 8, pipeline 4, data 4, schedule 1f1b"));  // 128 / (8*4)
}

TEST_CASE("the checkpoint curve marks its best interval") {
  Json document = sample_result();
  document["run"]["checkpoint"] = Json::parse(
      R"({"interval_s": 600, "optimum_s": 2400, "curve": [{"interval_s": 600, "goodput": 0.95}, {"interval_s": 2400, "goodput": 0.97}]})");
  const std::string screen = checkpoint_part(document, Style{});
  CHECK(has(screen, "now 10 min   best 40 min"));
  CHECK(has(screen, "40 min   97.0 %  ############################## best\n"));
}

TEST_CASE("predictions are shown with signed errors, and what was skipped with its reason") {
  const Json document =
      Json::parse(R"({"rows": [{"id": "a", "measured_step_s": 5.0, "predicted_step_s": 5.5, "error": 0.1}],
    "skipped": [{"id": "b", "reason": "no hardware"}], "groups": [], "mape": 0.1, "median": 0.1, "p90": 0.1, "bias": -0.1})");
  const std::string screen = validation_screen(document, Style{});
  CHECK(has(screen, "1 measured steps, 1 skipped"));
  CHECK(has(screen, "all     1        10.0 %  10.0 %       10.0 %  -10.0 %\n"));
  CHECK(has(screen, "+10.0 %"));
  CHECK(has(screen, "no hardware"));
  CHECK(has(screen, "mean |error| is also called MAPE"));
}

TEST_CASE("of many rows the worst are shown, and groups stand by what they divide with the worst first") {
  Json document =
      Json::parse(R"({"skipped": [], "mape": 0.1, "median": 0.1, "p90": 0.1, "bias": 0.1, "groups": [
    {"key": "dense", "rows": 9, "mape": 0.1}, {"key": "hardware=a", "rows": 5, "mape": 0.05},
    {"key": "hardware=b", "rows": 4, "mape": 0.15}, {"key": "hardware=a precision=bf16 framework=f dense", "rows": 5, "mape": 0.05},
    {"key": "hardware=b precision=fp8 framework=f dense", "rows": 4, "mape": 0.15}]})");
  for (int i = 1; i <= 50; ++i)
    document["rows"].push_back({{"id", "r" + std::to_string(i)},
                                {"measured_step_s", 1},
                                {"predicted_step_s", 1},
                                {"error", -0.001 * i}});
  const std::string screen = validation_screen(document, Style{});
  CHECK(has(screen, "THE 20 WORST OF 50 ROWS"));
  CHECK(screen.find("  r50") < screen.find("  r31"));  // the 20 worst are r50 .. r31
  CHECK_FALSE(has(screen, "  r30 "));
  CHECK(screen.find("\n  b  ") < screen.find("\n  a  "));
  CHECK(has(screen, "a bf16 f dense"));
  CHECK_FALSE(has(screen, "b fp8 f dense"));  // 4 rows are too few for a combination
  CHECK(screen.find("number format, software and kind") < screen.find("\n  GPU "));
}

TEST_CASE(
    "validation tells what its errors are judged by: order, single changes, floor, baselines, anchor, "
    "memory") {
  const std::string screen = validation_screen(Json::parse(R"({"rows": [], "skipped": [], "groups": [],
    "ordering": {"pairs": 100, "share_right": 0.93, "spearman": 0.83},
    "one_change": {"pairs": 5, "mean_error": 0.04, "by": {"micro_batch": {"pairs": 5, "mean_error": 0.04}}},
    "baselines": {"constant_mfu": {"rows": 7, "mape": 0.2}}, "remeasurement_floor": {"rows": 7, "mape": 0.03},
    "anchored": {"rows": 7, "mape": 0.06}, "memory": {"rows": 0}})"),
                                               Style{});
  CHECK(
      has(screen,
          "93.0 % of 100 pairs of steps of one model on one kind of machine are in the measured order; rank "
          "correlation 0.83\n"));
  CHECK(has(screen,
            "5 pairs differ in one thing: the predicted ratio of their times is 4.0 % off\n    micro batch "
            "4.0 % (5)\n"));
  CHECK(has(screen, "floor: the same step measured again"));
  CHECK(has(screen, "baseline: one MFU for each GPU and format"));
  CHECK(has(screen, "with one measured step of its like as anchor"));
  CHECK_FALSE(has(screen, "peak memory"));  // no rows: not a line
}

TEST_CASE("a bar has an eighth of a column as its smallest part, and never more than its width") {
  CHECK(bar(0.5, 8, Style{}) == "####");
  CHECK(bar(2.0, 8, Style{}) == "########");
  CHECK(bar(0, 8, Style{true, false}).empty());
  CHECK(bar(1e-9, 8, Style{true, false}) == "▏");
  CHECK(bar(0.5, 1, Style{true, false}) == "▌");
}

TEST_CASE("every key of the breakdown and the ledger is explained") {
  for (const char* key : {"compute",         "tensor_exposed",   "context_exposed",
                          "expert_exposed",  "pipeline_exposed", "data_exposed",
                          "bubble",          "optimizer",        "data_loading",
                          "other",           "useful",           "recomputed",
                          "checkpoint",      "detect",           "diagnose",
                          "wait_for_spare",  "restart",          "slow",
                          "elastic_deficit", "planned",          "sdc"}) {
    CAPTURE(key);
    int found = 0;
    for (const Explanation& known : explanations()) found += known.term == key ? 1 : 0;
    CHECK(found == 1);
  }
}
