// One optimizer step: bounds, parts that sum, closed forms of the bubble, orderings, and small cases by hand.
#include "parallelism/training_step.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/parallelism/unfolded_steps.hpp"

namespace runcast {
namespace {

double seconds(Duration d) { return to_seconds(d).value; }

// Links so fast that only the schedule is left, and a step without host time, overhead or jitter.
void make_ideal(StepCase& c) {
  for (LinkSpec* link : {&c.node.scale_up, &c.node.nic}) {
    link->bandwidth = Bandwidth(1e18);
    link->latency = Seconds(1e-12);
  }
  for (TierSpec& tier : c.fabric.tiers) tier.latency = Seconds(0);
  c.profile.collective_launch = Seconds(1e-12);
  c.profile.host_per_layer = Seconds(0);
  c.profile.step_overhead = Seconds(0);
  c.profile.jitter = 0;
}

// A model whose embedding and head weigh next to nothing beside its 32 layers.
StepCase pipeline_case(int pipeline, std::int64_t m) {
  StepCase c;
  make_ideal(c);
  c.model = load_model("gpt-22b");
  c.model.layers = 32;
  c.model.vocabulary = 64;
  c.model.positions = 0;
  c.training.sequence_length = 2048;
  c.layout.pipeline = pipeline;
  c.microbatches = m;
  return c;
}

StepCase llama_70b(int data) {
  StepCase c;
  c.model = load_model("llama3-70b");
  c.layout.tensor = 8;
  c.layout.sequence_parallel = true;
  c.layout.pipeline = 4;
  c.layout.data = data;
  c.microbatches = 8;
  return c;
}

void check_sane(const StepResult& r, const StepCase& c) {
  const GpuSpec& gpu = c.node.gpu;
  CHECK(r.breakdown.total() == r.time);
  for (const Duration d :
       {r.breakdown.compute, r.breakdown.tensor_exposed, r.breakdown.context_exposed,
        r.breakdown.expert_exposed, r.breakdown.pipeline_exposed, r.breakdown.data_exposed,
        r.breakdown.bubble, r.breakdown.optimizer, r.breakdown.data_loading, r.breakdown.other})
    CHECK(d >= Duration{});
  CHECK(seconds(r.time) >=
        r.model_flops / peak_rate(gpu, *c.training.precision) / Seconds(1) / c.layout.world());
  CHECK(r.mfu > 0);
  CHECK(r.mfu <= 1);
  CHECK(r.hfu >= r.mfu);
  CHECK(r.bubble_fraction == doctest::Approx(seconds(r.breakdown.bubble) / seconds(r.time)).epsilon(1e-12));
  for (const CommunicationTotal& t : r.communication) {
    CAPTURE(t.group);
    CAPTURE(t.collective);
    CHECK(t.count > 0);
    CHECK(t.bytes_per_rank.value > 0);
    CHECK(t.time.value > 0);
    CHECK(t.exposed.value >= 0);
  }
}

// ---- bounds and sums ------------------------------------------------------------------------------------

TEST_CASE(
    "whatever the schedule, the parts are positive, sum to the step, and its FLOPs fit under the peak") {
  struct Row {
    const char* name;
    int virtual_stages;
  };
  for (const Row row :
       {Row{"gpipe", 1}, Row{"1f1b", 1}, Row{"interleaved_1f1b", 2}, Row{"interleaved_1f1b", 4},
        Row{"zb_h1", 1}, Row{"zb_h2", 1}, Row{"zb_v", 2}, Row{"dualpipe", 2}, Row{"dualpipe_v", 2}})
    for (const int pipeline : {2, 4})
      for (const Sharding::Kind sharding :
           {Sharding::Kind::none, Sharding::Kind::zero1, Sharding::Kind::zero2, Sharding::Kind::zero3}) {
        CAPTURE(row.name);
        CAPTURE(pipeline);
        CAPTURE(name_of(sharding));
        StepCase c;
        c.layout.tensor = 2;
        c.layout.sequence_parallel = true;
        c.layout.pipeline = pipeline;
        c.layout.data = 4;
        c.schedule = row.name;
        c.virtual_stages = row.virtual_stages;
        c.microbatches = 16;
        c.training.sharding.kind = sharding;
        const StepResult r = c.run();
        check_sane(r, c);
        CHECK(seconds(r.breakdown.bubble) < 0.5 * seconds(r.time));
        // ZeRO-3 gathers a stage for each of its passes: over half a step of this small model, never all of it.
        CHECK(seconds(r.breakdown.data_exposed) < 0.6 * seconds(r.time));
      }
}

TEST_CASE("a step of one stage has no bubble and no pipeline traffic") {
  StepCase c;
  c.layout.tensor = 8;
  c.layout.sequence_parallel = true;
  const StepResult r = c.run();
  check_sane(r, c);
  CHECK(r.breakdown.bubble == Duration{});
  CHECK(r.breakdown.pipeline_exposed == Duration{});
  CHECK(r.bubble_over_ideal == 0);
  for (const CommunicationTotal& t : r.communication) CHECK(t.group != "pipeline");
}

TEST_CASE("with more than one stage every transfer takes time, once a neighbour, direction and micro-batch") {
  for (const int pipeline : {2, 4, 8}) {
    CAPTURE(pipeline);
    StepCase c;
    c.layout.pipeline = pipeline;
    const StepResult r = c.run();
    CHECK(r.trace.transfers.size() == static_cast<std::size_t>(2 * (pipeline - 1) * c.microbatches));
    for (const TransferSpan& t : r.trace.transfers) CHECK(t.end > t.start);
  }
}

TEST_CASE("one step does the model's FLOPs: tokens x FLOPs per token") {
  // 8B: 51.4704 GFLOP a token, causal attention at half; 8 micro-batches of 8192 tokens on each of 4
  // replicas.
  StepCase c;
  c.layout.data = 4;
  const StepResult r = c.run();
  CHECK(r.tokens == 4.0 * 8 * 8192);
  CHECK(r.model_flops.value == doctest::Approx(51.4704e9 * r.tokens).epsilon(1e-5));
  CHECK(r.tokens_per_s_per_gpu == doctest::Approx(r.tokens / 4 / seconds(r.time)).epsilon(1e-12));
  CHECK(r.mfu == doctest::Approx(51.4704e9 * r.tokens_per_s_per_gpu / 989.4e12).epsilon(1e-4));
}

TEST_CASE(
    "full recomputation raises HFU over MFU by a third less the head, and the step by no more than a third") {
  StepCase c;
  const StepResult kept = c.run();
  c.training.recompute.kind = Recompute::Kind::full;
  const StepResult again = c.run();
  check_sane(again, c);
  CHECK(kept.hfu == kept.mfu);
  // 32 layers of 4123.169 and a head of 8607.114 GFLOP: (4 x 131941 + 3 x 8607) / (3 x 140548) = 1.3129
  CHECK(again.hfu / again.mfu == doctest::Approx(1.31292).epsilon(1e-4));
  CHECK(again.time > kept.time);
  CHECK(seconds(again.time) < 4.0 / 3 * seconds(kept.time));
}

// ---- the bubble -----------------------------------------------------------------------------------------

// bubble / ideal: 1f1b and gpipe (p-1)/m; interleaved (p-1)/(v m) [Narayanan et al. 2021, sec. 2.2].
TEST_CASE("with links of no length the bubble is the closed form's") {
  struct Row {
    const char* name;
    int p, m, v;
    double over_ideal;
  };
  for (const Row row :
       {Row{"1f1b", 4, 8, 1, 3 / 8.0}, Row{"gpipe", 4, 8, 1, 3 / 8.0}, Row{"1f1b", 8, 16, 1, 7 / 16.0},
        Row{"1f1b", 2, 32, 1, 1 / 32.0}, Row{"interleaved_1f1b", 4, 8, 2, 3 / 16.0},
        Row{"interleaved_1f1b", 4, 8, 4, 3 / 32.0}, Row{"interleaved_1f1b", 8, 16, 2, 7 / 32.0}}) {
    CAPTURE(row.name);
    CAPTURE(row.p);
    CAPTURE(row.v);
    StepCase c = pipeline_case(row.p, row.m);
    c.schedule = row.name;
    c.virtual_stages = row.v;
    const StepResult r = c.run();
    // Embedding and head of a 64-word vocabulary are 0.1 % of the work but sit on two stages.
    CHECK(r.bubble_over_ideal == doctest::Approx(row.over_ideal).epsilon(0.02));
    CHECK(seconds(r.breakdown.pipeline_exposed) < 1e-4 * seconds(r.time));
  }
}

TEST_CASE("more chunks a rank lower the bubble") {
  double last = 1;
  for (const int v : {1, 2, 4, 8}) {
    CAPTURE(v);
    StepCase c = pipeline_case(4, 8);
    c.schedule = v == 1 ? "1f1b" : "interleaved_1f1b";
    c.virtual_stages = v;
    const StepResult r = c.run();
    CHECK(r.bubble_over_ideal < last);
    last = r.bubble_over_ideal;
  }
}

TEST_CASE("schedules with a split backward waste less than 1f1b, in the order of their closed forms") {
  // p = 4, m = 8, F, I, W of a GPT layer: H1 (p-1) (F+I-W) of 1f1b's (p-1) (F+B) [Qi et al. 2023, table 2].
  // The last rank to end has its whole idle time counted, the start skew included.
  const auto over_ideal = [](const char* name, int v) {
    StepCase c = pipeline_case(4, 16);
    c.schedule = name;
    c.virtual_stages = v;
    const StepResult r = c.run();
    check_sane(r, c);
    return r.bubble_over_ideal;
  };
  const double flat = over_ideal("1f1b", 1), h1 = over_ideal("zb_h1", 1), h2 = over_ideal("zb_h2", 1);
  const double v = over_ideal("zb_v", 2), dual = over_ideal("dualpipe", 2),
               dual_v = over_ideal("dualpipe_v", 2);
  CHECK(h1 < 0.6 * flat);
  CHECK(h2 <= h1);
  CHECK(v < h1);
  CHECK(dual < flat);
  CHECK(dual_v < flat);
}

TEST_CASE("a split backward does the work of a fused one, summed over the ranks") {
  const auto work = [](const char* name, int p, int v) {
    StepCase c = pipeline_case(p, 16);
    c.schedule = name;
    c.virtual_stages = v;
    double sum = 0;
    for (const Duration busy : c.run().trace.busy) sum += seconds(busy);
    return sum;
  };
  for (const int p : {2, 4}) {
    const double fused = work("1f1b", p, 1);
    for (const char* name : {"zb_h1", "zb_h2"})
      CHECK(work(name, p, 1) == doctest::Approx(fused).epsilon(1e-6));
    for (const char* name : {"zb_v", "dualpipe", "dualpipe_v"}) {
      CAPTURE(name);
      CAPTURE(p);
      // The reduction over DualPipe's two copies of a stage slows what runs beside it.
      const double tolerance = std::string(name) == "dualpipe" ? 1e-3 : 1e-6;
      CHECK(work(name, p, 2) == doctest::Approx(fused).epsilon(tolerance));
    }
  }
}

TEST_CASE("ZeRO-3 gathers and reduces as much with a split backward as with a fused one") {
  const auto bytes = [](const char* name, int v, std::string_view collective) {
    StepCase c = pipeline_case(4, 16);
    c.layout.data = 2;
    c.training.sharding.kind = Sharding::Kind::zero3;
    c.schedule = name;
    c.virtual_stages = v;
    double sum = 0;
    for (const CommunicationTotal& t : c.run().communication)
      if (t.group == "data" && t.collective == collective) sum += t.bytes_per_rank.value;
    return sum;
  };
  for (const char* collective : {"all_gather", "reduce_scatter"}) {
    const double fused = bytes("1f1b", 1, collective);
    CHECK(fused > 0);
    CHECK(bytes("zb_h1", 1, collective) == doctest::Approx(fused).epsilon(0.01));
    CHECK(bytes("zb_v", 2, collective) == doctest::Approx(fused).epsilon(0.01));
    CHECK(bytes("dualpipe", 2, collective) == doctest::Approx(fused).epsilon(0.01));
  }
}

TEST_CASE("an uneven pipeline is paced by its longest stage") {
  // 1f1b, p = 4, m = 64: 8 / 8 / 8 / 8 layers against 5 / 9 / 9 / 9: a period of 9 layers instead of 8.
  StepCase c = pipeline_case(4, 64);
  const StepResult even = c.run();
  c.stage_layers = {5, 9, 9, 9};
  const StepResult uneven = c.run();
  // Makespans in layers (of F + B): 64 x 8 + 3 x 8 = 536. Uneven: the first micro-batch reaches stage 1 after
  // 5 F and the last gradient leaves stage 0 after 5 B: 5 + (64 - 1) x 9 + 9 + 9 + 9 = 599.
  CHECK(seconds(uneven.time) / seconds(even.time) == doctest::Approx(599 / 536.0).epsilon(0.01));
}

// ---- point-to-point -------------------------------------------------------------------------------------

TEST_CASE("blocking transfers are never faster than asynchronous ones") {
  for (const char* name : {"1f1b", "gpipe"}) {
    CAPTURE(name);
    StepCase c;
    c.layout.pipeline = 8;
    c.schedule = name;
    const StepResult async = c.run();
    c.point_to_point = PointToPoint::blocking;
    const StepResult blocking = c.run();
    check_sane(blocking, c);
    CHECK(blocking.time >= async.time);
    CHECK(blocking.breakdown.pipeline_exposed > Duration{});
  }
}

TEST_CASE("slower links between stages lengthen the step and the pipeline's share of it") {
  StepCase c;
  c.layout.tensor = 8;
  c.layout.sequence_parallel = true;
  c.layout.pipeline = 8;
  const StepResult fast = c.run();
  c.node.nic.bandwidth = c.node.nic.bandwidth / 20;
  const StepResult slow = c.run();
  CHECK(slow.time > fast.time);
  CHECK(slow.breakdown.pipeline_exposed > fast.breakdown.pipeline_exposed);
}

// ---- data parallelism -----------------------------------------------------------------------------------

TEST_CASE("more data-parallel ranks with the same work each never make the step shorter") {
  for (const Sharding::Kind sharding : {Sharding::Kind::none, Sharding::Kind::zero2}) {
    CAPTURE(name_of(sharding));
    Duration last{};
    for (const int data : {1, 2, 4, 16, 64}) {
      CAPTURE(data);
      StepCase c = llama_70b(data);
      c.training.sharding.kind = sharding;
      const StepResult r = c.run();
      CHECK(r.time >= last);
      last = r.time;
    }
  }
}

TEST_CASE("overlap switched off never makes the step shorter") {
  for (const Sharding::Kind sharding :
       {Sharding::Kind::none, Sharding::Kind::zero1, Sharding::Kind::zero2, Sharding::Kind::zero3})
    for (const int data : {4, 64}) {
      CAPTURE(name_of(sharding));
      CAPTURE(data);
      StepCase c = llama_70b(data);
      c.training.sharding.kind = sharding;
      const StepResult on = c.run();
      c.training.overlap.data = false;
      const StepResult off = c.run();
      check_sane(off, c);
      CHECK(off.time >= on.time);
      CHECK(off.breakdown.data_exposed >= on.breakdown.data_exposed);
    }
  StepCase c = llama_70b(2);
  const StepResult exposed = c.run();
  c.training.overlap.tensor = true;
  CHECK(c.run().time < exposed.time);
}

double data_bytes(const StepResult& r, std::string_view collective) {
  double sum = 0;
  for (const CommunicationTotal& t : r.communication)
    if (t.group == "data" && t.collective == collective) sum += t.bytes_per_rank.value;
  return sum;
}

TEST_CASE("gradients travel once: all of them in an all-reduce, or reduce-scattered and gathered") {
  // One stage of 8B on tensor 1: 8,030,261,248 parameters, 4 B reduced and 2 B gathered (Megatron's profile).
  StepCase c;
  c.layout.data = 8;
  c.training.sharding.kind = Sharding::Kind::none;
  CHECK(data_bytes(c.run(), "all_reduce") == doctest::Approx(4 * 8030261248.0).epsilon(1e-4));
  c.training.sharding.kind = Sharding::Kind::zero1;
  const StepResult sharded = c.run();
  CHECK(data_bytes(sharded, "all_reduce") == 0);
  CHECK(data_bytes(sharded, "reduce_scatter") == doctest::Approx(4 * 8030261248.0).epsilon(1e-4));
  CHECK(data_bytes(sharded, "all_gather") == doctest::Approx(2 * 8030261248.0).epsilon(1e-4));
}

TEST_CASE("ZeRO-2 reduces once for each group of as many micro-batches as stages, ZeRO-1 once") {
  for (const std::int64_t m : {4, 8, 16}) {
    CAPTURE(m);
    StepCase c = llama_70b(4);
    c.microbatches = m;
    c.training.sharding.kind = Sharding::Kind::zero1;
    const double once = data_bytes(c.run(), "reduce_scatter");
    c.training.sharding.kind = Sharding::Kind::zero2;
    const StepResult overlapped = c.run();
    CHECK(data_bytes(overlapped, "reduce_scatter") ==
          doctest::Approx(static_cast<double>(m) / 4 * once).epsilon(1e-9));
    c.training.overlap.data = false;
    CHECK(data_bytes(c.run(), "reduce_scatter") ==
          doctest::Approx(static_cast<double>(m) / 4 * once).epsilon(1e-9));
  }
}

TEST_CASE("ZeRO-1 takes the optimizer's time from all ranks, ZeRO-2 never beats it, ZeRO-3 moves the most") {
  StepCase c = llama_70b(16);
  c.microbatches = 16;
  c.training.sharding.kind = Sharding::Kind::none;
  const StepResult none = c.run();
  c.training.sharding.kind = Sharding::Kind::zero1;
  const StepResult zero1 = c.run();
  c.training.sharding.kind = Sharding::Kind::zero2;
  const StepResult zero2 = c.run();
  c.training.sharding.kind = Sharding::Kind::zero3;
  const StepResult zero3 = c.run();
  CHECK(zero1.breakdown.optimizer < none.breakdown.optimizer);
  CHECK(zero2.time >= zero1.time);
  CHECK(data_bytes(zero3, "all_gather") > data_bytes(zero1, "all_gather"));
  CHECK(zero3.time >= zero1.time);
}

TEST_CASE(
    "hybrid sharding keeps the optimizer of its group: a group of 8 of 32 replicas updates 4 times as much") {
  StepCase c = llama_70b(32);
  c.training.sharding.kind = Sharding::Kind::zero3;
  const Duration all = c.run().breakdown.optimizer;
  c.training.sharding = {Sharding::Kind::hsdp, 8};
  const Duration group = c.run().breakdown.optimizer;
  // 38 B x 2.2e9 parameters / 32 and / 8 over 3.35 TB/s; kernels and the norm's tree are the same on both.
  CHECK(seconds(group) > 2 * seconds(all));
}

// ---- by hand --------------------------------------------------------------------------------------------

TEST_CASE("the optimizer moves 38 bytes a parameter of its shard") {
  // 34 B of Adam and 4 B of the norm x 8.03e9 / 8 parameters over 3.35 TB/s x efficiency, 4 kernels, and the
  // norm's tree over 8 ranks: 2 x 3 hops.
  StepCase c;
  c.layout.data = 8;
  c.training.sharding.kind = Sharding::Kind::zero1;
  const GpuSpec& gpu = c.node.gpu;
  const double stream = 38 * 8030261248.0 / 8 / (gpu.memory_bandwidth.value * gpu.kernels.memory_efficiency) +
                        4 * gpu.kernels.kernel_overhead.value;
  const double tree = 6 * c.node.scale_up.latency.value + c.profile.collective_launch.value;
  CHECK(1e3 * seconds(c.run().breakdown.optimizer) == doctest::Approx(1e3 * (stream + tree)).epsilon(1e-6));
}

TEST_CASE("one stage on one GPU: the step is m forwards and backwards, optimizer and overhead") {
  StepCase c;
  c.node = load_node("hgx-h100");
  c.microbatches = 3;
  const StepResult three = c.run();
  c.microbatches = 6;
  const StepResult six = c.run();
  const Duration pair = six.breakdown.compute - three.breakdown.compute;
  CHECK(pair == three.breakdown.compute);
  CHECK(six.breakdown.optimizer == three.breakdown.optimizer);
  CHECK(three.breakdown.data_exposed == Duration{});
  CHECK(three.ideal == three.trace.busy[0]);
}

TEST_CASE("jitter grows with the logarithm of the job, overhead does not") {
  StepCase c;
  make_ideal(c);
  c.layout.data = 32;
  c.training.sharding.kind = Sharding::Kind::none;
  const double calm = seconds(c.run().time);
  c.profile.jitter = 0.01;
  // 32 GPUs are two doublings of 8: 2 %.
  CHECK(seconds(c.run().time) == doctest::Approx(1.02 * calm).epsilon(1e-6));
  c.profile.jitter = 0;
  c.profile.step_overhead = Seconds(0.25);
  CHECK(seconds(c.run().time) == doctest::Approx(calm + 0.25).epsilon(1e-6));
}

TEST_CASE("data loading is exposed only where it is slower than the step") {
  StepCase c;
  const StepResult fed = c.run();
  CHECK(fed.breakdown.data_loading == Duration{});
  // 8 samples over 2 workers: the loaders need 4 x the time of one sample.
  c.training.data_loading.time_per_sample = Seconds(seconds(fed.time) / 4 * 1.5);
  const StepResult starved = c.run();
  CHECK(starved.breakdown.data_loading > Duration{});
  CHECK(seconds(starved.time) == doctest::Approx(1.5 * seconds(fed.time)).epsilon(1e-6));
  c.training.data_loading.workers_per_gpu = 4;
  CHECK(c.run().time == fed.time);
}

TEST_CASE("host time shows where kernels are short and vanishes where they are long") {
  StepCase c;
  c.layout.tensor = 8;
  c.layout.sequence_parallel = true;
  c.training.sequence_length = 512;
  c.profile.host_per_layer = Seconds(2e-3);
  const StepResult issued = c.run();
  c.training.cuda_graphs = "full";
  const StepResult graphs = c.run();
  CHECK(issued.breakdown.other > graphs.breakdown.other);
  // 32 layers x 2 ms forward and 3 ms backward x 8 micro-batches: the host alone takes 1.28 s.
  CHECK(seconds(issued.time) >= 32 * 5e-3 * 8);
  CHECK(seconds(issued.time) < 1.3 * 32 * 5e-3 * 8);
}

// ---- determinism ----------------------------------------------------------------------------------------

std::uint64_t digest(const StepResult& r) {
  std::uint64_t hash = 14695981039346656037ULL;
  const auto mix = [&](std::int64_t value) {
    hash = (hash ^ static_cast<std::uint64_t>(value)) * 1099511628211ULL;
  };
  for (const auto& rank : r.trace.ranks)
    for (const SlotSpan& span : rank) {
      mix(static_cast<int>(span.slot.pass));
      mix(span.slot.stage);
      mix(span.slot.microbatch);
      mix(span.start.ns);
      mix(span.end.ns);
    }
  for (const TransferSpan& t : r.trace.transfers) mix(t.start.ns), mix(t.end.ns);
  mix(r.time.ns);
  return hash;
}

TEST_CASE("the same step twice is the same to the nanosecond") {
  for (const char* name : {"1f1b", "interleaved_1f1b", "dualpipe_v"}) {
    CAPTURE(name);
    StepCase c = llama_70b(4);
    c.schedule = name;
    c.virtual_stages = c.schedule == "1f1b" ? 1 : 2;
    c.training.sharding.kind = Sharding::Kind::zero2;
    CHECK(digest(c.run()) == digest(c.run()));
  }
}

// ---- the norm's barrier ---------------------------------------------------------------------------------

// Up and down a binary tree: 2 log2(8) = 6 hops over NVLink, 2 log2(64) = 12 over the network, and one launch.
TEST_CASE("the gradient norm is summed up and down a tree of the farthest latency") {
  StepCase c;
  c.node.scale_up.latency = Seconds(3e-6);
  c.profile.collective_launch = Seconds(10e-6);
  const auto microseconds = [&c](double hops, bool far) {
    with_input(c, [&](const StepInput& in) {
      const GroupTable groups = GroupTable::of(*in.network, *in.layout, in.training->sharding);
      const double hop = far ? groups.data.inter_latency.value : 3e-6;
      CHECK(1e6 * norm_barrier(in, groups).value == doctest::Approx(1e6 * hops * hop + 10).epsilon(1e-9));
    });
  };
  c.layout.data = 8;
  microseconds(6, false);
  c.layout.data = 64;
  microseconds(12, true);
  c.layout.data = 1;  // two ranks are the least that a tree has
  microseconds(2, false);
}

}  // namespace
}  // namespace runcast
