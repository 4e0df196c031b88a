// Writes the operator lists of a layer: each forward part is given once, its backward parts follow from it.
#include "parallelism/operators.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "parallelism/rank_parameters.hpp"

namespace runcast {

namespace {

// An element of a token in fp8 with an fp32 scale for each 128 [DeepSeek-V3 2024, sec. 3.3.2].
constexpr double kNarrowDispatch = 1 + 4.0 / 128;

// A grouped GEMM adds no bias: the second one of the experts is added expert by expert, weighted with the router's fp32
// probabilities, joined and cast back. Bytes an element: product 4, sum 2 + 4 + 4, join 4 + 4, cast 4 + 2; the first
// bias is part of the activation's kernel. [Megatron-Core, TEGroupedMLP._apply_bias]
constexpr double kExpertBiasTraffic = 28;

constexpr double kBackwardTraffic =
    1.7;  // streaming bytes of backward over forward [accuracy study; physics 3.1: 5/3]

Operator stream(std::string_view name, double bytes, int kernels = 1) {
  Operator op;
  op.name = name;
  op.kind = OperatorKind::stream;
  op.bytes = Bytes(bytes);
  op.kernels = kernels;
  return op;
}

Operator cast(double bytes, double transpose) {
  Operator op = stream("cast", bytes);
  op.is_cast = true;
  op.transpose = Bytes(transpose);
  return op;
}

Operator gemm(std::string_view name, Gemm shape, bool wide = false, bool accumulate = false) {
  Operator op;
  op.name = name;
  op.kind = OperatorKind::gemm;
  op.gemm = shape;
  op.wide = wide;
  op.accumulate = accumulate;
  return op;
}

Operator communicate(std::string_view name, CommunicationGroup group, Collective collective, double bytes,
                     int hides_behind = -1) {
  Operator op;
  op.name = name;
  op.kind = OperatorKind::collective;
  op.group = group;
  op.collective = collective;
  op.bytes = Bytes(bytes);
  op.hides_behind = hides_behind;
  return op;
}

// How the activations around a linear layer are split over the tensor group.
enum class Split { none, column, row };

struct Linear {
  std::string_view name, input_gradient, weight_gradient;
  Gemm shape;  // forward: [T, N] = [T, K] x [K, N], per rank
  Split split = Split::none;
  bool wide = false;
  bool normalized = false;  // the input leaves a norm
};

// Writes one layer's lists; knows the sharding of the shape once, so that each part reads like the model.
class Writer {
 public:
  Writer(const StepShape& shape, LayerOperators& lists) : s_(shape), out_(lists) {
    tp_ = s_.layout->tensor;
    sp_ = s_.layout->sequence_parallel && tp_ > 1;
    tokens_ = s_.tokens();
    full_hidden_ = 2 * tokens_ * static_cast<double>(s_.model->hidden);
  }

  double tokens() const { return tokens_; }
  // Tokens of the parts outside tensor-parallel regions.
  double sharded_tokens() const { return sp_ ? tokens_ / tp_ : tokens_; }
  double per_tensor(std::int64_t width) const { return static_cast<double>(width) / tp_; }

  void add_stream(std::string_view name, double bytes, int kernels, bool recomputed = false) {
    bytes *= s_.profile->elementwise_factor;
    out_.forward.push_back(stream(name, bytes, kernels));
    const Operator back = stream(name, bytes * kBackwardTraffic, 2 * kernels);
    backward_.push_back({back});
    if (recomputed) out_.recompute.push_back(stream(name, bytes, kernels));
  }

  void add_linear(const Linear& linear, bool recomputed = false) {
    const std::size_t before = out_.forward.size();
    const bool gathers = linear.split == Split::column && sp_;
    // Transformer Engine casts its part of the sequence and gathers the narrow tensor; others gather 16 bits.
    const bool narrow = gathers && gathers_narrow(linear);
    if (narrow) add_input_cast(linear, linear.shape.m / tp_ * linear.shape.k);
    if (gathers) {
      push_forward(communicate("gather input", CommunicationGroup::tensor, Collective::all_gather,
                               gathered_hidden(linear)));
      out_.forward.back().cuts = static_cast<int>(out_.forward.size() + (narrow || !casts(linear) ? 0 : 1));
    }
    if (!narrow) add_input_cast(linear, linear.shape.m * linear.shape.k);
    push_forward(gemm(linear.name, linear.shape, linear.wide));
    if (linear.split == Split::row && tp_ > 1) {
      push_forward(communicate("reduce output", CommunicationGroup::tensor,
                               sp_ ? Collective::reduce_scatter : Collective::all_reduce, full_hidden_));
      if (sp_) out_.forward.back().cuts = static_cast<int>(out_.forward.size()) - 2;
    }
    if (recomputed)
      append(
          out_.recompute, {out_.forward.begin() + static_cast<long>(before), out_.forward.end()},
          [](const Operator&) { return true; }, static_cast<int>(before));
    backward_.push_back(linear_backward(linear));
  }

