// The reference figures of counting, scaling laws, money and the LLaMA-3 study, each to the digits that its source gives,
// from the documents that the commands print. A figure given to n digits is met to half of the last one.
#include <doctest/doctest.h>

#include <cmath>

#include "parallelism/pipeline_execution.hpp"
#include "parallelism/roofline.hpp"
#include "parallelism/scaling_law.hpp"
#include "scenarios/library_entries.hpp"
#include "scenarios/model_calculator.hpp"
#include "scenarios/scaling.hpp"
#include "scenarios/trained_models.hpp"
#include "tests/scenarios/experiment_helpers.hpp"
#include "topology/collective.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

// |found - expected| is at most half of the unit of the last digit given.
bool meets(double found, double expected, double last_digit) {
  return std::abs(found - expected) <= 0.5 * last_digit * (1 + 1e-9);
}

double value(const Json& json, const std::string& pointer) {
  return json.at(Json::json_pointer(pointer)).get<double>();
}

ModelRequest of(const std::string& model, std::int64_t sequence = 0) {
  ModelRequest r;
  r.model = model;
  r.sequence = sequence;
  return r;
}

Json answer(const ModelRequest& request) { return model_document(request, Library()); }
Json answer(const ScalingRequest& request) { return scaling_document(request, std::nullopt, Library()); }

// ---- counting -------------------------------------------------------------------------------------------

