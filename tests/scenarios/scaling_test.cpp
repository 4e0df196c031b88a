// Budgets in FLOPs, GPU-hours and dollars come to the same optimum, and published models lie where arithmetic puts them.
#include "scenarios/scaling.hpp"

#include <doctest/doctest.h>

#include "scenarios/trained_models.hpp"
#include "tests/scenarios/experiment_helpers.hpp"

using namespace runcast;
using Json = nlohmann::ordered_json;

namespace {

Json answer(const ScalingRequest& request) { return scaling_document(request, std::nullopt, Library()); }

ScalingRequest on_h100(double mfu) {
  ScalingRequest r;
  r.gpu = "h100";
  r.mfu = mfu;
  return r;
}

const Json& model_in(const Json& json, const std::string& name) {
  for (const Json& row : json["models"])
    if (row["name"] == name) return row;
  REQUIRE_MESSAGE(false, name);
  return json;
}

}  // namespace

TEST_CASE("a budget of 1e23 FLOPs: 14.598B parameters, every law beside it") {
  ScalingRequest r;
  r.compute = Flops(1e23);
  const Json json = answer(r);
  CHECK(json["n_opt"].get<double>() == doctest::Approx(14.598e9).epsilon(0.0005 / 14.598));
  CHECK(json["d_opt"].get<double>() == doctest::Approx(1141.68e9).epsilon(0.005 / 1141.68));
  REQUIRE(json["laws"].size() == 4);
  CHECK(json["laws"][2]["n_opt"].get<double>() == doctest::Approx(75.91e9).epsilon(0.005 / 75.91));
  CHECK_FALSE(json.contains("budget"));  // on no GPU in particular
}

// 1e6 h x 3600 s x 989.4e12 FLOP/s x 0.4 = 1.424736e24 FLOPs; at 3 USD an hour the same is 3e6 USD.
TEST_CASE("1M GPU-hours of H100 at 40 % MFU are 1.4247e24 FLOPs, and so are 3M USD at 3 USD") {
  ScalingRequest hours = on_h100(0.4), dollars = on_h100(0.4);
  hours.gpu_hours = 1e6;
  dollars.budget = Dollars(3e6);
  dollars.price = Dollars(3);
  CHECK(answer(hours)["compute_flops"].get<double>() == doctest::Approx(1.424736e24).epsilon(1e-9));
  const Json json = answer(dollars);
  CHECK(json["compute_flops"].get<double>() == doctest::Approx(1.424736e24).epsilon(1e-9));
  CHECK(json["budget"]["gpu_hours"].get<double>() == doctest::Approx(1e6).epsilon(1e-9));
  CHECK(json["budget"]["usd"].get<double>() == doctest::Approx(3e6).epsilon(1e-9));
}

