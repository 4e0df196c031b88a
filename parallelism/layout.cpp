// The rank grid and the rules by which degrees divide a model and a cluster.
#include "parallelism/layout.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace runcast {

namespace {

constexpr std::array<std::string_view, 4> kAxes = {"tensor", "context", "pipeline", "data"};
constexpr std::array<std::string_view, 3> kContextMethods = {"allgather", "ring", "ulysses"};
constexpr std::int64_t kMaxDegree = 1'000'000;

int read_degree(Section& section, std::string_view key) {
  const std::int64_t degree = section.count(key, 1);
  if (degree >= 1 && degree <= kMaxDegree) return static_cast<int>(degree);
  if (section.ok())
    section.fail(key, fmt::format("{} must be between 1 and {}, not {}", key, kMaxDegree, degree));
  return 1;
}

std::array<Axis, 4> read_order(Section& section) {
  std::array<Axis, 4> order = Layout{}.order;
  if (!section.has("order")) return order;
  const std::vector<std::string> words = section.texts("order");
  std::vector<std::string> sorted = words;
  std::sort(sorted.begin(), sorted.end());
  if (sorted != std::vector<std::string>{"context", "data", "pipeline", "tensor"}) {
    section.fail("order", "order must name tensor, context, pipeline and data once each, innermost first");
    return order;
  }
  for (std::size_t i = 0; i < 4; ++i)
    order[i] = static_cast<Axis>(std::find(kAxes.begin(), kAxes.end(), words[i]) - kAxes.begin());
  return order;
}

void check_divides(Section& section, std::string_view key, std::int64_t whole, std::string_view what,
                   std::int64_t degree) {
  if (whole % degree == 0) return;
  section.fail(key, fmt::format("{} {} are not divisible by {} {}; legal: {}", whole, what, key, degree,
                                divisors_text(whole, kMaxDegree)));
}

bool tensor_divides(const Model& m, std::int64_t t) {
  return m.heads % t == 0 && m.ffn % t == 0 && (m.kv_heads % t == 0 || t % m.kv_heads == 0);
}

// Every tensor degree that heads, key and value heads and ffn allow.
std::string legal_tensor(const Model& m) {
  std::string text;
  for (std::int64_t t = 1; t <= m.heads; ++t)
    if (tensor_divides(m, t)) text += (text.empty() ? "" : " ") + std::to_string(t);
  return text;
}

void check_model(Section& section, const Layout& l, const Model& m, std::int64_t sequence) {
  check_divides(section, "tensor", m.heads, "attention heads", l.tensor);
  if (m.ffn % l.tensor != 0)
    section.fail("tensor", fmt::format("ffn {} is not divisible by tensor {}; legal: {}", m.ffn, l.tensor,
                                       legal_tensor(m)));
  if (m.kv_heads % l.tensor != 0 && l.tensor % m.kv_heads != 0)
    section.fail("tensor",
                 fmt::format("{} kv_heads can be neither divided nor replicated over tensor {}; legal: {}",
                             m.kv_heads, l.tensor, legal_tensor(m)));
  if (l.context > 1 && sequence % (2 * l.context) != 0)
    section.fail(
        "context",
        fmt::format("sequence_length {} is not divisible into 2 x context = {} chunks; nearest legal "
                    "sequence_length: {}",
                    sequence, 2 * l.context, nearest_multiples_text(sequence, 2 * l.context)));
  if (l.sequence_parallel && sequence % (static_cast<std::int64_t>(l.tensor) * l.context) != 0)
    section.fail(
        "sequence_parallel",
        fmt::format("sequence_length {} is not divisible by tensor x context = {}; nearest legal "
                    "sequence_length: {}",
                    sequence, l.tensor * l.context,
                    nearest_multiples_text(sequence, static_cast<std::int64_t>(l.tensor) * l.context)));
  if (l.context_method == "ulysses" && m.heads % (static_cast<std::int64_t>(l.tensor) * l.context) != 0)
    section.fail("context_method",
                 fmt::format("{} attention heads are not divisible by tensor x context = {}, as "
                             "ulysses needs; legal products: {}",
                             m.heads, l.tensor * l.context, divisors_text(m.heads, kMaxDegree)));
}

void check_experts(Section& section, const Layout& l, const Model& m) {
  if (!m.experts) {
    if (l.expert > 1) section.fail("expert", fmt::format("{} has no experts; expert must be 1", m.name));
    if (l.expert_tensor > 1)
      section.fail("expert_tensor", fmt::format("{} has no experts; expert_tensor must be 1", m.name));
    return;
  }
  check_divides(section, "expert", m.experts->count, "experts", l.expert);
  const int inside = l.tensor * l.context * l.data;
  if (inside % (l.expert * l.expert_tensor) != 0)
    section.fail(
        "expert",
        fmt::format("expert {} x expert_tensor {} does not divide tensor x context x data = {}; nearest "
                    "legal products: {}",
                    l.expert, l.expert_tensor, inside,
                    nearest_divisors_text(inside, static_cast<std::int64_t>(l.expert) * l.expert_tensor)));
}

}  // namespace