TEST_CASE("LLaMA 7B: parameters with and without norms, KV cache, and what 80 and 40 GB hold beside it") {
  const Json json = answer(of("llama-7b"));
  CHECK(value(json, "/parameters") == 6'738'415'616);
  const double norms = value(json, "/parameters_by_component/norms");
  CHECK(value(json, "/parameters") - norms == 6'738'149'376);
  CHECK(value(json, "/kv_cache_bytes_per_token") == 524'288);
  // (80e9 - 2 x 6,738,149,376) / 524,288 = 126,883.9; with 40e9: 50,589.9
  const Model model = model_named("llama-7b", Library(), "test");
  const Bytes weights = served_weights(model, *find_precision("bf16")) - Bytes(2 * norms);
  CHECK(longest_context(model, Bytes(80e9) - weights, 1) == 126'883);
  CHECK(longest_context(model, Bytes(40e9) - weights, 1) == 50'589);
}

TEST_CASE("weights, gradients and Adam of LLaMA 7B in 16 bits: 53.9 GB, on GPUs of 80 GB and not of 40 GB") {
  const Json json = answer(of("llama-7b"));
  CHECK(meets(value(json, "/memory/all_16_bit_gb"), 53.9, 0.1));
  int seen = 0;
  for (const Json& row : json["gpus"])
    for (const auto& [gpu, fits] : {std::pair{"a100-80", true}, {"a100-40", false}, {"h100", true}})
      if (row["gpu"] == gpu) {
        CHECK(row["all_16_bit_fits"] == fits);
        ++seen;
      }
  CHECK(seen == 3);
}

// The source leaves the norms out; every figure here is in proportion to the parameters.
TEST_CASE("LLaMA 7B at 312 TFLOP/s: 43.19 us a token forward, 1.20 GPU-h, 2.40 USD; 107.98, 215.97; 50,392") {
  ModelRequest r = of("llama-7b");
  r.gpu = "a100-80";
  r.convention = "6n";
  r.price = Dollars(2);
  const auto cost = [&](double tokens, const std::string& pointer) {
    r.tokens = tokens;
    return value(answer(r), "/cost/" + pointer) * (6'738'149'376.0 / 6'738'415'616.0);
  };
  CHECK(meets(cost(100e6, "forward_per_token_s") * 1e6, 43.19, 0.01));
  CHECK(meets(cost(100e6, "forward/gpu_hours"), 1.20, 0.01));
  CHECK(meets(cost(100e6, "forward/usd"), 2.40, 0.01));
  CHECK(meets(cost(3e9, "training/gpu_hours"), 107.98, 0.01));
  CHECK(meets(cost(3e9, "training/usd"), 215.97, 0.01));
  CHECK(meets(cost(1.4e12, "training/gpu_hours"), 50'392, 1));
}

TEST_CASE("LLaMA 3 and DeepSeek-V3: parameters, active ones and GFLOP a token to the digits given") {
  const auto gflop = [](const Json& json, const char* name) {
    return value(json, std::string("/flops_per_token/") + name) / 1e9;
  };
  const Json small = answer(of("llama3-8b", 8192)), middle = answer(of("llama3-70b", 8192)),
             large = answer(of("llama3-405b", 8192)), experts = answer(of("deepseek-v3", 4096));
  CHECK(value(small, "/parameters") == 8'030'261'248);
  CHECK(value(middle, "/parameters") == 70'553'706'496);
  CHECK(value(large, "/parameters") == 405'853'388'800);
  CHECK(meets(gflop(small, "exact"), 51.4704, 1e-4));
  CHECK(meets(gflop(middle, "exact"), 449.2225, 1e-4));
  CHECK(meets(gflop(large, "exact"), 2523.956, 1e-3));
  CHECK(meets(gflop(small, "6n"), 48.18, 1e-2));
  CHECK(meets(gflop(middle, "6n"), 423.32, 1e-2));
  CHECK(meets(gflop(large, "6n"), 2435.12, 1e-2));
  CHECK(meets(value(experts, "/parameters") / 1e9, 671.03, 0.01));
  CHECK(meets(value(experts, "/active_parameters") / 1e9, 37.55, 0.01));
  CHECK(meets(gflop(experts, "exact"), 250.45, 0.01));
}

// 4 x 4096^2 + 2 x 4096 x 11008 = 157.3e6 a layer, 32 of them and 2 x 131e6: 5.295e9, 78.6 % of 6.738e9.
TEST_CASE("the layer rule without a third matrix makes LLaMA 7B 5.3B parameters") {
  const Json json = answer(of("llama-7b"));
  CHECK(meets(value(json, "/layer_rule/parameters") / 1e9, 5.3, 0.1));
  CHECK(value(json, "/layer_rule/of_the_exact") == doctest::Approx(0.7859).epsilon(1e-4));
  // A GELU model with as many key heads as queries is what the rule counts: GPT-3 lacks norms, biases, positions.
  CHECK(value(answer(of("gpt3-175b")), "/layer_rule/of_the_exact") == doctest::Approx(1).epsilon(2e-3));
}

// sqrt(32) = 5.7: 6 segments of 6 layers (5.3, rounded up). Inputs of 6 layers and all activations of 6.
TEST_CASE("square-root checkpointing keeps six inputs and one segment of six layers of LLaMA 7B") {
  const Json rows = answer(of("llama-7b"))["memory"]["activations_of_one_sequence"];
  const Json& all = rows.front();
  const Json& root = rows.back();
  CHECK(root["segments"] == 6);
  CHECK(root["layers_bytes_per_token"].get<double>() ==
        doctest::Approx(6 * 4096 * 2 + 6 * all["layers_bytes_per_token"].get<double>() / 32).epsilon(1e-12));
}

TEST_CASE(
    "LLaMA 3 405B on 15.6T tokens: 3.80e25 FLOPs and 67.8 days, with 405e9 parameters 3.79e25 and 67.7") {
  ModelRequest r = of("llama3-405b", 8192);
  r.convention = "6n";
  r.tokens = 15.6e12;
  r.gpus = 16384;
  r.mfu = 0.4;
  const Json json = answer(r);
  CHECK(meets(value(json, "/cost/training_flops") / 1e25, 3.80, 0.01));
  CHECK(meets(value(json, "/cost/training/wall_days"), 67.8, 0.1));
  ScalingRequest rounded;
  rounded.compute = training_compute({405e9, 15.6e12});
  rounded.gpu = "h100";
  rounded.mfu = 0.4;
  const Json scaling = answer(rounded);
  CHECK(meets(value(scaling, "/compute_flops") / 1e25, 3.79, 0.01));
  CHECK(meets(value(scaling, "/budget/gpu_hours") / 16384 / 24, 67.7, 0.1));
}

TEST_CASE("published GPU-hours: 78.4 days of 16,384 GPUs; DeepSeek-V3's 2.664M on 2,048 GPUs are 54.2 days") {
  int seen = 0;
  for (const TrainedModel& m : trained_models(Library())) {
    if (m.name == "LLaMA 3 405B") {
      CHECK(m.gpu_hours == 30.84e6);
      CHECK(meets(m.gpu_hours / 16384 / 24, 78.4, 0.1));
      ++seen;
    }
    if (m.name == "LLaMA 3 70B") {
      CHECK(m.gpu_hours == 7.0e6);
      ++seen;
    }
    if (m.name == "LLaMA 3 8B") {
      CHECK(m.gpu_hours == 1.46e6);
      ++seen;
    }
    if (m.name == "DeepSeek-V3") {
      CHECK(m.gpu_hours == 2.664e6);
      CHECK(m.tokens == 14.8e12);
      CHECK(meets(m.gpu_hours / 2048 / 24, 54.2, 0.1));  // "less than two months" [DeepSeek-AI 2024, sec. 1]
      ++seen;
    }
  }
  CHECK(seen == 4);
}

TEST_CASE("H100's dense bf16 peak is 989 TFLOP/s; 1,979 gives half the MFU and a warning with both") {
  ModelRequest r = of("llama3-8b", 8192);
  r.measured = 10'000;
  r.peak = FlopRate(1979e12);
  const Json json = answer(r);
  CHECK(meets(value(json, "/roofline/peak_tflops_per_gpu"), 989, 1));
  CHECK(value(json, "/measured/mfu_of_own_peak") ==
        doctest::Approx(value(json, "/measured/mfu") / 2).epsilon(0.0005));  // 1979 / 989.4
  CHECK(json["measured"]["warning"].get<std::string>().starts_with("1979 TFLOP/s is the figure of h100"));
}

// ---- scaling laws ---------------------------------------------------------------------------------------

// Besiroglu et al. 2024, table 1: G = (.3478 x 482.01 / (.3658 x 2085.43))^(1/.7136) = .21977^1.40135 = .11964;
// (1e23/6)^(.3658/.7136) = (1.66667e22)^.512612 = 2.4612e11: N = 29.45e9, D = 566.0e9.
TEST_CASE("1e23 FLOPs by Hoffmann, by Besiroglu's fit, by Kaplan in both normalizations") {
  ScalingRequest r;
  r.compute = Flops(1e23);
  const Json laws = answer(r)["laws"];
  const auto of_law = [&](std::size_t i, const char* key) { return laws.at(i).at(key).get<double>() / 1e9; };
  CHECK(meets(of_law(0, "n_opt"), 14.598, 0.001));
  CHECK(meets(of_law(0, "d_opt"), 1141.68, 0.01));
  CHECK(of_law(1, "n_opt") == doctest::Approx(29.45).epsilon(0.001));
  CHECK(of_law(1, "d_opt") == doctest::Approx(566.0).epsilon(0.001));
  CHECK(meets(of_law(2, "n_opt"), 75.91, 0.01));
  CHECK(meets(of_law(2, "d_opt"), 219.57, 0.01));
  CHECK(meets(of_law(3, "n_opt"), 224, 1));
  // 1.8172 + 482.01 / 70e9^.3478 + 2085.43 / 1.4e12^.3658 = 1.8172 + .08147 + .07518
  CHECK(find_scaling_law("besiroglu")->loss({70e9, 1.4e12}) == doctest::Approx(1.9739).epsilon(0.0001));
}

TEST_CASE("every model of the list is placed against its optimum, with the loss there for the same compute") {
  const Json json = answer(ScalingRequest{});
  for (const char* name :
       {"LLaMA 7B", "LLaMA 65B", "GPT-3", "Chinchilla", "LLaMA 3 8B", "LLaMA 3 70B", "LLaMA 3 405B"}) {
    CAPTURE(name);
    bool seen = false;
    for (const Json& row : json["models"]) {
      if (row["name"] != name) continue;
      seen = true;
      CHECK(row["loss_at_optimum"].get<double>() <= row["loss"].get<double>());
      CHECK(row["n_opt"].get<double>() * row["d_opt"].get<double>() * 6 ==
            doctest::Approx(row["compute_flops"].get<double>()).epsilon(1e-9));
    }
    CHECK(seen);
  }
}

// 1 - 2/8, 1 - 5/16, 1 - 10/32; 4/14
TEST_CASE(
    "the ramp of 4M, 8M and 16M is 75, 69 and 69 % efficient, 4M against 10M 28.6 %; a growing B_crit by "
    "phase") {
  ScalingRequest r;
  r.ramp = {{1e9, 4e6, 2e6}, {1e9, 8e6, 5e6}, {1e9, 16e6, 10e6}, {1e9, 4e6, 10e6}};
  const Json phases = answer(r)["batch"]["phases"];
  CHECK(meets(100 * phases[0]["efficiency"].get<double>(), 75, 1));
  CHECK(meets(100 * phases[1]["efficiency"].get<double>(), 69, 1));
  CHECK(meets(100 * phases[2]["efficiency"].get<double>(), 69, 1));
  CHECK(meets(100 * phases[3]["efficiency"].get<double>(), 28.6, 0.1));
  // Without one given it is estimated at each phase's loss, which falls.
  ScalingRequest own;
  own.parameters = 405e9;
  own.ramp = {{252e6, 4e6, 0}, {2.87e12, 8e6, 0}, {12.7e12, 16e6, 0}};
  const Json grown = answer(own)["batch"]["phases"];
  CHECK(grown[0]["critical_batch_tokens"] < grown[1]["critical_batch_tokens"]);
  CHECK(grown[1]["critical_batch_tokens"] < grown[2]["critical_batch_tokens"]);
}

// ---- money, energy, carbon ------------------------------------------------------------------------------

TEST_CASE("board power of the library's GPUs") {
  const Library library;
  for (const auto& [name, watts] : {std::pair{"v100-32", 300.0},
                                    {"a100-80", 400.0},
                                    {"a100-40", 400.0},
                                    {"h100", 700.0},
                                    {"a40", 300.0},
                                    {"a10", 150.0},
                                    {"rtx-a6000", 300.0}}) {
    CAPTURE(name);
    CHECK(gpu_named(name, library, "test").tdp.value == watts);
  }
}

// 174.6B x 6 x 300e9 = 3.143e23 over 24.6e12 = 3.549M hours; x 330 W x 1.10 = 1,288 MWh; x .429 = 552.7 t.
TEST_CASE("GPT-3's energy with its source's inputs, as typed: 1,287 MWh and 552 t within 1 %") {
  ModelRequest r = of("gpt3-175b");
  r.gpu = "v100-32";
  r.precision = "fp16";
  r.convention = "6n";
  r.tokens = 300e9;
  r.mfu = 24.6e12 / 125e12;
  r.power = Watts(330);
  r.pue = 1.1;
  r.kg_per_kwh = 0.429;
  const Json json = answer(r);
  CHECK(value(json, "/cost/training/gpu_hours") == doctest::Approx(3.55e6).epsilon(0.01));
  CHECK(value(json, "/cost/energy/energy_mwh") == doctest::Approx(1287).epsilon(0.01));
  CHECK(value(json, "/cost/energy/co2e_t") == doctest::Approx(552).epsilon(0.01));
}

TEST_CASE("equivalents, embodied and market-based carbon, and CodeCarbon's columns follow the run's energy") {
  ExperimentOptions options;
  options.trials = 2;
  const Json json = run_document(
      library_run("one-node", {"economics.market_intensity=100 g/kWh", "economics.carbon_intensity=400 g/kWh",
                               "economics.embodied=150 kg", "economics.lifetime=1000 days"}),
      Library(), options);
  const double kwh = 1000 * value(json, "/cost/energy_mwh"), kg = 0.4 * kwh,
               days = value(json, "/run/days/mean");
  const auto near = [](double expected) { return doctest::Approx(expected).epsilon(1e-9); };
  CHECK(value(json, "/cost/co2e_t") == near(kg / 1000));
  CHECK(value(json, "/cost/co2e_market_t") == near(kg / 4000));
  CHECK(value(json, "/cost/embodied_t") == near(0.150 * 8 * days / 1000));
  CHECK(value(json, "/cost/equivalents/flights_new_york_san_francisco") == near(kg / 1100));
  CHECK(value(json, "/cost/equivalents/miles_by_car") == near(kg / 0.404));
  CHECK(value(json, "/cost/equivalents/phone_charges") == near(kg / 0.005));
  CHECK(value(json, "/cost/equivalents/tree_years") == near(kg / 21));
  CHECK(value(json, "/cost/equivalents/home_days") == near(kg / 38));
  CHECK(value(json, "/cost/codecarbon/energy_consumed") == near(kwh));
  CHECK(value(json, "/cost/codecarbon/emissions") == near(kg));
  CHECK(value(json, "/cost/codecarbon/duration") == near(days * 86'400));
  CHECK(value(json, "/cost/codecarbon/emissions_rate") == near(kg / days / 86'400));
  double states = 0;
  for (const auto& [state, share] : json["cost"]["gpu_states"].items()) states += share.get<double>();
  CHECK(states == near(1));
}

// ---- the LLaMA-3 study ----------------------------------------------------------------------------------

TEST_CASE("LLaMA 3 405B: its dimensions, and 810 / 3240 / 810 GB by rule of its rounded 405e9 parameters") {
  const Model m = model_named("llama3-405b", Library(), "test");
  CHECK(m.layers == 126);
  CHECK(m.hidden == 16'384);
  CHECK(m.ffn == 53'248);
  CHECK(m.heads == 128);
  CHECK(m.kv_heads == 8);
  CHECK(m.vocabulary == 128'256);
  const Json json = answer(of("llama3-405b", 8192));
  const double rounded = 405e9 / 405'853'388'800.0;
  CHECK(meets(value(json, "/memory/by_rule_gb/weights_16_bit") * rounded, 810, 1));
  CHECK(meets(value(json, "/memory/by_rule_gb/moments_32_bit") * rounded, 3240, 1));
  CHECK(meets(value(json, "/memory/by_rule_gb/gradients_16_bit") * rounded, 810, 1));
}

// 2 x 7/8 x 537e6 / 900e9; 2 x 15/16 x 537e6 / 50e9
TEST_CASE(
    "ring all-reduce of 537 MB without latency: 1.04 ms over 8 GPUs at 900 GB/s, 20.1 ms over 16 at 50") {
  const auto milliseconds = [](int n, double bandwidth) {
    return 1e3 * closed_form(Collective::all_reduce, Algorithm::ring, n, Seconds(0), Bytes(537e6),
                             Bandwidth(bandwidth))
                     .value;
  };
  CHECK(meets(milliseconds(8, 900e9), 1.04, 0.01));
  CHECK(meets(milliseconds(16, 50e9), 20.1, 0.1));
}

// Unit passes on an order without messages; (p-1)/m of the ideal, (p-1)/(m+p-1) of the total.
struct UnitWork : PipelineWork {
  Duration duration(int, const Slot& slot, Time) override {
    return {slot.pass == Pass::forward ? 1'000'000 : 2'000'000};
  }
  Time not_before(int, const Slot&) override { return {}; }
  Duration transfer(int, int, Pass) override { return {}; }
  void finished(int, const Slot&, Time, Time) override {}
};

TEST_CASE(
    "the executed 1F1B with 64 micro-batches: 16 stages 23.4 % of the ideal, 19.0 % of all; 8: 9.9, 32: 32.6 "
    "%") {
  for (const auto& [stages, of_total] : {std::pair{8, 9.9}, {16, 19.0}, {32, 32.6}}) {
    CAPTURE(stages);
    Layout layout;
    layout.pipeline = stages;
    ScheduleSpec spec;
    spec.row = find_schedule("1f1b");
    UnitWork work;
    EventQueue queue;
    const PipelineSchedule order = spec.row->build(spec.request(layout, 64));
    const double total = to_seconds(execute(order, PointToPoint::async, work, queue).makespan).value;
    const double ideal = 64 * 3e-3;
    CHECK(meets(100 * (total - ideal) / total, of_total, 0.1));
    if (stages == 16) CHECK(meets(100 * (total - ideal) / ideal, 23.4, 0.1));
  }
}

TEST_CASE("LLaMA 3's batches: 4M tokens at 4,096, 8M at 8,192 after 252M tokens, 16M after 2.87T") {
  Document document = library_run("llama3-405b-16k");
  const Scenario s = read_scenario(document, Library());
  REQUIRE(s.phases.size() == 2);
  CHECK(s.phases[0].sequence_length == 4096);
  CHECK(s.phases[0].tokens == 252e6);
  CHECK(meets(static_cast<double>(s.phases[0].global_batch * s.phases[0].sequence_length) / 1e6, 4, 1));
  CHECK(s.phases[1].sequence_length == 8192);
  CHECK(meets(static_cast<double>(s.phases[1].global_batch * s.phases[1].sequence_length) / 1e6, 8, 1));
  CHECK(meets((s.phases[0].tokens + s.phases[1].tokens) / 1e12, 2.87, 0.01));
  CHECK(meets(static_cast<double>(s.training.global_batch * s.training.sequence_length) / 1e6, 17,
              1));  // 16 Mi
}

// 10 x 5 min of 1,440: 3.47 %; 10 x 30 s: .347 %. Saves that take nothing and are durable at once leave nothing to repeat
// but part of a step; the clock counts up-time, so that of all time it is 50 / 1,490 = 3.36 % of the ledger.
TEST_CASE("10 interruptions a day of 5 min are 3.5 % of the time trained, of 30 s 0.35 %") {
  const Library library;
  for (const auto& [restart, percent] : {std::pair{"5 min", 3.5}, {"30 s", 0.35}}) {
    CAPTURE(restart);
    ExperimentOptions options;
    options.trials = 200;
    const std::string start =
        std::string("recovery={policy: restart, detect: 0 s, diagnose: 0 s, reschedule: 0 s, start: ") +
        restart + ", initialize: 0 s, load: 0 s, warm_up: 0 s}";
    const Json json = run_document(
        library_run(
            "one-node",
            {"training.tokens=200B",
             "failures={clock: up, classes: [{name: any, domain: job, rate: 10 /day, action: retry}]}",
             "checkpoint={interval: 1 s, mode: async, block: 0 s, persist: 0 s}", start}),
        library, options);
    const double useful = value(json, "/run/ledger/useful"), down = value(json, "/run/ledger/restart");
    // Some 290 interruptions a trial, 200 trials: known to .4 %.
    CHECK(100 * down / useful == doctest::Approx(percent).epsilon(0.02));
  }
}

}  // namespace
}  // namespace runcast
