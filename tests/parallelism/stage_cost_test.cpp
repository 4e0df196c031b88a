// What one pass of a stage costs: kernels added up, collectives hidden or exposed, host time, recomputation,
// parameters gathered by ZeRO-3; by hand and as sums.
#include "parallelism/stage_cost.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "tests/parallelism/steps.hpp"

namespace runcast {
namespace {

double value(Seconds s) { return s.value; }

// The stages of a case, priced.
std::vector<StageCost> costs_of(const StepCase& c, bool split = false) {
  const Fabric built(c.node, c.nodes(), c.fabric);
  const Network network(built, packed_placement(c.layout.world()));
  const StepShape shape{&c.model, &c.layout, &c.training, &c.profile};
  return stage_costs(shape, c.spec(), network, GroupTable::of(network, c.layout, c.training.sharding), split);
}

StepCase tensor_case() {
  StepCase c;
  c.layout.tensor = 8;
  c.layout.sequence_parallel = true;
  c.profile.host_per_layer = Seconds(0);
  return c;
}

TEST_CASE("one stage of one layer without host time is the sum of its kernels") {
  StepCase c;
  c.model.layers = 1;
  c.profile.host_per_layer = Seconds(0);
  const GpuSpec& gpu = c.node.gpu;
  const Precision& bf16 = *c.training.precision;
  const double T = 8192, h = 4096, f = 14336, V = 128256;
  // Projections of 8B's layer, its head; norms, rotary, activation, residuals, embedding and loss by their
  // bytes.
  const Seconds products = gemm_time(gpu, bf16, {T, (32 + 2 * 8) * 128, h}, false) +
                           gemm_time(gpu, bf16, {T, h, 4096}, false) +
                           gemm_time(gpu, bf16, {T, 2 * f, h}, false) +
                           gemm_time(gpu, bf16, {T, h, f}, false) + gemm_time(gpu, bf16, {T, V, h}, false);
  const Seconds attention =
      attention_forward_time(gpu, c.profile.attention, {T, 8192, 32, 8, 128, 128}, bf16);
  const StepShape shape{&c.model, &c.layout, &c.training, &c.profile};
  Seconds streams(0);
  for (const OperatorList& list : {embedding_operators(shape).forward, layer_operators(shape, false).forward,
                                   head_operators(shape).forward})
    for (const Operator& op : list)
      if (op.kind == OperatorKind::stream) streams += stream_time(gpu, op.bytes, op.kernels);
  const StageCost stage = costs_of(c).at(0);
  CHECK(value(stage.forward.cost.compute) ==
        doctest::Approx(value(products + attention + streams)).epsilon(1e-12));
  CHECK(value(stage.forward.cost.total()) == value(stage.forward.cost.compute));
}

TEST_CASE("stages add up to the model: each layer once, embedding on the first, head on the last") {
  StepCase c;
  c.profile.host_per_layer = Seconds(0);
  const StageCost whole = costs_of(c).at(0);
  c.layout.pipeline = 4;
  c.stage_layers = {6, 9, 9, 8};
  const std::vector<StageCost> parts = costs_of(c);
  REQUIRE(parts.size() == 4);
  double forward = 0, backward = 0, flops = 0;
  for (const StageCost& part : parts) {
    forward += value(part.forward.cost.total());
    backward += value(part.backward.cost.total());
    flops += (part.forward.model_flops + part.backward.model_flops).value;
  }
  CHECK(forward == doctest::Approx(value(whole.forward.cost.total())).epsilon(1e-12));
  CHECK(backward == doctest::Approx(value(whole.backward.cost.total())).epsilon(1e-12));
  // 3 x (32 x 4123.169 + 8607.114) GFLOP = 51.4704 GFLOP a token x 8192
  CHECK(flops == doctest::Approx(51.4704e9 * 8192).epsilon(1e-5));
  CHECK(value(parts[1].forward.cost.total()) == value(parts[2].forward.cost.total()));
  CHECK(parts[3].forward.model_flops >
        parts[2].forward.model_flops);  // 8 layers and the head, worth 2.09 layers
}

TEST_CASE("GPU and host round their crossing: of equal lengths a layer takes 2^(1/4) of either") {
  StepCase c = tensor_case();
  const double gpu = value(costs_of(c).at(0).forward.cost.total());
  c.model.layers = 64;
  const double layer = (value(costs_of(c).at(0).forward.cost.total()) - gpu) / 32;
  c.profile.host_per_layer = Seconds(layer);
  const double both = value(costs_of(c).at(0).forward.cost.total());
  c.model.layers = 32;
  CHECK((both - value(costs_of(c).at(0).forward.cost.total())) / 32 ==
        doctest::Approx(layer * std::pow(2.0, 0.25)).epsilon(1e-9));
}

TEST_CASE("forward collectives of a tensor group are exposed, half of backward's hide behind products") {
  const StageCost stage = costs_of(tensor_case()).at(0);
  double time = 0, exposed = 0;
  for (const CommunicationUse& use : stage.forward.communication)
    time += value(use.time), exposed += value(use.exposed);
  CHECK(exposed == doctest::Approx(time).epsilon(1e-12));
  CHECK(value(stage.forward.cost.tensor) == doctest::Approx(time).epsilon(1e-12));
  time = exposed = 0;
  for (const CommunicationUse& use : stage.backward.communication)
    time += value(use.time), exposed += value(use.exposed);
  CHECK(exposed < 0.7 * time);
  CHECK(exposed > 0.2 * time);
  CHECK(value(stage.backward.cost.tensor) == doctest::Approx(exposed).epsilon(1e-12));
}

TEST_CASE(
    "overlapped, a gather leaves what outlasts 7 of its product's 8 pieces, a reduction the last of 4") {
  StepCase c = tensor_case();
  c.model.layers = 1;
  c.training.overlap.tensor = true;
  const Fabric built(c.node, c.nodes(), c.fabric);
  const Network network(built, packed_placement(c.layout.world()));
  const GroupTable groups = GroupTable::of(network, c.layout, c.training.sharding);
  const auto collective = [&](Collective kind) {  // of [8192, 4096] in 16 bits
    return value(
        network.collective(kind, Bytes(2 * 8192.0 * 4096), groups.tensor, c.profile.collective_launch).time);
  };
  const double gather = collective(Collective::all_gather), reduce = collective(Collective::reduce_scatter);
  // A product cut along the tokens runs its pieces in several streams: they share waves.
  const auto cut = [&](double n, double k, double pieces) {
    const GpuSpec& gpu = c.node.gpu;
    return std::max(value(gemm_time(gpu, *c.training.precision, {8192 / pieces, n, k, pieces}, false)),
                    value(gemm_time(gpu, *c.training.precision, {8192, n, k}, false)));
  };
  double exposed = reduce;  // the embedding's, which has no product
  for (const double n :
       {48 * 128 / 8.0, 2 * 14336 / 8.0, 128256 / 8.0})  // qkv, up and head read what is gathered
    exposed += std::max(0.0, gather - 7.0 / 8 * cut(n, 4096, 8));
  for (const double k : {4096 / 8.0, 14336 / 8.0})  // projection and down write what is reduced
    exposed += std::max(reduce / 4, reduce - 3.0 / 4 * cut(4096, k, 4));
  CHECK(value(costs_of(c).at(0).forward.cost.tensor) == doctest::Approx(exposed).epsilon(1e-9));
}

TEST_CASE("a ring exchange by copies leaves compute alone, a pipelined reduction slows it") {
  // Without contention only the cut products' tiles cost: the compute of a whole rises by what slowdown takes of the
  // hidden reductions, and by nothing for the hidden gathers.
  StepCase c = tensor_case();
  c.training.overlap.tensor = true;
  const StageCost contended = costs_of(c).at(0);
  const double slowdown = c.node.gpu.kernels.overlap_slowdown;
  c.node.gpu.kernels.overlap_slowdown = 0;
  const StageCost free = costs_of(c).at(0);
  double hidden_reductions = 0;
  for (const CommunicationUse& use : free.forward.communication)
    if (use.collective == Collective::reduce_scatter) hidden_reductions += value(use.time - use.exposed);
  CHECK(hidden_reductions > 0);
  CHECK(value(contended.forward.cost.compute - free.forward.cost.compute) ==
        doctest::Approx(slowdown * hidden_reductions).epsilon(1e-9));
}

TEST_CASE("fp8 halves what a Transformer Engine profile gathers over the tensor group, not what it reduces") {
  StepCase c = tensor_case();
  c.training.precision = find_precision("fp8");
  const auto bytes = [&](Collective kind) {
    double sum = 0;
    const StageCost stage = costs_of(c).at(0);
    for (const CommunicationUse& use : stage.backward.communication)
      if (use.collective == kind) sum += use.bytes.value;
    return sum;
  };
  c.profile.narrow_activation_gather = false;
  const double wide = bytes(Collective::all_gather), reduced = bytes(Collective::reduce_scatter);
  c.profile.narrow_activation_gather = true;
  // 32 layers x 4 gathers in fp8; the head's and the embedding's stay in 16 bits: (128 / 2 + 2) / 130.
  CHECK(bytes(Collective::all_gather) == doctest::Approx(wide * 66 / 130).epsilon(1e-12));
  CHECK(bytes(Collective::reduce_scatter) == reduced);
}

TEST_CASE("Hopper transposes what a norm or a gather left in fp8, Blackwell reads any layout") {
  StepCase c;
  c.profile.host_per_layer = Seconds(0);
  c.training.precision = find_precision("fp8");
  const double hopper = value(costs_of(c).at(0).backward.cost.compute);
  c.node.gpu.architecture = "blackwell";
  const double any = value(costs_of(c).at(0).backward.cost.compute);
  // Per layer and token: dY of qkv 6144, projection 4096, up 28672 and down 4096 get 1 B more beside their casts, the
  // inputs of qkv and up (4096 each) 2 B.
  const GpuSpec& gpu = c.node.gpu;
  const double bytes = 32 * 8192.0 * (6144 + 4096 + 28672 + 4096 + 2 * 2 * 4096);
  CHECK(hopper - any ==
        doctest::Approx(value(stream_time(gpu, Bytes(bytes * gpu.kernels.cast_traffic), 0))).epsilon(1e-9));
}

TEST_CASE("a ring hides the exchange of keys and values behind attention, an all-gather does not") {
  StepCase c = tensor_case();
  c.layout.context = 4;
  c.training.sequence_length = 32768;
  const double gathered = value(costs_of(c).at(0).forward.cost.context);
  c.layout.context_method = "ring";
  const double ring = value(costs_of(c).at(0).forward.cost.context);
  CHECK(gathered > 0);
  CHECK(ring < gathered);
}

TEST_CASE("recomputing N layers costs N forwards in the backward") {
  StepCase c;
  c.profile.host_per_layer = Seconds(0);
  c.layout.pipeline = 2;
  c.stage_layers = {16, 16};
  const std::vector<StageCost> kept = costs_of(c);
  c.training.recompute.kind = Recompute::Kind::full;
  const std::vector<StageCost> all = costs_of(c);
  c.training.recompute.layers = 4;
  const std::vector<StageCost> some = costs_of(c);
  const double extra = value(all[0].backward.cost.total() - kept[0].backward.cost.total());
  CHECK(value(some[0].backward.cost.total() - kept[0].backward.cost.total()) ==
        doctest::Approx(extra / 4).epsilon(1e-9));
  // One forward of the stage's layers again: all of its forward but the embedding's 4 x 8192 x 4096 B.
  CHECK(extra < value(kept[0].forward.cost.total()));
  CHECK(extra > 0.95 * value(kept[0].forward.cost.total()));
  CHECK(all[0].forward.cost.total() == kept[0].forward.cost.total());
}

TEST_CASE("input and weight gradients together cost a fused backward, without collectives to hide") {
  StepCase c;
  c.profile.host_per_layer = Seconds(0);
  const StageCost stage = costs_of(c, true).at(0);
  CHECK(value(stage.input_gradient.cost.total() + stage.weight_gradient.cost.total()) ==
        doctest::Approx(value(stage.backward.cost.total())).epsilon(1e-12));
  // With tensor parallelism the reductions of dX lose the dW that they ran beside.
  const StageCost tensor = costs_of(tensor_case(), true).at(0);
  CHECK(tensor.input_gradient.cost.tensor > tensor.backward.cost.tensor);
}

TEST_CASE("ZeRO-3 gathers every parameter of the layers in each pass and reduces each gradient once") {
  StepCase c;
  c.layout.data = 8;
  c.training.sharding.kind = Sharding::Kind::zero3;
  for (const bool split : {false, true}) {
    CAPTURE(split);
    const StageCost stage = costs_of(c, split).at(0);
    const auto bytes = [](const StagePass& pass, Collective collective) {
      double sum = 0;
      for (const CommunicationUse& use : pass.communication)
        if (use.group == CommunicationGroup::data && use.collective == collective) sum += use.bytes.value;
      return sum;
    };
    const double layers = 32 * 218112000.0;  // 218,112,000 parameters a layer
    const StagePass& needs = split ? stage.input_gradient : stage.backward;
    const StagePass& makes = split ? stage.weight_gradient : stage.backward;
    CHECK(bytes(stage.forward, Collective::all_gather) == doctest::Approx(2 * layers).epsilon(0.16));
    CHECK(bytes(stage.forward, Collective::all_gather) >= 2 * layers);
    CHECK(bytes(needs, Collective::all_gather) >= 2 * layers);
    CHECK(bytes(makes, Collective::reduce_scatter) >= 4 * layers);
    CHECK(bytes(stage.forward, Collective::reduce_scatter) == 0);
    CHECK(stage.forward.cost.data.value > 0);
  }
}

// ---- host ---------------------------------------------------------------------------------------------------

// A layer is issued in 1 ms, the embedding in a tenth and the head in two tenths of one; a module of multi-token
// prediction is a layer, its own norms and projection (.2), and the head again. Graphs leave .4 or .05 of the kernels to
// the host, backward takes 1.5 times forward [accuracy study].
TEST_CASE("the host issues each layer, a tenth of one for the embedding and two tenths for the head") {
  StepCase c;
  c.profile.host_per_layer = Seconds(1e-3);
  c.profile.host_backward = 1.5;
  const auto issue_ms = [&c] { return 1e3 * costs_of(c).at(0).forward.cost.issue.value; };
  CHECK(issue_ms() == doctest::Approx(32.3).epsilon(1e-9));
  CHECK(1e3 * costs_of(c).at(0).backward.cost.issue.value == doctest::Approx(1.5 * 32.3).epsilon(1e-9));
  c.training.cuda_graphs = "partial";
  CHECK(issue_ms() == doctest::Approx(0.4 * 32.3).epsilon(1e-9));
  c.training.cuda_graphs = "full";
  CHECK(issue_ms() == doctest::Approx(0.05 * 32.3).epsilon(1e-9));
  c.training.cuda_graphs = "none";
  c.model.predicted_tokens = 2;
  CHECK(issue_ms() == doctest::Approx(32.3 + 2 * (1 + 0.2 + 0.2)).epsilon(1e-9));
  c.model.predicted_tokens = 0;
  c.layout.pipeline = 2;
  CHECK(issue_ms() == doctest::Approx(16.1).epsilon(1e-9));
}

TEST_CASE("of a split backward's issue time one third is the weight gradients'") {
  StepCase c;
  c.profile.host_per_layer = Seconds(1e-3);
  c.profile.host_backward = 1.5;
  const StageCost stage = costs_of(c, true).at(0);
  CHECK(1e3 * stage.input_gradient.cost.issue.value == doctest::Approx(32.3).epsilon(1e-9));
  CHECK(1e3 * stage.weight_gradient.cost.issue.value == doctest::Approx(0.5 * 32.3).epsilon(1e-9));
}

// ---- experts ------------------------------------------------------------------------------------------------

// Two permutations a layer and direction, 4 B an element of 2 copies of 8192 tokens of 4096: what the library's
// kernels waste on them (permute_traffic) falls to a tenth.
TEST_CASE("permutation fused into the exchange leaves a tenth of its traffic, and so does a full graph") {
  StepCase c;
  c.model = load_model("mixtral-8x7b");
  c.profile.host_per_layer = c.profile.host_per_moe_layer = Seconds(0);
  c.profile.fused_permutation = false;
  const auto compute = [&c] { return costs_of(c).at(0).forward.cost.compute.value; };
  const double apart = compute();
  const KernelConstants& k = c.node.gpu.kernels;
  const double saved = 0.9 * 32 * 2 * 4 * 2 * 8192.0 * 4096 * k.permute_traffic /
                       (c.node.gpu.memory_bandwidth.value * k.memory_efficiency);
  c.profile.fused_permutation = true;
  CHECK(1e3 * (apart - compute()) == doctest::Approx(1e3 * saved).epsilon(1e-9));
  c.profile.fused_permutation = false;
  c.training.cuda_graphs = "full";
  CHECK(1e3 * (apart - compute()) == doctest::Approx(1e3 * saved).epsilon(1e-9));
}

// ---- links --------------------------------------------------------------------------------------------------

TEST_CASE("a group's share of NVLink is that of its ranks' NICs together, at most the whole") {
  GroupLinks links;
  links.ranks = 16;
  links.domains = 2;
  links.ranks_per_domain = 8;
  links.intra = Bandwidth(400e9);
  links.inter = Bandwidth(40e9);
  CHECK(link_share(links) == doctest::Approx(0.8).epsilon(1e-12));
  links.inter = Bandwidth(90e9);
  CHECK(link_share(links) == 1);
  links.domains = 1;
  CHECK(link_share(links) == 1);
  links.ranks = 1;
  CHECK(link_share(links) == 0);
}

// What one more layer adds to the forward pass of ZeRO-3 over 8 ranks, ms, and the gather of its parameters.
struct ShardedLayer {
  double compute, data, gather;
};
ShardedLayer sharded_layer(std::int64_t sequence, bool overlap) {
  StepCase c;
  c.layout.data = 8;
  c.profile.host_per_layer = Seconds(0);
  c.training.sharding.kind = Sharding::Kind::zero3;
  c.training.overlap.data = overlap;
  c.training.sequence_length = sequence;
  std::array<PassCost, 2> forward;
  for (const std::size_t more : {0U, 1U}) {
    c.model.layers = 4 + static_cast<std::int64_t>(more);
    forward[more] = costs_of(c).at(0).forward.cost;
  }
  const Fabric built(c.node, c.nodes(), c.fabric);
  const Network network(built, packed_placement(8));
  const GroupTable groups = GroupTable::of(network, c.layout, c.training.sharding);
  const Seconds gather = parameter_gather(network, c.profile, Bytes(2 * 218112000.0), groups.shard);
  return {1e3 * (forward[1].compute - forward[0].compute).value,
          1e3 * (forward[1].data - forward[0].data).value, 1e3 * gather.value};
}

TEST_CASE("ZeRO-3 without overlap adds each layer's gather, whatever the layer computes") {
  for (const std::int64_t sequence : {512, 8192}) {
    const ShardedLayer layer = sharded_layer(sequence, false);
    CHECK(layer.data == doctest::Approx(layer.gather).epsilon(1e-9));
  }
}

// Gathered one layer ahead, beside the one before: 8192 tokens compute longer than 436 MB travel, 512 tokens shorter.
TEST_CASE(
    "ZeRO-3 slows a layer that hides its gather by overlap_slowdown of it; one that does not takes the "
    "gather") {
  const ShardedLayer longer = sharded_layer(8192, true), shorter = sharded_layer(512, true);
  CHECK(longer.compute > longer.gather);
  CHECK(longer.data ==
        doctest::Approx(longer.gather * StepCase().node.gpu.kernels.overlap_slowdown).epsilon(1e-9));
  CHECK(2 * shorter.compute < shorter.gather);
  CHECK(shorter.compute + shorter.data == doctest::Approx(shorter.gather).epsilon(1e-9));
}

// A layer of experts is issued in 4 ms, with token counts on the device in .6 of it; embedding and head in .3 of a dense
// layer's 1 ms.
TEST_CASE("the host routes a layer of experts, and less where the dispatcher keeps counts on the device") {
  StepCase c;
  c.model = load_model("mixtral-8x7b");
  c.profile.host_per_layer = Seconds(1e-3);
  c.profile.host_per_moe_layer = Seconds(4e-3);
  c.profile.host_share_on_device = 0.6;
  const auto issue_ms = [&c] { return 1e3 * costs_of(c).at(0).forward.cost.issue.value; };
  CHECK(issue_ms() == doctest::Approx(32 * 4 + 0.3).epsilon(1e-9));
  c.training.dispatch_on_device = true;
  CHECK(issue_ms() == doctest::Approx(32 * 4 * 0.6 + 0.3).epsilon(1e-9));
}

// Dispatch and combine move the 8 copies of 4096 tokens of 2048 elements in 2 B, 48 layers of each. Sent once to each of
// n ranks that has one of a token's 8 experts: n (1 - (1 - 1/n)^8) of 8 copies, and so with nodes. 8 ranks on one node
// wait for NVLink, 16 on two for the network.
TEST_CASE("expert traffic is two exchanges a layer, of all copies or of one a rank and one a node") {
  for (const int ranks : {8, 16}) {
    CAPTURE(ranks);
    StepCase c;
    c.model = load_model("qwen3-30b-a3b");
    c.profile.host_per_layer = c.profile.host_per_moe_layer = Seconds(0);
    c.training.sequence_length = 4096;
    c.layout.data = c.layout.expert = ranks;
    const Fabric built(c.node, c.nodes(), c.fabric);
    const Network network(built, packed_placement(ranks));
    const GroupTable groups = GroupTable::of(network, c.layout, c.training.sharding);
    const double copies = 4096.0 * 8 * 2048 * 2, exchanges = 2 * 48;
    const auto check = [&](double of_ranks, double of_nodes) {
      const Seconds one =
          network.exchange(Bytes(copies * of_ranks), Bytes(copies * of_nodes), groups.expert,
                           c.node.gpu.kernels.exchange_efficiency, c.profile.collective_launch);
      const StageCost stage = costs_of(c).at(0);
      REQUIRE(stage.forward.communication.size() == 1);
      const CommunicationUse& use = stage.forward.communication.front();
      CHECK(use.count == doctest::Approx(exchanges).epsilon(1e-12));
      CHECK(use.bytes.value == doctest::Approx(exchanges * copies).epsilon(1e-12));
      CHECK(1e3 * use.time.value == doctest::Approx(1e3 * exchanges * one.value).epsilon(1e-9));
      CHECK(1e3 * stage.forward.cost.expert.value == doctest::Approx(1e3 * use.time.value).epsilon(1e-9));
    };
    const auto places = [](double n) { return n * (1 - std::pow(1 - 1 / n, 8)) / 8; };
    check(1, 1);
    c.training.deduplicate_tokens = true;
    check(places(ranks), places(ranks / 8));
  }
}

TEST_CASE("a split backward recomputes once, before its input gradient") {
  StepCase c;
  c.profile.host_per_layer = Seconds(0);
  const StageCost kept = costs_of(c, true).at(0);
  c.training.recompute.kind = Recompute::Kind::full;
  const StageCost again = costs_of(c, true).at(0);
  CHECK(1e3 * value(again.input_gradient.cost.total() - kept.input_gradient.cost.total()) ==
        doctest::Approx(1e3 * value(again.backward.cost.total() - kept.backward.cost.total())).epsilon(1e-9));
  CHECK(again.weight_gradient.cost.total() == kept.weight_gradient.cost.total());
}

// Of 6 layers the second, fourth and sixth have experts: 3 x 1 + 3 x 4 ms, embedding and head .3, and the module a layer
// like the sixth, .2 of its own and .2 of its head.
TEST_CASE("a module of multi-token prediction is issued as the last layer is") {
  StepCase c;
  c.model = load_model("qwen3-30b-a3b");
  c.model.layers = 6;
  c.model.experts->every = 2;
  c.model.predicted_tokens = 1;
  c.profile.host_per_layer = Seconds(1e-3);
  c.profile.host_per_moe_layer = Seconds(4e-3);
  CHECK(1e3 * costs_of(c).at(0).forward.cost.issue.value == doctest::Approx(15.3 + 4.4).epsilon(1e-9));
}

// 32 layers of 218,112,000 parameters, embedding and head of 128,256 x 4096 each: gathered in 2 B, reduced in 4 B.
TEST_CASE("two ranks of ZeRO-3 gather and reduce 32 layers and two tables") {
  StepCase c;
  c.layout.data = 2;
  c.training.sharding.kind = Sharding::Kind::zero3;
  const StageCost stage = costs_of(c).at(0);
  const double elements = 32 * 218112000.0 + 2 * 128256.0 * 4096;
  const auto check = [](const StagePass& pass, Collective collective, double bytes) {
    for (const CommunicationUse& use : pass.communication) {
      if (use.collective != collective) continue;
      CHECK(use.count == doctest::Approx(34).epsilon(1e-12));
      CHECK(use.bytes.value == doctest::Approx(bytes).epsilon(1e-12));
      return;
    }
    FAIL("not there");
  };
  check(stage.forward, Collective::all_gather, 2 * elements);
  check(stage.backward, Collective::reduce_scatter, 4 * elements);
}

// Nine stages of one GPU: the last is alone on the second node, the one before it on the first one's.
TEST_CASE("tied embeddings meet, and DualPipe's twins, between the first and the last pipeline rank") {
  StepCase c;
  c.layout.pipeline = 9;
  const Fabric built(c.node, 2, c.fabric);
  const Network network(built, packed_placement(9));
  CHECK(GroupTable::of(network, c.layout, c.training.sharding).ends.domains == 2);
  CHECK(GroupTable::of(network, c.layout, c.training.sharding).data.ranks == 1);
  const GroupLinks twins = GroupTable::of(network, c.layout, c.training.sharding, 2).data;
  CHECK(twins.ranks == 2);
  CHECK(twins.domains == 2);
  c.layout.pipeline = 8;
  const Network inside(built, packed_placement(8));
  CHECK(GroupTable::of(inside, c.layout, c.training.sharding).ends.domains == 1);
}

}  // namespace
}  // namespace runcast