  void add_attention(const AttentionShape& shape, bool recomputed) {
    Operator op;
    op.name = "attention";
    op.kind = OperatorKind::attention_forward;
    op.attention = shape;
    push_forward(op);
    if (recomputed) out_.recompute.push_back(op);
    op.name = "attention backward";
    op.kind = OperatorKind::attention_backward;
    backward_.push_back({op});
  }

  void add_permute(std::string_view name, double bytes, int kernels) {
    Operator op = stream(name, bytes, kernels);
    op.is_permute = true;
    push_forward(op);
    backward_.push_back({op});
  }

  // A collective of the forward pass and its mirror in the backward pass.
  void add_collective(std::string_view name, CommunicationGroup group, Collective forward,
                      Collective backward, double bytes) {
    add_collective(name, group, forward, backward, bytes, bytes);
  }
  void add_collective(std::string_view name, CommunicationGroup group, Collective forward,
                      Collective backward, double forward_bytes, double backward_bytes) {
    push_forward(communicate(name, group, forward, forward_bytes));
    backward_.push_back({communicate(name, group, backward, backward_bytes)});
  }

  // Mirrors the forward parts, last first, into the fused and the split backward lists.
  void finish() {
    for (auto part = backward_.rbegin(); part != backward_.rend(); ++part) {
      append(out_.backward, *part, [](const Operator&) { return true; });
      append(out_.input_gradient, *part, [](const Operator& op) { return !is_weight(op); });
      append(out_.weight_gradient, *part, [](const Operator& op) { return is_weight(op); });
    }
  }

 private:
  static bool is_weight(const Operator& op) { return op.weight_gradient; }

  void push_forward(const Operator& op) { out_.forward.push_back(op); }

  CastTraffic cast_bytes() const { return cast_traffic(*s_.training->precision, s_.training->fp8_recipe); }
  bool casts(const Linear& linear) const { return !linear.wide && s_.training->precision->narrow; }
  bool gathers_narrow(const Linear& linear) const {
    return casts(linear) && s_.profile->narrow_activation_gather;
  }
  double gathered_hidden(const Linear& linear) const {
    return full_hidden_ * (gathers_narrow(linear) ? s_.training->precision->gemm_element / 2 : 1);
  }

  void add_input_cast(const Linear& linear, double elements) {
    if (!casts(linear)) return;
    const CastTraffic traffic = cast_bytes();
    push_forward(linear.normalized ? cast(traffic.normalized * elements, 0)
                                   : cast(traffic.plain * elements, traffic.copied * elements));
  }

  // Megatron's LinearWithGradAccumulationAndAsyncCommunication: with sequence parallelism the input is gathered
  // again beside the input-gradient GEMM, and the reduction of dX runs beside the weight-gradient GEMM.
  OperatorList linear_backward(const Linear& linear) const {
    OperatorList list;
    const Gemm& f = linear.shape;
    const CastTraffic traffic = cast_bytes();
    const bool gathers = linear.split == Split::row && sp_, narrow = gathers && gathers_narrow(linear);
    const double outputs = f.m * f.n;
    if (casts(linear)) {
      // What was gathered narrow is transposed afterwards; so is the input that a norm left narrow.
      const double later = (narrow ? outputs : 0) + (linear.normalized ? f.m * f.k : 0);
      list.push_back(cast(traffic.plain * (narrow ? outputs / tp_ : outputs),
                          traffic.copied * (narrow ? 0 : outputs) + traffic.transposed * later));
    }
    if (gathers) {
      list.push_back(communicate("gather output gradient", CommunicationGroup::tensor, Collective::all_gather,
                                 gathered_hidden(linear)));
      list.back().cuts = static_cast<int>(list.size());
    }
    const bool column = linear.split == Split::column && tp_ > 1;
    const int input_index = static_cast<int>(list.size()) + (column && sp_ ? 1 : 0);
    if (column && sp_)
      list.push_back(communicate("gather input again", CommunicationGroup::tensor, Collective::all_gather,
                                 gathered_hidden(linear), input_index));
    list.push_back(gemm(linear.input_gradient, {f.m, f.k, f.n, f.groups, f.experts}, linear.wide));
    if (column)
      list.push_back(communicate("reduce input gradient", CommunicationGroup::tensor,
                                 sp_ ? Collective::reduce_scatter : Collective::all_reduce, full_hidden_,
                                 static_cast<int>(list.size()) + 1));
    Operator weight = gemm(linear.weight_gradient, {f.k, f.n, f.m, f.groups, f.experts}, linear.wide,
                           s_.profile->accumulation == GradientAccumulation::fused);
    weight.weight_gradient = true;
    list.push_back(weight);
    if (s_.profile->accumulation == GradientAccumulation::separate) {
      // new (2 B) + main read + main write
      Operator add = stream("add gradient", f.k * f.n * f.groups * (2 + 2 * s_.profile->gradient_bytes));
      add.weight_gradient = true;
      list.push_back(add);
    }
    return list;
  }

