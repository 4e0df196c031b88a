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

// ---- bytes of streaming kernels and of collectives ------------------------------------------------------

const Operator& found(const OperatorList& list, std::string_view name) {
  const auto op = std::find_if(list.begin(), list.end(), [&](const Operator& o) { return o.name == name; });
  CAPTURE(name);
  REQUIRE(op != list.end());
  return *op;
}

double bytes(const OperatorList& list, std::string_view name) { return found(list, name).bytes.value; }

// 16-bit elements: a norm reads and writes the hidden state (4 B), a residual reads two and writes one (6 B), so does
// SwiGLU with gate and up; splitting and turning query, key and value takes 6 B an element of them [accuracy study]. The
// embedding reads and writes whole rows (4 B); unfused cross entropy moves 10 B a logit. 8B: h 4096, query, key and value
// (32 + 2 x 8) x 128 = 6144, f 14336, V 128256.
TEST_CASE(
    "streaming kernels of a LLaMA layer move 4 B a norm, 6 B a residual, and 6 B of qkv and of SwiGLU's "
    "width") {
  for (const int tensor : {1, 8}) {
    CAPTURE(tensor);
    const Shape s = shape_of("llama3-8b", tensor, 8192);
    const double T = 8192, here = T / tensor;  // norms and residuals see their part of the sequence
    const OperatorList layer = layer_operators(s.view(), false).forward;
    CHECK(bytes(layer, "attention norm") == 4 * here * 4096);
    CHECK(bytes(layer, "mlp norm") == 4 * here * 4096);
    CHECK(bytes(layer, "attention residual") == 6 * here * 4096);
    CHECK(bytes(layer, "mlp residual") == 6 * here * 4096);
    CHECK(bytes(layer, "rotary") == 6 * T * 6144 / tensor);
    CHECK(bytes(layer, "activation") == 6 * T * 14336 / tensor);
    CHECK(bytes(embedding_operators(s.view()).forward, "embedding") == 4 * T * 4096);
    const OperatorList head = head_operators(s.view()).forward;
    CHECK(bytes(head, "final norm") == 4 * here * 4096);
    CHECK(bytes(head, "loss") == 10 * T * 128256 / tensor);
  }
}

// GELU reads one tensor of width f and writes one; masks of dropout are a byte beside each residual.
TEST_CASE("GELU moves 4 B an element of its width, dropout a byte more in each residual") {
  const Shape s = shape_of("gpt-22b", 1, 2048);
  const OperatorList layer = layer_operators(s.view(), false).forward;
  CHECK(bytes(layer, "activation") == 4.0 * 2048 * 4 * 6144);
  CHECK(bytes(layer, "attention residual") == 7.0 * 2048 * 6144);
  CHECK(bytes(layer, "mlp residual") == 7.0 * 2048 * 6144);
}

TEST_CASE("a backward pass has twice the streaming kernels of its forward pass") {
  const Shape s = shape_of("llama3-8b", 1, 8192);
  const LayerOperators ops = layer_operators(s.view(), false);
  for (const char* name : {"attention norm", "rotary", "attention residual", "activation"}) {
    CAPTURE(name);
    CHECK(found(ops.backward, name).kernels == 2 * found(ops.forward, name).kernels);
  }
}

// Compressed key-value and query of 512 and 1536 read and written; query and key of 128 heads x (128 + 64) and the value
// of 128 x 128 as other heads: 6 B an element.
TEST_CASE("latent attention norms its compressed vectors and turns whole heads") {
  const Shape s = shape_of("deepseek-v3", 1, 4096);
  const OperatorList layer = layer_operators(s.view(), true).forward;
  CHECK(bytes(layer, "latent norms") == 4.0 * 4096 * (512 + 1536));
  CHECK(bytes(layer, "rotary") == 6.0 * 4096 * (2 * 128 * 192 + 128 * 128));
}

// Mixtral: 2 of 8 experts a token, h 4096, f 14336; the sequence is cut over 2 tensor ranks, each expert too: rows of
// both are gathered, so that a rank's 2048 tokens make 2048 x 2 x 2 rows of half the width.
TEST_CASE("experts: 4 B a permuted element each way, 2 B gathered and reduced, 6 B of SwiGLU's width a row") {
  Shape s = shape_of("mixtral-8x7b", 2, 4096);
  s.layout.expert_tensor = 2;
  const OperatorList layer = layer_operators(s.view(), true).forward;
  const double copies = 2048.0 * 2, rows = copies * 2;
  CHECK(bytes(layer, "top-k and permutation") == 4 * copies * 4096);
  CHECK(bytes(layer, "unpermutation") == 4 * copies * 4096);
  CHECK(bytes(layer, "gather tokens") == 2 * rows * 4096);
  CHECK(bytes(layer, "reduce tokens") == 2 * rows * 4096);
  CHECK(bytes(layer, "expert activation") == 6 * rows * 14336 / 2);
}

