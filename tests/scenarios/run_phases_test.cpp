// Phases, early stop and what they make of the days, by hand arithmetic.
#include <doctest/doctest.h>

#include <cmath>

#include "scenarios/run_experiment.hpp"
#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

Json run(const std::vector<std::string>& settings, const std::string& name = "one-node") {
  ExperimentOptions options;
  options.trials = 2;
  return run_document(library_run(name, settings), Library(), options);
}

double number(const Json& json, const char* pointer) {
  return json.at(Json::json_pointer(pointer)).get<double>();
}

double step_time(const std::vector<std::string>& settings) {
  return step_of("one-node", settings)["step"]["time_s"].get<double>();
}

}  // namespace

TEST_CASE("a curriculum of short sequences first takes its own steps' time, and attention's share less") {
  // 10B tokens of 128 x 8192 = 1,048,576 a step: 9,537 steps. Half of them at 512 x 2048, the same tokens a step and pass: 4,769
  // steps of each kind.
  const Json
      plain = run({}),
      short_first =
          run({"training.phases=[{tokens: 5B, sequence_length: 2048, global_batch: 512, micro_batch: 4}]"});
  const double slow = step_time({}),
               fast = step_time(
                   {"training.sequence_length=2048", "training.global_batch=512", "training.micro_batch=4"});
  CHECK(fast < slow);
  CHECK(number(plain, "/run/ideal_days") == doctest::Approx(9537 * slow / 86400).epsilon(1e-6));
  CHECK(number(short_first, "/run/ideal_days") ==
        doctest::Approx(4769 * (slow + fast) / 86400).epsilon(1e-6));
  const Json& phases = short_first["run"]["phases"];
  REQUIRE(phases.size() == 2);
  CHECK(phases[0]["steps"] == 4769);
  CHECK(phases[0]["share_of_days"].get<double>() == doctest::Approx(fast / (fast + slow)).epsilon(1e-6));
  CHECK(phases[0]["fits"] == true);
}

