// config.json of known models, made by hand with the keys that Hugging Face's files have, against the library's entries.
#include "scenarios/interchange/huggingface.hpp"

#include <doctest/doctest.h>

#include <array>

#include "parallelism/model.hpp"
#include "scenarios/library_entries.hpp"
#include "sim/config.hpp"
#include "sim/error.hpp"
#include "tests/error_of.hpp"

using namespace runcast;

namespace {

Model read(const std::string& json) {
  Document document = Document::parse(import_huggingface(json, "x", "config.json").yaml, "imported");
  Model m = read_model(document.root(), "");
  document.finish();
  return m;
}

std::string refusal(const std::string& json) {
  return runcast::error_of([&] { import_huggingface(json, "x", "c.json"); });
}

struct Config {
  const char* library;
  const char* json;
};

// Numbers as in the published files; keys that say nothing of size are kept where they once misled somebody: nulls,
// explicit head_dim, torch_dtype or dtype.
constexpr std::array<Config, 11> kConfigs = {{
    {"llama3-8b",
     R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": false, "hidden_act": "silu",
      "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 8192, "mlp_bias": false, "num_attention_heads": 32,
      "num_hidden_layers": 32, "num_key_value_heads": 8, "rope_scaling": null, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
      "vocab_size": 128256})"},
    {"llama2-7b",
     R"({"model_type": "llama", "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 11008,
      "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32, "vocab_size": 32000, "pretraining_tp": 1})"},
    {"mixtral-8x7b",
     R"({"model_type": "mixtral", "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
      "num_attention_heads": 32, "num_experts_per_tok": 2, "num_hidden_layers": 32, "num_key_value_heads": 8,
      "num_local_experts": 8, "sliding_window": null, "max_position_embeddings": 32768, "vocab_size": 32000})"},
    {"qwen3-8b",
     R"({"model_type": "qwen3", "head_dim": 128, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 12288,
      "num_attention_heads": 32, "num_hidden_layers": 36, "num_key_value_heads": 8, "sliding_window": null,
      "use_sliding_window": false, "tie_word_embeddings": false, "vocab_size": 151936})"},
    {"qwen3-0.6b",
     R"({"model_type": "qwen3", "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024, "intermediate_size": 3072,
      "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8, "tie_word_embeddings": true, "vocab_size": 151936})"},
    {"qwen3-30b-a3b",
     R"({"model_type": "qwen3_moe", "decoder_sparse_step": 1, "head_dim": 128, "hidden_act": "silu",
      "hidden_size": 2048, "intermediate_size": 6144, "mlp_only_layers": [], "moe_intermediate_size": 768, "num_attention_heads": 32,
      "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 48, "num_key_value_heads": 4, "vocab_size": 151936})"},
    {"qwen3-235b-a22b",
     R"({"model_type": "qwen3_moe", "decoder_sparse_step": 1, "head_dim": 128, "hidden_act": "silu",
      "hidden_size": 4096, "intermediate_size": 12288, "mlp_only_layers": [], "moe_intermediate_size": 1536, "num_attention_heads": 64,
      "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 94, "num_key_value_heads": 4, "vocab_size": 151936})"},
    {"deepseek-v3",
     R"({"model_type": "deepseek_v3", "first_k_dense_replace": 3, "hidden_act": "silu", "hidden_size": 7168,
      "intermediate_size": 18432, "kv_lora_rank": 512, "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 8,
      "n_routed_experts": 256, "n_shared_experts": 1, "num_attention_heads": 128, "num_experts_per_tok": 8, "num_hidden_layers": 61,
      "num_key_value_heads": 128, "num_nextn_predict_layers": 1, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
      "qk_rope_head_dim": 64, "topk_group": 4, "v_head_dim": 128, "vocab_size": 129280})"},
    {"gpt-oss-120b",
     R"({"model_type": "gpt_oss", "attention_bias": true, "experts_per_token": 4, "head_dim": 64, "hidden_act": "silu",
      "hidden_size": 2880, "intermediate_size": 2880, "layer_types": ["sliding_attention", "full_attention"],
      "max_position_embeddings": 131072, "num_attention_heads": 64, "num_experts_per_tok": 4, "num_hidden_layers": 36,
      "num_key_value_heads": 8, "num_local_experts": 128, "sliding_window": 128, "vocab_size": 201088})"},
    {"llama4-maverick",
     R"({"model_type": "llama4", "text_config": {"model_type": "llama4_text", "attention_bias": false, "head_dim": 128,
      "hidden_act": "silu", "hidden_size": 5120, "intermediate_size": 8192, "intermediate_size_mlp": 16384,
      "interleave_moe_layer_step": 2, "num_attention_heads": 40, "num_experts_per_tok": 1, "num_hidden_layers": 48,
      "num_key_value_heads": 8, "num_local_experts": 128, "vocab_size": 202048}, "vision_config": {"hidden_size": 1408}})"},
    {"nemotron4-340b",
     R"({"model_type": "nemotron", "attention_bias": false, "hidden_act": "relu2", "hidden_size": 18432,
      "intermediate_size": 73728, "mlp_bias": false, "norm_eps": 1e-05, "num_attention_heads": 96, "num_hidden_layers": 96,
      "num_key_value_heads": 8, "dtype": "bfloat16", "vocab_size": 256000})"},
}};

}  // namespace

