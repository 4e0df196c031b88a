// What one choice does to a step: expert traffic behind compute, DualPipe's two copies, tied embeddings, the gradient
// norm's barrier, multi-token prediction, sliding windows, unequal experts, offload.
#include <doctest/doctest.h>

#include <numeric>

#include "parallelism/kept_activations.hpp"
#include "parallelism/memory.hpp"
#include "parallelism/step_work.hpp"
#include "tests/parallelism/unfolded_steps.hpp"

namespace runcast {
namespace {

double seconds(Duration d) { return to_seconds(d).value; }

CommunicationTotal total_of(const StepResult& r, const std::string& group) {
  CommunicationTotal sum;
  for (const CommunicationTotal& c : r.communication) {
    if (c.group != group) continue;
    sum.count += c.count;
    sum.bytes_per_rank += c.bytes_per_rank;
    sum.time += c.time;
    sum.exposed += c.exposed;
  }
  return sum;
}

// Four layers of experts, small enough for a quick step, on 8 GPUs of one node.
StepCase experts_case() {
  StepCase c;
  c.model = load_model("qwen3-30b-a3b");
  c.model.layers = 8;
  c.training.sequence_length = 4096;
  c.training.overlap.data = true;
  c.profile.host_per_moe_layer = Seconds(0);
  c.profile.host_per_layer = Seconds(0);
  c.layout.data = 8;
  c.layout.expert = 8;
  return c;
}

// ---- expert traffic -------------------------------------------------------------------------------------

// Fused, 2 x 12 of the 13 micro-batches' passes hide their all-to-alls; one forward and one backward stand alone.
TEST_CASE(
    "pairs of a forward and a backward hide all expert traffic but that of the first and the last pass") {
  StepCase c = experts_case();
  c.microbatches = 13;
  const StepResult apart = c.run();
  c.fuse_pairs = true;
  const StepResult fused = c.run();
  CHECK(total_of(fused, "expert").time.value ==
        doctest::Approx(total_of(apart, "expert").time.value).epsilon(1e-9));
  CHECK(seconds(fused.breakdown.expert_exposed) ==
        doctest::Approx(seconds(apart.breakdown.expert_exposed) / 13).epsilon(1e-6));
  CHECK(total_of(fused, "expert").exposed.value ==
        doctest::Approx(seconds(fused.breakdown.expert_exposed)).epsilon(1e-6));
  // What is hidden slows the compute beside it, by the same share on NVLink as all overlap.
  const double hidden = seconds(apart.breakdown.expert_exposed) * 12 / 13;
  CHECK(seconds(fused.breakdown.compute - apart.breakdown.compute) ==
        doctest::Approx(hidden * c.node.gpu.kernels.overlap_slowdown).epsilon(1e-6));
}

// Warm-up 2(p-1-r) + 1: rank 0 of 4 holds 7 forwards, then pairs; 1f1b unfused holds 4 chunks.
TEST_CASE("fused 1f1b has the depth of interleaving, so that a pair does not wait for its neighbours") {
  const ScheduleRequest request{.ranks = 4, .microbatches = 16, .extra_warmup = true, .fuse_pairs = true};
  const PipelineSchedule schedule = find_schedule("1f1b")->build(request);
  CHECK(peak_chunks_in_flight(schedule, true) == std::vector<int>{8, 6, 4, 2});
}

// Dispatch forwards and the gradients' way to the experts: 1 B and 4 B of scale for each 128; the other two ways 2 B.
TEST_CASE("fp8 dispatch moves (2 (1 + 4/128) + 2 x 2) / 8 of the bytes") {
  StepCase c = experts_case();
  const double wide = total_of(c.run(), "expert").bytes_per_rank.value;
  c.training.narrow_dispatch = true;
  CHECK(total_of(c.run(), "expert").bytes_per_rank.value / wide ==
        doctest::Approx((2 * (1 + 4.0 / 128) + 4) / 8).epsilon(1e-9));
}

// 8 of 128 experts on 8 nodes: a token's copies go to 8 (1 - (7/8)^8) = 5.25 nodes, with a limit of 4 nodes to
// 4 (1 - (3/4)^8) = 3.60.
TEST_CASE("a token that may use experts of 4 nodes crosses the network less often") {
  StepCase c = experts_case();
  c.layout.data = 64;
  c.layout.expert = 64;
  c.training.deduplicate_tokens = true;
  const double free = total_of(c.run(), "expert").time.value;
  c.model.experts->node_limit = 4;
  const double limited = total_of(c.run(), "expert").time.value;
  CHECK(limited < free);
  CHECK(limited / free == doctest::Approx(3.5995 / 5.2512).epsilon(0.02));  // but for latency
}

TEST_CASE("the busiest rank's load lengthens expert passes and traffic, and is no model FLOP") {
  StepCase c = experts_case();
  const StepResult even = c.run();
  c.model.experts->imbalance = 1.5;
  const StepResult uneven = c.run();
  CHECK(total_of(uneven, "expert").bytes_per_rank.value ==
        doctest::Approx(1.5 * total_of(even, "expert").bytes_per_rank.value).epsilon(1e-9));
  CHECK(uneven.breakdown.compute > even.breakdown.compute);
  CHECK(uneven.model_flops.value == even.model_flops.value);
  // A capacity fixes the rows whatever the router says.
  c.model.experts->capacity_factor = 1.0;
  CHECK(c.run().time == even.time);
  const KeptBytes kept = kept_bytes(c.model, c.layout, c.training, true);
  c.model.experts->capacity_factor = 2.0;
  CHECK(kept_bytes(c.model, c.layout, c.training, true).experts_up ==
        doctest::Approx(2 * kept.experts_up).epsilon(1e-12));
}

// ---- copies and ends ------------------------------------------------------------------------------------

// One replica: 1f1b has nobody to sum with; DualPipe's ranks r and p-1-r hold the same stages.
TEST_CASE("DualPipe sums gradients over both copies of its stages, even in one replica") {
  StepCase c;
  c.model.layers = 8;
  c.layout.pipeline = 2;
  c.microbatches = 8;
  c.training.sharding.kind = Sharding::Kind::zero1;
  CHECK(total_of(c.run(), "data").count == 0);
  c.schedule = "dualpipe";
  c.virtual_stages = 2;
  const StepResult r = c.run();
  double reduced = 0;
  for (const CommunicationTotal& t : r.communication)
    if (t.collective == "reduce_scatter") reduced += t.bytes_per_rank.value;
  // Every rank holds both stages: the whole model, in fp32.
  CHECK(reduced == doctest::Approx(4 * static_cast<double>(count_parameters(c.model).total)).epsilon(1e-9));
  // Each copy's optimizer is half of the whole model's.
  const ScheduleSpec spec = c.spec();
  const PipelineSchedule schedule = spec.row->build(spec.request(c.layout, c.microbatches));
  const MemoryReport m = memory_of(c.model, c.layout, c.training, spec, c.profile, schedule, c.node.gpu);
  CHECK(m.stages[0].optimizer.value ==
        doctest::Approx(12.0 / 2 * static_cast<double>(count_parameters(c.model).total)).epsilon(1e-9));
}

TEST_CASE("tied embeddings on two stages are summed once a step, on one rank not at all") {
  StepCase c;
  c.model.layers = 8;
  c.layout.pipeline = 2;
  CHECK(total_of(c.run(), "data").count == 0);
  c.model.tied_embeddings = true;
  const CommunicationTotal sum = total_of(c.run(), "data");
  CHECK(sum.count == 1);
  CHECK(sum.bytes_per_rank.value ==
        doctest::Approx(4.0 * static_cast<double>(c.model.vocabulary * c.model.hidden)).epsilon(1e-12));
  c.schedule = "zb_v";  // both ends on rank 0
  c.virtual_stages = 2;
  CHECK(total_of(c.run(), "data").count == 0);
}

// zb_h2's window on each rank is shorter than the whole by its skew: rank r starts r forwards after rank 0.
TEST_CASE("without the norm's barrier zb_h2 steps at the pace of one rank's window, 1f1b as before") {
  StepCase c;
  c.model.layers = 16;
  c.layout.pipeline = 4;
  c.microbatches = 16;
  c.schedule = "zb_h2";
  const StepResult barrier = c.run();
  c.gradient_norm = GradientNorm::post_validation;
  const StepResult parallelograms = c.run();
  CHECK(parallelograms.time < barrier.time);
  CHECK(parallelograms.breakdown.total() == parallelograms.time);
  CHECK(parallelograms.breakdown.bubble < barrier.breakdown.bubble);
  c.schedule = "1f1b";  // rank 0 opens and ends the step: only the barrier's own latency is saved
  const StepResult after = c.run();
  c.gradient_norm = GradientNorm::barrier;
  const StepResult before = c.run();
  CHECK(after.time < before.time);
  CHECK(seconds(before.time - after.time) < 0.001 * seconds(before.time));
}

// ---- models ---------------------------------------------------------------------------------------------

// DeepSeek-V3's module: a layer of experts 11.51e9, projection 2 x 7168^2 = 0.10e9; with the shared embedding and
// head 13.5e9 of the checkpoint's "14B" [DeepSeek-V3 README: 685B = 671B + 14B].
TEST_CASE("a module of multi-token prediction is a layer, a projection and a second head") {
  Model m = load_model("deepseek-v3");
  const ParameterCount without = count_parameters(m);
  const double flops = training_flops_per_token(m, 4096, FlopConvention::exact).value;
  m.predicted_tokens = 1;
  const ParameterCount with = count_parameters(m);
  const double own = static_cast<double>(with.total - without.total);
  CHECK(own == doctest::Approx(11.61e9).epsilon(0.005));
  CHECK(own + 2 * static_cast<double>(with.embedding) == doctest::Approx(14e9).epsilon(0.05));
  const double layer = layer_forward_flops(m, true, 1, 4096).total().value;
  const double added = layer + head_forward_flops(m, 1).value + 2.0 * 2 * 7168 * 7168;
  CHECK(training_flops_per_token(m, 4096, FlopConvention::exact).value ==
        doctest::Approx(flops + 3 * added).epsilon(1e-12));
}

TEST_CASE("the module of multi-token prediction lengthens the last stage and fills its memory") {
  StepCase c;
  c.model.layers = 8;
  c.layout.pipeline = 2;
  const auto memory = [&] {
    const ScheduleSpec spec = c.spec();
    const PipelineSchedule schedule = spec.row->build(spec.request(c.layout, c.microbatches));
    return memory_of(c.model, c.layout, c.training, spec, c.profile, schedule, c.node.gpu);
  };
  const StepResult without = c.run();
  const MemoryReport less = memory();
  c.model.predicted_tokens = 1;
  const StepResult with = c.run();
  const MemoryReport more = memory();
  CHECK(with.trace.busy[1] > without.trace.busy[1]);
  CHECK(seconds(with.trace.busy[0]) == doctest::Approx(seconds(without.trace.busy[0])).epsilon(1e-9));
  CHECK(more.stages[1].total() > less.stages[1].total());
  CHECK(more.stages[0].total() == less.stages[0].total());
}

// Keys of query i: min(i, 128). Of 4096 queries in the mean 128 - 128^2 / 8192 = 126, of all keys 2048.
TEST_CASE("a window of 128 tokens leaves 126 keys a query of 2048, in every layer that is not global") {
  CHECK(mean_keys(4096, 128) == doctest::Approx(126).epsilon(1e-12));
  CHECK(mean_keys(4096, 0) == doctest::Approx(2048).epsilon(1e-12));
  CHECK(mean_keys(4096, 8192) == doctest::Approx(2048).epsilon(1e-12));
  Model m = load_model("llama3-8b");
  const double attention = layer_forward_flops(m, false, 1, 4096).attention.value;
  const double whole = training_flops_per_token(m, 4096, FlopConvention::exact).value;
  m.window = SlidingWindow{128, 2};
  CHECK(m.layer_is_windowed(0));
  CHECK_FALSE(m.layer_is_windowed(1));
  CHECK(training_flops_per_token(m, 4096, FlopConvention::exact).value ==
        doctest::Approx(whole - 3 * 16 * attention * (1 - 126.0 / 2048)).epsilon(1e-12));
  StepCase c;
  const StepResult full = c.run();
  c.model.window = m.window;
  CHECK(c.run().breakdown.compute < full.breakdown.compute);
}

TEST_CASE("every second layer has experts in LLaMA 4 Maverick's way") {
  Model m = load_model("qwen3-30b-a3b");
  m.layers = 6;
  m.experts->every = 2;
  CHECK(m.moe_layers() == 3);
  const bool moe[] = {m.layer_is_moe(0), m.layer_is_moe(1), m.layer_is_moe(2), m.layer_is_moe(5)};
  CHECK_FALSE(moe[0]);
  CHECK(moe[1]);
  CHECK_FALSE(moe[2]);
  CHECK(moe[3]);
}

// ---- offload --------------------------------------------------------------------------------------------

TEST_CASE("an offloaded optimizer frees its memory and takes PCIe's or the host's time") {
  StepCase c;
  const auto memory = [&] {
    const ScheduleSpec spec = c.spec();
    const PipelineSchedule schedule = spec.row->build(spec.request(c.layout, c.microbatches));
    return memory_of(c.model, c.layout, c.training, spec, c.profile, schedule, c.node.gpu).stages[0];
  };
  const StepResult kept = c.run();
  const StageMemory before = memory();
  c.training.offload.optimizer = true;
  const StepResult moved = c.run();
  CHECK(memory().optimizer.value == 0);
  CHECK((before.total() - memory().total()).value == doctest::Approx(before.optimizer.value).epsilon(1e-12));
  // 34 B a parameter at 61.4 GB/s of host memory, more than 4 B at 64 GB/s of PCIe.
  const double parameters = static_cast<double>(count_parameters(c.model).total);
  CHECK(seconds(moved.breakdown.optimizer) == doctest::Approx(34 * parameters / 61.4e9).epsilon(0.01));
  CHECK(moved.breakdown.optimizer > kept.breakdown.optimizer);
}

// A layer of 8B keeps 1089 MiB: 17.8 ms at 64 GB/s. Two chunks of activations stay on the GPU.
TEST_CASE("offloaded activations cost what PCIe takes longer than the layer") {
  StepCase c;
  c.profile.host_per_layer = Seconds(0);
  const StepResult kept = c.run();
  c.training.offload.activations = true;
  const StepResult fast = c.run();
  c.node.host_link = Bandwidth(1e9);
  const StepResult slow = c.run();
  CHECK(fast.time >= kept.time);
  const double layer = 1089.0 * 1024 * 1024 / 1e9;  // s a layer, out and back again
  const double passes = static_cast<double>(c.microbatches * c.model.layers) * 2;
  CHECK(seconds(slow.breakdown.other - kept.breakdown.other) < passes * layer);
  CHECK(seconds(slow.breakdown.other - kept.breakdown.other) > passes * layer * 0.95);
}

// ---- memory of what DeepSeek-V3 recomputes --------------------------------------------------------------

// Per token, fp8: residual streams 2 x 2 x 7168; compressed query and keys 2 (1536 + 512 + 64); attention output in
// E5M6 1.5 x 16384; log-sum-exp 4 x 128; routed rows 8 x 7168 in fp8; router 8 x 256; SwiGLU inputs of routed and
// shared experts 2 x 9 x 2048 in fp8.
TEST_CASE("a layer of DeepSeek-V3 keeps 154 kB a token with norms, up-projections and SwiGLU recomputed") {
  TrainingSpec t;
  t.precision = find_precision("fp8");
  t.sequence_length = 4096;
  t.narrow_storage = true;
  t.recompute.kind = Recompute::Kind::modules;
  t.recompute.modules = {"norms", "mla_up", "mlp_activation", "moe_activation"};
  const double expected = 28672 + 4224 + 24576 + 512 + 57344 + 2048 + 36864;
  CHECK(layer_activation_bytes(load_model("deepseek-v3"), {}, t, true).value / 4096 ==
        doctest::Approx(expected).epsilon(1e-12));
}

// ---- what travels ---------------------------------------------------------------------------------------

// 8192 / 2 tokens of 4096 elements of 2 B, scattered over 4 tensor ranks.
TEST_CASE("a message between stages is a rank's share of the hidden state in 16 bits") {
  StepCase c;
  c.layout.tensor = 4;
  c.layout.sequence_parallel = true;
  c.layout.context = 2;
  with_input(c, [](const StepInput& in) { CHECK(message_bytes(in).value == 2.0 * 4096 * 4096 / 4); });
}

// Megatron: at least 40 M parameters a bucket, and 1 M a rank of the group; never more than 64 buckets are told apart.
TEST_CASE(
    "400M parameters travel in 10 buckets among 8 ranks, in 5 among 80, in 64 where buckets are small") {
  StepCase c;
  const auto buckets = [&c](int ranks, double parameters) {
    c.layout.data = ranks;
    return with_input(c, [&](const StepInput& in) {
      const GroupTable groups = GroupTable::of(*in.network, *in.layout, in.training->sharding);
      return stage_traffic(in, groups, {parameters, 0, 0}).buckets;
    });
  };
  CHECK(buckets(8, 402e6) == 10);
  CHECK(buckets(80, 402e6) == 5);
  CHECK(buckets(8, 30e6) == 1);
  CHECK(buckets(8, 8e9) == 64);
  c.profile.bucket_parameters = 80e6;
  CHECK(buckets(8, 402e6) == 5);
}

// 402M parameters in 10 buckets over 8 ranks, 4 B each reduced and 2 B gathered: ten collectives of a tenth, and one
// gather of the whole cut into ten.
TEST_CASE("gradients are reduced bucket by bucket, each a collective of its own") {
  StepCase c;
  c.layout.data = 8;
  c.training.sharding.kind = Sharding::Kind::zero1;
  with_input(c, [&](const StepInput& in) {
    const GroupTable groups = GroupTable::of(*in.network, *in.layout, in.training->sharding);
    const StageTraffic traffic = stage_traffic(in, groups, {402e6, 0, 0});
    const auto time = [&](Collective kind, double bytes) {
      return in.network->collective(kind, Bytes(bytes), groups.data, in.profile->collective_launch)
          .time.value;
    };
    CHECK(1e3 * seconds(traffic.reduce) ==
          doctest::Approx(1e3 * 10 * time(Collective::reduce_scatter, 4 * 40.2e6)).epsilon(1e-5));
    CHECK(1e3 * seconds(traffic.gather) ==
          doctest::Approx(1e3 * time(Collective::all_gather, 2 * 402e6)).epsilon(1e-5));
  });
}

// Forward and backward of one layer, embedding and head are issued in 1.3 x (1 + 1.5) = 3.25 times host_per_layer; each
// of 2 slots counts three times, itself and its messages: 19.5 of them.
TEST_CASE("a step is refused from 9e9 s, as long as the clock") {
  StepCase c;
  c.model.layers = 1;
  c.microbatches = 1;
  c.profile.host_per_layer = Seconds(8.8e9 / 19.5);
  CHECK(seconds(c.run().time) > 8.8e9 / 6);
  c.profile.host_per_layer = Seconds(9.1e9 / 19.5);
  CHECK_THROWS_AS(c.run(), ConfigError);
}

}  // namespace
}  // namespace runcast
