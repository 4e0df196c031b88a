// Counting parameters and FLOPs; formulas as in the header.
#include "parallelism/model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace runcast {

namespace {

constexpr std::array<std::string_view, 2> kNormalizations = {"layernorm", "rmsnorm"};
constexpr std::array<std::string_view, 3> kActivations = {"gelu", "swiglu", "squared_relu"};

// Dimensions past these are typing errors, not models. The last keeps every count inside int64 (see check_size).
constexpr std::int64_t kMaxWidth = 10'000'000, kMaxLayers = 100'000;
constexpr double kMaxParameters = 1e16;

std::int64_t dimension(Section& section, std::string_view key, std::int64_t limit = kMaxWidth) {
  const std::int64_t value = section.count(key);
  if (section.ok() && (value < 1 || value > limit))
    section.fail(key, fmt::format("{} must be between 1 and {}, not {}", key, limit, value));
  return std::clamp<std::int64_t>(value, 1, limit);
}

// A width that may be 0 or left out.
std::int64_t optional_dimension(Section& section, std::string_view key) {
  const std::int64_t value = section.count(key, 0);
  if (section.ok() && (value < 0 || value > kMaxWidth))
    section.fail(key, fmt::format("{} must be between 0 and {}, not {}", key, kMaxWidth, value));
  return std::clamp<std::int64_t>(value, 0, kMaxWidth);
}

LatentAttention read_latent(Section section) {
  LatentAttention mla;
  mla.q_lora = optional_dimension(section, "q_lora");
  mla.kv_lora = dimension(section, "kv_lora");
  mla.rope_dim = dimension(section, "rope_dim");
  mla.nope_dim = dimension(section, "nope_dim");
  mla.v_dim = dimension(section, "v_dim");
  return mla;
}

Experts read_experts(Section section, std::int64_t layers) {
  Experts e;
  e.count = dimension(section, "count");
  e.top_k = dimension(section, "top_k");
  e.ffn = dimension(section, "ffn");
  e.shared_ffn = optional_dimension(section, "shared_ffn");
  e.dense_layers = optional_dimension(section, "dense_layers");
  e.every = section.has("every") ? dimension(section, "every") : 1;
  e.node_limit = optional_dimension(section, "node_limit");
  e.capacity_factor = section.number("capacity_factor", 0);
  e.imbalance = section.number("imbalance", 1);
  if (section.ok() && e.capacity_factor != 0 && (e.capacity_factor < 0.1 || e.capacity_factor > 100))
    section.fail("capacity_factor", "capacity_factor must be 0 (dropless) or between 0.1 and 100");
  if (section.ok() && (e.imbalance < 1 || e.imbalance > static_cast<double>(e.count)))
    section.fail("imbalance", fmt::format("imbalance must be between 1 and the {} experts", e.count));
  if (section.ok() && e.top_k > e.count)
    section.fail("top_k", fmt::format("top_k {} is more than the {} experts", e.top_k, e.count));
  if (section.ok() && e.dense_layers > layers)
    section.fail("dense_layers",
                 fmt::format("dense_layers {} is more than the {} layers", e.dense_layers, layers));
  return e;
}

SlidingWindow read_window(Section section) {
  SlidingWindow window;
  window.tokens = dimension(section, "tokens", 1'000'000'000);
  window.global_every = optional_dimension(section, "global_every");
  return window;
}

void check_heads(Section& section, const Model& m) {
  if (!section.ok()) return;
  if (m.heads % m.kv_heads != 0)
    section.fail("kv_heads",
                 fmt::format("{} attention heads are not divisible by {} kv_heads", m.heads, m.kv_heads));
}

// In doubles, which cannot overflow: what the exact counts below will come to, from above.
void check_size(Section& section, const Model& m) {
  if (!section.ok()) return;
  const double h = static_cast<double>(m.hidden), a = static_cast<double>(m.heads);
  const double qk = static_cast<double>(m.qk_dim()), v = static_cast<double>(m.value_dim());
  double mlp = 3 * h * static_cast<double>(m.ffn), low_rank = 0;
  if (m.experts) {
    const Experts& e = *m.experts;
    mlp += 3 * h *
           (static_cast<double>(e.count) * static_cast<double>(e.ffn) + static_cast<double>(e.shared_ffn));
  }
  if (m.latent) low_rank = static_cast<double>(m.latent->q_lora + m.latent->kv_lora) * (h + a * (qk + v));
  const double ends = 2 * h * static_cast<double>(m.vocabulary + m.positions);
  const double total = ends + static_cast<double>(m.layers) * (4 * h * a * (qk + v) + mlp + low_rank);
  if (total > kMaxParameters)
    section.fail("layers",
                 fmt::format("these dimensions make about {:.1e} parameters; at most {:.0e} are simulated",
                             total, kMaxParameters));
}

// One routed expert: its matrices and, where linear layers have them, their biases.
std::int64_t expert_parameters(const Model& m) {
  const std::int64_t f = m.experts->ffn, inputs = m.mlp_matrices() - 1;
  return (inputs + 1) * m.hidden * f + (m.biases ? inputs * f + m.hidden : 0);
}

}  // namespace

std::string_view name_of(Activation a) { return kActivations[static_cast<std::size_t>(a)]; }

Model read_model(Section section, std::string_view name) {
  Model m;
  m.name = section.text("name", name);
  m.layers = dimension(section, "layers", kMaxLayers);
  m.hidden = dimension(section, "hidden");
  m.ffn = dimension(section, "ffn");
  m.heads = dimension(section, "heads");
  m.kv_heads = section.count("kv_heads", m.heads);
  if (section.ok() && m.kv_heads < 1) section.fail("kv_heads", "kv_heads must be at least 1");
  m.kv_heads = std::max<std::int64_t>(m.kv_heads, 1);
  const bool divides = m.heads > 0 && m.hidden % m.heads == 0;
  if (!section.has("head_dim") && section.ok() && !divides)
    section.fail("heads",
                 fmt::format("hidden {} is not divisible by {} heads; give head_dim", m.hidden, m.heads));
  m.head_dim = section.count("head_dim", divides ? m.hidden / m.heads : 1);
  if (section.ok() && (m.head_dim < 1 || m.head_dim > kMaxWidth))
    section.fail("head_dim", fmt::format("head_dim must be between 1 and {}, not {}", kMaxWidth, m.head_dim));
  m.vocabulary = dimension(section, "vocabulary");
  m.positions = optional_dimension(section, "positions");
  const std::string act = section.choice("activation", kActivations, "swiglu");
  for (std::size_t i = 0; i < kActivations.size(); ++i)
    if (act == kActivations[i]) m.activation = static_cast<Activation>(i);
  m.tied_embeddings = section.flag("tied_embeddings", false);
  m.biases = section.flag("biases", false);
  m.layer_norm =
      section.choice("normalization", kNormalizations, m.biases ? "layernorm" : "rmsnorm") == "layernorm";
  m.dropout = section.flag("dropout", false);
  if (auto latent = section.optional_section("latent_attention")) m.latent = read_latent(*latent);
  if (auto experts = section.optional_section("experts")) m.experts = read_experts(*experts, m.layers);
  if (auto window = section.optional_section("sliding_window")) m.window = read_window(*window);
  m.predicted_tokens = section.count("multi_token_prediction", 0);
  if (section.ok() && (m.predicted_tokens < 0 || m.predicted_tokens > 16))
    section.fail("multi_token_prediction", "multi_token_prediction must be between 0 and 16 modules");
  section.skip("source");
  check_heads(section, m);
  check_size(section, m);
  return m;
}

LayerParameters layer_parameters(const Model& m, bool moe_layer) {
  LayerParameters p;
  const std::int64_t h = m.hidden, a = m.heads, g = m.kv_heads, d = m.head_dim;
  std::int64_t bias = 0;
  if (m.latent) {
    const LatentAttention& l = *m.latent;
    const std::int64_t qk = l.nope_dim + l.rope_dim;
    p.attention = (l.q_lora > 0 ? h * l.q_lora + l.q_lora * a * qk : h * a * qk)  // q_down, q_up
                  + h * (l.kv_lora + l.rope_dim)                                  // kv_down with the rope key
                  + l.kv_lora * a * (l.nope_dim + l.v_dim)                        // kv_up
                  + a * l.v_dim * h;                                              // output
    p.norms = l.q_lora + l.kv_lora;
  } else {
    p.attention = h * (a + 2 * g) * d + a * d * h;
    bias += (a + 2 * g) * d + h;
  }
  const std::int64_t matrices = m.mlp_matrices();
  if (moe_layer && m.experts) {
    const Experts& e = *m.experts;
    p.router = h * e.count;
    p.routed_experts = e.count * expert_parameters(m);
    p.mlp = matrices * h * e.shared_ffn;
    bias += e.count + (e.shared_ffn > 0 ? (matrices - 1) * e.shared_ffn + h : 0);
  } else {
    p.mlp = matrices * h * m.ffn;
    bias += (matrices - 1) * m.ffn + h;
  }
  p.norms += m.layer_norm ? 4 * h : 2 * h;
  if (m.biases) p.norms += bias;
  return p;
}

ParameterCount count_parameters(const Model& m) {
  ParameterCount c;
  c.embedding = m.vocabulary * m.hidden;
  c.positions = m.positions * m.hidden;
  c.head = m.tied_embeddings ? 0 : m.vocabulary * m.hidden;
  c.final_norm = m.layer_norm ? 2 * m.hidden : m.hidden;
  const std::int64_t moe_layers = m.moe_layers();
  const LayerParameters dense = layer_parameters(m, false);
  c.layers = (m.layers - moe_layers) * dense.total();
  std::int64_t inactive = 0;
  if (m.experts) {
    const LayerParameters moe = layer_parameters(m, true);
    c.layers += moe_layers * moe.total();
    const Experts& e = *m.experts;
    const std::int64_t with_prediction = moe_layers + (m.prediction_is_moe() ? m.predicted_tokens : 0);
    inactive = with_prediction * (e.count - e.top_k) * expert_parameters(m);
  }
  c.prediction = m.predicted_tokens * (layer_parameters(m, m.prediction_is_moe()).total() +
                                       prediction_projection_parameters(m) + c.final_norm);
  c.total = c.embedding + c.positions + c.head + c.final_norm + c.layers + c.prediction;
  c.active = c.total - inactive;
  return c;
}

std::int64_t prediction_projection_parameters(const Model& m) {
  return m.predicted_tokens > 0 ? 2 * m.hidden * m.hidden + 2 * m.hidden : 0;
}

double mean_keys(double sequence, double window) {
  return window <= 0 || window >= sequence ? sequence / 2 : window - window * window / (2 * sequence);
}

LayerFlops layer_forward_flops(const Model& m, bool moe_layer, double tokens, double sequence,
                               bool windowed) {
  LayerFlops f;
  const double T = tokens, h = static_cast<double>(m.hidden), a = static_cast<double>(m.heads);
  const double g = static_cast<double>(m.kv_heads), d = static_cast<double>(m.head_dim);
  const double qk = static_cast<double>(m.qk_dim()), v = static_cast<double>(m.value_dim());
  if (m.latent) {
    const LatentAttention& l = *m.latent;
    const double ql = static_cast<double>(l.q_lora), kl = static_cast<double>(l.kv_lora);
    const double dr = static_cast<double>(l.rope_dim), dn = static_cast<double>(l.nope_dim);
    const double q = ql > 0 ? h * ql + ql * a * qk : h * a * qk;
    f.qkv = Flops(2 * T * (q + h * (kl + dr) + kl * a * (dn + v)));
  } else {
    f.qkv = Flops(2 * T * h * (a + 2 * g) * d);
  }
  const double window = windowed && m.window ? static_cast<double>(m.window->tokens) : 0;
  f.attention = Flops(2 * T * mean_keys(sequence, window) * a * (qk + v));
  f.projection = Flops(2 * T * a * v * h);
  const double in = m.mlp_matrices() - 1;
  if (moe_layer && m.experts) {
    const Experts& e = *m.experts;
    f.router = Flops(2 * T * h * static_cast<double>(e.count));
    f.routed = Flops(2 * T * (in + 1) * h * static_cast<double>(e.ffn * e.top_k));
    f.shared = Flops(2 * T * (in + 1) * h * static_cast<double>(e.shared_ffn));
  } else {
    f.mlp_in = Flops(2 * T * in * h * static_cast<double>(m.ffn));
    f.mlp_out = Flops(2 * T * h * static_cast<double>(m.ffn));
  }
  return f;
}

Flops head_forward_flops(const Model& m, double tokens) {
  return Flops(2 * tokens * static_cast<double>(m.hidden) * static_cast<double>(m.vocabulary));
}

std::string_view name_of(FlopConvention c) {
  constexpr std::array<std::string_view, 5> names = {"exact", "exact_full", "6n", "palm", "megatron_2021"};
  return names[static_cast<std::size_t>(c)];
}

// Layers, and modules of multi-token prediction, of one kind. They attend like the last layer.
std::int64_t layers_of_kind(const Model& m, bool moe, bool windowed) {
  std::int64_t count = 0;
  for (std::int64_t layer = 0; layer < m.layers; ++layer) {
    if (m.layer_is_moe(layer) != moe || m.layer_is_windowed(layer) != windowed) continue;
    count += 1 + (layer + 1 == m.layers ? m.predicted_tokens : 0);
  }
  return count;
}

Flops training_flops_per_token(const Model& m, double s, FlopConvention convention) {
  const double n = static_cast<double>(count_parameters(m).active);
  const double L = static_cast<double>(m.layers), h = static_cast<double>(m.hidden);
  const double ad = static_cast<double>(m.heads * m.head_dim), V = static_cast<double>(m.vocabulary);
  switch (convention) {
    case FlopConvention::six_n:
      return Flops(6 * n);
    case FlopConvention::palm:
      return Flops(6 * n + 12 * L * ad * s);
    case FlopConvention::megatron_2021:
      return Flops(72 * L * h * h * (1 + s / (6 * h) + V / (12 * h * L)));
    case FlopConvention::exact:
    case FlopConvention::exact_full:
      break;
  }
  const bool whole = convention == FlopConvention::exact_full;
  Flops forward = static_cast<double>(1 + m.predicted_tokens) * head_forward_flops(m, 1);
  for (const bool moe : {false, true})
    for (const bool windowed : {false, true}) {
      const double count = static_cast<double>(layers_of_kind(m, moe, windowed));
      if (count <= 0) continue;
      const LayerFlops layer = layer_forward_flops(m, moe, 1, s, windowed);
      forward += count * (layer.total() + (whole ? layer.attention : Flops(0)));
    }
  forward += Flops(2 * static_cast<double>(m.predicted_tokens) * 2 * h * h);
  return 3 * forward;
}

}  // namespace runcast
