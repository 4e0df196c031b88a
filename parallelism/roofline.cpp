#include "parallelism/roofline.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/error.hpp"

namespace runcast {

namespace {

double real(std::int64_t n) { return static_cast<double>(n); }

constexpr double kLongestSequence = 1e12;            // no share is looked for past it
constexpr std::int64_t kMostTokens = 1'000'000'000;  // of a sequence that is trained, as scenarios have it
constexpr std::int64_t kMostHeads = 1024;

// The largest integer in [1, most] for which `fits` holds, 0 when 1 does not; fits(n) falls once.
template <class Fits>
std::int64_t largest(std::int64_t most, Fits fits) {
  if (!fits(1)) return 0;
  if (fits(most)) return most;
  std::int64_t good = 1, bad = most;
  while (bad - good > 1) {
    const std::int64_t middle = good + (bad - good) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good;
}

// Where a share of FLOPs that grows with the sequence passes one half.
template <class Share>
std::optional<double> half_of(Share share) {
  double low = 1, high = kLongestSequence;
  if (share(high) < 0.5) return std::nullopt;
  if (share(low) >= 0.5) return low;
  for (int i = 0; i < 200; ++i) {
    const double middle = std::sqrt(low * high);
    if (middle <= low || middle >= high) break;
    (share(middle) < 0.5 ? low : high) = middle;
  }
  return high;
}

std::int64_t main_layers_of_kind(const Model& m, bool moe, bool windowed) {
  std::int64_t count = 0;
  for (std::int64_t layer = 0; layer < m.layers; ++layer)
    if (m.layer_is_moe(layer) == moe && m.layer_is_windowed(layer) == windowed) ++count;
  return count;
}

// With the modules of multi-token prediction, which attend like the last layer.
std::int64_t layers_of_kind(const Model& m, bool moe, bool windowed) {
  const std::int64_t last = m.layers - 1;
  const bool like_last = m.layer_is_moe(last) == moe && m.layer_is_windowed(last) == windowed;
  return main_layers_of_kind(m, moe, windowed) + (like_last ? m.predicted_tokens : 0);
}

Bound bound_of(const GpuSpec& gpu, const Precision& precision, Flops flops, Bytes bytes) {
  return {flops, bytes, flops / peak_rate(gpu, precision), bytes / gpu.memory_bandwidth};
}

// Keys that the next token sees behind `context` others. Forward FLOPs at half attention over a sequence of twice as
// many tokens are those of a query with that many keys.
Flops decode_flops(const Model& m, double context) {
  Flops sum = head_forward_flops(m, 1);
  for (const bool moe : {false, true})
    for (const bool windowed : {false, true}) {
      const double layers = real(main_layers_of_kind(m, moe, windowed));
      if (layers <= 0) continue;
      const double keys = windowed ? std::min(context, real(m.window->tokens)) : context;
      sum += layers * layer_forward_flops(m, moe, 1, 2 * keys).total();
    }
  return sum;
}

}  // namespace

// ---- counting -------------------------------------------------------------------------------------------

ParameterParts parameter_parts(const Model& m) {
  const ParameterCount c = count_parameters(m);
  ParameterParts p;
  p.embedding = c.embedding;
  p.positions = c.positions;
  p.head = c.head;
  p.norms = c.final_norm;
  p.prediction = c.prediction;
  for (const bool moe : {false, true}) {
    const std::int64_t layers = moe ? m.moe_layers() : m.layers - m.moe_layers();
    if (layers == 0) continue;
    const LayerParameters layer = layer_parameters(m, moe);
    p.attention += layers * layer.attention;
    p.mlp += layers * layer.mlp;
    p.router += layers * layer.router;
    p.routed_experts += layers * layer.routed_experts;
    p.norms += layers * layer.norms;
  }
  return p;
}

ForwardFlops forward_flops(const Model& m, double sequence) {
  ForwardFlops f;
  f.head = real(1 + m.predicted_tokens) * head_forward_flops(m, 1);
  // The projection of each module of multi-token prediction, [2 h, h].
  f.mlp = Flops(4 * real(m.predicted_tokens) * real(m.hidden) * real(m.hidden));
  for (const bool moe : {false, true})
    for (const bool windowed : {false, true}) {
      const double layers = real(layers_of_kind(m, moe, windowed));
      if (layers <= 0) continue;
      const LayerFlops layer = layer_forward_flops(m, moe, 1, sequence, windowed);
      f.scores += layers * layer.attention;
      f.projections += layers * (layer.qkv + layer.projection);
      f.mlp += layers * (layer.mlp_in + layer.mlp_out + layer.router + layer.routed + layer.shared);
    }
  return f;
}

std::optional<double> half_scores_sequence(const Model& m) {
  return half_of([&](double s) {
    const ForwardFlops f = forward_flops(m, s);
    return f.scores / f.total();
  });
}

std::optional<double> half_attention_sequence(const Model& m) {
  return half_of([&](double s) {
    const ForwardFlops f = forward_flops(m, s);
    return f.attention() / f.total();
  });
}

// ---- inference ------------------------------------------------------------------------------------------

Bytes kv_cache_bytes(const Model& m, double tokens, double element) {
  const double width =
      m.latent ? real(m.latent->kv_lora + m.latent->rope_dim) : 2 * real(m.kv_heads * m.head_dim);
  double kept = 0;  // tokens, over all layers
  for (const bool windowed : {false, true}) {
    const double layers =
        real(main_layers_of_kind(m, false, windowed) + main_layers_of_kind(m, true, windowed));
    if (layers > 0) kept += layers * (windowed ? std::min(tokens, real(m.window->tokens)) : tokens);
  }
  return Bytes(element * width * kept);
}

double longest_context(const Model& m, Bytes left, double batch) {
  const auto fits = [&](std::int64_t tokens) { return batch * kv_cache_bytes(m, real(tokens)) <= left; };
  return real(largest(static_cast<std::int64_t>(kLongestSequence), fits));
}

double largest_batch(const Model& m, Bytes left, double context) {
  return std::max(0.0, std::floor(left / kv_cache_bytes(m, context)));
}

Bytes served_weights(const Model& m, const Precision& p) {
  return Bytes(p.gemm_element * real(count_parameters(m).total - count_parameters(m).prediction));
}

Bound decode_bound(const Model& m, const GpuSpec& gpu, const Precision& p, double batch, double context) {
  Bytes weights = served_weights(m, p);
  if (m.experts) {  // those that no token meets are not read
    const double missed = std::pow(1 - real(m.experts->top_k) / real(m.experts->count), batch);
    weights -= Bytes(p.gemm_element * real(parameter_parts(m).routed_experts) * missed);
  }
  return bound_of(gpu, p, batch * decode_flops(m, context), weights + batch * kv_cache_bytes(m, context));
}

std::optional<double> decode_batch(const Model& m, const GpuSpec& gpu, const Precision& p, double context) {
  const Seconds each =
      decode_flops(m, context) / peak_rate(gpu, p) - kv_cache_bytes(m, context) / gpu.memory_bandwidth;
  if (each.value <= 0) return std::nullopt;
  return served_weights(m, p) / gpu.memory_bandwidth / each;
}

std::optional<double> decode_context(const Model& m, const GpuSpec& gpu, const Precision& p) {
  // The cache's bytes against the FLOPs of a token, both of any batch; weights are shared by all of it.
  const auto bound = [&](double c) {
    return decode_flops(m, c) / peak_rate(gpu, p) < kv_cache_bytes(m, c) / gpu.memory_bandwidth;
  };
  if (!bound(kLongestSequence)) return std::nullopt;
  double low = 1, high = kLongestSequence;
  if (bound(low)) return low;
  for (int i = 0; i < 200; ++i) {
    const double middle = std::sqrt(low * high);
    if (middle <= low || middle >= high) break;
    (bound(middle) ? high : low) = middle;
  }
  return high;
}

// ---- training -------------------------------------------------------------------------------------------

MemoryReport memory_at(const Model& m, const TrainingPlace& place) {
  INVARIANT(place.gpu != nullptr && place.training != nullptr && place.profile != nullptr && place.gpus >= 1);
  Layout layout;
  layout.data = place.gpus;
  ScheduleSpec spec;
  spec.row = find_schedule("1f1b");
  spec.stage_layers = {m.layers};
  const PipelineSchedule schedule = spec.row->build(spec.request(layout, 1));
  return memory_of(m, layout, *place.training, spec, *place.profile, schedule, *place.gpu);
}

std::int64_t longest_training_sequence(const Model& m, const TrainingPlace& place) {
  TrainingSpec training = *place.training;
  training.micro_batch = 1;
  TrainingPlace at = place;
  at.training = &training;
  return largest(kMostTokens, [&](std::int64_t tokens) {
    training.sequence_length = tokens;
    return memory_at(m, at).fits;
  });
}

std::int64_t largest_micro_batch(const Model& m, const TrainingPlace& place) {
  TrainingSpec training = *place.training;
  TrainingPlace at = place;
  at.training = &training;
  return largest(1'000'000, [&](std::int64_t sequences) {
    training.micro_batch = sequences;
    return memory_at(m, at).fits;
  });
}

// Recomputed activations pass the memory as kept ones do, so they are counted as if kept.
StepTraffic step_traffic(const Model& m, const TrainingPlace& place) {
  TrainingSpec keeping = *place.training;
  keeping.recompute = Recompute{};
  keeping.micro_batch = 1;
  keeping.sharding = Sharding{};
  SoftwareProfile bare = *place.profile;
  bare.fragmentation = 1;
  bare.framework_memory = Bytes(0);
  const StageMemory bytes = memory_at(m, {place.gpu, &keeping, &bare, 1}).stages.front();
  const Bytes activations = bytes.activations + bytes.buffers;  // of layers; of embedding, head and loss
  const double sequence = real(keeping.sequence_length);
  return {3 * bytes.weights, 2 * bytes.gradients, 2 * bytes.optimizer, 2 * activations / sequence,
          training_flops_per_token(m, sequence, FlopConvention::exact)};
}

Bound training_bound(const Model& m, const TrainingPlace& place, double tokens) {
  const StepTraffic step = step_traffic(m, place);
  return bound_of(*place.gpu, *place.training->precision, tokens * step.flops,
                  step.states() + tokens * step.activations);
}

std::optional<double> training_batch(const Model& m, const TrainingPlace& place) {
  const StepTraffic step = step_traffic(m, place);
  const Seconds each = step.flops / peak_rate(*place.gpu, *place.training->precision) -
                       step.activations / place.gpu->memory_bandwidth;
  if (each.value <= 0) return std::nullopt;
  return step.states() / place.gpu->memory_bandwidth / each;
}

Model scaled_to_heads(const Model& m, std::int64_t heads) {
  const double scale = real(heads) / real(m.heads);
  const auto scaled = [&](std::int64_t value) {
    return value == 0 ? 0 : std::max<std::int64_t>(1, std::llround(real(value) * scale));
  };
  Model s = m;
  s.heads = heads;
  s.kv_heads = m.kv_heads == m.heads ? heads : std::min(scaled(m.kv_heads), heads);
  s.hidden = scaled(m.hidden);
  s.ffn = scaled(m.ffn);
  s.layers = scaled(m.layers);
  if (s.latent) {
    s.latent->q_lora = scaled(m.latent->q_lora);
    s.latent->kv_lora = scaled(m.latent->kv_lora);
  }
  if (s.experts) {
    s.experts->ffn = scaled(m.experts->ffn);
    s.experts->shared_ffn = scaled(m.experts->shared_ffn);
    s.experts->dense_layers = std::min(scaled(m.experts->dense_layers), s.layers);
  }
  return s;
}

std::optional<Model> largest_trainable(const Model& m, const TrainingPlace& place) {
  const std::int64_t heads =
      largest(kMostHeads, [&](std::int64_t n) { return memory_at(scaled_to_heads(m, n), place).fits; });
  if (heads == 0) return std::nullopt;
  return scaled_to_heads(m, heads);
}

std::optional<Model> smallest_compute_bound(const Model& m, const TrainingPlace& place, double tokens) {
  const double limit = tokens > 0 ? tokens : std::numeric_limits<double>::infinity();
  const auto memory_bound = [&](std::int64_t heads) {
    const std::optional<double> batch = training_batch(scaled_to_heads(m, heads), place);
    return !batch || *batch > limit;
  };
  const std::int64_t last = largest(kMostHeads, memory_bound);
  if (last == kMostHeads) return std::nullopt;
  return scaled_to_heads(m, last + 1);
}

}  // namespace runcast
