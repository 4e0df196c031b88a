// The metrics on cases small enough to follow by hand, and the shape of the document of `validate`.
#include "scenarios/validation.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "scenarios/accuracy.hpp"
#include "sim/error.hpp"

using namespace runcast;

TEST_CASE("errors of +10, -20, +5 and -1 %: MAPE 9, median 7.5, p90 17, bias -1.5 %") {
  const std::vector<double> errors = {0.10, -0.20, 0.05, -0.01};
  const ErrorSummary s = summarize(errors);
  CHECK(s.rows == 4);
  CHECK(s.mape == doctest::Approx(0.09).epsilon(1e-12));     // 36 / 4
  CHECK(s.median == doctest::Approx(0.075).epsilon(1e-12));  // between 5 and 10
  CHECK(s.p90 == doctest::Approx(0.17).epsilon(1e-12));      // rank 2.7 of 1 5 10 20: 10 + 0.7 x 10
  CHECK(s.bias == doctest::Approx(-0.015).epsilon(1e-12));   // -6 / 4
  CHECK(summarize({}).mape == 0);
}

TEST_CASE("rank correlation: 1 in order, -1 reversed, ties share their rank") {
  const std::vector<double> a = {1, 2, 3, 4}, up = {10, 20, 30, 31}, down = {4, 3, 2, 1}, tied = {1, 1, 2, 3};
  CHECK(spearman(a, up) == doctest::Approx(1).epsilon(1e-12));
  CHECK(spearman(a, down) == doctest::Approx(-1).epsilon(1e-12));
  // Ranks 0 1 2 3 and 0.5 0.5 2 3: covariance 4.5, variances 5 and 4.5.
  CHECK(spearman(a, tied) == doctest::Approx(4.5 / std::sqrt(5 * 4.5)).epsilon(1e-12));
  CHECK(spearman(a, std::vector<double>{2, 2, 2, 2}) == 0);
}

TEST_CASE("pairs are ordered within their group, and only when more than 3 % apart") {
  const std::vector<ComparedCase> cases = {
      {"a", 1.00, 1.00}, {"a", 1.02, 0.50}, {"a", 1.50, 2.00}, {"b", 9.00, 0.10}, {"b", 8.00, 0.20}};
  const Ordering o = pair_ordering(cases);
  CHECK(o.pairs == 3);  // a: 1-1.5 right, 1.02-1.5 right; 1-1.02 is too near; b: wrong
  CHECK(o.share_right == doctest::Approx(2.0 / 3).epsilon(1e-12));
  CHECK(o.spearman == doctest::Approx(0.5).epsilon(1e-12));  // of a alone: ranks 0 1 2 against 1 0 2
}

TEST_CASE("a change is a difference under one name, with what follows from it") {
  const std::vector<std::string> names = {"gpus", "batch", "precision"};
  auto follows = [](std::size_t changed, std::size_t other) { return changed == 0 && other == 1; };
  const std::vector<ChangeCase> cases = {{"m", {"8", "64", "bf16"}, 1.0, 1.0},
                                         {"m", {"16", "128", "bf16"}, 1.0, 1.1},  // GPUs, the batch follows
                                         {"m", {"8", "64", "fp8"}, 0.5, 0.4},     // precision
                                         {"n", {"8", "64", "fp8"}, 0.5, 0.4}};    // another group
  const auto changes = one_change(cases, names, follows);
  REQUIRE(changes.size() == 2);
  CHECK(changes.at("gpus").pairs == 1);
  CHECK(changes.at("gpus").mean_error == doctest::Approx(0.1).epsilon(1e-9));
  CHECK(changes.at("precision").pairs == 1);
  CHECK(changes.at("precision").mean_error ==
        doctest::Approx(0.25).epsilon(1e-9));  // (1 / 0.4) / (1 / 0.5) - 1
}

TEST_CASE("measurements of 0.9 and 1.1 of one configuration are a floor of 10 %; single ones say nothing") {
  const std::vector<Measured> rows = {{"c", 0.9}, {"c", 1.1}, {"d", 5}, {"", 1}, {"", 2}};
  const ErrorSummary floor = remeasurement_floor(rows);
  CHECK(floor.rows == 2);
  CHECK(floor.mape == doctest::Approx(0.1).epsilon(1e-12));
}

