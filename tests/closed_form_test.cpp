// The whole program against formulas that fit on a line: what a reader should try first. Each claim goes from
// a scenario's text to the printed figure; the parts have their own closed forms in tests/topology,
// tests/parallelism and tests/failures.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

double number(const Json& json, const std::string& pointer) {
  return json.at(Json::json_pointer(pointer)).get<double>();
}

Json step(const std::string& name, const std::vector<std::string>& settings) {
  return step_of(name, settings);
}

TEST_CASE("the step is tokens x FLOPs per token / (GPUs x peak x MFU)") {
  for (const std::string& name : Library().names("runs")) {
    CAPTURE(name);
    const Json json = step_of(name);
    const double rate = number(json, "/step/model_tflops_per_gpu") * 1e12;
    CHECK(number(json, "/step/tokens") ==
          doctest::Approx(number(json, "/step/tokens_per_s_per_gpu") * number(json, "/step/gpus") *
                          number(json, "/step/time_s"))
              .epsilon(1e-9));
    CHECK(number(json, "/step/mfu") <= number(json, "/step/hfu"));
    CHECK(rate > 0);
  }
}

TEST_CASE("405B: 2523.956 GFLOP a token give the rate of the printed tokens a second") {
  // [operator table: 3 x (126 x 54425.826 + 34428.458) GFLOP / 8192 tokens]
  const Json json = step_of("llama3-405b-16k");
  CHECK(number(json, "/step/model_tflops_per_gpu") ==
        doctest::Approx(2523.956e-3 * number(json, "/step/tokens_per_s_per_gpu")).epsilon(1e-6));
  CHECK(number(json, "/step/mfu") ==
        doctest::Approx(number(json, "/step/model_tflops_per_gpu") / 989.4).epsilon(1e-6));
}

TEST_CASE("15.6 T tokens in batches of 16.78 M are 929,833 steps") {
  // 2048 x 8192 = 16,777,216 tokens; 15.6e12 / 16,777,216 = 929,832.46
  const Json json = run_document(
      library_run("llama3-405b-16k", {"failures=none", "checkpoint.interval=1 day", "training.phases="}), Library(), {});
  CHECK(number(json, "/run/ideal_days") ==
        doctest::Approx(929833 * number(json, "/step/time_s") / 86400).epsilon(1e-9));
}

TEST_CASE("without failures the run is its steps and its checkpoints, and goodput 1 less their share") {
  ExperimentOptions options;
  options.trials = 3;
  const Json json = run_document(
      library_run("one-node", {"failures=none", "checkpoint={interval: 10 min, mode: sync, block: 30 s}"}),
      Library(), options);
  const double goodput = number(json, "/run/goodput/mean");
  // 30 s of 630 s at most, and the last interval needs none.
  CHECK(goodput == doctest::Approx(600.0 / 630).epsilon(0.01));
  CHECK(number(json, "/run/ledger/checkpoint") == doctest::Approx(1 - goodput).epsilon(0.1));
  CHECK(number(json, "/run/interruptions/mean") == 0);
  CHECK(number(json, "/run/days/p5") == number(json, "/run/days/p95"));
}

TEST_CASE("cost is GPUs x days x 24 h x price, energy in proportion, CO2e energy x intensity") {
  ExperimentOptions options;
  options.trials = 3;
  const Json json = run_document(library_run("one-node", {"failures=none"}), Library(), options);
  const double hours = 8 * 24 * number(json, "/run/days/mean");
  CHECK(number(json, "/cost/gpu_hours") == doctest::Approx(hours).epsilon(1e-9));
  CHECK(number(json, "/cost/usd") == doctest::Approx(3.5 * hours).epsilon(1e-9));
  CHECK(number(json, "/cost/co2e_t") ==
        doctest::Approx(0.38 * number(json, "/cost/energy_mwh")).epsilon(1e-9));
}

TEST_CASE("a deeper pipeline at one batch has the bubble of its formula, within its transfers and its ends") {
  // 1f1b: (p-1)/m of the ideal. 1T on 64 stages, 512 micro-batches: 63/512 = 12.3 %. The head is 2 T h V
  // = 5.4 of the 64 TFLOP of a stage's two layers, so the last stage is at most 8.3 % longer than the others,
  // which wait for it once a micro-batch: at most 12.3 % x 1.083 + 8.3 %.
  const Json json = step("megatron-1t", {});
  CHECK(number(json, "/step/bubble_over_ideal") > 63 / 512.0 * 0.95);
  CHECK(number(json, "/step/bubble_over_ideal") < 63 / 512.0 * 1.083 + 0.083);
}

TEST_CASE("twice the micro-batches take less than twice the time by one bubble") {
  // T(m) = (m + p - 1) (F + B) + constants: T(2m) - T(m) = m (F + B), of which the bubble has no part.
  const auto time = [](int batch) {
    return number(step("megatron-1t", {"training.global_batch=" + std::to_string(batch)}), "/step/time_s");
  };
  const double small = time(256), middle = time(512), large = time(768);
  CHECK(large - middle == doctest::Approx(middle - small).epsilon(1e-3));
  CHECK(2 * small - middle == doctest::Approx((middle - small) * 63 / 256).epsilon(0.5));
}

}  // namespace
}  // namespace runcast
