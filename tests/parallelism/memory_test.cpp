// Memory per GPU against published tables and measured peaks.
//   Korthikanti et al. 2022, fig. 1 and eq. 1-6: fp16, multi-head attention, GELU, dropout, no flash
//   attention Megatron-Core's theoretical memory report: bf16, flash attention, SwiGLU, grouped-query
//   attention SimuMax docs/b200 (2025): torch.cuda.max_memory_allocated on 8 x B200, Megatron-Core and
//   Transformer Engine Llama Team 2024, section 3.3: LLaMA 3 405B, arithmetic derived at each case
#include "parallelism/memory.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>

namespace runcast {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

Model library_model(const std::string& name) {
  Document document = Document::load(RUNCAST_SOURCE_DIR "/scenarios/library/models/" + name + ".yaml");
  const Model model = read_model(document.root(), name);
  document.finish();
  return model;
}

SoftwareProfile library_profile(const std::string& name) {
  Document document = Document::load(RUNCAST_SOURCE_DIR "/scenarios/library/software/" + name + ".yaml");
  const SoftwareProfile profile = read_software_profile(document.root(), name);
  document.finish();
  return profile;
}

// One step as memory sees it, with the sections of a scenario in one place.
struct Case {
  Model model;
  Layout layout;
  TrainingSpec training;
  SoftwareProfile profile;
  std::string schedule = "1f1b";
  int virtual_stages = 1;
  int group_size = 0;
  int microbatches = 8;
  std::vector<std::int64_t> stage_layers;  // empty: even
  GpuSpec gpu;