// The step's MFU counts attention; the laws' 6 N does not: 2435.120 / 2523.956 of it buys tokens.
TEST_CASE("GPU-hours with a scenario take the MFU of its simulated step, in the laws' FLOPs") {
  ScalingRequest r;
  r.gpu_hours = 30.84e6;
  const Json json = scaling_document(r, library_run("llama3-405b-16k"), Library());
  const double mfu = step_of("llama3-405b-16k")["step"]["mfu"].get<double>();
  CHECK(json["budget"]["mfu"].get<double>() == doctest::Approx(mfu).epsilon(1e-9));
  CHECK(json["budget"]["mfu_6n"].get<double>() == doctest::Approx(mfu * 2435.120 / 2523.956).epsilon(1e-5));
  CHECK(json["compute_flops"].get<double>() ==
        doctest::Approx(30.84e6 * 3600 * 989.4e12 * mfu * 2435.120 / 2523.956).epsilon(1e-5));
  // Its model trained for the budget: D = C / 6 N.
  CHECK(json["model"]["tokens"].get<double>() ==
        doctest::Approx(json["compute_flops"].get<double>() / (6 * 405'853'388'800.0)).epsilon(1e-9));
  // The scenario's own ramp: 4M, 8M, 16M tokens.
  CHECK(json["batch"]["phases"][0]["batch_tokens"] == 1024 * 4096);
  CHECK(json["batch"]["phases"][2]["batch_tokens"] == 2048 * 8192);
}

// 6 x 70e9 x 1.4e12 = 5.88e23; Hoffmann: N_opt = 1.34475 x (9.8e22)^0.4516 = 32.5e9
TEST_CASE("Chinchilla took 5.88e23 FLOPs and is 2.15 times as large as Hoffmann's own fit has it") {
  ScalingRequest r;
  const Json json = answer(r);
  const Json& row = model_in(json, "Chinchilla");
  CHECK(row["compute_flops"].get<double>() == doctest::Approx(5.88e23).epsilon(1e-9));
  CHECK(row["parameters_over_optimum"].get<double>() == doctest::Approx(70.0 / 32.5).epsilon(0.005));
  CHECK(row["parameters_over_optimum"].get<double>() * row["tokens_over_optimum"].get<double>() ==
        doctest::Approx(1).epsilon(1e-9));  // the same compute
  CHECK(row["compute_over_needed"].get<double>() > 1);
  // GPT-3 was too large for its 300B tokens, LLaMA 3 8B is too small for its 15T, on purpose.
  CHECK(model_in(json, "GPT-3")["parameters_over_optimum"].get<double>() > 5);
  CHECK(model_in(json, "LLaMA 3 8B")["parameters_over_optimum"].get<double>() < 0.25);
}

TEST_CASE("the published GPU-hours stand in the table: LLaMA 3.1 1.46M, 7.0M, 30.84M; DeepSeek-V3 2.664M") {
  double sum = 0;
  for (const TrainedModel& m : trained_models(Library())) {
    CHECK_FALSE(m.source.empty());
    if (m.name == "LLaMA 3 405B") {
      // 30.84e6 / 16,384 / 24 = 78.4 days of the cluster; 6 N D = 3.80e25
      CHECK(m.gpu_hours / 16384 / 24 == doctest::Approx(78.4).epsilon(0.05 / 78.4));
      CHECK(6 * m.parameters * m.tokens == doctest::Approx(3.80e25).epsilon(0.005 / 3.80));
    }
    if (m.name == "DeepSeek-V3") CHECK(m.experts);
    if (m.gpu == "h100" || m.gpu == "h800") sum += m.gpu_hours;
  }
  CHECK(sum == doctest::Approx(1.46e6 + 7.0e6 + 30.84e6 + 2.664e6).epsilon(1e-12));
}

// Steps: 252e6/4e6 + 2.618e12/8e6 + 12.73e12/16e6 = 63 + 327,250 + 795,625 = 1,122,938
TEST_CASE("a batch ramp tells steps and efficiency of each phase and of the last batch all along") {
  ScalingRequest r;
  r.ramp = {{252e6, 4e6, 2e6}, {2.618e12, 8e6, 5e6}, {12.73e12, 16e6, 10e6}};
  const Json batch = answer(r)["batch"];
  CHECK(batch["phases"][0]["efficiency"].get<double>() == doctest::Approx(0.75).epsilon(1e-12));
  CHECK(batch["phases"][1]["efficiency"].get<double>() == doctest::Approx(0.6875).epsilon(1e-12));
  CHECK(batch["ramp"]["steps"].get<double>() == doctest::Approx(1'122'938).epsilon(1e-9));
  CHECK(batch["constant"]["steps"].get<double>() == doctest::Approx(15.348252e12 / 16e6).epsilon(1e-9));
  // Fewer steps with the large batch all along, but more samples wasted.
  CHECK(batch["constant"]["sample_efficiency"] < batch["ramp"]["sample_efficiency"]);
}

TEST_CASE("wrong requests are sentences that begin with their option") {
  ScalingRequest two;
  two.compute = Flops(1e23);
  two.loss = 2;
  CHECK(error_of([&] { answer(two); }) == "--compute, --loss: 2 budgets; give one of them");
  ScalingRequest hours;
  hours.gpu_hours = 1e6;
  CHECK(error_of([&] { answer(hours); }) ==
        "--gpu-hours: on which GPU? Give --scenario NAME, whose simulated step tells the MFU, or --gpu NAME "
        "with "
        "--mfu");
  ScalingRequest law;
  law.law = "chinchila";
  CHECK(error_of([&] { answer(law); }) ==
        "--law: unknown law 'chinchila', did you mean 'chinchilla'?; legal: chinchilla, besiroglu, kaplan, "
        "kaplan-paper");
  ScalingRequest gpu = on_h100(0.4);
  gpu.gpu = "h1000";
  CHECK(error_of([&] { answer(gpu); }).starts_with("--gpu: unknown GPU 'h1000', did you mean 'h100'"));
  CHECK(error_of([&] { answer(on_h100(40)); }) == "--mfu: 40 is not a share between 0 and 1, e.g. 0.4");
  ScalingRequest floor;
  floor.loss = 1.6;
  CHECK(error_of([&] { answer(floor); }) == "--loss: no compute reaches a loss of 1.6 by the law chinchilla");
}
