// What the GPUs do over a step and over the days of a run: parts that sum, and figures that other parts of the answer tell.
#include "scenarios/gpu_activity.hpp"

#include <doctest/doctest.h>

#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

Json activity(const std::string& name, const std::vector<std::string>& settings = {}) {
  ExperimentOptions options;
  options.activity = true;
  return step_document(library_run(name, settings), Library(), options)["step"];
}

double sum_of(const Json& shares) {
  double sum = 0;
  for (const char* key : {"busy", "communication", "bubble", "loading", "other"})
    sum += shares.at(key).get<double>();
  return sum;
}

}  // namespace

TEST_CASE("shares of each slice sum to one, and their mean is the step's") {
  const Json step = activity("llama3-70b");
  const Json& all = step["gpu_activity"];
  REQUIRE(all["slices"].size() == 40);
  double busy = 0;
  for (const Json& slice : all["slices"]) {
    CHECK(sum_of(slice) == doctest::Approx(1).epsilon(1e-9));
    busy += slice["busy"].get<double>() / 40;
  }
  CHECK(sum_of(all) == doctest::Approx(1).epsilon(1e-9));
  CHECK(all["busy"].get<double>() == doctest::Approx(busy).epsilon(1e-6));  // slices of equal length
  CHECK(all["slices"][39]["end_s"].get<double>() ==
        doctest::Approx(step["time_s"].get<double>()).epsilon(1e-12));
  // Of four stages all but the first wait for the first micro-batch; in the middle none does.
  CHECK(all["slices"][0]["busy"] < all["slices"][20]["busy"]);
  // Model FLOPs cannot be done while nothing runs.
  CHECK(step["mfu"] < all["busy"]);
}

// 16 samples a GPU and step at 2 s each by one worker: 32 s, where a step takes 13.1 s.
TEST_CASE(
    "a starving loader is the share of the step that the breakdown has, and nothing else changes its "
    "length") {
  const Json step =
      activity("one-node", {"training.data_loading={workers_per_gpu: 1, time_per_sample: 2 s}"});
  const double share = step["breakdown_s"]["data_loading"].get<double>() / step["time_s"].get<double>();
  CHECK(share > 0.5);
  CHECK(step["gpu_activity"]["loading"].get<double>() == doctest::Approx(share).epsilon(1e-6));
  CHECK(step["gpu_activity"]["busy"].get<double>() < 1 - share + 1e-9);
}

TEST_CASE(
    "over the days of a run the states sum to one, and nothing stands still where nothing fails or pauses") {
  ExperimentOptions options;
  options.trials = 4;
  const Json failing =
      goodput_document(library_run("one-node", {"training.tokens=200B"}), Library(), options);
  for (const Json& point : failing["studies"]["over_time"]) {
    double sum = 0;
    for (const auto& [state, share] : point["gpu_states"].items()) sum += share.get<double>();
    CHECK(sum == doctest::Approx(1).epsilon(1e-9));
  }
  const Json calm = goodput_document(library_run("one-node", {"training.tokens=200B", "failures=none"}),
                                     Library(), options);
  for (const Json& point : calm["studies"]["over_time"])
    CHECK(point["gpu_states"]["stopped"].get<double>() == doctest::Approx(0).epsilon(1e-9));
}

}  // namespace runcast