  ScheduleSpec spec() const {
    ScheduleSpec s;
    s.row = find_schedule(schedule);
    REQUIRE(s.row != nullptr);
    s.virtual_stages = virtual_stages;
    s.group_size = group_size;
    const int stages = layout.pipeline * (schedule == "dualpipe" ? 1 : virtual_stages);
    s.stage_layers = stage_layers;
    if (s.stage_layers.empty())
      s.stage_layers.assign(static_cast<std::size_t>(stages), model.layers / stages);
    return s;
  }
  MemoryReport report() const {
    const ScheduleSpec s = spec();
    const ScheduleRequest request{layout.pipeline, microbatches, virtual_stages, group_size, false};
    REQUIRE(s.row->refuse(request) == "");
    return memory_of(model, layout, training, s, profile, s.row->build(request), gpu);
  }
};

Case bf16_case(const std::string& model, std::int64_t sequence) {
  Case c;
  c.model = library_model(model);
  c.training.precision = find_precision("bf16");
  c.training.sequence_length = sequence;
  c.training.sharding.kind = Sharding::Kind::zero1;
  c.gpu.capacity = Bytes(79.3 * kGiB);
  return c;
}

// ---- Korthikanti et al. 2022 ----------------------------------------------------------------------------

struct KorthikantiRow {
  const char* model;
  int micro_batch, pipeline, virtual_stages, microbatches;
  double states, none, sequence_parallel, selective, both, full;  // GiB of the first stage
};

// Table of the four configurations of the paper (tensor 8, s = 2048); microbatches = batch / micro-batch.
// E.g. 22B, none: 48 layers x sbh (10 + 24/8 + 5 64 2048 / (6144 8)) = 48 x 50.33e6 x 26.33 B = 59.25 GiB;
// 175B: 31 chunks of 4 layers in flight = 96 (1 + 7/24) layers.
constexpr std::array<KorthikantiRow, 4> kKorthikanti = {{
    {"gpt-22b", 4, 1, 1, 1, 45.5625, 59.25, 39.5625, 29.25, 9.5625, 4.5},
    {"gpt-175b", 1, 8, 3, 64, 45.5625, 66.84375, 41.4140625, 37.78125, 12.3515625, 5.8125},
    {"gpt-530b", 1, 35, 3, 280, 31.640625, 114.0234375, 66.513671875, 70.5859375, 23.076171875, 10.859375},
    {"gpt-1t", 1, 64, 1, 512, 32.958984375, 131.25, 76.5625, 81.25, 26.5625, 12.5},
}};

Case korthikanti(const KorthikantiRow& row) {
  Case c = bf16_case(row.model, 2048);
  c.training.precision = find_precision("fp16");
  c.training.flash_attention = false;
  c.training.micro_batch = row.micro_batch;
  c.training.sharding.kind = Sharding::Kind::none;
  c.layout.tensor = 8;
  c.layout.pipeline = row.pipeline;
  c.schedule = row.virtual_stages > 1 ? "interleaved_1f1b" : "1f1b";
  c.virtual_stages = row.virtual_stages;
  c.microbatches = row.microbatches;
  return c;
}

double first_stage_activations(Case c, bool sequence_parallel, Recompute::Kind kind) {
  c.layout.sequence_parallel = sequence_parallel;
  c.training.recompute.kind = kind;
  return in_gib(c.report().stages.front().activations);
}

TEST_CASE("activations of the first stage are those of Korthikanti et al. 2022, figure 1, for 22B to 1T") {
  using Kind = Recompute::Kind;
  for (const KorthikantiRow& row : kKorthikanti) {
    CAPTURE(row.model);
    const Case c = korthikanti(row);
    CHECK(first_stage_activations(c, false, Kind::none) == doctest::Approx(row.none).epsilon(1e-12));
    CHECK(first_stage_activations(c, true, Kind::none) ==
          doctest::Approx(row.sequence_parallel).epsilon(1e-12));
    CHECK(first_stage_activations(c, false, Kind::selective) ==
          doctest::Approx(row.selective).epsilon(1e-12));
    CHECK(first_stage_activations(c, true, Kind::selective) == doctest::Approx(row.both).epsilon(1e-12));
    CHECK(first_stage_activations(c, false, Kind::full) == doctest::Approx(row.full).epsilon(1e-12));
    // With sequence parallelism the stored inputs are cut too: 2sbh / t.
    CHECK(first_stage_activations(c, true, Kind::full) == doctest::Approx(row.full / 8).epsilon(1e-12));
  }
}

// The paper counts 18 B (fp16 weight, fp32 gradient, master and two moments) of 12 L h^2 / (t p) parameters:
// no embeddings, biases or norms. Ours hold them too, so they are taken away: embedding and positions from
// rank_parameters; biases and norms by a copy of the model without biases and 2 h a layer for its norms.
TEST_CASE("weights, gradients and optimizer of the layers' matrices are 18 bytes of 12 L h^2 / tp / pp") {
  for (const KorthikantiRow& row : kKorthikanti) {
    CAPTURE(row.model);
    Case c = korthikanti(row);
    c.model.biases = c.model.layer_norm = false;
    const StageMemory s = c.report().stages.front();
    const RankParameters p = rank_parameters(c.model, c.layout, c.spec(), 0);
    const double h = static_cast<double>(c.model.hidden);
    const double norms =
        2 * h * static_cast<double>(c.model.layers) / row.pipeline + (row.pipeline == 1 ? h : 0);
    const Bytes states = s.weights + s.gradients + s.optimizer;
    CHECK(in_gib(states) == doctest::Approx(row.states + 18 * (p.embedding + norms) / kGiB).epsilon(1e-12));
    CHECK(18 * (p.dense - p.embedding - norms) / kGiB == doctest::Approx(row.states).epsilon(1e-12));
  }
}

// ---- bf16, flash attention, SwiGLU, grouped queries -----------------------------------------------------

// Per token: 2h + 2h (norm in, out) + 2(a + 2g)d + 2ad + 4a (log-sum-exp) + 2h + 2h + 4f (gate, up) + 2f.
// 8B: 16384 + 12288 + 8192 + 128 + 16384 + 57344 + 28672 = 139,392 B; x 8192 tokens = 1089.0 MiB.
TEST_CASE("a LLaMA 3 layer keeps 1089, 2146 and 4068 MiB of a sequence of 8192 tokens") {
  CHECK(layer_activation_bytes(bf16_case("llama3-8b", 8192).model, {}, bf16_case("llama3-8b", 8192).training,
                               false)
                .value /
            kMiB ==
        doctest::Approx(1089.0).epsilon(1e-12));
  const Case large = bf16_case("llama3-70b", 8192), largest = bf16_case("llama3-405b", 8192);
  CHECK(layer_activation_bytes(large.model, {}, large.training, false).value / kMiB ==
        doctest::Approx(2146.0).epsilon(1e-12));
  CHECK(layer_activation_bytes(largest.model, {}, largest.training, false).value / kMiB ==
        doctest::Approx(4068.0).epsilon(1e-12));
}

TEST_CASE(
    "tensor with sequence parallelism, context parallelism and micro-batch scale a layer's bytes linearly") {
  const Case c = bf16_case("llama3-405b", 8192);
  const double whole = layer_activation_bytes(c.model, {}, c.training, false).value;
  Layout l;
  l.tensor = 8;
  l.sequence_parallel = true;
  CHECK(layer_activation_bytes(c.model, l, c.training, false).value ==
        doctest::Approx(whole / 8).epsilon(1e-12));
  l.context = 4;
  CHECK(layer_activation_bytes(c.model, l, c.training, false).value ==
        doctest::Approx(whole / 32).epsilon(1e-12));
  TrainingSpec two = c.training;
  two.micro_batch = 2;
  CHECK(layer_activation_bytes(c.model, l, two, false).value == doctest::Approx(whole / 16).epsilon(1e-12));
}

// 8 KV heads over 16 tensor ranks: each rank holds one whole head, twice its share.
TEST_CASE("key and value heads are replicated where tensor ranks outnumber them") {
  const Case c = bf16_case("llama3-405b", 8192);
  Layout l;
  l.tensor = 16;
  l.sequence_parallel = true;
  const double even = layer_activation_bytes(c.model, {}, c.training, false).value / 16;
  const double extra = 8192.0 * 2 * 2 * 128 * (1 - 0.5);  // tokens x bf16 x (K, V) x d x half a head
  CHECK(layer_activation_bytes(c.model, l, c.training, false).value ==
        doctest::Approx(even + extra).epsilon(1e-12));
}

// Norm outputs 2 x 2h, FC2 input 2f, FC1 output 4f, log-sum-exp 4a per token.
TEST_CASE("each recomputed module gives back exactly its own tensors") {
  const Case c = bf16_case("llama3-8b", 8192);
  const double all = layer_activation_bytes(c.model, {}, c.training, false).value;
  const auto saved = [&](std::vector<std::string> modules) {
    TrainingSpec t = c.training;
    t.recompute.kind = Recompute::Kind::modules;
    t.recompute.modules = std::move(modules);
    return (all - layer_activation_bytes(c.model, {}, t, false).value) / 8192;
  };
  CHECK(saved({"norms"}) == doctest::Approx(4.0 * 4096).epsilon(1e-12));
  CHECK(saved({"mlp_activation"}) == doctest::Approx(2.0 * 14336).epsilon(1e-12));
  CHECK(saved({"mlp_up"}) == doctest::Approx(4.0 * 14336).epsilon(1e-12));
  CHECK(saved({"attention_core"}) == doctest::Approx(4.0 * 32).epsilon(1e-12));
  CHECK(saved({"norms", "mlp_activation"}) == doctest::Approx(4.0 * 4096 + 2.0 * 14336).epsilon(1e-12));
}

// GEMM inputs in fp8: norm outputs 2 x 1h, FC2 input 1f; the attention output is kept in both: +1 a d.
TEST_CASE("fp8 keeps the inputs of matrix products in one byte") {
  Case c = bf16_case("llama3-8b", 8192);
  const double wide = layer_activation_bytes(c.model, {}, c.training, false).value;
  c.training.precision = find_precision("fp8");
  const double narrow = layer_activation_bytes(c.model, {}, c.training, false).value;
  CHECK((wide - narrow) / 8192 == doctest::Approx(2.0 * 4096 + 14336 - 4096).epsilon(1e-12));
}

// ---- measured peaks -------------------------------------------------------------------------------------

// The allocator's peak knows no CUDA context: the allowance is taken away.
double allocated_peak(const Case& c) { return in_gib(c.report().peak - SoftwareProfile{}.framework_memory); }

Case simumax(const std::string& model, int tensor, int pipeline, int data, std::int64_t layers) {
  Case c = bf16_case(model, 4096);
  c.model.layers = layers;
  c.layout.tensor = tensor;
  c.layout.sequence_parallel = tensor > 1;
  c.layout.pipeline = pipeline;
  c.layout.data = data;
  return c;
}

TEST_CASE("peaks of LLaMA 3 70B with 12 layers on 8 B200 are within 1.5 % of SimuMax's measurements") {
  // tensor 2: 6.18e9 parameters x (6 + 12/4) B = 51.84 GiB, 12 layers 6.28, logits 8 B x 4096 x 128256 / 2
  // = 1.96
  CHECK(allocated_peak(simumax("llama3-70b", 2, 1, 4, 12)) == doctest::Approx(60.68).epsilon(0.015));
  CHECK(allocated_peak(simumax("llama3-70b", 4, 1, 2, 12)) == doctest::Approx(39.07).epsilon(0.015));
  CHECK(allocated_peak(simumax("llama3-70b", 8, 1, 1, 12)) == doctest::Approx(28.29).epsilon(0.015));
  // two stages: 51.84 GiB, two micro-batches of 6 layers 12.56, dense bf16 gradient of the embedding 1.96
  CHECK(allocated_peak(simumax("llama3-70b", 1, 2, 4, 12)) == doctest::Approx(66.55).epsilon(0.015));
}

TEST_CASE("peaks of LLaMA 3 405B with 4 layers on 8 B200 are within 5 % of SimuMax's measurements") {
  const auto peak = [](int tensor, int pipeline, int data) {
    Case c = simumax("llama3-405b", tensor, pipeline, data, 4);
    c.model.kv_heads = 16;  // as measured
    return allocated_peak(c);
  };
  CHECK(peak(1, 2, 4) == doctest::Approx(87.08).epsilon(0.05));
  CHECK(peak(2, 1, 4) == doctest::Approx(81.59).epsilon(0.05));
  CHECK(peak(4, 1, 2) == doctest::Approx(52.89).epsilon(0.05));
  CHECK(peak(8, 1, 1) == doctest::Approx(38.57).epsilon(0.05));
}

TEST_CASE("peaks of DeepSeek-V2 and V3 with 4 layers on 8 B200 are within 4 % of SimuMax's measurements") {
  const auto peak = [](const std::string& model, int expert, int pipeline, int data) {
    Case c = simumax(model, 1, pipeline, data, 4);
    c.model.experts->dense_layers = 1;
    c.layout.expert = expert;
    return allocated_peak(c);
  };
  CHECK(peak("deepseek-v3", 8, 1, 8) == doctest::Approx(104.30).epsilon(0.04));
  CHECK(peak("deepseek-v3", 4, 2, 4) == doctest::Approx(114.00).epsilon(0.04));
  CHECK(peak("deepseek-v2", 8, 1, 8) == doctest::Approx(45.63).epsilon(0.04));
  CHECK(peak("deepseek-v2", 4, 2, 4) == doctest::Approx(44.70).epsilon(0.04));
}

TEST_CASE("peaks of long sequences with context parallelism are within 5 % of SimuMax's measurements") {
  Case c = simumax("llama3-70b", 2, 1, 1, 12);
  c.training.sequence_length = 32768;
  c.layout.context = 4;
  c.layout.context_method = "ulysses";  // all-to-all, as measured
  CHECK(allocated_peak(c) == doctest::Approx(68.43).epsilon(0.05));
  Case longest = simumax("llama3-70b", 1, 1, 1, 12);
  longest.training.sequence_length = 131072;
  longest.layout.context = 8;
  longest.layout.context_method = "ulysses";
  CHECK(allocated_peak(longest) == doctest::Approx(147.99).epsilon(0.05));
}

// BigScience on 384 A100-80 (Megatron-DeepSpeed, ZeRO-1, full recomputation; tr11-176B-ml, chronicles-prequel, 2022):
// the 181B model in fp16 takes 29, 37, 49 and 69 GB a GPU at micro-batch 1, 2, 4 and 8 over 12 stages, 38, 44 and 56
// over 6. A fp16 parameter costs 2 + 2 B and 16 / d (master, moments and the shard's fp32 gradient), a bf16 one
// 2 + 2 + 4 B and 12 / d [DeepSpeed stage_1_and_2.py, bf16_optimizer.py].
Case bloom(const char* precision, int tensor, int pipeline, int data, int micro_batch) {
  Case c = bf16_case("bloom-176b", 2048);
  c.profile = library_profile("megatron-deepspeed");
  c.model.heads = c.model.kv_heads = 64;
  c.model.head_dim = 224;
  c.model.vocabulary = 250000;
  c.model.dropout = true;
  c.training.precision = find_precision(precision);
  c.training.flash_attention = false;
  c.training.micro_batch = micro_batch;
  c.training.recompute.kind = Recompute::Kind::full;
  c.layout.tensor = tensor;
  c.layout.pipeline = pipeline;
  c.layout.data = data;
  c.microbatches = 2048 / data / micro_batch;
  return c;
}

TEST_CASE("BLOOM's fp16 trial runs on A100 are within 10 %, by micro-batch and by stages") {
  const auto gigabytes = [](int pipeline, int data, int micro_batch) {
    Case c = bloom("fp16", 8, pipeline, data, micro_batch);
    c.model.layers = 72;
    return c.report().peak.value / 1e9;
  };
  CHECK(gigabytes(12, 4, 1) == doctest::Approx(29).epsilon(0.10));
  CHECK(gigabytes(12, 4, 2) == doctest::Approx(37).epsilon(0.10));
  CHECK(gigabytes(12, 4, 4) == doctest::Approx(49).epsilon(0.10));
  CHECK(gigabytes(12, 4, 8) == doctest::Approx(69).epsilon(0.10));
  CHECK(gigabytes(6, 8, 1) == doctest::Approx(38).epsilon(0.10));
  CHECK(gigabytes(6, 8, 2) == doctest::Approx(44).epsilon(0.10));
  CHECK(gigabytes(6, 8, 4) == doctest::Approx(56).epsilon(0.10));
}

// 59 and 73 GB at micro-batch 2 and 4: embedding and head count as layers, 70 + 2 = 12 x 6.
TEST_CASE("BLOOM 176B in bf16 is within 12 %: bf16 and fp32 gradients are both whole") {
  const auto gigabytes = [](const char* precision, int micro_batch) {
    Case c = bloom(precision, 4, 12, 8, micro_batch);
    c.stage_layers.assign(12, 6);
    c.stage_layers.front() = c.stage_layers.back() = 5;
    return c.report().peak.value / 1e9;
  };
  CHECK(gigabytes("bf16", 2) == doctest::Approx(59).epsilon(0.12));
  CHECK(gigabytes("bf16", 4) == doctest::Approx(73).epsilon(0.12));
  CHECK(gigabytes("bf16", 2) > gigabytes("fp16", 2) + 3);  // (6 - 2 - 4/8) x 4e9 parameters = 14 GB
}

// ---- LLaMA 3 405B ---------------------------------------------------------------------------------------

// 128 slots = 126 layers, embedding and head; tensor 8, pipeline 16 of 8 chunks.
Case llama3_405b(int data, int microbatches) {
  Case c = bf16_case("llama3-405b", 8192);
  c.layout.tensor = 8;
  c.layout.sequence_parallel = true;
  c.layout.pipeline = 16;
  c.layout.data = data;
  c.schedule = "interleaved_1f1b";
  c.virtual_stages = 8;
  c.microbatches = microbatches;
  c.training.sharding.kind = Sharding::Kind::zero2;
  c.stage_layers.assign(128, 1);
  c.stage_layers.front() = c.stage_layers.back() = 0;
  return c;
}

double kept(const StageMemory& s) { return in_gib(s.weights + s.gradients + s.optimizer + s.activations); }

// A rank amid the pipeline: 8 layers x 3.1877e9 / 8 parameters, bf16 5.94 GiB; all 16 x 8 chunks live, 0.4966
// GiB each.
TEST_CASE("LLaMA 3 405B on 16,384 GPUs: 63.6 GiB of activations, 69.9 GiB with ZeRO-2, 81.7 GiB without") {
  const MemoryReport report = llama3_405b(128, 16).report();
  const StageMemory& middle = report.stages[1];
  CHECK(middle.chunks_in_flight == 128);
  CHECK(in_gib(middle.activations) == doctest::Approx(63.5625).epsilon(1e-12));  // 128 x 4068 / 8 MiB
  CHECK(in_gib(middle.weights) == doctest::Approx(5.94).epsilon(0.001));
  CHECK(kept(middle) == doctest::Approx(69.87).epsilon(0.001));
  // The gradients of the chunk in backward are whole: 1.48 GiB.
  CHECK(in_gib(middle.buffers - SoftwareProfile{}.framework_memory) ==
        doctest::Approx(1.4845).epsilon(0.001));
  CHECK(report.fits);
  CHECK(report.verdict == "fits");

  Case whole = llama3_405b(128, 16);
  whole.training.sharding.kind = Sharding::Kind::zero1;
  const MemoryReport too_much = whole.report();
  CHECK(kept(too_much.stages[1]) == doctest::Approx(81.66).epsilon(0.001));
  CHECK_FALSE(too_much.fits);
}

// The first rank's first chunk is the embedding alone: 16 of its 128 chunks hold no layer.
TEST_CASE("chunks without layers keep no layer activations") {
  const MemoryReport report = llama3_405b(128, 16).report();
  CHECK(in_gib(report.stages[0].activations) == doctest::Approx(112 * 4068.0 / 8 / 1024).epsilon(1e-12));
  CHECK(report.stages[0].chunks_in_flight == 128);
}

// Rank 1 of 32 micro-batches: 2 (16 - 2) + 7 x 16 + 1 = 141 chunks; the first rank 143, as if each had a
// layer 71.0 GiB, but 31 of them are embedding alone. The published run of 8,192 GPUs did fit.
TEST_CASE("LLaMA 3 405B on 8,192 GPUs holds 141 layers a rank and still fits") {
  const MemoryReport report = llama3_405b(64, 32).report();
  CHECK(report.stages[0].chunks_in_flight == 143);
  CHECK(report.stages[1].chunks_in_flight == 141);
  CHECK(in_gib(report.stages[1].activations) == doctest::Approx(141 * 4068.0 / 8 / 1024).epsilon(1e-12));
  CHECK(143 * 4068.0 / 8 / 1024 + kept(report.stages[1]) - in_gib(report.stages[1].activations) ==
        doctest::Approx(77.6).epsilon(0.005));
  CHECK(report.fits);
}

TEST_CASE("what does not fit is named with its largest part and its remedies") {
  Case c = llama3_405b(128, 16);
  c.training.sharding.kind = Sharding::Kind::zero1;
  CHECK(
      c.report().verdict ==
      "does not fit: stage 1 needs 82.7 GiB of 79.3 GiB; its largest part is activations with 63.6 GiB; what "
      "reduces it: more recompute, more tensor or context ranks");
  Case states = bf16_case("llama3-8b", 8192);
  states.training.sharding.kind = Sharding::Kind::none;
  states.training.recompute.kind = Recompute::Kind::full;
  CHECK(states.report().verdict ==
        "does not fit: stage 0 needs 145.6 GiB of 79.3 GiB; its largest part is optimizer state with 89.7 "
        "GiB; what "
        "reduces it: sharding: zero1, or more tensor or pipeline ranks (nothing is sharded now)");
}

// ---- states under sharding ------------------------------------------------------------------------------

// One GPU's 18 B a parameter: 2 weight, 4 gradient, 12 optimizer (4 master, 8 moments).
TEST_CASE("sharding stages divide optimizer, then gradients, then weights by the data ranks") {
  Case c = bf16_case("llama3-8b", 8192);
  c.layout.data = 8;
  const double n = 8030261248.0;
  const auto check = [&](Sharding::Kind kind, double weights, double gradients, double optimizer) {
    c.training.sharding.kind = kind;
    const StageMemory s = c.report().stages[0];
    CHECK(s.weights.value == doctest::Approx(weights * n).epsilon(1e-12));
    CHECK(s.gradients.value == doctest::Approx(gradients * n).epsilon(1e-12));
    CHECK(s.optimizer.value == doctest::Approx(optimizer * n).epsilon(1e-12));
  };
  check(Sharding::Kind::none, 2, 4, 12);
  check(Sharding::Kind::zero1, 2, 4, 12.0 / 8);
  check(Sharding::Kind::zero2, 2, 4.0 / 8, 12.0 / 8);
  check(Sharding::Kind::zero3, 2.0 / 8, 4.0 / 8, 12.0 / 8);
  c.training.sharding.group = 4;
  check(Sharding::Kind::hsdp, 2.0 / 4, 4.0 / 4, 12.0 / 4);
  c.profile.gradient_bytes = 2;
  check(Sharding::Kind::hsdp, 2.0 / 4, 2.0 / 4, 12.0 / 4);
  c.training.precision = find_precision("fp32");  // no master copy: 4 + 4 + 8
  check(Sharding::Kind::none, 4, 4, 8);
}

// Two layers gathered in bf16 and the embedding with head; gradients of two layers in fp32.
TEST_CASE("ZeRO-3 pays for two gathered layers, embedding and head, and two layers of whole gradients") {
  Case c = bf16_case("llama3-8b", 8192);
  c.layout.data = 8;
  c.training.sharding.kind = Sharding::Kind::zero1;
  const Bytes before = c.report().stages[0].buffers;
  c.training.sharding.kind = Sharding::Kind::zero3;
  const double layer = 218112000.0, ends = 2 * 128256.0 * 4096;
  CHECK((c.report().stages[0].buffers - before).value ==
        doctest::Approx(2 * (2 * layer + ends) + 4 * 2 * layer).epsilon(1e-9));
}

// 8 layers a stage, fp32: one chunk of 8 with 1F1B, of 4 with two virtual stages.
TEST_CASE("ZeRO-2 in a pipeline holds the whole gradients of one chunk") {
  Case c = bf16_case("llama3-8b", 8192);
  c.layout.pipeline = 4;
  c.layout.data = 8;
  const auto extra = [&c] {
    c.training.sharding.kind = Sharding::Kind::zero1;
    const Bytes before = c.report().stages[1].buffers;
    c.training.sharding.kind = Sharding::Kind::zero2;
    return (c.report().stages[1].buffers - before).value;
  };
  CHECK(extra() == doctest::Approx(4 * 8 * 218112000.0).epsilon(1e-9));
  c.schedule = "interleaved_1f1b";
  c.virtual_stages = 2;
  CHECK(extra() == doctest::Approx(4 * 4 * 218112000.0).epsilon(1e-9));
}

// Mixtral 8x7B, tensor 2, expert 4, data 4: 2 x 4 ranks = expert 4 x expert data 2. A rank holds 2 experts a
// layer.
TEST_CASE("experts are cut by their own grid and sharded by expert_data") {
  Case c = bf16_case("mixtral-8x7b", 4096);
  c.layout.tensor = 2;
  c.layout.sequence_parallel = true;
  c.layout.data = 4;
  c.layout.expert = 4;
  const RankParameters p = rank_parameters(c.model, c.layout, c.spec(), 0);
  CHECK(p.expert == doctest::Approx(32.0 * 8 * 3 * 4096 * 14336 / 4).epsilon(1e-12));
  const StageMemory s = c.report().stages[0];
  CHECK(s.optimizer.value == doctest::Approx(12 * (p.dense / 4 + p.expert / 2)).epsilon(1e-12));
  // expert_tensor 2 halves them, on the same number of GPUs.
  c.layout.expert_tensor = 2;
  CHECK(rank_parameters(c.model, c.layout, c.spec(), 0).expert ==
        doctest::Approx(p.expert / 2).epsilon(1e-12));
}

// Each token's 2 of 8 experts: 2 rows x (2 h in + 4 f gate and up + 2 f activated) a token, router 8 B x 8.
TEST_CASE("a layer of experts keeps top_k rows a token") {
  const Case c = bf16_case("mixtral-8x7b", 4096);
  const double dense = layer_activation_bytes(c.model, {}, c.training, false).value / 4096;
  const double moe = layer_activation_bytes(c.model, {}, c.training, true).value / 4096;
  CHECK(moe - dense == doctest::Approx(2 * (2.0 * 4096 + 6.0 * 14336) - 6.0 * 14336 + 64).epsilon(1e-12));
}

// ---- pipeline -------------------------------------------------------------------------------------------

TEST_CASE("all ranks together hold the model once, and DualPipe twice") {
  for (const char* name :
       {"gpipe", "1f1b", "interleaved_1f1b", "zb_h1", "zb_h2", "zb_v", "dualpipe", "dualpipe_v"}) {
    CAPTURE(name);
    Case c = bf16_case("llama3-8b", 8192);
    c.layout.pipeline = 4;
    c.schedule = name;
    const std::string_view n = name;
    c.virtual_stages = n == "interleaved_1f1b" || n == "zb_v" || n == "dualpipe" || n == "dualpipe_v" ? 2 : 1;
    double total = 0;
    for (int p = 0; p < 4; ++p) total += rank_parameters(c.model, c.layout, c.spec(), p).dense;
    CHECK(total == doctest::Approx((n == "dualpipe" ? 2 : 1) * 8030261248.0).epsilon(1e-12));
  }
}

// Stages 3, 5, 4, 20 of 32 layers: rank r of 1F1B holds 4 - r micro-batches of its own layers.
TEST_CASE("uneven stages weigh their own layers") {
  Case c = bf16_case("llama3-8b", 8192);
  c.layout.pipeline = 4;
  c.stage_layers = {3, 5, 4, 20};
  const MemoryReport report = c.report();
  const std::array<double, 4> layers = {4 * 3, 3 * 5, 2 * 4, 1 * 20};
  for (std::size_t r = 0; r < 4; ++r) {
    CHECK(report.stages[r].activations.value == doctest::Approx(layers[r] * 1089.0 * kMiB).epsilon(1e-12));
    CHECK(report.stages[r].chunks_in_flight == static_cast<int>(4 - r));
  }
}

// GPipe keeps the fp32 logits of every micro-batch, 1F1B of one: 7 x 4 B x 8192 x 128256, and 2 x 2 B x h of
// the norm.
TEST_CASE("GPipe keeps all micro-batches, and their logits on the last stage") {
  Case c = bf16_case("llama3-8b", 8192);
  c.layout.pipeline = 4;
  const StageMemory flat = c.report().stages[3];
  c.schedule = "gpipe";
  const MemoryReport report = c.report();
  for (const StageMemory& s : report.stages)
    CHECK(s.activations.value == doctest::Approx(8 * 8 * 1089.0 * kMiB).epsilon(1e-12));
  CHECK((report.stages[3].buffers - flat.buffers).value ==
        doctest::Approx(7 * 8192 * (4 * 128256.0 + 4 * 4096)).epsilon(1e-12));
}

// 32 layers on one stage; 8 recomputed from their inputs, 2h each; one layer's rest is rebuilt at a time.
TEST_CASE("full recomputation of the first layers keeps their inputs only") {
  Case c = bf16_case("llama3-8b", 8192);
  c.training.recompute.kind = Recompute::Kind::full;
  c.training.recompute.layers = 8;
  const StageMemory s = c.report().stages[0];
  const double input = 2.0 * 8192 * 4096;
  CHECK(s.activations.value == doctest::Approx(24 * 1089.0 * kMiB + 8 * input).epsilon(1e-12));
}

TEST_CASE("zero-bubble schedules hold activations until the weight gradient") {
  Case c = bf16_case("llama3-8b", 8192);
  c.layout.pipeline = 4;
  c.schedule = "zb_h1";  // p on every rank [Qi et al. 2023]
  for (const StageMemory& s : c.report().stages) CHECK(s.chunks_in_flight == 4);
  c.schedule = "zb_h2";  // 2p - 1
  for (const StageMemory& s : c.report().stages) CHECK(s.chunks_in_flight == 7);
}

// GPT of 22B over 2 stages: the head of tied embeddings is a second copy; on one stage there is one.
TEST_CASE("tied embeddings are two copies when embedding and head lie on different ranks") {
  Case c = bf16_case("gpt-22b", 2048);
  const double matrix = 51200.0 * 6144, positions = 2048.0 * 6144;
  CHECK(rank_parameters(c.model, c.layout, c.spec(), 0).embedding ==
        doctest::Approx(matrix + positions).epsilon(1e-12));
  c.layout.pipeline = 2;
  CHECK(rank_parameters(c.model, c.layout, c.spec(), 0).embedding ==
        doctest::Approx(matrix + positions).epsilon(1e-12));
  CHECK(rank_parameters(c.model, c.layout, c.spec(), 1).embedding == doctest::Approx(matrix).epsilon(1e-12));
}

// Of 20 % more than the live bytes the allocator keeps a fifth of activations and of what comes and goes, all in
// `buffers`; weights, gradients and optimizer are allocated once and stay as they are.
TEST_CASE("fragmentation grows with what comes and goes, and framework memory is added once") {
  Case c = llama3_405b(128, 16);
  const StageMemory plain = c.report().stages[1];
  c.profile.fragmentation = 1.2;
  c.profile.framework_memory += Bytes(2 * kGiB);
  const StageMemory held = c.report().stages[1];
  CHECK(held.activations == plain.activations);
  CHECK(held.weights + held.gradients + held.optimizer == plain.weights + plain.gradients + plain.optimizer);
  const double grown = in_gib(held.buffers - plain.buffers) - 2;
  CHECK(grown >= 0.2 * in_gib(plain.activations) * (1 - 1e-12));
  CHECK(grown <= 0.2 * in_gib(plain.activations + plain.buffers));
}

// ---- each buffer alone ----------------------------------------------------------------------------------

double buffers_of(const Case& c, std::size_t stage) {
  return (c.report().stages.at(stage).buffers - c.profile.framework_memory).value;
}

// T = 8192, h = 4096, V = 128,256 on one stage: token ids in 8 B, the final norm's input and output 2 x 2 h, and of each
// logit 4 B kept to the backward pass with 4 B more while the loss is made (16-bit logits, fp32 copy, 16-bit gradient).
TEST_CASE("a logit takes 8 B at the loss, beside 8 B a token id and the final norm's input and output") {
  const double T = 8192;
  CHECK(buffers_of(bf16_case("llama3-8b", 8192), 0) ==
        doctest::Approx(T * (8 + 4 * 4096 + 8 * 128256.0)).epsilon(1e-12));
}

// Amid a pipeline nothing else comes and goes. 8 heads of keys and values of 128 elements in 2 B: 4096 B a token; the
// rank has 8192 / 4 of them, a ring holds two shards and a gather all four.
TEST_CASE(
    "context ranks hold keys and values of two shards in a ring and of the whole sequence in a gather") {
  Case c = bf16_case("llama3-8b", 8192);
  c.layout.pipeline = 4;
  c.layout.context = 4;
  CHECK(buffers_of(c, 1) == doctest::Approx(4096.0 * 8192).epsilon(1e-12));
  c.layout.context_method = "ring";
  CHECK(buffers_of(c, 1) == doctest::Approx(4096.0 * 8192 / 2).epsilon(1e-12));
  c.layout.context_method = "ulysses";
  CHECK(buffers_of(c, 1) == 0);
}

// 8 layers a stage: those of the micro-batch at work, and those on their way out or back.
TEST_CASE("offloaded activations leave two micro-batches of a stage's layers on the GPU") {
  Case c = bf16_case("llama3-8b", 8192);
  c.layout.pipeline = 4;
  c.training.offload.activations = true;
  CHECK(c.report().stages[1].activations.value == 0);
  CHECK(buffers_of(c, 1) == doctest::Approx(2 * 8 * 1089.0 * kMiB).epsilon(1e-12));
}

// Query and key of 128 heads x (128 + 64) after rotation, and the up-projection's 128 + 128 of key and value, 2 B each.
TEST_CASE("recomputing MLA's up-projections gives back query, key and the projected keys and values") {
  Case c = bf16_case("deepseek-v3", 4096);
  const double all = layer_activation_bytes(c.model, {}, c.training, true).value;
  c.training.recompute.kind = Recompute::Kind::modules;
  c.training.recompute.modules = {"mla_up"};
  CHECK((all - layer_activation_bytes(c.model, {}, c.training, true).value) / 4096 ==
        doctest::Approx(2.0 * 128 * (2 * 192 + 128 + 128)).epsilon(1e-12));
}

// Beside a layer and 4 B a logit: input and output of the two norms that are joined (4 h) and of the final norm (2 h), in
// 2 B; recomputed norms give back their outputs.
TEST_CASE(
    "a module of multi-token prediction keeps a layer, its logits and 12 h B a token, 8 h with norms "
    "recomputed") {
  Case c = bf16_case("llama3-8b", 8192);
  c.layout.pipeline = 4;
  const auto added = [&c] {
    c.model.predicted_tokens = 0;
    const double without = buffers_of(c, 3);
    c.model.predicted_tokens = 1;
    return (buffers_of(c, 3) - without) / 8192 -
           layer_activation_bytes(c.model, {}, c.training, false).value / 8192;
  };
  CHECK(added() == doctest::Approx(4 * 128256.0 + 12 * 4096).epsilon(1e-9));
  c.training.recompute.kind = Recompute::Kind::modules;
  c.training.recompute.modules = {"norms"};
  CHECK(added() == doctest::Approx(4 * 128256.0 + 8 * 4096).epsilon(1e-9));
}

}  // namespace
}  // namespace runcast
