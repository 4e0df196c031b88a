// Parameters and FLOPs by counting, against published totals and against tables derived by hand.
#include "parallelism/model.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>

namespace runcast {
namespace {

Model library_model(const std::string& name) {
  Document document = Document::load(RUNCAST_SOURCE_DIR "/scenarios/library/models/" + name + ".yaml");
  const Model model = read_model(document.root(), name);
  document.finish();
  return model;
}

std::string errors_of(const std::string& yaml) {
  Document document = Document::parse(yaml, "m.yaml");
  read_model(document.root(), "m");
  try {
    document.finish();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "";
}

double gigaflops(Flops f) { return f.value / 1e9; }

// ---- parameters -----------------------------------------------------------------------------------------

// Embedding and head 2 x 32000 x 4096, 32 x (4 h^2 + 3 h 11008), norms (2 x 32 + 1) h = 266,240.
TEST_CASE("LLaMA 7B has 6,738,415,616 parameters, 6,738,149,376 without norms") {
  const Model m = library_model("llama-7b");
  const ParameterCount c = count_parameters(m);
  CHECK(c.total == 6'738'415'616);
  CHECK(c.total - c.final_norm - m.layers * layer_parameters(m, false).norms == 6'738'149'376);
  CHECK(c.active == c.total);
}

TEST_CASE("the LLaMA 3 trio counts to the last parameter, by layer and in total") {
  struct Row {
    const char* name;
    std::int64_t layer, total;
  };
  constexpr std::array<Row, 3> rows = {{{"llama3-8b", 218'112'000, 8'030'261'248},
                                        {"llama3-70b", 855'654'400, 70'553'706'496},
                                        {"llama3-405b", 3'187'703'808, 405'853'388'800}}};
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const Model m = library_model(row.name);
    CHECK(layer_parameters(m, false).total() == row.layer);
    CHECK(count_parameters(m).total == row.total);
  }
}

TEST_CASE("DeepSeek-V3 has 671.03B parameters, 37.55B of them active with embedding and head") {
  const ParameterCount c = count_parameters(library_model("deepseek-v3"));
  CHECK(static_cast<double>(c.total) ==
        doctest::Approx(671.03e9).epsilon(1e-5));  // half of the last digit given
  CHECK(static_cast<double>(c.active) == doctest::Approx(37.55e9).epsilon(1.4e-4));
}

// Published totals (model cards and papers, billions), which are rounded: 1 % is half a digit or better of
// most; where a paper rounds coarser the row says what the exact dimensions give.
TEST_CASE("library models have their published sizes") {
  struct Row {
    const char* name;
    double total, active;  // billions; active 0 = all
  };
  constexpr std::array<Row, 24> rows = {{{"llama2-7b", 6.738, 0},        {"llama2-13b", 13.016, 0},
                                         {"llama2-70b", 68.977, 0},      {"llama-13b", 13.016, 0},
                                         {"llama-30b", 32.529, 0},       {"llama-65b", 65.286, 0},
                                         {"gpt-22b", 22.0, 0},           {"gpt-175b", 175.0, 0},
                                         {"gpt-530b", 530.0, 0},         {"gpt-1t", 1008.0, 0},
                                         {"gpt3-175b", 175.0, 0},        {"bloom-176b", 176.247, 0},
                                         {"mixtral-8x7b", 46.7, 12.9},   {"mixtral-8x22b", 140.6, 39.1},
                                         {"deepseek-v2", 235.7, 21.4},   {"grok1-314b", 316.5, 0},
                                         {"qwen3-0.6b", 0.596, 0},       {"qwen3-8b", 8.19, 0},
                                         {"qwen3-14b", 14.77, 0},        {"qwen3-32b", 32.76, 0},
                                         {"qwen3-30b-a3b", 30.53, 3.35}, {"qwen3-235b-a22b", 235.1, 22.2},
                                         {"gpt-oss-120b", 116.8, 0},     {"nemotron4-340b", 341.0, 0}}};
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const ParameterCount c = count_parameters(library_model(row.name));
    CHECK(static_cast<double>(c.total) / 1e9 == doctest::Approx(row.total).epsilon(0.01));
    if (row.active > 0)
      CHECK(static_cast<double>(c.active) / 1e9 == doctest::Approx(row.active).epsilon(0.01));
  }
}

// GPT: 12 h^2 and per layer 2 norms of 2 h, biases 3h + h + 4h + h.
TEST_CASE("biases and shifts of a GPT layer are 13 h on top of 12 h^2") {
  const Model m = library_model("gpt-22b");
  CHECK(layer_parameters(m, false).total() == 12 * m.hidden * m.hidden + 13 * m.hidden);
  const ParameterCount c = count_parameters(m);
  CHECK(c.head == 0);  // tied
  CHECK(c.positions == 2048 * 6144);
}

// A LayerNorm has a scale and a shift: 2 h. A module of multi-token prediction has a layer, [2 h, h], a norm for each of
// its two inputs and a final one: 218,112,000 + 2 x 4096^2 + 3 x 4096 of LLaMA 3 8B.
TEST_CASE(
    "a final LayerNorm has 2 h parameters, a module of LLaMA 3 8B's multi-token prediction 251,678,720") {
  CHECK(count_parameters(library_model("gpt-22b")).final_norm == 2 * 6144);
  Model m = library_model("llama3-8b");
  CHECK(count_parameters(m).final_norm == 4096);
  m.predicted_tokens = 2;
  CHECK(count_parameters(m).prediction == 2 * 251'678'720);
}

// A layer of gpt-oss: attention 2880 x (64 + 2 x 8) x 64 + 4096 x 2880 = 26,542,080, its biases 5120 + 2880; 128
// experts of 3 x 2880^2 and biases 2 x 2880 + 2880; router 2880 x 128 + 128; two RMSNorms. 36 of them, embedding and
// head of 201,088 x 2880 each, a norm: 116,829,154,368 [model card: 116.83B; the 64 sinks of a layer are left out].
TEST_CASE("gpt-oss 120B has 116.83B parameters, 40.1M of them biases; its norms have no shift") {
  const Model m = library_model("gpt-oss-120b");
  CHECK(count_parameters(m).total == 116'829'154'368);
  Model plain = m;
  plain.biases = false;
  // 36 x (128 x 8640 + 128 + 8000)
  CHECK(count_parameters(m).total - count_parameters(plain).total == 40'105'728);
}

// ---- FLOPs ----------------------------------------------------------------------------------------------

// s = 8192, one sequence; e.g. 8B: qkv 2 x 8192 x 4096 x (32 + 16) x 128; attention 2 x 8192^2 x 32 x 128
// (half of 4).
TEST_CASE("forward GFLOP of each operator of a LLaMA 3 layer") {
  struct Row {
    const char* name;
    double qkv, attention, projection, mlp_in, mlp_out, sum, head;
  };
  constexpr std::array<Row, 3> rows = {
      {{"llama3-8b", 412.317, 549.756, 274.878, 1924.145, 962.073, 4123.169, 8607.114},
       {"llama3-70b", 1374.390, 1099.512, 1099.512, 7696.581, 3848.291, 15118.285, 17214.229},
       {"llama3-405b", 4947.802, 2199.023, 4398.047, 28587.302, 14293.651, 54425.826, 34428.458}}};
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const Model m = library_model(row.name);
    const LayerFlops f = layer_forward_flops(m, false, 8192, 8192);
    CHECK(gigaflops(f.qkv) == doctest::Approx(row.qkv).epsilon(2e-6));  // three digits behind the point
    CHECK(gigaflops(f.attention) == doctest::Approx(row.attention).epsilon(2e-6));
    CHECK(gigaflops(f.projection) == doctest::Approx(row.projection).epsilon(2e-6));
    CHECK(gigaflops(f.mlp_in) == doctest::Approx(row.mlp_in).epsilon(2e-6));
    CHECK(gigaflops(f.mlp_out) == doctest::Approx(row.mlp_out).epsilon(2e-6));
    CHECK(gigaflops(f.total()) == doctest::Approx(row.sum).epsilon(2e-6));
    CHECK(gigaflops(head_forward_flops(m, 8192)) == doctest::Approx(row.head).epsilon(2e-6));
  }
}

// q_down 90.19 + q_up 309.24 + kv_down 33.82 + kv_up 137.44 = 570.69; sum with core and output 2219.96.
TEST_CASE("forward GFLOP of each operator of a DeepSeek-V3 layer at s = 4096") {
  const Model m = library_model("deepseek-v3");
  const LayerFlops moe = layer_forward_flops(m, true, 4096, 4096),
                   dense = layer_forward_flops(m, false, 4096, 4096);
  CHECK(gigaflops(moe.qkv) == doctest::Approx(570.69).epsilon(2e-5));
  CHECK(gigaflops(moe.attention) == doctest::Approx(687.19).epsilon(1e-5));
  CHECK(gigaflops(moe.projection) == doctest::Approx(962.07).epsilon(1e-5));
  CHECK(gigaflops(moe.router) == doctest::Approx(15.03).epsilon(4e-4));
  CHECK(gigaflops(moe.routed) == doctest::Approx(2886.22).epsilon(1e-5));
  CHECK(gigaflops(moe.shared) == doctest::Approx(360.78).epsilon(2e-5));
  CHECK(gigaflops(dense.mlp_in + dense.mlp_out) == doctest::Approx(3247.0).epsilon(2e-5));
}

TEST_CASE("training GFLOP per token: exact and 6N of the LLaMA 3 trio, exact of DeepSeek-V3") {
  const auto training = [](const char* name, double s, FlopConvention c) {
    return gigaflops(training_flops_per_token(library_model(name), s, c));
  };
  using enum FlopConvention;
  CHECK(training("llama3-8b", 8192, exact) == doctest::Approx(51.4704).epsilon(1e-6));
  CHECK(training("llama3-70b", 8192, exact) == doctest::Approx(449.2225).epsilon(1e-6));
  CHECK(training("llama3-405b", 8192, exact) == doctest::Approx(2523.956).epsilon(1e-6));
  CHECK(training("llama3-8b", 8192, six_n) == doctest::Approx(48.18).epsilon(1e-4));
  CHECK(training("llama3-70b", 8192, six_n) == doctest::Approx(423.32).epsilon(2e-5));
  CHECK(training("llama3-405b", 8192, six_n) == doctest::Approx(2435.12).epsilon(2e-6));
  CHECK(training("deepseek-v3", 4096, exact) == doctest::Approx(250.45).epsilon(2e-5));
}

// 8B at 8192: causal attention 549.756 GFLOP of 8192 tokens, 32 layers, x 3 = 6.442 GFLOP a token more: 12.5
// %.
TEST_CASE("counting attention over the full square adds its causal half once more") {
  const Model m = library_model("llama3-8b");
  const Flops more = training_flops_per_token(m, 8192, FlopConvention::exact_full) -
                     training_flops_per_token(m, 8192, FlopConvention::exact);
  CHECK(gigaflops(more) == doctest::Approx(3 * 32 * 549.756 / 8192).epsilon(2e-6));
}

// PaLM: 6N + 12 L a d s, full square as well.
TEST_CASE("PaLM's convention adds 12 L a d s to 6N") {
  const Model m = library_model("llama3-8b");
  const Flops more = training_flops_per_token(m, 8192, FlopConvention::palm) -
                     training_flops_per_token(m, 8192, FlopConvention::six_n);
  CHECK(more.value == doctest::Approx(12.0 * 32 * 4096 * 8192).epsilon(1e-12));
}

// Narayanan et al. 2021 eq. 3 without recomputation, 175B: 72 x 96 x 12288^2 x (1 + 2048/73728 +
// 51200/14155776) = 1.07644e12; a GELU model without grouped heads has the same matrices, with attention over
// the full square.
TEST_CASE("the 2021 Megatron formula is the exact count of a GPT with full attention") {
  const Model m = library_model("gpt3-175b");
  const double megatron = training_flops_per_token(m, 2048, FlopConvention::megatron_2021).value;
  CHECK(megatron == doctest::Approx(1.07644e12).epsilon(1e-4));
  CHECK(megatron ==
        doctest::Approx(training_flops_per_token(m, 2048, FlopConvention::exact_full).value).epsilon(1e-12));
}

// Korthikanti et al. 2022, table 5: MFU of the measured iterations on 8 to 512 A100 (312 TFLOP/s), selective
// recomputation with sequence parallelism.
TEST_CASE("model FLOPs reproduce the published MFU of 22B to 1T") {
  struct Row {
    const char* name;
    double batch, gpus, seconds, mfu;
  };
  constexpr std::array<Row, 4> rows = {{{"gpt-22b", 4, 8, 1.10, 0.417},
                                        {"gpt-175b", 64, 64, 13.75, 0.514},
                                        {"gpt-530b", 280, 280, 37.83, 0.560},
                                        {"gpt-1t", 512, 512, 71.49, 0.563}}};
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const Flops token =
        training_flops_per_token(library_model(row.name), 2048, FlopConvention::megatron_2021);
    const double mfu = token.value * 2048 * row.batch / (row.seconds * row.gpus * 312e12);
    CHECK(mfu == doctest::Approx(row.mfu).epsilon(0.005));  // iteration times have three digits
  }
}

// ---- reading --------------------------------------------------------------------------------------------

TEST_CASE("what is left out of a model takes its default") {
  Document document =
      Document::parse("layers: 2\nhidden: 64\nffn: 256\nheads: 4\nvocabulary: 100\n", "m.yaml");
  const Model m = read_model(document.root(), "tiny");
  document.finish();
  CHECK(m.name == "tiny");
  CHECK(m.kv_heads == 4);
  CHECK(m.head_dim == 16);
  CHECK(m.activation == Activation::swiglu);
  CHECK_FALSE(m.tied_embeddings);
  CHECK_FALSE(m.is_moe());
}

TEST_CASE("impossible models are refused in located sentences") {
  const std::string tiny = "layers: 2\nhidden: 64\nffn: 256\nvocabulary: 100\n";
  CHECK(errors_of(tiny + "heads: 6\n")
            .starts_with("m.yaml:5:8: hidden 64 is not divisible by 6 heads; give head_dim\n"));
  CHECK(errors_of(tiny + "heads: 4\nkv_heads: 3\n")
            .starts_with("m.yaml:6:11: 4 attention heads are not divisible by 3 kv_heads\n"));
  CHECK(
      errors_of(tiny + "heads: 4\nkv_heads: 0\n").starts_with("m.yaml:6:11: kv_heads must be at least 1\n"));
  CHECK(errors_of(tiny + "heads: 0\n")
            .starts_with("m.yaml:5:8: heads must be between 1 and 10000000, not 0\n"));
  CHECK(errors_of(tiny + "heads: 4\nexperts: {count: 4, top_k: 5, ffn: 64}\n")
            .find("top_k 5 is more than the 4 experts") != std::string::npos);
  CHECK(errors_of(tiny + "heads: 4\nexperts: {count: 4, top_k: 2, ffn: 64, dense_layers: 3}\n")
            .find("dense_layers 3 is more than the 2 layers") != std::string::npos);
  // 64-bit counts would overflow: refused before anything is counted.
  CHECK(errors_of("layers: 100000\nhidden: 10M\nffn: 10M\nheads: 1\nvocabulary: 1\n")
            .starts_with(
                "m.yaml:1:9: these dimensions make about 1.1e+20 parameters; at most 1e+16 are simulated\n"));
}

// ---- limits ---------------------------------------------------------------------------------------------

// Counts must stay inside int64: what makes more than 1e16 parameters is refused. 3 h f = 3e14 a layer of an MLP or of one
// expert, 4 h a x 2 = 8e14 of attention, and 2 h V of embedding and head on top: 33 x 3e14 + 2 x 1e7 x 4e6 = 9.98e15.
TEST_CASE("a model is refused from 1e16 parameters, whichever part has them") {
  const auto refused = [](int layers, const std::string& rest) {
    return !errors_of("layers: " + std::to_string(layers) + "\nhidden: 10M\n" + rest).empty();
  };
  const std::string mlp = "vocabulary: 1\nffn: 10M\nheads: 1\nhead_dim: 1\n";
  CHECK_FALSE(refused(33, mlp));  // 33 x 3e14 = 9.9e15
  CHECK(refused(34, mlp));
  const std::string narrow = "ffn: 10M\nheads: 1\nhead_dim: 1\n";
  CHECK_FALSE(refused(33, "vocabulary: 4M\n" + narrow));
  CHECK(refused(33, "vocabulary: 6M\n" + narrow));
  const std::string expert =
      "vocabulary: 1\nffn: 1\nheads: 1\nhead_dim: 1\nexperts: {count: 1, top_k: 1, ffn: 10M}\n";
  CHECK_FALSE(refused(33, expert));
  CHECK(refused(34, expert));
  const std::string attention = "vocabulary: 1\nffn: 1\nheads: 10M\nhead_dim: 1\n";
  CHECK_FALSE(refused(12, attention));  // 12 x 8e14 = 9.6e15
  CHECK(refused(13, attention));
}

TEST_CASE("widths end at 10 million, layers at 100,000, a capacity factor begins at a tenth") {
  const std::string rest = "ffn: 1\nheads: 1\nhead_dim: 1\nvocabulary: 1\n";
  CHECK(errors_of("layers: 100001\nhidden: 1\n" + rest)
            .starts_with("m.yaml:1:9: layers must be between 1 and 100000, not 100001\n"));
  CHECK(errors_of("layers: 100000\nhidden: 1\n" + rest).empty());
  CHECK(errors_of("layers: 1\nhidden: 10000001\n" + rest)
            .starts_with("m.yaml:2:9: hidden must be between 1 and 10000000, not 10000001\n"));
  const std::string experts =
      "layers: 1\nhidden: 1\n" + rest + "experts: {count: 4, top_k: 1, ffn: 1, capacity_factor: ";
  CHECK(errors_of(experts + "0.1}\n").empty());
  CHECK(errors_of(experts + "0.09}\n").find("capacity_factor must be 0 (dropless) or between 0.1 and 100") !=
        std::string::npos);
}

TEST_CASE("a capacity factor ends at 100, a window at a billion tokens, prediction at 16 modules") {
  const std::string tiny = "layers: 1\nhidden: 1\nffn: 1\nheads: 1\nhead_dim: 1\nvocabulary: 1\n";
  const auto refused = [&](const std::string& rest) { return !errors_of(tiny + rest).empty(); };
  const std::string experts = "experts: {count: 4, top_k: 1, ffn: 1, capacity_factor: ";
  CHECK_FALSE(refused(experts + "100}\n"));
  CHECK(refused(experts + "100.5}\n"));
  CHECK_FALSE(refused("sliding_window: {tokens: 1000000000}\n"));
  CHECK(refused("sliding_window: {tokens: 1000000001}\n"));
  CHECK_FALSE(refused("multi_token_prediction: 16\n"));
  CHECK(refused("multi_token_prediction: 17\n"));
}

// Of 6 layers the second, fourth and sixth have experts: a module of multi-token prediction is like the sixth, and its
// FLOPs count as such a layer's.
TEST_CASE("a module of multi-token prediction has experts when the last layer has") {
  Model m = library_model("qwen3-30b-a3b");
  m.layers = 6;
  m.experts->every = 2;
  CHECK(m.prediction_is_moe());
  m.layers = 5;
  CHECK_FALSE(m.prediction_is_moe());
}

// SwiGLU's shared experts: gate and up f each, down h; the router one an expert; attention (a + 2 g) d + h. Routed
// experts have their own. Two RMSNorms.
TEST_CASE("biases of a layer with shared experts are counted once each") {
  Model m = library_model("qwen3-30b-a3b");
  m.experts->shared_ffn = 1000;
  m.biases = true;
  const double attention = static_cast<double>((m.heads + 2 * m.kv_heads) * m.head_dim + m.hidden);
  CHECK(static_cast<double>(layer_parameters(m, true).norms) ==
        2.0 * static_cast<double>(m.hidden) + attention + 128 + 2 * 1000 + static_cast<double>(m.hidden));
}

}  // namespace
}  // namespace runcast
