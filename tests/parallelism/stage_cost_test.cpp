// What one pass of a stage costs: kernels added up, collectives hidden or exposed, host time, recomputation,
// parameters gathered by ZeRO-3; by hand and as sums.
#include "parallelism/stage_cost.hpp"

#include <doctest/doctest.h>

#include <algorithm>
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

TEST_CASE("tensor overlap leaves the profile's share exposed and slows the products beside it") {
  StepCase c = tensor_case();
  const StageCost plain = costs_of(c).at(0);
  c.training.overlap.tensor = true;
  c.profile.tensor_exposed = 0.25;
  const StageCost overlapped = costs_of(c).at(0);
  const double hidden = 0.75 * value(plain.forward.cost.tensor);
  CHECK(value(overlapped.forward.cost.tensor) ==
        doctest::Approx(0.25 * value(plain.forward.cost.tensor)).epsilon(1e-12));
  CHECK(value(overlapped.forward.cost.compute - plain.forward.cost.compute) ==
        doctest::Approx(hidden * c.node.gpu.kernels.overlap_slowdown).epsilon(1e-9));
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

}  // namespace
}  // namespace runcast
