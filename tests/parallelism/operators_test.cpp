// One layer's operator lists, against FLOP counts by hand and against the layer counts of parallelism/model.
#include "parallelism/operators.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "tests/parallelism/steps.hpp"

namespace runcast {
namespace {

struct Shape {
  Model model;
  Layout layout;
  TrainingSpec training;
  SoftwareProfile profile;
  StepShape view() const { return {&model, &layout, &training, &profile}; }
};

Shape shape_of(const std::string& model, int tensor, std::int64_t sequence) {
  Shape s;
  s.model = load_model(model);
  s.layout.tensor = tensor;
  s.layout.sequence_parallel = tensor > 1;
  s.training.sequence_length = sequence;
  s.training.precision = find_precision("bf16");
  return s;
}

double gflop(const OperatorList& list, std::string_view name) {
  double sum = 0;
  for (const Operator& op : list)
    if (op.name == name) sum += op.flops().value;
  return sum / 1e9;
}

int count(const OperatorList& list, OperatorKind kind) {
  return static_cast<int>(
      std::count_if(list.begin(), list.end(), [&](const Operator& op) { return op.kind == kind; }));
}

int count(const OperatorList& list, Collective collective) {
  return static_cast<int>(std::count_if(list.begin(), list.end(), [&](const Operator& op) {
    return op.kind == OperatorKind::collective && op.collective == collective;
  }));
}

struct FlopRow {
  const char* model;
  double qkv, attention, projection, up, down, sum, head;  // GFLOP, forward, s = 8192, one sequence
};
// By hand, 405B: qkv 2 T h (a + 2 g) d = 2 x 8192 x 16384 x (128 + 16) x 128 = 4947.8;
// attention 2 s^2 a d = 2199.0; up 4 T h f = 28587.3; head 2 T h V = 34428.5.
constexpr FlopRow kFlopRows[] = {
    {"llama3-8b", 412.317, 549.756, 274.878, 1924.145, 962.073, 4123.169, 8607.114},
    {"llama3-70b", 1374.390, 1099.512, 1099.512, 7696.581, 3848.291, 15118.285, 17214.229},
    {"llama3-405b", 4947.802, 2199.023, 4398.047, 28587.302, 14293.651, 54425.826, 34428.458},
};

TEST_CASE("FLOPs of each operator of LLaMA 3's layers are the table's, whole and divided over tensor ranks") {
  for (const FlopRow& row : kFlopRows)
    for (const int tensor : {1, 2, 8}) {
      CAPTURE(row.model);
      CAPTURE(tensor);
      const Shape s = shape_of(row.model, tensor, 8192);
      const LayerOperators ops = layer_operators(s.view(), false);
      const double t = tensor, e = 1e-3 / t;  // the table has three decimals
      CHECK(std::abs(gflop(ops.forward, "qkv") - row.qkv / t) < e);
      CHECK(std::abs(gflop(ops.forward, "attention") - row.attention / t) < e);
      CHECK(std::abs(gflop(ops.forward, "projection") - row.projection / t) < e);
      CHECK(std::abs(gflop(ops.forward, "mlp up") - row.up / t) < e);
      CHECK(std::abs(gflop(ops.forward, "mlp down") - row.down / t) < e);
      CHECK(std::abs(total_flops(ops.forward).value / 1e9 - row.sum / t) < e);
      CHECK(std::abs(total_flops(head_operators(s.view()).forward).value / 1e9 - row.head / t) < e);
      CHECK(total_flops(embedding_operators(s.view()).forward).value == 0);
    }
}

TEST_CASE("backward is twice forward, half of it input and half of it weight gradients but for attention") {
  const Shape s = shape_of("llama3-70b", 8, 8192);
  const LayerOperators ops = layer_operators(s.view(), false);
  const double forward = total_flops(ops.forward).value;
  const double attention = gflop(ops.forward, "attention") * 1e9;
  CHECK(total_flops(ops.backward).value == doctest::Approx(2 * forward).epsilon(1e-12));
  CHECK(total_flops(ops.weight_gradient).value == doctest::Approx(forward - attention).epsilon(1e-12));
  CHECK(total_flops(ops.input_gradient).value == doctest::Approx(forward + attention).epsilon(1e-12));
}

TEST_CASE("the lists count what parallelism/model counts, for dense and expert layers") {
  for (const char* name :
       {"llama3-8b", "gpt-175b", "nemotron4-15b", "mixtral-8x7b", "deepseek-v3", "qwen3-30b-a3b"}) {
    CAPTURE(name);
    const Shape s = shape_of(name, 1, 4096);
    const bool moe = s.model.is_moe();
    const LayerOperators ops = layer_operators(s.view(), moe);
    CHECK(total_flops(ops.forward).value ==
          doctest::Approx(layer_forward_flops(s.model, moe, 4096, 4096).total().value).epsilon(1e-9));
    CHECK(total_flops(ops.backward).value ==
          doctest::Approx(2 * total_flops(ops.forward).value).epsilon(1e-9));
    CHECK(total_flops(head_operators(s.view()).forward).value ==
          doctest::Approx(head_forward_flops(s.model, 4096).value).epsilon(1e-12));
  }
}

TEST_CASE("recomputation runs all of the forward again, or the attention core, or the named modules") {
  Shape s = shape_of("llama3-8b", 2, 4096);
  CHECK(layer_operators(s.view(), false).recompute.empty());

  s.training.recompute.kind = Recompute::Kind::full;
  const LayerOperators full = layer_operators(s.view(), false);
  CHECK(full.recompute.size() == full.forward.size());
  CHECK(total_flops(full.recompute).value == total_flops(full.forward).value);
  CHECK(count(full.recompute, OperatorKind::collective) == 4);

  s.training.recompute.kind = Recompute::Kind::selective;
  const LayerOperators selective = layer_operators(s.view(), false);
  REQUIRE(selective.recompute.size() == 1);
  CHECK(selective.recompute[0].kind == OperatorKind::attention_forward);

  s.training.recompute.kind = Recompute::Kind::modules;
  s.training.recompute.modules = {"norms", "mlp_activation"};
  const LayerOperators modules = layer_operators(s.view(), false);
  CHECK(count(modules.recompute, OperatorKind::stream) == 3);  // two norms, one activation
  CHECK(modules.recompute.size() == 3);
  CHECK(total_flops(modules.recompute).value == 0);
}

TEST_CASE(
    "tensor and sequence parallelism: two gathers and two reduce-scatters forward, more gathers backward") {
  // Forward [Korthikanti et al. 2022, sec. 4.2.2]: gather before qkv and up, reduce-scatter after projection
  // and down. Backward: gather dY twice and the inputs again twice (Megatron), reduce-scatter dX twice.
  const Shape s = shape_of("llama3-70b", 8, 8192);
  const LayerOperators ops = layer_operators(s.view(), false);
  CHECK(count(ops.forward, Collective::all_gather) == 2);
  CHECK(count(ops.forward, Collective::reduce_scatter) == 2);
  CHECK(count(ops.backward, Collective::all_gather) == 4);
  CHECK(count(ops.backward, Collective::reduce_scatter) == 2);
  for (const Operator& op : ops.forward)
    if (op.kind == OperatorKind::collective) CHECK(op.bytes.value == 2.0 * 8192 * 8192);  // 134.2 MB each
}

TEST_CASE("tensor parallelism without sequence parallelism: one all-reduce a block and direction") {
  Shape s = shape_of("gpt-22b", 8, 2048);
  s.layout.sequence_parallel = false;
  const LayerOperators ops = layer_operators(s.view(), false);
  CHECK(count(ops.forward, Collective::all_reduce) == 2);
  CHECK(count(ops.backward, Collective::all_reduce) == 2);
  CHECK(count(ops.forward, OperatorKind::collective) == 2);
  CHECK(count(ops.backward, OperatorKind::collective) == 2);
}

TEST_CASE(
    "a backward collective hides behind the product that runs beside it, and stands exposed without it") {
  const Shape s = shape_of("llama3-8b", 4, 8192);
  const LayerOperators ops = layer_operators(s.view(), false);
  const auto check = [](const OperatorList& list, int hidden) {
    int found = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Operator& op = list[i];
      if (op.kind != OperatorKind::collective || op.hides_behind < 0) continue;
      ++found;
      REQUIRE(static_cast<std::size_t>(op.hides_behind) < list.size());
      const Operator& product = list[static_cast<std::size_t>(op.hides_behind)];
      CHECK(product.kind == OperatorKind::gemm);
      // The gather of the input belongs to the weight gradient and runs beside dX; the reduction of dX beside
      // dW.
      CHECK(product.weight_gradient == (op.collective == Collective::reduce_scatter));
      CHECK(op.hides_behind == static_cast<int>(i) + 1);
    }
    CHECK(found == hidden);
  };
  check(ops.backward, 4);
  check(ops.input_gradient, 2);  // dW is elsewhere: its two reductions wait in the open
  CHECK(count(ops.input_gradient, OperatorKind::collective) == count(ops.backward, OperatorKind::collective));
  CHECK(count(ops.weight_gradient, OperatorKind::collective) == 0);
}

TEST_CASE("context parallelism divides tokens, not keys, and gathers K and V of the whole sequence") {
  // 405B, s = 131072, tensor 8, context 16: one kv head a rank; 2 tensors x 2 B x 131072 x 128 = 67.1 MB.
  Shape s = shape_of("llama3-405b", 8, 131072);
  s.layout.context = 16;
  const LayerOperators ops = layer_operators(s.view(), false);
  int gathers = 0;
  for (const Operator& op : ops.forward) {
    if (op.kind == OperatorKind::attention_forward) {
      CHECK(op.attention.tokens == 8192);
      CHECK(op.attention.sequence == 131072);
    }
    if (op.kind != OperatorKind::collective || op.group != CommunicationGroup::context) continue;
    ++gathers;
    CHECK(op.collective == Collective::all_gather);
    CHECK(op.bytes.value == 2.0 * 2 * 131072 * 128);
  }
  CHECK(gathers == 1);
  s.layout.context = 1;
  s.training.sequence_length = 8192;
  // 16 x the attention work of an 8k sequence on as many tokens, the same products.
  const LayerOperators shorter = layer_operators(s.view(), false);
  CHECK(gflop(ops.forward, "attention") ==
        doctest::Approx(16 * gflop(shorter.forward, "attention")).epsilon(1e-12));
  CHECK(gflop(ops.forward, "mlp up") == doctest::Approx(gflop(shorter.forward, "mlp up")).epsilon(1e-12));
}

TEST_CASE("fp8 casts the inputs of every product but the head's and the router's") {
  Shape s = shape_of("llama3-8b", 1, 8192);
  s.training.precision = find_precision("fp8");
  const LayerOperators ops = layer_operators(s.view(), false);
  const auto casts = [](const OperatorList& list) {
    double bytes = 0;
    for (const Operator& op : list)
      if (op.name == "cast") bytes += op.bytes.value;
    return bytes;
  };
  // Read 2 B, write 1 B of the inputs of projection (h = 4096) and down (f = 14336); norms write those of qkv and up
  // in fp8 themselves.
  CHECK(casts(ops.forward) == 3.0 * 8192 * (4096 + 14336));
  // Backward casts dY: qkv (32 + 16) x 128 = 6144, projection 4096, up 2 x 14336, down 4096.
  CHECK(casts(ops.backward) == 3.0 * 8192 * (6144 + 4096 + 2 * 14336 + 4096));
  // Scales of the present tensor need a pass before the cast, which no norm can take over.
  s.training.fp8_recipe = "current";
  CHECK(casts(layer_operators(s.view(), false).forward) == 5.0 * 8192 * (3 * 4096 + 14336));
  CHECK(casts(head_operators(s.view()).forward) == 0);
}

// rows of an expert rank: T top_k = 4096 x 4; 28 B an element of 2880 and the profile's factor. EP 8: 16 experts a rank.
TEST_CASE("a grouped product adds no bias: expert biases cost 28 B an element and two kernels an expert") {
  Shape s = shape_of("gpt-oss-120b", 1, 4096);
  s.layout.data = s.layout.expert = 8;
  const auto bias = [&] {
    const OperatorList list = layer_operators(s.view(), true).forward;
    const auto op =
        std::find_if(list.begin(), list.end(), [](const Operator& o) { return o.name == "expert bias"; });
    return op == list.end() ? Operator{} : *op;
  };
  CHECK(bias().bytes.value ==
        doctest::Approx(28.0 * 4096 * 4 * 2880 * s.profile.elementwise_factor).epsilon(1e-12));
  CHECK(bias().kernels == 2 + 2 * 16);
  s.model.biases = false;
  CHECK(bias().bytes.value == 0);
}

TEST_CASE("eager profiles move more bytes through memory, and backward moves 1.7 times forward's") {
  Shape s = shape_of("llama3-8b", 1, 8192);
  const auto streamed = [](const OperatorList& list) {
    double bytes = 0;
    for (const Operator& op : list)
      if (op.kind == OperatorKind::stream) bytes += op.bytes.value;
    return bytes;
  };
  const LayerOperators fused = layer_operators(s.view(), false);
  CHECK(streamed(fused.backward) == doctest::Approx(1.7 * streamed(fused.forward)).epsilon(1e-12));
  s.profile.elementwise_factor = 1.5;
  CHECK(streamed(layer_operators(s.view(), false).forward) ==
        doctest::Approx(1.5 * streamed(fused.forward)).epsilon(1e-12));
}

}  // namespace
}  // namespace runcast
