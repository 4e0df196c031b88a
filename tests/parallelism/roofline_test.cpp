// Calculators against arithmetic that fits in a comment; most of it on LLaMA 7B (32 layers, h 4096, f 11008, 32 heads,
// V 32000) and an A100: 312 TFLOP/s dense bf16, 2039 GB/s.
#include "parallelism/roofline.hpp"

#include <doctest/doctest.h>

#include <string>

namespace runcast {
namespace {

Model library_model(const std::string& name) {
  Document document = Document::load(RUNCAST_SOURCE_DIR "/scenarios/library/models/" + name + ".yaml");
  const Model model = read_model(document.root(), name);
  document.finish();
  return model;
}

GpuSpec a100() {
  GpuSpec gpu;
  gpu.name = "a100";
  gpu.peak.bf16 = FlopRate(312e12);
  gpu.memory_bandwidth = Bandwidth(2.039e12);
  gpu.capacity = Bytes(79.3 * kGiB);
  return gpu;
}

const Precision& bf16() { return *find_precision("bf16"); }

TrainingSpec training(std::int64_t sequence) {
  TrainingSpec t;
  t.sequence_length = sequence;
  t.precision = &bf16();
  return t;
}

constexpr std::int64_t kLlama7bWithoutNorms = 6'738'149'376;

}  // namespace

TEST_CASE("the parts of a model sum to its parameters, dense, with experts and with tied embeddings") {
  for (const char* name :
       {"llama-7b", "deepseek-v3", "gpt3-175b", "mixtral-8x7b", "qwen3-0.6b", "bloom-176b"}) {
    CAPTURE(name);
    const Model m = library_model(name);
    const ParameterParts p = parameter_parts(m);
    CHECK(p.embedding + p.positions + p.attention + p.mlp + p.router + p.routed_experts + p.norms + p.head +
              p.prediction ==
          count_parameters(m).total);
  }
  // 32 layers of 4 h^2 and 3 h f
  const ParameterParts p = parameter_parts(library_model("llama-7b"));
  CHECK(p.attention == 2'147'483'648);
  CHECK(p.mlp == 4'328'521'728);
  CHECK(p.norms == 266'240);
}

TEST_CASE("three forward passes are the exact training FLOPs of every kind of model") {
  for (const char* name : {"llama-7b", "llama3-405b", "deepseek-v3", "gpt-oss-120b", "mixtral-8x22b"}) {
    CAPTURE(name);
    const Model m = library_model(name);
    CHECK(3 * forward_flops(m, 4096).total().value ==
          doctest::Approx(training_flops_per_token(m, 4096, FlopConvention::exact).value).epsilon(1e-12));
  }
}

// Scores 2 s h a layer: 262,144 s; the rest 2 x (32 (4 h^2 + 3 h f) + h V) = 13,214,154,752: equal at 50,408.
// Attention, scores and 2 x 32 x 4 h^2 = 4,294,967,296, equals MLP and head, 8,919,187,456, at 17,640.
TEST_CASE("attention is half of LLaMA 7B's FLOPs from 17,640 tokens on, its scores alone from 50,408") {
  const Model m = library_model("llama-7b");
  CHECK(half_attention_sequence(m).value() == doctest::Approx(17'640).epsilon(1e-5));
  CHECK(half_scores_sequence(m).value() == doctest::Approx(50'408).epsilon(1e-5));
  // Behind a window of 128 tokens in every layer the share stops growing.
  Model windowed = m;
  windowed.window = SlidingWindow{128, 0};
  CHECK_FALSE(half_scores_sequence(windowed).has_value());
}

// 32 layers x 2 (key, value) x 4096 x 2 B
TEST_CASE("LLaMA 7B keeps 524,288 bytes of keys and values a token; DeepSeek-V3's latent cache 70,272") {
  CHECK(kv_cache_bytes(library_model("llama-7b"), 1).value == 524'288);
  CHECK(kv_cache_bytes(library_model("deepseek-v3"), 1).value == 61 * (512 + 64) * 2);
  Model windowed = library_model("llama-7b");
  windowed.window = SlidingWindow{1024, 2};  // every second layer sees all
  CHECK(kv_cache_bytes(windowed, 4096).value == 524'288.0 * (1024 + 4096) / 2);
}

// (80e9 - 2 x 6,738,149,376) / 524,288 = 126,883.9; with 40e9: 50,589.9
TEST_CASE("beside LLaMA 7B's weights 80 GB hold 126,883 tokens of its cache, 40 GB 50,589") {
  const Model m = library_model("llama-7b");
  const Bytes weights(2.0 * kLlama7bWithoutNorms);
  CHECK(longest_context(m, Bytes(80e9) - weights, 1) == 126'883);
  CHECK(longest_context(m, Bytes(40e9) - weights, 1) == 50'589);
  CHECK(largest_batch(m, Bytes(80e9) - weights, 2048) == 61);  // 126,883.9 / 2048 = 61.95
  CHECK(longest_context(m, Bytes(10e9) - weights, 1) == 0);
}

// 8 B a parameter: 53,905,195,008
TEST_CASE("weights, gradients and Adam's moments in 16 bits are 53.9 GB: they fit 80 GB and not 40 GB") {
  const double bytes = (2 + 2 + 2 + 2) * static_cast<double>(kLlama7bWithoutNorms);
  CHECK(bytes / 1e9 == doctest::Approx(53.9).epsilon(0.05 / 53.9));
  CHECK(bytes < 80e9);
  CHECK(bytes > 40e9);
}

// 2 N / 312e12 = 43.193 us; 6 N x 3e9 / 312e12 = 388,739 s
TEST_CASE("LLaMA 7B on an A100 at its peak: 43.19 us a token forward, 107.98 GPU-h to train on 3B tokens") {
  const double n = static_cast<double>(kLlama7bWithoutNorms);
  const Seconds forward = Flops(2 * n) / FlopRate(312e12), training_step = Flops(6 * n) / FlopRate(312e12);
  CHECK(forward.value * 1e6 == doctest::Approx(43.19).epsilon(0.005 / 43.19));
  CHECK(in_hours(forward * 100e6) == doctest::Approx(1.20).epsilon(0.005 / 1.20));
  CHECK(2 * in_hours(forward * 100e6) == doctest::Approx(2.40).epsilon(0.005 / 2.40));
  CHECK(in_hours(training_step * 3e9) == doctest::Approx(107.98).epsilon(0.005 / 107.98));
  CHECK(2 * in_hours(training_step * 3e9) == doctest::Approx(215.97).epsilon(0.005 / 215.97));
  CHECK(in_hours(training_step * 1.4e12) == doctest::Approx(50'392).epsilon(0.5 / 50'392));
}

// Per cached token 524,288 B / 2039 GB/s = 257.130 ns against 524,288 FLOPs / 312e12 = 1.680 ns; a token's other FLOPs
// 13,214,154,752 / 312e12 = 42.353 us: equal at 42,353 / 255.450 = 165.8 tokens.
TEST_CASE("past 166 tokens of context an A100 decodes LLaMA 7B memory-bound at any batch") {
  const Model m = library_model("llama-7b");
  CHECK(decode_context(m, a100(), bf16()).value() == doctest::Approx(165.8).epsilon(0.0005));
  CHECK_FALSE(decode_batch(m, a100(), bf16(), 166).has_value());
}

// At 100 tokens: 13,476,831,232 B / 2039 GB/s = 6609.53 us of weights; each sequence 42.353 + 0.168 us of FLOPs less
// 25.713 us of cache = 16.808 us: 393.2 sequences.
TEST_CASE("with 100 tokens of context decoding is bound by FLOPs from a batch of 393 on") {
  const Model m = library_model("llama-7b");
  const double batch = decode_batch(m, a100(), bf16(), 100).value();
  CHECK(batch == doctest::Approx(393.2).epsilon(0.0005));
  CHECK(decode_bound(m, a100(), bf16(), batch * 0.99, 100).memory_bound());
  CHECK_FALSE(decode_bound(m, a100(), bf16(), batch * 1.01, 100).memory_bound());
  // One sequence: the weights' time, and 42.5 us of FLOPs in it.
  const Bound one = decode_bound(m, a100(), bf16(), 1, 100);
  CHECK(one.time().value == doctest::Approx(6609.53e-6 + 25.713e-6).epsilon(1e-5));
  CHECK(one.mfu() == doctest::Approx(42.521 / 6635.24).epsilon(1e-4));
}

// One token meets 8 of 256 experts: what is read is about the active parameters.
TEST_CASE(
    "a decode step reads the experts that its batch meets: one token the chosen ones, a large batch all") {
  const Model m = library_model("deepseek-v3");
  GpuSpec gpu = a100();
  const double read_by_one = decode_bound(m, gpu, bf16(), 1, 1).bytes.value;
  CHECK(read_by_one == doctest::Approx(2.0 * static_cast<double>(count_parameters(m).active)).epsilon(1e-4));
  const double read_by_many = decode_bound(m, gpu, bf16(), 1e4, 1).bytes.value;
  CHECK(read_by_many > 2.0 * static_cast<double>(count_parameters(m).total));
}

// States: 2 B weights, 4 B gradients, 4 + 8 B optimizer: 3 x 2 + 2 x 4 + 2 x 12 = 38 B x 6,738,415,616 in 125.581 ms.
// A token keeps 32 x (16 h + 6 f + 4 x 32) = 4,214,784 B in layers, 10 V + 4 h + 8 = 336,392 B for logits, loss and
// final norm; moved twice: 4.4641 us. FLOPs at s = 2048: 3 x (13,214,154,752 + 262,144 x 2048) = 41,253,076,992:
// 132.2214 us. 125,581 / 127.7573 = 983.0 tokens.
TEST_CASE("an A100 trains LLaMA 7B memory-bound below 983 tokens a step") {
  const Model m = library_model("llama-7b");
  const GpuSpec gpu = a100();
  const TrainingSpec t = training(2048);
  const SoftwareProfile profile;
  const TrainingPlace place{&gpu, &t, &profile, 1};
  CHECK(training_batch(m, place).value() == doctest::Approx(982.97).epsilon(0.0005));
  const Bound one = training_bound(m, place, 1);
  CHECK(one.memory_bound());
  CHECK(one.mfu() == doctest::Approx(132.2214 / (125'581.07 + 4.4641)).epsilon(1e-5));
  CHECK(training_bound(m, place, 1000).mfu() == 1);
}

TEST_CASE(
    "the longest sequence and the largest micro-batch fit, and one more does not; recomputation makes them "
    "longer") {
  const Model m = library_model("qwen3-1.7b");
  const GpuSpec gpu = a100();
  const SoftwareProfile profile;
  std::int64_t before = 0;
  for (const Recompute::Kind kind : {Recompute::Kind::none, Recompute::Kind::full}) {
    TrainingSpec t = training(4096);
    t.recompute.kind = kind;
    const TrainingPlace place{&gpu, &t, &profile, 1};
    const std::int64_t longest = longest_training_sequence(m, place), batch = largest_micro_batch(m, place);
    CHECK(longest > before);
    before = longest;
    CHECK(batch >= 1);
    CHECK(longest >= 4096 * batch);  // the same tokens
    t.sequence_length = longest;
    CHECK(memory_at(m, place).fits);
    t.sequence_length = longest + 1;
    CHECK_FALSE(memory_at(m, place).fits);
  }
}

TEST_CASE(
    "a family scaled to its own heads is the model; the largest that fits is larger on a node and with "
    "recomputation") {
  const Model m = library_model("llama3-8b");
  CHECK(count_parameters(scaled_to_heads(m, m.heads)).total == count_parameters(m).total);
  const GpuSpec gpu = a100();
  const SoftwareProfile profile;
  const auto size = [&](Recompute::Kind kind, int gpus) {
    TrainingSpec t = training(4096);
    t.recompute.kind = kind;
    t.sharding.kind = gpus > 1 ? Sharding::Kind::zero3 : Sharding::Kind::none;
    const TrainingPlace place{&gpu, &t, &profile, gpus};
    const Model largest = largest_trainable(m, place).value();
    CHECK(memory_at(largest, place).fits);
    CHECK_FALSE(memory_at(scaled_to_heads(m, largest.heads + 1), place).fits);
    return count_parameters(largest).total;
  };
  const std::int64_t one = size(Recompute::Kind::none, 1);
  // 18 B a parameter of states alone: under 79.3 GiB / 18 B = 4.73B parameters.
  CHECK(one < 4'730'000'000);
  CHECK(one > 1'000'000'000);
  CHECK(size(Recompute::Kind::full, 1) > one);
  CHECK(size(Recompute::Kind::none, 8) > one);
}

TEST_CASE(
    "the smallest model that is not memory-bound: its step is bound by FLOPs, that of the next smaller is "
    "not") {
  const Model m = library_model("llama3-8b");
  const GpuSpec gpu = a100();
  const TrainingSpec t = training(4096);
  const SoftwareProfile profile;
  const TrainingPlace place{&gpu, &t, &profile, 1};
  const Model small = smallest_compute_bound(m, place, 0).value();
  CHECK(training_batch(small, place).has_value());
  REQUIRE(small.heads > 1);
  CHECK_FALSE(training_batch(scaled_to_heads(m, small.heads - 1), place).has_value());
  const Model at_batch = smallest_compute_bound(m, place, 4096).value();
  CHECK(at_batch.heads >= small.heads);
  CHECK_FALSE(training_bound(at_batch, place, 4096).memory_bound());
}

// One projection of [2 h, h] a module, on top of a layer and a head, as in the exact convention.
TEST_CASE("three forward passes are the exact training FLOPs with multi-token prediction too") {
  Model m = library_model("deepseek-v3");
  m.predicted_tokens = 2;
  CHECK(3 * forward_flops(m, 4096).total().value ==
        doctest::Approx(training_flops_per_token(m, 4096, FlopConvention::exact).value).epsilon(1e-12));
}

// ---- where calculators end ------------------------------------------------------------------------------------

// Scores 2 s h a layer against 8 h^2 + 6 h f of the other products, a vocabulary of one beside them: half at about 3 f.
TEST_CASE("half of a model's FLOPs is looked for up to 1e12 tokens") {
  Model m = library_model("llama-7b");
  m.vocabulary = 1;
  m.ffn = 330'000'000'000;
  CHECK(half_scores_sequence(m).value() == doctest::Approx(0.99e12).epsilon(1e-4));
  m.ffn = 350'000'000'000;
  CHECK_FALSE(half_scores_sequence(m).has_value());
}

// Behind a window of w every query sees w keys in the end: 8 h^2 + 4 w h of attention against 6 h f of the MLP. With
// h = 4096 and w = 128 those are 33,280 h and 6 f h: f = 5500 gives attention .502 of the FLOPs in the end, and half of
// them where 4 x keys = 33,000 - 32,768: 58 keys in the mean, 116 tokens. f = 5300 has .5075 already at one token.
TEST_CASE(
    "attention whose share ends just above a half passes it, and one that begins above needs one token") {
  Model m = library_model("llama-7b");
  m.vocabulary = 1;
  m.window = SlidingWindow{128, 0};
  m.ffn = 5500;
  REQUIRE(half_attention_sequence(m).has_value());
  CHECK(half_attention_sequence(m).value() == doctest::Approx(116).epsilon(1e-3));
  m.ffn = 5300;
  CHECK(half_attention_sequence(m).value() == 1);
}

TEST_CASE("endless memory holds 1e12 tokens of a cache, a sequence of 1e9 tokens, a model of 1,024 heads") {
  const Model m = library_model("llama3-8b");
  CHECK(longest_context(m, Bytes(1e30), 1) == 1e12);
  GpuSpec gpu = a100();
  gpu.capacity = Bytes(1e30);
  const TrainingSpec t = training(4096);
  const SoftwareProfile profile;
  const TrainingPlace place{&gpu, &t, &profile, 1};
  CHECK(longest_training_sequence(m, place) == 1'000'000'000);
  CHECK(largest_trainable(m, place).value().heads == 1024);
}

TEST_CASE("weights are served at 2 B in bf16, 1 B in fp8 and half a byte in nvfp4") {
  const Model m = library_model("llama-7b");
  const double n = static_cast<double>(count_parameters(m).total);
  CHECK(served_weights(m, bf16()).value == 2 * n);
  CHECK(served_weights(m, *find_precision("fp8")).value == n);
  CHECK(served_weights(m, *find_precision("nvfp4")).value == n / 2);
}

TEST_CASE("memory for one token holds one, a family ends at one layer, a micro-batch at a million") {
  const Model m = library_model("llama3-8b");
  CHECK(longest_context(m, kv_cache_bytes(m, 1), 1) == 1);
  Model flat = m;
  flat.layers = 8;
  CHECK(scaled_to_heads(flat, 1).layers == 1);  // a quarter of one
  GpuSpec gpu = a100();
  gpu.capacity = Bytes(1e30);
  const TrainingSpec t = training(4096);
  const SoftwareProfile profile;
  CHECK(largest_micro_batch(m, {&gpu, &t, &profile, 1}) == 1'000'000);
}

// The module attends and has experts like the last of 6 layers, each second of which has experts.
TEST_CASE("three forward passes are the training FLOPs where the last layer is not like the one before") {
  Model m = library_model("qwen3-30b-a3b");
  m.layers = 6;
  m.experts->every = 2;
  m.predicted_tokens = 1;
  CHECK(3 * forward_flops(m, 4096).total().value ==
        doctest::Approx(training_flops_per_token(m, 4096, FlopConvention::exact).value).epsilon(1e-12));
}

}  // namespace runcast