std::string_view name_of(Axis a) { return kAxes[static_cast<std::size_t>(a)]; }

int Layout::degree(Axis a) const {
  switch (a) {
    case Axis::tensor:
      return tensor;
    case Axis::context:
      return context;
    case Axis::pipeline:
      return pipeline;
    case Axis::data:
      return data;
  }
  return 1;
}

int Layout::stride(Axis axis) const {
  int stride = 1;
  for (Axis a : order) {
    if (a == axis) break;
    stride *= degree(a);
  }
  return stride;
}

RankId Layout::rank(int t, int c, int p, int d) const {
  return RankId(t * stride(Axis::tensor) + c * stride(Axis::context) + p * stride(Axis::pipeline) +
                d * stride(Axis::data));
}

std::vector<RankId> Layout::group(Axis axis, int p) const {
  std::vector<RankId> members;
  const int base = axis == Axis::pipeline ? 0 : rank(0, 0, p, 0).value;
  for (int i = 0; i < degree(axis); ++i) members.push_back(RankId(base + i * stride(axis)));
  return members;
}

std::vector<RankId> Layout::group(Axis inner, Axis outer, int p) const {
  std::vector<RankId> members;
  const int base = rank(0, 0, p, 0).value;
  for (int o = 0; o < degree(outer); ++o)
    for (int i = 0; i < degree(inner); ++i)
      members.push_back(RankId(base + o * stride(outer) + i * stride(inner)));
  std::sort(members.begin(), members.end());
  return members;
}

std::string nearest_divisors_text(std::int64_t n, std::int64_t value) {
  std::int64_t below = std::min(n, value - 1), above = value + 1;
  while (below > 1 && n % below != 0) --below;
  while (above < n && n % above != 0) ++above;
  return above > n || below == n ? std::to_string(below) : fmt::format("{} or {}", below, above);
}

std::string nearest_multiples_text(std::int64_t value, std::int64_t of) {
  const std::int64_t below = value / of * of;
  return below == 0 ? std::to_string(of) : fmt::format("{} or {}", below, below + of);
}

std::string divisors_text(std::int64_t n, std::int64_t limit) {
  std::string text;
  for (std::int64_t i = 1; i <= std::min(n, limit); ++i)
    if (n % i == 0) text += (text.empty() ? "" : " ") + std::to_string(i);
  return text;
}

Layout read_layout(Section section, const Model& model, std::int64_t gpus, std::int64_t sequence_length) {
  Layout l;
  l.tensor = read_degree(section, "tensor");
  l.sequence_parallel = section.flag("sequence_parallel", l.tensor > 1);
  l.context = read_degree(section, "context");
  l.context_method = section.choice("context_method", kContextMethods, "allgather");
  l.pipeline = read_degree(section, "pipeline");
  const std::optional<std::int64_t> data = section.count_or_word("data", "auto");
  l.expert = read_degree(section, "expert");
  l.expert_tensor = read_degree(section, "expert_tensor");
  l.order = read_order(section);
  if (!section.ok()) return l;
  const std::int64_t others = static_cast<std::int64_t>(l.tensor) * l.context * l.pipeline;
  if (others > gpus || gpus % others != 0) {
    section.fail(fmt::format(
        "tensor {} x context {} x pipeline {} = {} does not divide the cluster's {} GPUs; nearest "
        "legal products: {}",
        l.tensor, l.context, l.pipeline, others, gpus, nearest_divisors_text(gpus, others)));
    return l;
  }
  if (data && *data != gpus / others) {
    section.fail("data",
                 fmt::format("tensor {} x context {} x pipeline {} x data {} = {} is not the cluster's {} "
                             "GPUs; data must be {} (or auto)",
                             l.tensor, l.context, l.pipeline, *data, others * *data, gpus, gpus / others));
    return l;
  }
  l.data = static_cast<int>(gpus / others);
  check_model(section, l, model, sequence_length);
  check_experts(section, l, model);
  return l;
}

}  // namespace runcast
