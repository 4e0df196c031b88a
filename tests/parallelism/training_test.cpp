// What a training and a schedule section mean, and what they may not be.
#include "parallelism/training.hpp"

#include <doctest/doctest.h>

#include <numeric>
#include <string>
#include <vector>

namespace runcast {
namespace {

Model model_of(std::int64_t layers) {
  Model m;
  m.layers = layers;
  m.hidden = 4096;
  m.ffn = 14336;
  m.heads = 32;
  m.kv_heads = 8;
  m.head_dim = 128;
  m.vocabulary = 128256;
  return m;
}

// The sentences of all errors, without their places.
std::string sentence(Document& document) {
  try {
    document.finish();
  } catch (const ConfigError& e) {
    const std::string all = e.what(), line = all.substr(0, all.find('\n'));
    const std::size_t space = line.find(": ");
    return space == std::string::npos ? line : line.substr(space + 2);
  }
  return "";
}

struct Training {
  TrainingSpec spec;
  std::string error;
};

const std::string kNeeded = "sequence_length: 8192, global_batch: 128";

Training training(const std::string& yaml, const SoftwareProfile& profile = {}) {
  Document document =
      Document::parse("training: {" + (yaml.empty() ? kNeeded : kNeeded + ", " + yaml) + "}\n", "s");
  Training t;
  t.spec = read_training(document.root().section("training"), profile, model_of(32));
  t.error = sentence(document);
  return t;
}

struct Schedule {
  ScheduleSpec spec;
  std::string error;
};

Schedule schedule(const std::string& yaml, int pipeline, std::int64_t layers, std::int64_t m = 64,
                  const SoftwareProfile& profile = {}) {
  Document document = Document::parse("schedule: {" + yaml + "}\n", "s");
  Layout layout;
  layout.pipeline = pipeline;
  Schedule s;
  TrainingSpec training;
  training.precision = find_precision("bf16");
  training.sequence_length = 4096;
  s.spec = read_schedule(document.root().section("schedule"), model_of(layers), layout, m, training, profile);
  s.error = sentence(document);
  return s;
}

using Layers = std::vector<std::int64_t>;

// ---- stage layers ---------------------------------------------------------------------------------------

TEST_CASE("layers that divide are spread evenly") {
  CHECK(schedule("name: 1f1b", 4, 32).spec.stage_layers == Layers{8, 8, 8, 8});
  CHECK(schedule("name: interleaved_1f1b, virtual_stages: 2", 4, 32).spec.stage_layers == Layers(8, 4));
}

// 126 + 2 = 128 = 16 x 8: the first stage is the embedding alone, the last one the head [Llama Team 2024].
TEST_CASE("LLaMA 3 405B over 16 ranks of 8 stages leaves the first and the last stage without a layer") {
  const Schedule s = schedule("name: interleaved_1f1b, virtual_stages: 8", 16, 126);
  CHECK(s.error == "");
  Layers expected(128, 1);
  expected.front() = expected.back() = 0;
  CHECK(s.spec.stage_layers == expected);
  Layers flat(16, 8);
  flat.front() = flat.back() = 7;
  CHECK(schedule("name: 1f1b", 16, 126).spec.stage_layers == flat);
}

// The head costs 2 h V = 1.051 GFLOP a token, a layer 2 h (a + 2g) d + 2 a d h + 6 h f + s a d = 0.470: 2.24 layers. 61
// layers over 16 stages: with 1 in the last, 60 = 15 x 4 for the others; 4 is the longest, and stays so with 1 + 2.24;
// with 2 in the last, 2 + 2.24 would be the longest.
TEST_CASE("where layers do not divide, the last stage has fewer, as the head takes time") {
  const Layers layers = schedule("name: 1f1b", 16, 61).spec.stage_layers;
  Layers expected(16, 4);
  expected[15] = 1;
  CHECK(layers == expected);
}

// DeepSeek-V3 in bf16: the head's 1.85 GFLOP are 1.39 of a layer's 1.34, in fp8 2.46 of 0.75 (all but attention at
// twice the rate). Megatron-Bridge's own lists: 8 x 7 + 5 over 8 stages, 4 x 15 + 1 over 16.
TEST_CASE("DeepSeek-V3's 61 layers lie as in Megatron-Bridge's list: 8 a stage, 5 in the last") {
  Document document = Document::load(RUNCAST_SOURCE_DIR "/scenarios/library/models/deepseek-v3.yaml");
  const Model model = read_model(document.root(), "deepseek-v3");
  TrainingSpec t;
  t.sequence_length = 4096;
  t.precision = find_precision("bf16");
  CHECK(head_over_layer(model, t) == doctest::Approx(1.385).epsilon(0.001));
  t.precision = find_precision("mxfp8");
  const double head = head_over_layer(model, t);
  CHECK(head == doctest::Approx(2.46).epsilon(0.002));
  CHECK(balanced_stages(61, 8, head) == Layers{8, 8, 8, 8, 8, 8, 8, 5});
  // Without a head the odd layers lie in the middle.
  CHECK(balanced_stages(10, 4, 0) == Layers{2, 3, 3, 2});
}

TEST_CASE("embedding and head may count as layers") {
  CHECK(schedule("name: 1f1b, head_as_layer: true", 4, 31).spec.stage_layers == Layers{8, 8, 8, 7});
  CHECK(schedule("name: 1f1b, embedding_as_layer: true, head_as_layer: true", 4, 30).spec.stage_layers ==
        Layers{7, 8, 8, 7});
  CHECK(schedule("name: 1f1b, head_as_layer: true", 4, 32).error ==
        "32 layers with embedding or head as layers are 33 slots, which do not divide over 4 stages; give "
        "stage_layers");
}

TEST_CASE("the first and last stage can be given, or all of them") {
  CHECK(schedule("name: 1f1b, first_stage_layers: 5, last_stage_layers: 3", 4, 32).spec.stage_layers ==
        Layers{5, 12, 12, 3});
  CHECK(schedule("name: 1f1b, last_stage_layers: 2", 4, 32).spec.stage_layers == Layers{10, 10, 10, 2});
  CHECK(schedule("name: 1f1b, stage_layers: [9, 9, 9, 5]", 4, 32).spec.stage_layers == Layers{9, 9, 9, 5});
  CHECK(schedule("name: 1f1b, first_stage_layers: 5", 4, 32).error == "");  // 27 over 3
  CHECK(schedule("name: 1f1b, first_stage_layers: 4", 4, 32).error ==
        "the 28 layers left for 3 other stages do not divide evenly");
  CHECK(schedule("name: 1f1b, stage_layers: [9, 9, 9, 9]", 4, 32).error ==
        "stage_layers has 4 entries that sum to 36; needed: 4 entries (pipeline x virtual_stages) that sum "
        "to the "
        "model's 32 layers");
}

// Rank r holds stage r and p - 1 - r of p stages.
TEST_CASE("DualPipe has as many stages as ranks, V-shaped schedules twice as many") {
  CHECK(schedule("name: dualpipe", 4, 32).spec.stage_layers == Layers(4, 8));
  CHECK(schedule("name: dualpipe_v", 4, 32).spec.stage_layers == Layers(8, 4));
  CHECK(schedule("name: zb_v, virtual_stages: 2", 4, 32).spec.virtual_stages == 2);
  CHECK(schedule("name: zb_v, virtual_stages: 3", 4, 32).error ==
        "zb_v has 2 chunks a rank; virtual_stages must be 1, 2 or auto");
}

// ---- schedule -------------------------------------------------------------------------------------------

TEST_CASE("virtual stages belong to the interleaved schedule and are bounded by the layers") {
  CHECK(schedule("name: 1f1b, virtual_stages: 2", 4, 32).error ==
        "1f1b has no virtual stages; use interleaved_1f1b or 1");
  CHECK(schedule("name: interleaved_1f1b, virtual_stages: 9", 4, 32).error ==
        "virtual_stages must be between 1 and 8: 32 layers, embedding and head over 4 pipeline ranks");
  CHECK(schedule("name: interleaved_1f1b", 4, 32).spec.virtual_stages == 2);  // auto
}

TEST_CASE("group size is auto, all, or a count of at most the micro-batches") {
  CHECK(schedule("name: interleaved_1f1b", 4, 32).spec.group_size == 0);
  CHECK(schedule("name: interleaved_1f1b, group_size: all", 4, 32).spec.group_size == 64);
  CHECK(schedule("name: interleaved_1f1b, group_size: 8", 4, 32).spec.group_size == 8);
  CHECK(schedule("name: interleaved_1f1b, group_size: 1000", 4, 32).spec.group_size == 64);
  CHECK(schedule("name: interleaved_1f1b, group_size: some", 4, 32).error ==
        "group_size must be a count of at least 1, 'all' or 'auto', not 'some'");
}

TEST_CASE("the profile decides what is not said about transfers") {
  SoftwareProfile profile;
  profile.overlap_p2p_flat = false;
  profile.overlap_p2p_interleaved = true;
  CHECK(schedule("name: 1f1b", 4, 32, 64, profile).spec.point_to_point == PointToPoint::blocking);
  CHECK(schedule("name: interleaved_1f1b", 4, 32, 64, profile).spec.point_to_point ==
        PointToPoint::overlapped);
  CHECK(schedule("name: 1f1b, p2p: async", 4, 32, 64, profile).spec.point_to_point == PointToPoint::async);
}

TEST_CASE("what a schedule cannot do is said at its name") {
  const ScheduleRow* row = find_schedule("dualpipe");
  REQUIRE(row != nullptr);
  const std::string why = row->refuse({3, 64, 2, 0, false});  // an odd number of ranks
  REQUIRE(why != "");
  CHECK(schedule("name: dualpipe", 3, 30).error == why);
}

// ---- training -------------------------------------------------------------------------------------------

TEST_CASE("recomputation is a word, a number of layers, or a list of modules") {
  CHECK(training("").spec.recompute.kind == Recompute::Kind::none);
  CHECK(training("recompute: selective").spec.recompute.kind == Recompute::Kind::selective);
  const Recompute layers = training("recompute: {layers: 4}").spec.recompute;
  CHECK(layers.kind == Recompute::Kind::full);
  CHECK(layers.layers == 4);
  const Recompute modules = training("recompute: [norms, mlp_activation]").spec.recompute;
  CHECK(modules.kind == Recompute::Kind::modules);
  CHECK(modules.has("norms"));
  CHECK_FALSE(modules.has("mlp_up"));
  CHECK(training("recompute: [norm]").error ==
        "'norm' is no module; legal: attention_core, mlp_activation, moe_activation, norms, "
        "mlp_up, mla_up");
  CHECK(training("recompute: {layers: 33}").error == "layers 33 is more than the model's 32 layers");
}

TEST_CASE("sharding is a word or an hsdp group") {
  CHECK(training("").spec.sharding.kind == Sharding::Kind::zero1);  // the profile's default
  CHECK(training("sharding: zero3").spec.sharding.shards_parameters());
  CHECK_FALSE(training("sharding: zero1").spec.sharding.shards_gradients());
  const Sharding hsdp = training("sharding: {hsdp: 8}").spec.sharding;
  CHECK(hsdp.kind == Sharding::Kind::hsdp);
  CHECK(hsdp.group == 8);
  CHECK(name_of(hsdp.kind) == "hsdp");
}

TEST_CASE("a silent scenario takes the profile's recomputation, sharding and attention") {
  SoftwareProfile profile;
  profile.recompute = "full";
  profile.sharding = "zero3";
  profile.attention = AttentionKernel::standard;
  const TrainingSpec t = training("", profile).spec;
  CHECK(t.recompute.kind == Recompute::Kind::full);
  CHECK(t.sharding.kind == Sharding::Kind::zero3);
  CHECK_FALSE(t.flash_attention);
  CHECK(training("attention: flash", profile).spec.flash_attention);
}

TEST_CASE("numbers out of range are refused and read on as harmless ones") {
  CHECK(training("micro_batch: 0").error == "micro_batch must be between 1 and 1000000000, not 0");
  CHECK(training("micro_batch: 0").spec.micro_batch == 1);
}

TEST_CASE("a batch that does not divide is refused with its divisor") {
  const auto count = [](int data, std::int64_t micro_batch) {
    Document document = Document::parse("training: {global_batch: 128}\n", "s");
    Section section = document.root().section("training");
    TrainingSpec t;
    t.global_batch = section.count("global_batch");
    t.micro_batch = micro_batch;
    Layout layout;
    layout.data = data;
    const std::int64_t m = microbatches(section, t, layout);
    const std::string error = sentence(document);
    return error.empty() ? std::to_string(m) : error;
  };
  CHECK(count(8, 2) == "8");
  CHECK(count(3, 2) ==
        "global_batch 128 is not divisible by micro_batch 2 x data 3 = 6; nearest legal: 126 or 132");
}

TEST_CASE("optimizer state without the master copy: 8 bytes of AdamW, 4 of Muon, 2 of 8-bit AdamW") {
  CHECK(optimizer_state_bytes("adamw") == 8);
  CHECK(optimizer_state_bytes("muon") == 4);
  CHECK(optimizer_state_bytes("sgd") == 4);
  CHECK(optimizer_state_bytes("adamw_8bit") == 2);
  CHECK(optimizer_state_bytes("adamw_4bit") == 1);
}

TEST_CASE("a sequence ends at a billion tokens") {
  Document document = Document::parse("training: {sequence_length: 1000000001, global_batch: 1}\n", "s");
  read_training(document.root().section("training"), {}, model_of(32));
  CHECK(sentence(document) == "sequence_length must be between 1 and 1000000000, not 1000000001");
}

// 6 layers, embedding and head are 8 slots, two a stage; 2 layers and both ends would leave stages of an end alone.
TEST_CASE("embedding and head as layers leave each end's stage a layer at least") {
  const auto six = schedule("name: 1f1b, embedding_as_layer: true, head_as_layer: true", 4, 6);
  CHECK(six.error == "");
  CHECK(six.spec.stage_layers == Layers{1, 2, 2, 1});
  CHECK(schedule("name: 1f1b, embedding_as_layer: true, head_as_layer: true", 4, 2).error ==
        "2 layers with embedding or head as layers are 4 slots, which do not divide over 4 stages; give "
        "stage_layers");
}

// A head as long as a layer: 2 layers and the head on the last of 5 stages, as long as 3; the other 10 over 4 stages, with
// the two odd ones in the middle.
TEST_CASE("what the other stages cannot share evenly lies in their middle") {
  CHECK(balanced_stages(12, 5, 1) == Layers{2, 3, 3, 2, 2});
}

// Two moments of AdamW in 32, 16, 8 and 4 bits, one fp32 momentum of Muon and SGD, with two preconditioners of Shampoo.
TEST_CASE("optimizers keep their moments in the bits that their names say") {
  CHECK(optimizer_state_bytes("adamw") == 2 * 4);
  CHECK(optimizer_state_bytes("adamw_16bit") == 2 * 2);
  CHECK(optimizer_state_bytes("adamw_8bit") == 2 * 1);
  CHECK(optimizer_state_bytes("adamw_4bit") == 2 * 0.5);
  CHECK(optimizer_state_bytes("muon") == 4);
  CHECK(optimizer_state_bytes("sgd") == 4);
  CHECK(optimizer_state_bytes("shampoo") == 4 + 2 * 4);
}

// Sums of rows and columns in fp32: 4 B (n + n) / n^2 of a matrix of width 800, less of wider ones.
TEST_CASE("Adafactor keeps a hundredth of a byte a parameter") {
  CHECK(100 * optimizer_state_bytes("adafactor") ==
        doctest::Approx(100 * 4 * 2 * 800 / (800.0 * 800)).epsilon(1e-9));
}

// ---- limits and defaults --------------------------------------------------------------------------------

TEST_CASE("recomputed layers and a shard group end at a million, micro-batches at 100,000") {
  CHECK(training("recompute: {layers: 1000001}").error ==
        "layers must be between 1 and 1000000, not 1000001");
  CHECK(training("sharding: {hsdp: 1000001}").error == "hsdp must be between 1 and 1000000, not 1000001");
  const auto error = [](std::int64_t m) {
    Document document = Document::parse("training: {global_batch: 1}\n", "s");
    Section section = document.root().section("training");
    section.count("global_batch");
    TrainingSpec t;
    t.global_batch = m;
    t.micro_batch = 1;
    CHECK(microbatches(section, t, {}) == 100'000);
    return sentence(document);
  };
  CHECK(error(100'000) == "");
  CHECK(error(100'001) == "100001 micro-batches a step; at most 100000 are simulated");
}

TEST_CASE("a training that says nothing takes 1T tokens, one sequence a micro-batch") {
  CHECK(training("").spec.tokens == 1e12);
  CHECK(training("").spec.micro_batch == 1);
}

TEST_CASE("a stage of its own length leaves another one, two of them a third") {
  CHECK(schedule("name: 1f1b, first_stage_layers: 5", 2, 32).spec.stage_layers == Layers{5, 27});
  CHECK(schedule("name: 1f1b, first_stage_layers: 5, last_stage_layers: 3", 3, 32).spec.stage_layers ==
        Layers{5, 24, 3});
  CHECK(schedule("name: 1f1b, first_stage_layers: 5, last_stage_layers: 27", 2, 32).error ==
        "first_stage_layers and last_stage_layers need more than one other stage");
}

// 33 layers, embedding and head are 35 slots: 8 for each of 4 ranks, and 3 over.
TEST_CASE("virtual stages are bounded by the layers, embedding and head that a rank has") {
  CHECK(schedule("name: interleaved_1f1b, virtual_stages: 9", 4, 33).error ==
        "virtual_stages must be between 1 and 8: 33 layers, embedding and head over 4 pipeline ranks");
}

}  // namespace
}  // namespace runcast
