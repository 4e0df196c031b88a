// Intervals from residuals: which measured steps count as like, and what their quantiles make of a time.
#include "scenarios/prediction.hpp"

#include <doctest/doctest.h>

#include "parallelism/precision.hpp"

namespace runcast {
namespace {

Scenario scenario_on(const std::string& gpu, int gpus) {
  Scenario s;
  s.node.gpu.name = gpu;
  s.training.precision = find_precision("bf16");
  s.software.name = "megatron";
  s.layout.data = gpus;
  return s;
}

// Errors -5 %, -4 %, ..., +5 %: eleven rows, so that the 10 % and 90 % quantiles are -4 % and +4 % exactly.
std::vector<Residual> eleven(const std::string& gpu, const std::string& software) {
  std::vector<Residual> list;
  for (int i = -5; i <= 5; ++i) list.push_back({gpu, "bf16", software, false, 1024, i / 100.0});
  return list;
}

TEST_CASE("a step is expected between predicted/(1 + q90) and predicted/(1 + q10) of like steps") {
  const PredictionInterval p = prediction_interval(scenario_on("h100", 64), eleven("h100", "megatron"));
  CHECK(p.low == doctest::Approx(1 / 1.04).epsilon(1e-12));
  CHECK(p.high == doctest::Approx(1 / 0.96).epsilon(1e-12));
  CHECK(p.rows == 11);
  CHECK(p.like == "the same GPU, number format and software");
  CHECK(p.warning.empty());
}

TEST_CASE("a software with too few measured steps borrows those of the same GPU and number format") {
  std::vector<Residual> list = eleven("h100", "nemo");
  list.push_back({"h100", "bf16", "megatron", false, 64, 0.5});
  const PredictionInterval p = prediction_interval(scenario_on("h100", 64), list);
  CHECK(p.rows == 12);
  CHECK(p.like == "the same GPU and number format");
}

TEST_CASE("steps of models with experts say nothing of a dense model") {
  std::vector<Residual> list = eleven("h100", "megatron");
  for (Residual& r : list) r.experts = true;
  CHECK(prediction_interval(scenario_on("h100", 64), list).rows == 0);
}

TEST_CASE("a GPU without measured steps is told to be far from the data") {
  const PredictionInterval p = prediction_interval(scenario_on("tpu-v5p", 64), eleven("h100", "megatron"));
  CHECK(p.warning ==
        "too few measured steps on tpu-v5p: the interval is borrowed from the same number format, on other "
        "GPUs");
}

TEST_CASE("a job of more than twice the largest measured one is told to be far from the data") {
  const PredictionInterval p = prediction_interval(scenario_on("h100", 2049), eleven("h100", "megatron"));
  CHECK(p.warning == "2049 GPUs are more than twice the largest measured job on h100 (1024)");
}

TEST_CASE("a biased group moves one end only: the prediction stays inside its interval") {
  std::vector<Residual> list = eleven("h100", "megatron");
  for (Residual& r : list) r.error += 0.2;  // always predicted too slow, by 15 to 25 %
  const PredictionInterval p = prediction_interval(scenario_on("h100", 64), list);
  CHECK(p.high == 1);
  CHECK(p.low == doctest::Approx(1 / 1.24).epsilon(1e-12));
}

TEST_CASE("the residuals' file reads back as it was written") {
  Library library;
  const std::vector<Residual> shipped = read_residuals(library);
  CHECK(shipped.size() > 500);
  const std::string text = residuals_csv(shipped);
  CHECK(text == library.find("published", "residuals")->text);
}

}  // namespace
}  // namespace runcast