TEST_CASE("the config.json of eleven models gives the parameters and the FLOPs of their library entries") {
  const Library library;
  for (const Config& c : kConfigs) {
    CAPTURE(c.library);
    const Model ours = model_named(c.library, library, "test"), theirs = read(c.json);
    // Nemotron's LayerNorm has a shift, which the library's entry leaves out: 2 h a layer and one.
    const std::int64_t shifts =
        theirs.layer_norm && !ours.layer_norm ? (2 * ours.layers + 1) * ours.hidden : 0;
    CHECK(count_parameters(theirs).total - shifts == count_parameters(ours).total);
    CHECK(count_parameters(theirs).active - shifts == count_parameters(ours).active);
    CHECK(layer_forward_flops(theirs, theirs.is_moe(), 1, 4096, ours.window.has_value()).total().value ==
          layer_forward_flops(ours, ours.is_moe(), 1, 4096, ours.window.has_value()).total().value);
  }
}

TEST_CASE("a null q_lora_rank is DeepSeek-V2-Lite's whole query projection") {
  const Model m = read(
      R"({"model_type": "deepseek_v2", "first_k_dense_replace": 1, "hidden_act": "silu", "hidden_size": 2048,
    "intermediate_size": 10944, "kv_lora_rank": 512, "moe_intermediate_size": 1408, "n_group": 1, "n_routed_experts": 64,
    "n_shared_experts": 2, "num_attention_heads": 16, "num_experts_per_tok": 6, "num_hidden_layers": 27, "num_key_value_heads": 16,
    "q_lora_rank": null, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "topk_group": 1, "v_head_dim": 128, "vocab_size": 102400})");
  REQUIRE(m.latent.has_value());
  CHECK(m.latent->q_lora == 0);
  CHECK(m.experts->shared_ffn == 2816);
  CHECK(m.experts->node_limit == 0);  // one group: nothing limits
  CHECK(static_cast<double>(count_parameters(m).total) / 1e9 ==
        doctest::Approx(15.7).epsilon(0.005));  // model card
}

TEST_CASE("a window that is switched off, or as long as the context, is none; Mistral 7B has one") {
  const std::string base =
      R"("hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
    "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 32000, "max_position_embeddings": 32768)";
  CHECK(read(R"({"model_type": "mistral", "sliding_window": 4096, )" + base + "}").window->tokens == 4096);
  CHECK_FALSE(read(R"({"model_type": "mistral", "sliding_window": null, )" + base + "}").window);
  CHECK_FALSE(
      read(R"({"model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": false, )" + base + "}")
          .window);
}

TEST_CASE("what cannot be read is refused with its key, place or the list of what is known") {
  CHECK(refusal(R"({"model_type": "lama"})") ==
        "c.json: unknown model_type 'lama', did you mean 'llama'?; known: llama mistral mixtral qwen2 "
        "qwen2_moe qwen3 "
        "qwen3_moe deepseek_v2 deepseek_v3 kimi_k2 gpt_oss nemotron llama4");
  CHECK(refusal("[1]") == "c.json: a config.json is one object");
  CHECK(refusal("{\"a\": 1,\n \"b\" 2}").starts_with("c.json: parse error at line 2, column 6"));
  CHECK(refusal(R"({"model_type": "llama"})") == "c.json: 'num_hidden_layers' is missing");
  CHECK(refusal(R"({"model_type": "llama", "num_hidden_layers": "32"})") ==
        "c.json: 'num_hidden_layers' must be a whole number up to 1e9, not \"32\"");
  CHECK(refusal(R"({"model_type": "llama", "num_hidden_layers": 1e30})") ==
        "c.json: 'num_hidden_layers' must be a whole number up to 1e9, not 1e+30");
  CHECK(
      refusal(
          R"({"model_type": "llama4", "text_config": {"model_type": "llama4_text", "num_hidden_layers": -1}})") ==
      "c.json: 'text_config.num_hidden_layers' must not be negative: -1");
  CHECK(refusal(std::string(100'000, '[')) == "c.json: nested deeper than 32 levels: not a config.json");
}

TEST_CASE(
    "the type of the weights is torch's, and neither it nor a quantization says what training computes in") {
  const auto json = [](const std::string& more) {
    return R"({"model_type": "llama", "hidden_act": "silu", "hidden_size": 4096.0, "intermediate_size": 11008,
      "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32, "vocab_size": 32000)" +
           more + "}";
  };
  CHECK(read(json("")).hidden == 4096);
  CHECK(
      import_huggingface(
          json(R"(, "torch_dtype": "bfloat16", "quantization_config": {"quant_method": "fp8"})"), "x",
          "c.json")
          .notes ==
      std::vector<std::string>{
          "torch_dtype bfloat16 is how the weights are kept; what training computes in is training.precision",
          "quantization_config is left out: it is of the published weights; what training computes in is "
          "training.precision"});
  CHECK(refusal(json(R"(, "dtype": "banana")"))
            .starts_with("c.json: 'dtype' is 'banana', no type of torch; legal: float32 "));
  CHECK(refusal(json(R"(, "torch_dtype": 7)")) == "c.json: 'torch_dtype' must be a text, not 7");
  CHECK(refusal(R"({"hidden_size": 1})").starts_with("c.json: 'model_type' is missing; known: llama "));
  CHECK(refusal(R"({"model_type": "llama", "num_hidden_layers": 32.5})") ==
        "c.json: 'num_hidden_layers' must be a whole number up to 1e9, not 32.5");
}