TEST_CASE("a batch ramp takes more steps, each with its own bubble") {
  // 405B on 16,384 GPUs: a batch of 1,024 sequences leaves 8 micro-batches a pipeline of 16 where 2,048 leave 16. 168e9
  // tokens are 20,000 steps of 8,388,608 (20,028) or 10,014 of 16,777,216.
  const std::string name = "llama3-405b-16k";
  const std::vector<std::string> tokens{"training.tokens=336G", "training.phases=", "failures=none", "run="};
  const Json plain = run(tokens, name);
  std::vector<std::string> ramped = tokens;
  ramped[1] = "training.phases=[{tokens: 168G, global_batch: 1024}]";
  const Json ramp = run(ramped, name);
  const double full = number(plain, "/step/time_s");
  const double half =
      step_of(name, {"training.phases=", "training.global_batch=1024"})["step"]["time_s"].get<double>();
  CHECK(2 * half > full);
  CHECK(number(ramp, "/run/ideal_days") ==
        doctest::Approx((20'028 * half + 10'014 * full) / 86400).epsilon(1e-6));
  CHECK(number(plain, "/run/ideal_days") == doctest::Approx(20'028 * full / 86400).epsilon(1e-6));
}

TEST_CASE("stopping after 80 % of the tokens takes 80 % of the days, to one step") {
  // 10B: 9,537 steps; 8B: 7,630.
  const Json whole = run({}), stopped = run({"training.stop={share: 0.8}"});
  CHECK(number(stopped, "/run/ideal_days") / number(whole, "/run/ideal_days") ==
        doctest::Approx(7630.0 / 9537).epsilon(1e-9));
}

TEST_CASE("stopping at a loss trains until Chinchilla's law foresees it") {
  // L = 1.69 + 406.4/N^.34 + 410.7/D^.28; N = 8.03e9: .17456; for L = 2.55: D = (410.7/(2.55 - 1.69 - .17456))^(1/.28).
  const double n = 8030261248.0, a = 406.4 / std::pow(n, 0.34);
  const double tokens = std::pow(410.7 / (2.55 - 1.69 - a), 1 / 0.28);
  REQUIRE(tokens < 10e9);
  Document document = library_run("one-node", {"training.stop={loss: 2.55}"});
  const Scenario s = read_scenario(document, Library());
  CHECK(s.stopped_tokens == doctest::Approx(tokens).epsilon(1e-6));
  CHECK(error_of([] { run({"training.stop={loss: 1.5}"}); }).find("a loss of 1.5 is not reached") !=
        std::string::npos);
  CHECK(error_of([] {
          run({"training.stop={share: 0.5}", "training.phases=[{tokens: 6B}]"});
        }).find("its phases alone take 6e+09") != std::string::npos);
  CHECK(error_of([] { run({"training.stop={share: 0.5, loss: 2.5}"}); }).find("an early stop is") !=
        std::string::npos);
}

TEST_CASE("long context is a last phase with a layout of its own") {
  const Json json =
      run({"training.phases=[{name: long context, tokens: 1B, when: last, sequence_length: 32768, "
           "global_batch: 32, layout: {tensor: 4, sequence_parallel: true, context: 2}}]",
           "training.recompute=full"});
  const Json& phases = json["run"]["phases"];
  REQUIRE(phases.size() == 2);
  CHECK(phases[0]["name"] == "main");
  CHECK(phases[1]["name"] == "long context");
  CHECK(phases[1]["context"] == 2);
  CHECK(phases[1]["data"] == 1);
  CHECK(phases[1]["steps"] == 954);  // 1e9 / (32 x 32768)
  const double alone = step_time({"training.sequence_length=32768", "training.global_batch=32",
                                  "layout.tensor=4", "layout.context=2", "training.recompute=full"});
  CHECK(phases[1]["step_s"].get<double>() == doctest::Approx(alone).epsilon(1e-12));
  CHECK(error_of([] {
          run({"training.phases=[{tokens: 1B, layout: {tensor: 2, pipeline: 2}}]"});
        }).find("needs a schedule of its own") != std::string::npos);
}

TEST_CASE(
    "LLaMA-3 405B with its batch phases, failures, pauses and long context takes 30.84M GPU-hours to 15 %") {
  // LLaMA 3.1 model card: 30.84M H100 hours. 3.8e25 FLOPs at 40 % MFU of 989 TFLOP/s are 26.7M; failures and saves 8 %.
  ExperimentOptions options;
  options.trials = 20;
  const Json json = run_document(library_run("llama3-405b-16k"), Library(), options);
  CHECK(number(json, "/cost/gpu_hours") == doctest::Approx(30.84e6).epsilon(0.15));
  const Json& phases = json["run"]["phases"];
  REQUIRE(phases.size() == 3);
  CHECK(phases[0]["tokens"].get<double>() + phases[1]["tokens"].get<double>() ==
        doctest::Approx(2.87e12).epsilon(1e-9));
  CHECK(phases[2]["name"] == "main");
  CHECK(phases[1]["gpus"] == 8192);
  // On half of the nodes 3.79e-3 failures a node-day are 3.88 a day, not 7.76: the interruptions that the days of each
  // phase give. 20 trials know some 700 to sqrt(700/20) = 6; recoveries and pauses stretch the days by goodput.
  const double share =
      number(json, "/run/phases/0/share_of_days") + number(json, "/run/phases/1/share_of_days");
  double unplanned = 0;
  for (const Json& cause : json["run"]["causes"])
    if (cause["name"] != "planned") unplanned += cause["interruptions"].get<double>();
  CHECK(unplanned ==
        doctest::Approx(419.0 / 54 * number(json, "/run/days/mean") * (1 - share / 2)).epsilon(0.04));
  double tokens = 0, hours = 0;
  for (const Json& phase : phases) {
    tokens += phase["tokens"].get<double>();
    CHECK(phase["fits"] == true);
  }
  CHECK(tokens == doctest::Approx(15.6e12).epsilon(1e-9));
  // What `explain hours` lists is all of them.
  for (const auto& [part, value] : json["cost"]["hours"].items()) hours += value.get<double>();
  CHECK(hours == doctest::Approx(number(json, "/cost/gpu_hours")).epsilon(1e-9));
}

TEST_CASE(
    "LLaMA-3.1 70B takes its published 7.0M GPU-hours on 8,192 GPUs; the 8B's 1.46M lie between 2,048 and "
    "4,096") {
  // Model card, 15T tokens and a long context. Clusters and layouts are not published, and decide: pipelines on more GPUs
  // have fewer micro-batches, and 2,048 sequences on 4,096 GPUs need tensor 2.
  ExperimentOptions options;
  options.trials = 5;
  const auto ratio = [&](const char* name, const std::vector<std::string>& settings) {
    const Json json = run_document(library_run(name, settings), Library(), options);
    for (const Json& phase : json["run"]["phases"]) CHECK(phase["fits"] == true);
    const Json& figure = json["published"]["figures"][0];
    CHECK(figure["figure"] == "gpu_hours");
    CHECK(
        figure["ratio"].get<double>() ==
        doctest::Approx(number(json, "/cost/gpu_hours") / figure["published"].get<double>()).epsilon(1e-12));
    return figure["ratio"].get<double>();
  };
  CHECK(ratio("llama3-70b-8k", {}) == doctest::Approx(1).epsilon(0.1));
  CHECK(ratio("llama3-70b-8k", {"cluster.nodes=512"}) < 1);
  CHECK(ratio("llama3-8b", {}) < 1);
  const std::string longer =
      "training.phases=[{tokens: 800B, when: last, sequence_length: 131072, global_batch: 256, "
      "layout: {tensor: 1, context: 16, data: auto}}]";
  CHECK(ratio("llama3-8b",
              {"cluster.nodes=512", "layout.tensor=2", "layout.sequence_parallel=true", longer}) > 1);
}

TEST_CASE(
    "GPT-3 on V100 simulated beside its published energy: the rate is met, hours and power are the gap") {
  // Patterson et al. 2021: 24.6 TFLOP/s and 330 W a V100 with its host, 3.55M hours, 1,287 MWh. The simulated step has
  // that rate to 5 %; failures lengthen the run, and power is by what GPUs do, with hosts and network.
  ExperimentOptions options;
  options.trials = 5;
  const Json json = run_document(library_run("gpt3-v100"), Library(), options);
  CHECK(number(json, "/step/model_tflops_per_gpu") == doctest::Approx(24.6).epsilon(0.05));
  const double mwh = number(json, "/cost/energy_mwh"), hours = number(json, "/cost/gpu_hours");
  const double watts = mwh * 1e6 / hours / 1.1;
  CHECK(mwh / 1287 == doctest::Approx((hours / 3.55e6) * (watts / 330)).epsilon(0.01));
  CHECK(mwh > 1287);
  CHECK(mwh < 2 * 1287);
  CHECK(json["published"]["figures"].size() == 4);
  // With the source's power, its hosts in it, and nothing breaking, what remains is the rate: 5 %.
  const Json plain = run_document(
      library_run("gpt3-v100", {"economics.utilization=1.1", "economics.hosts=false", "failures=none"}),
      Library(), options);
  CHECK(number(plain, "/cost/energy_mwh") == doctest::Approx(1287).epsilon(0.05));
}

}  // namespace runcast