TEST_CASE("an anchor takes away the error that the cases of a group share") {
  const std::vector<ComparedCase> cases = {{"a", 1, 2}, {"a", 3, 6}, {"b", 1, 1}, {"b", 1, 1.5}, {"c", 1, 9}};
  const std::vector<double> errors = anchored_errors(cases);
  REQUIRE(errors.size() == 4);  // c has nothing to be anchored by
  CHECK(errors[0] == doctest::Approx(0).epsilon(1e-12));
  CHECK(errors[1] == doctest::Approx(0).epsilon(1e-12));
  CHECK(errors[2] == doctest::Approx(1.0 / 3).epsilon(1e-12));  // 1 x 1 / 1.5
  CHECK(errors[3] == doctest::Approx(0.5).epsilon(1e-12));
}

namespace {

// Four rows without the optional columns; the third cannot be laid out, the fourth leaves its micro-batch
// open.
const CasesFile kCases{
    "id,framework,hardware,gpus,layers,hidden,ffn,heads,vocab,seq_len,global_batch,micro_batch,tp,recompute,"
    "precision,"
    "measured_step_s,config,experts,top_k,expert_ffn\n"
    "one,megatron,h100,8,16,4096,16384,32,32000,2048,64,1,1,none,bf16,2.0,c,,,\n"
    "two,megatron,h100,8,16,4096,16384,32,32000,2048,64,1,1,none,bf16,2.2,c,,,\n"
    "three,megatron,h100,8,16,4096,16384,32,32000,2048,64,1,5,none,bf16,2.2,c,,,\n"
    "four,fsdp,h100,8,16,4096,,32,32000,2048,64,,1,none,bf16,3.0,d,8,2,4096\n",
    "cases.csv"};

}  // namespace

TEST_CASE(
    "a file of cases: predicted, measured and error by row, the reason by skipped row, the same for any -j") {
  const Library library;
  ExperimentOptions one, three;
  three.threads = 3;
  std::int64_t calls = 0;
  three.progress = [&](std::int64_t, std::int64_t total) { calls += total == 4; };
  const auto json = validate_document(kCases, library, one);
  CHECK(json.dump() == validate_document(kCases, library, three).dump());
  CHECK(calls == 4);
  REQUIRE(json["rows"].size() == 3);
  REQUIRE(json["skipped"].size() == 1);
  CHECK(json["skipped"][0]["id"] == "three");
  CHECK(json["skipped"][0]["reason"].get<std::string>().find("does not divide the cluster's 8 GPUs") !=
        std::string::npos);

  double sum = 0;
  for (const auto& row : json["rows"]) {
    const double error = row["predicted_step_s"].get<double>() / row["measured_step_s"].get<double>() - 1;
    CHECK(row["error"].get<double>() == doctest::Approx(error).epsilon(1e-12));
    double parts = 0;
    for (const auto& [name, value] : row["breakdown_s"].items()) parts += value.get<double>();
    CHECK(parts == doctest::Approx(row["predicted_step_s"].get<double>()).epsilon(1e-9));
    sum += std::abs(error);
  }
  CHECK(json["mape"].get<double>() == doctest::Approx(sum / 3).epsilon(1e-12));
  CHECK(json["dense"]["rows"] == 2);
  CHECK(json["moe"]["rows"] == 1);
  // 2.0 and 2.2 about their mean of 2.1.
  CHECK(json["remeasurement_floor"]["mape"].get<double>() == doctest::Approx(0.1 / 2.1).epsilon(1e-9));
  // The two rows are one layout: they are predicted alike, so a constant rate does as well as any prediction.
  CHECK(json["rows"][0]["predicted_step_s"] == json["rows"][1]["predicted_step_s"]);
  CHECK(json["rows"][0].contains("range") == false);
  CHECK(json["rows"][2]["range"].size() == 2);
  CHECK(json["rows"][2]["range"][0].get<double>() <= json["rows"][2]["predicted_step_s"].get<double>());
}

TEST_CASE("a file in which no row can be predicted is the user's mistake, told by row") {
  const Library library;
  const CasesFile cases{
      "hardware,gpus,layers,hidden,ffn,heads,vocab,seq_len,global_batch,measured_step_s\n"
      "h100,eight,2,1024,4096,8,32000,2048,16,1\n"
      "abacus,8,2,1024,4096,8,32000,2048,16,1\n",
      "mine.csv"};
  std::string message;
  try {
    validate_document(cases, library, {});
  } catch (const ConfigError& error) {
    message = error.what();
  }
  CHECK(message.find("mine.csv:2: column 'gpus': 'eight' is no count") != std::string::npos);
  CHECK(message.find("mine.csv:3: column 'hardware': no node of 'abacus'") != std::string::npos);
}