// Ulysses, tensor 2, context 2: of 4096 of 8192 tokens query, key and value of (32 + 2 x 8) / 2 heads go out, the
// outputs of 16 heads come back, 128 elements of 2 B each.
TEST_CASE("Ulysses sends query, key and value of a rank's heads and gets their output back") {
  Shape s = shape_of("llama3-8b", 2, 8192);
  s.layout.context = 2;
  s.layout.context_method = "ulysses";
  const OperatorList layer = layer_operators(s.view(), false).forward;
  CHECK(bytes(layer, "sequence to heads") == 2.0 * 4096 * (16 + 2 * 4) * 128);
  CHECK(bytes(layer, "heads to sequence") == 2.0 * 4096 * 16 * 128);
}

// Of 4 ring steps 3 rescale the output [T, 32 x 128] into the fp32 sum: read 4 B and the step's 2 B, write 4 B.
TEST_CASE("a ring over 4 ranks rescales its output 3 times, 10 B an element") {
  Shape s = shape_of("llama3-8b", 1, 8192);
  s.layout.context = 4;
  s.layout.context_method = "ring";
  CHECK(bytes(layer_operators(s.view(), false).forward, "ring correction") == 10.0 * 3 * 2048 * 32 * 128);
}

// 126 keys a query in the mean are what causal attention over 252 tokens would see.
TEST_CASE("a windowed layer attends as a whole one over twice its mean keys") {
  Shape s = shape_of("llama3-8b", 1, 4096);
  s.model.window = SlidingWindow{128, 0};
  const LayerOperators layer = layer_operators(s.view(), false, true);
  const Operator& attention = found(layer.forward, "attention");
  CHECK(attention.attention.sequence == doctest::Approx(252).epsilon(1e-12));
  CHECK(
      attention.flops().value ==
      doctest::Approx(layer_forward_flops(s.model, false, 4096, 4096, true).attention.value).epsilon(1e-12));
}

// The new gradient is read in 2 B, the fp32 sum read and written: 2 + 2 x 4 B a weight.
TEST_CASE("a gradient added by a kernel of its own moves 10 B a weight in fp32, 6 B in bf16") {
  Shape s = shape_of("llama3-8b", 1, 8192);
  s.profile.accumulation = GradientAccumulation::separate;
  CHECK(bytes(head_operators(s.view()).backward, "add gradient") == 10.0 * 4096 * 128256);
  s.profile.gradient_bytes = 2;
  CHECK(bytes(head_operators(s.view()).backward, "add gradient") == 6.0 * 4096 * 128256);
}

// The next token's embedding read and written, two norms of 4 B each, [2 h -> h].
TEST_CASE("a module of multi-token prediction embeds, norms twice and projects two hidden states to one") {
  const Shape s = shape_of("deepseek-v3", 1, 4096);
  const OperatorList module = prediction_operators(s.view()).forward;
  CHECK(bytes(module, "prediction embedding") == 4.0 * 4096 * 7168);
  CHECK(bytes(module, "prediction norms") == 8.0 * 4096 * 7168);
  CHECK(found(module, "prediction projection").flops().value == 2.0 * 4096 * 7168 * (2 * 7168));
}

TEST_CASE("the partial embeddings of the tensor ranks are summed in 16 bits") {
  const Shape s = shape_of("llama3-8b", 8, 8192);
  CHECK(bytes(embedding_operators(s.view()).forward, "reduce embedding") == 2.0 * 8192 * 4096);
}

// Each kernel starts up once: query and key for rotation, and the value's copy in latent attention; two latent norms;
// top-k, sorting, scattering and probabilities of a permutation, gathering and joining back; maximum, sum and gradient of
// the loss.
TEST_CASE("streaming parts start as many kernels as they have passes") {
  const Shape dense = shape_of("llama3-8b", 1, 4096), latent = shape_of("deepseek-v3", 1, 4096);
  const OperatorList layer = layer_operators(dense.view(), false).forward,
                     experts = layer_operators(latent.view(), true).forward,
                     head = head_operators(dense.view()).forward,
                     module = prediction_operators(latent.view()).forward;
  const auto kernels = [](const OperatorList& list, std::string_view name) {
    return found(list, name).kernels;
  };
  for (const char* name : {"attention norm", "attention residual", "mlp norm", "activation", "mlp residual"})
    CHECK(kernels(layer, name) == 1);
  CHECK(kernels(layer, "rotary") == 2);
  CHECK(kernels(experts, "rotary") == 3);
  CHECK(kernels(experts, "latent norms") == 2);
  CHECK(kernels(experts, "top-k and permutation") == 4);
  CHECK(kernels(experts, "expert activation") == 1);
  CHECK(kernels(experts, "unpermutation") == 2);
  CHECK(kernels(module, "prediction embedding") == 1);
  CHECK(kernels(module, "prediction norms") == 2);
  CHECK(kernels(embedding_operators(dense.view()).forward, "embedding") == 1);
  CHECK(kernels(head, "final norm") == 1);
  CHECK(kernels(head, "loss") == 3);
}

}  // namespace
}  // namespace runcast