  // Copies the operators that `keep` wants; a collective whose GEMM is not among them stands exposed. Indices of the
  // part count from `origin`.
  template <class Keep>
  static void append(OperatorList& list, const OperatorList& part, Keep keep, int origin = 0) {
    std::vector<int> place(part.size(), -1);
    const std::size_t base = list.size();
    for (std::size_t i = 0; i < part.size(); ++i)
      if (keep(part[i])) {
        place[i] = static_cast<int>(list.size());
        list.push_back(part[i]);
      }
    for (std::size_t i = base; i < list.size(); ++i)
      for (int Operator::*index : {&Operator::hides_behind, &Operator::cuts})
        if (list[i].*index >= 0) list[i].*index = place[static_cast<std::size_t>(list[i].*index - origin)];
  }

  const StepShape& s_;
  LayerOperators& out_;
  std::vector<OperatorList> backward_;  // by forward part
  int tp_ = 1;
  bool sp_ = false;
  double tokens_ = 0, full_hidden_ = 0;
};

bool recomputes(const StepShape& s, std::string_view module) {
  const Recompute& r = s.training->recompute;
  if (r.kind == Recompute::Kind::selective) return module == "attention_core";
  return r.kind == Recompute::Kind::modules && r.has(module);
}

void add_projections(Writer& w, const StepShape& s) {
  const Model& m = *s.model;
  const double T = w.tokens(), h = static_cast<double>(m.hidden);
  if (m.latent) {
    const LatentAttention& l = *m.latent;
    const double ts = w.sharded_tokens();
    const double qk = w.per_tensor(m.heads * m.qk_dim()), kl = static_cast<double>(l.kv_lora);
    const bool again = recomputes(s, "mla_up");
    if (l.q_lora > 0) {
      const double ql = static_cast<double>(l.q_lora);
      w.add_linear({"query down", "query down dX", "query down dW", {ts, ql, h}, Split::none, false});
      w.add_linear({"query up", "query up dX", "query up dW", {T, qk, ql}, Split::none, false}, again);
    } else {
      w.add_linear({"query", "query dX", "query dW", {T, qk, h}, Split::column, false, true});
    }
    w.add_linear({"kv down",
                  "kv down dX",
                  "kv down dW",
                  {ts, kl + static_cast<double>(l.rope_dim), h},
                  Split::none,
                  false});
    w.add_linear({"kv up",
                  "kv up dX",
                  "kv up dW",
                  {T, w.per_tensor(m.heads * (l.nope_dim + l.v_dim)), kl},
                  Split::none,
                  false},
                 again);
    w.add_stream("latent norms", 4 * ts * (kl + static_cast<double>(l.q_lora)), 2, recomputes(s, "norms"));
    w.add_stream("rotary", 6 * T * (2 * qk + w.per_tensor(m.heads * l.v_dim)), 3, again);
    return;
  }
  const double width = w.per_tensor(m.heads * m.head_dim) +
                       2 * local_kv_heads(*s.model, *s.layout) * static_cast<double>(m.head_dim);
  w.add_linear({"qkv", "qkv dX", "qkv dW", {T, width, h}, Split::column, false, true});
  w.add_stream("rotary", 6 * T * width, 2);
}

// Bytes of all keys and values of the sequence that one tensor rank sees [2 tensors x 2 B].
double context_bytes(const StepShape& s, double tokens) {
  const Model& m = *s.model;
  const double heads =
      m.latent ? static_cast<double>(m.heads) / s.layout->tensor : local_kv_heads(*s.model, *s.layout);
  return 2 * tokens * s.layout->context * heads * static_cast<double>(m.qk_dim() + m.value_dim());
}

void add_attention_block(Writer& w, const StepShape& s, bool windowed) {
  const Model& m = *s.model;
  const double T = w.tokens(), h = static_cast<double>(m.hidden);
  const double ts = w.sharded_tokens();
  w.add_stream("attention norm", 4 * ts * h, 1, recomputes(s, "norms"));
  add_projections(w, s);
  if (s.layout->context > 1 && s.layout->context_method != "ulysses")
    w.add_collective("gather keys and values", CommunicationGroup::context, Collective::all_gather,
                     Collective::reduce_scatter, context_bytes(s, T));
  const double qkv = 2 * T * (w.per_tensor(m.heads) + 2 * local_kv_heads(*s.model, *s.layout)) *
                     static_cast<double>(m.head_dim);
  if (s.layout->context > 1 && s.layout->context_method == "ulysses")
    w.add_collective("sequence to heads", CommunicationGroup::context, Collective::all_to_all,
                     Collective::all_to_all, qkv);
  AttentionShape shape;
  shape.tokens = T;
  const double sequence = static_cast<double>(s.training->sequence_length);
  const bool sparse =
      windowed && m.window && s.training->flash_attention;  // unfused kernels compute all scores
  shape.sequence = sparse ? 2 * mean_keys(sequence, static_cast<double>(m.window->tokens)) : sequence;
  shape.heads = w.per_tensor(m.heads);
  shape.kv_heads = local_kv_heads(*s.model, *s.layout);
  shape.qk_dim = static_cast<double>(m.qk_dim());
  shape.v_dim = static_cast<double>(m.value_dim());
  shape.score_traffic = s.profile->elementwise_factor;
  w.add_attention(shape, recomputes(s, "attention_core"));
  // Ring: each step's output is rescaled into an fp32 sum (read 4 + 2 B, write 4 B an element).
  if (s.layout->context > 1 && s.layout->context_method == "ring")
    w.add_stream("ring correction", 10 * (s.layout->context - 1) * T * shape.heads * shape.v_dim,
                 s.layout->context);
  if (s.layout->context > 1 && s.layout->context_method == "ulysses")
    w.add_collective("heads to sequence", CommunicationGroup::context, Collective::all_to_all,
                     Collective::all_to_all, 2 * T * w.per_tensor(m.heads * m.value_dim()));
  w.add_linear({"projection",
                "projection dX",
                "projection dW",
                {T, h, w.per_tensor(m.heads * m.value_dim())},
                Split::row,
                false});
  w.add_stream("attention residual", (m.dropout ? 7 : 6) * ts * h, 1);
}

void add_dense_mlp(Writer& w, const StepShape& s, std::int64_t ffn) {
  const Model& m = *s.model;
  const double T = w.tokens(), h = static_cast<double>(m.hidden), f = w.per_tensor(ffn);
  const double in = m.mlp_matrices() - 1;
  w.add_linear({"mlp up", "mlp up dX", "mlp up dW", {T, in * f, h}, Split::column, false, true},
               recomputes(s, "mlp_up"));
  w.add_stream("activation", 2 * (in + 1) * T * f, 1, recomputes(s, "mlp_activation"));
  w.add_linear({"mlp down", "mlp down dX", "mlp down dW", {T, h, f}, Split::row, false});
}

void add_expert_mlp(Writer& w, const StepShape& s) {
  const Model& m = *s.model;
  const Experts& e = *m.experts;
  const Layout& l = *s.layout;
  const double h = static_cast<double>(m.hidden), ts = w.sharded_tokens(), k = static_cast<double>(e.top_k);
  const double sent = ts * k * e.load(), rows = sent * l.expert_tensor;  // of the busiest rank, gathered
  // One way of the dispatcher may be narrow: tokens to their experts, and in the backward pass their gradients.
  const double wide = 2, narrow = s.training->narrow_dispatch ? kNarrowDispatch : wide;
  const double local = static_cast<double>(e.count) / l.expert;
  const double f = static_cast<double>(e.ffn) / l.expert_tensor, in = m.mlp_matrices() - 1;
  w.add_linear(
      {"router", "router dX", "router dW", {ts, static_cast<double>(e.count), h}, Split::none, true});
  w.add_permute("top-k and permutation", 4 * ts * k * h, 4);
  if (l.expert > 1)
    w.add_collective("dispatch", CommunicationGroup::expert, Collective::all_to_all, Collective::all_to_all,
                     narrow * sent * h, wide * sent * h);
  if (l.expert_tensor > 1)
    w.add_collective("gather tokens", CommunicationGroup::expert_tensor, Collective::all_gather,
                     Collective::reduce_scatter, 2 * rows * h);
  w.add_linear({"experts up",
                "experts up dX",
                "experts up dW",
                {rows / local, in * f, h, local, true},
                Split::none,
                false});
  w.add_stream("expert activation", 2 * (in + 1) * rows * f, 1, recomputes(s, "moe_activation"));
  w.add_linear({"experts down",
                "experts down dX",
                "experts down dW",
                {rows / local, h, f, local, true},
                Split::none,
                false});
  if (m.biases)
    w.add_stream("expert bias", kExpertBiasTraffic * rows * h, 2 + 2 * static_cast<int>(std::ceil(local)));
  if (l.expert_tensor > 1)
    w.add_collective("reduce tokens", CommunicationGroup::expert_tensor, Collective::reduce_scatter,
                     Collective::all_gather, 2 * rows * h);
  if (l.expert > 1)
    w.add_collective("combine", CommunicationGroup::expert, Collective::all_to_all, Collective::all_to_all,
                     wide * sent * h, narrow * sent * h);
  w.add_permute("unpermutation", 4 * ts * k * h, 2);
  if (e.shared_ffn > 0) add_dense_mlp(w, s, e.shared_ffn);
}

}  // namespace

std::string_view name_of(CommunicationGroup g) {
  constexpr std::array<std::string_view, 5> names = {"tensor", "context", "expert", "expert_tensor", "data"};
  return names[static_cast<std::size_t>(g)];
}

double StepShape::tokens() const {
  return static_cast<double>(training->micro_batch) * static_cast<double>(training->sequence_length) /
         layout->context;
}

Flops Operator::flops() const {
  switch (kind) {
    case OperatorKind::gemm:
      return gemm.flops();
    case OperatorKind::attention_forward:
      return attention.forward_flops();
    case OperatorKind::attention_backward:
      return 2 * attention.forward_flops();  // the inner recompute not counted
    default:
      return Flops(0);
  }
}

Flops total_flops(const OperatorList& list) {
  Flops sum(0);
  for (const Operator& op : list) sum += op.flops();
  return sum;
}

LayerOperators layer_operators(const StepShape& s, bool moe_layer, bool windowed) {
  LayerOperators lists;
  Writer w(s, lists);
  const double h = static_cast<double>(s.model->hidden), ts = w.sharded_tokens();
  add_attention_block(w, s, windowed);
  w.add_stream("mlp norm", 4 * ts * h, 1, recomputes(s, "norms"));
  if (moe_layer)
    add_expert_mlp(w, s);
  else
    add_dense_mlp(w, s, s.model->ffn);
  w.add_stream("mlp residual", (s.model->dropout ? 7 : 6) * ts * h, 1);
  w.finish();
  if (s.training->recompute.kind == Recompute::Kind::full) lists.recompute = lists.forward;
  return lists;
}

LayerOperators prediction_operators(const StepShape& s) {
  LayerOperators lists;
  Writer w(s, lists);
  const double h = static_cast<double>(s.model->hidden), ts = w.sharded_tokens();
  w.add_stream("prediction embedding", 4 * ts * h, 1);
  w.add_stream("prediction norms", 8 * ts * h, 2, recomputes(s, "norms"));
  w.add_linear({"prediction projection",
                "prediction projection dX",
                "prediction projection dW",
                {w.tokens(), w.per_tensor(s.model->hidden), 2 * h},
                Split::column,
                false});
  w.finish();
  return lists;
}

LayerOperators embedding_operators(const StepShape& s) {
  LayerOperators lists;
  Writer w(s, lists);
  const double h = static_cast<double>(s.model->hidden);
  w.add_stream("embedding", 4 * w.tokens() * h, 1);
  if (s.layout->tensor > 1) {
    const bool sp = s.layout->sequence_parallel;
    w.add_collective("reduce embedding", CommunicationGroup::tensor,
                     sp ? Collective::reduce_scatter : Collective::all_reduce,
                     sp ? Collective::all_gather : Collective::all_reduce, 2 * w.tokens() * h);
  }
  w.finish();
  return lists;
}

LayerOperators head_operators(const StepShape& s) {
  LayerOperators lists;
  Writer w(s, lists);
  const double h = static_cast<double>(s.model->hidden), V = w.per_tensor(s.model->vocabulary);
  w.add_stream("final norm", 4 * w.sharded_tokens() * h, 1);
  w.add_linear({"head", "head dX", "head dW", {w.tokens(), V, h}, Split::column, true});
  // Cross entropy over the vocabulary shard: bf16 logits read for max, sum and gradient, fp32 inside.
  w.add_stream("loss", 10 * w.tokens() * V, 3);
  w.finish();
  return lists;
}

}  // namespace runcast
