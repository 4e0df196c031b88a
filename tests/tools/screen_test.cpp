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
