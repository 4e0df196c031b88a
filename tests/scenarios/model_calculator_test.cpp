// The document of `runcast model`: the reference rows, and that its parts agree with each other.
#include "scenarios/model_calculator.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "scenarios/throughput_grade.hpp"
#include "tests/scenarios/experiment_helpers.hpp"

using namespace runcast;
using Json = nlohmann::ordered_json;

namespace {

Json answer(ModelRequest request) { return model_document(request, Library()); }

ModelRequest of(const std::string& model, std::int64_t sequence = 0) {
  ModelRequest r;
  r.model = model;
  r.sequence = sequence;
  return r;
}

double value(const Json& json, const std::string& pointer) {
  return json.at(Json::json_pointer(pointer)).get<double>();
}

}  // namespace

TEST_CASE("LLaMA 3 by counting: parameters, and GFLOP a token at 8,192 tokens, exact and 6 N") {
  struct Row {
    const char* name;
    double parameters, exact, six_n;
  };
  for (const Row& row :
       {Row{"llama3-8b", 8'030'261'248, 51.4704, 48.18}, Row{"llama3-70b", 70'553'706'496, 449.2225, 423.32},
        Row{"llama3-405b", 405'853'388'800, 2523.956, 2435.12}}) {
    CAPTURE(row.name);
    const Json json = answer(of(row.name, 8192));
    CHECK(value(json, "/parameters") == row.parameters);
    CHECK(value(json, "/flops_per_token/exact") / 1e9 == doctest::Approx(row.exact).epsilon(0.00005 / 51));
    CHECK(value(json, "/flops_per_token/6n") / 1e9 == doctest::Approx(row.six_n).epsilon(0.005 / 48));
    CHECK(value(json, "/forward_flops_per_token/exact") ==
          doctest::Approx(value(json, "/flops_per_token/exact") / 3).epsilon(1e-12));
    CHECK(value(json, "/full_recompute_flops_per_token/6n") ==
          doctest::Approx(value(json, "/flops_per_token/6n") * 4 / 3).epsilon(1e-12));
  }
}

TEST_CASE("full recomputation computes the layers again, not the head, as Narayanan's equation 3 has it") {
  // LLaMA 7B, 4,096 tokens: 96 L h^2 (1 + s/6h + V/(16 L h)) = 96 x 32 x 4096^2 x (1 + 1/6 + 0.0152588) = 60.916e9
  const Json json = answer(of("llama-7b", 4096));
  CHECK(value(json, "/full_recompute_flops_per_token/megatron_2021") == doctest::Approx(60.916e9).epsilon(1e-5));
  const double head = 2.0 * 4096 * 32000;
  CHECK(value(json, "/full_recompute_flops_per_token/exact") ==
        doctest::Approx(value(json, "/flops_per_token/exact") * 4 / 3 - head).epsilon(1e-12));
}

TEST_CASE("DeepSeek-V3: 671.03B parameters, 37.55B active, 250.45 GFLOP a token at 4,096") {
  const Json json = answer(of("deepseek-v3"));
  CHECK(json["sequence_length"] == 4096);
  CHECK(value(json, "/parameters") / 1e9 == doctest::Approx(671.03).epsilon(0.005 / 671));
  CHECK(value(json, "/active_parameters") / 1e9 == doctest::Approx(37.55).epsilon(0.005 / 37.55));
  CHECK(value(json, "/flops_per_token/exact") / 1e9 == doctest::Approx(250.45).epsilon(0.005 / 250));
}

// Weights, gradients, optimizer: 2 + 4 + 12 = 18 B a parameter with fp32 gradients; all in 16 bits 8 B.
TEST_CASE(
    "LLaMA 7B: KV cache of 524,288 B a token, 53.9 GB all in 16 bits, 18 B a parameter in mixed precision") {
  const Json json = answer(of("llama-7b"));
  CHECK(value(json, "/kv_cache_bytes_per_token") == 524'288);
  CHECK(value(json, "/memory/all_16_bit_gb") == doctest::Approx(53.9).epsilon(0.05 / 53.9));
  CHECK(value(json, "/memory/state_bytes_per_parameter") == doctest::Approx(18).epsilon(1e-9));
  const Json& kept = json["memory"]["activations_of_one_sequence"];
  CHECK(kept[0]["layers_gb"] > kept[1]["layers_gb"]);
  CHECK(kept[1]["layers_gb"] > kept[2]["layers_gb"]);
  // Full recomputation keeps each layer's input: 32 x 4096 x 2 B a token.
  CHECK(kept[3]["layers_bytes_per_token"].get<double>() == doctest::Approx(32 * 4096 * 2).epsilon(1e-12));
}

// The reference leaves out the norms, 266,240 of 6.7e9 parameters: 4e-5 of each figure.
TEST_CASE(
    "LLaMA 7B at an A100's peak by 6 N: reading 100M tokens 2.40 USD, training on 3B 215.97 USD at 2 USD an "
    "hour") {
  ModelRequest r = of("llama-7b");
  r.gpu = "a100-80";
  r.convention = "6n";
  r.price = Dollars(2);
  r.tokens = 100e6;
  Json json = answer(r);
  CHECK(value(json, "/cost/forward_per_token_s") * 1e6 == doctest::Approx(43.19).epsilon(0.005 / 43));
  CHECK(value(json, "/cost/forward/gpu_hours") == doctest::Approx(1.20).epsilon(0.005));
  CHECK(value(json, "/cost/forward/usd") == doctest::Approx(2.40).epsilon(0.005 / 2.4));
  r.tokens = 3e9;
  json = answer(r);
  CHECK(value(json, "/cost/training/gpu_hours") == doctest::Approx(107.9832).epsilon(5e-5));
  CHECK(value(json, "/cost/training/usd") == doctest::Approx(215.97).epsilon(5e-5));
  // A token at a time reads all weights: 13.5 GB at 2039 GB/s, far above the FLOPs' time.
  CHECK(value(json, "/cost/decode/gpu_hours") > 100 * value(json, "/cost/forward/gpu_hours"));
}

// 6 x 405.853e9 x 15.6e12 = 3.799e25; / (16,384 x 989.4e12 x 0.4 x 86,400) = 67.8 days
TEST_CASE("LLaMA 3 405B on 15.6T tokens: 3.80e25 FLOPs, 67.8 days of 16,384 H100 at 40 % MFU") {
  ModelRequest r = of("llama3-405b", 8192);
  r.convention = "6n";
  r.tokens = 15.6e12;
  r.gpus = 16384;
  r.mfu = 0.4;
  const Json json = answer(r);
  CHECK(value(json, "/cost/training_flops") == doctest::Approx(3.80e25).epsilon(0.005 / 3.80));
  CHECK(value(json, "/cost/training/wall_days") == doctest::Approx(67.8).epsilon(0.05 / 67.8));
}

TEST_CASE("what fits grows with memory: B200 holds what H100 holds and more, a node more than a GPU") {
  const Json json = answer(of("llama3-8b", 8192));
  const auto row = [&](const char* gpu) -> const Json& {
    for (const Json& at : json["gpus"])
      if (at["gpu"] == gpu) return at;
    REQUIRE(false);
    return json;
  };
  CHECK(value(row("b200"), "/inference/longest_context") > value(row("h100"), "/inference/longest_context"));
  // (79.3 GiB - 1 GiB of framework - 16.06 GB) / 131,072 B, floor: the 8B model keeps 32 x 2 x 1024 x 2 B a token
  CHECK(value(row("h100"), "/inference/longest_context") ==
        std::floor((78.3 * kGiB - 2 * 8'030'261'248.0) / 131'072));
  CHECK(value(row("h100"), "/training/none/longest_sequence") == 0);  // 18 B x 8.03e9 = 145 GB
  CHECK(value(row("h100"), "/node_training/full/longest_sequence") >
        value(row("h100"), "/node_training/none/longest_sequence"));
  CHECK(value(json, "/roofline/largest_trained_on_a_node/full/parameters") >
        value(json, "/roofline/largest_trained_on_one_gpu/none/parameters"));
}

// 10,000 tokens/s x 51.4704 GFLOP = 514.7 TFLOP/s of 989.4: 52.0 %
TEST_CASE("10,000 tokens/s of LLaMA 3 8B on an H100 are 52.0 % MFU, graded among the published steps") {
  ModelRequest r = of("llama3-8b", 8192);
  r.measured = 10000;
  Json json = answer(r);
  CHECK(value(json, "/measured/mfu") == doctest::Approx(0.5202).epsilon(0.0005));
  CHECK(value(json, "/measured/published_steps") >= 8);
  const std::string better = json["measured"]["grade"];
  r.measured = 1000;
  json = answer(r);
  CHECK(json["measured"]["grade"] == "D");
  CHECK(better < "D");  // A, B or C
  CHECK_FALSE(json["measured"].contains("warning"));
}

TEST_CASE("the peak with structured sparsity, given by hand, is told beside the dense one") {
  ModelRequest r = of("llama3-8b", 8192);
  r.measured = 10000;
  r.peak = FlopRate(1979e12);
  const Json measured = answer(r)["measured"];
  CHECK(measured["mfu_of_own_peak"].get<double>() == doctest::Approx(0.2601).epsilon(0.0005));
  CHECK(measured["warning"] ==
        "1979 TFLOP/s is the figure of h100 with structured sparsity; dense bf16 is 989 TFLOP/s: MFU 52.0 % "
        "of that, "
        "26.0 % of yours");
}

TEST_CASE(
    "a grade is the share of like rows below: of 8 dense rows, better than 6 is A, than 5 B, than 1 D") {
  std::vector<PublishedMfu> rows;
  for (int i = 1; i <= 8; ++i) rows.push_back({"r", "m", false, 8, 0.1 * i});
  rows.push_back({"e", "moe", true, 8, 0.01});
  CHECK(grade_of(0.65, false, rows).letter == "A");  // 6 of 8
  CHECK(grade_of(0.55, false, rows).letter == "B");
  CHECK(grade_of(0.15, false, rows).letter == "D");
  CHECK(grade_of(0.65, false, rows).median == doctest::Approx(0.45).epsilon(1e-12));
  // One row with experts is too few: all nine are compared with.
  CHECK(grade_of(0.65, true, rows).rows == 9);
  CHECK(grade_of(0.65, true, {}).letter.empty());
}

TEST_CASE("wrong requests are sentences with their option") {
  CHECK(error_of([] {
          answer(of("llama3-40b"));
        }).starts_with("runcast model: unknown model 'llama3-40b', did you mean 'llama3-4"));
  ModelRequest precision = of("llama-7b");
  precision.gpu = "v100-32";
  CHECK(error_of([&] { answer(precision); }) ==
        "--precision: v100-32 has no bf16 units; it has fp32, tf32, fp16");
  ModelRequest convention = of("llama-7b");
  convention.convention = "exakt";
  CHECK(
      error_of([&] { answer(convention); }) ==
      "--convention: unknown convention 'exakt', did you mean 'exact'?; legal: exact, exact_full, 6n, palm, "
      "megatron_2021");
}
