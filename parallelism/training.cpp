// Reading of the training and schedule sections, with the rules between their keys.
#include "parallelism/training.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace runcast {

namespace {

constexpr std::array<std::string_view, 6> kModules = {"attention_core", "mlp_activation", "moe_activation",
                                                      "norms",          "mlp_up",         "mla_up"};
constexpr std::array<std::string_view, 5> kShardings = {"none", "zero1", "zero2", "zero3", "hsdp"};
constexpr std::array<std::string_view, 2> kAttention = {"flash", "standard"};
constexpr std::array<std::string_view, 3> kRecomputes = {"none", "selective", "full"};
constexpr std::array<std::string_view, 3> kGraphs = {"none", "partial", "full"};
constexpr std::array<std::string_view, 3> kDispatchers = {"alltoall", "deepep", "hybridep"};
constexpr std::array<std::string_view, 2> kFormats = {"bf16", "fp8"};
constexpr std::array<std::string_view, 2> kStorages = {"bf16", "narrow"};
constexpr std::array<std::string_view, 3> kOffloads = {"none", "optimizer", "activations"};
constexpr std::array<std::string_view, 2> kNorms = {"barrier", "post_validation"};
constexpr std::array<std::string_view, 8> kOptimizers = {
    "adamw", "adamw_16bit", "adamw_8bit", "adamw_4bit", "adafactor", "shampoo", "muon", "sgd"};
constexpr std::int64_t kMaxSequence = 1'000'000'000, kMaxBatch = 1'000'000'000;

template <class Names>
std::vector<std::string_view> as_views(const Names& rows) {
  std::vector<std::string_view> names;
  for (const auto& row : rows) names.push_back(row.name);
  return names;
}

std::int64_t positive(Section& s, std::string_view key, std::int64_t value, std::int64_t limit) {
  if (s.ok() && (value < 1 || value > limit))
    s.fail(key, fmt::format("{} must be between 1 and {}, not {}", key, limit, value));
  return std::clamp<std::int64_t>(value, 1, limit);  // harmless: the reading goes on to find the other errors
}

Recompute::Kind kind_of(std::string_view word) {
  return word == "full"        ? Recompute::Kind::full
         : word == "selective" ? Recompute::Kind::selective
                               : Recompute::Kind::none;
}

Recompute read_recompute(Section& s, const SoftwareProfile& profile) {
  Recompute r;
  switch (s.kind("recompute")) {
    case NodeKind::map: {
      Section map = s.section("recompute");
      r.kind = Recompute::Kind::full;
      r.layers = positive(map, "layers", map.count("layers"), 1'000'000);
      break;
    }
    case NodeKind::list:
      r.kind = Recompute::Kind::modules;
      r.modules = s.texts("recompute");
      for (const std::string& module : r.modules)
        if (std::find(kModules.begin(), kModules.end(), module) == kModules.end())
          s.fail("recompute", fmt::format("'{}' is no module; legal: {}", module, fmt::join(kModules, ", ")));
      break;
    default:
      r.kind = kind_of(s.choice("recompute", kRecomputes, profile.recompute));
  }
  return r;
}

Sharding read_sharding(Section& s, const SoftwareProfile& profile) {
  Sharding sharding;
  if (s.kind("sharding") == NodeKind::map) {
    Section map = s.section("sharding");
    const bool optimizer_only = map.has("zero1");
    sharding.kind = optimizer_only ? Sharding::Kind::zero1 : Sharding::Kind::hsdp;
    const std::string_view key = optimizer_only ? "zero1" : "hsdp";
    sharding.group = static_cast<int>(positive(map, key, map.count(key), 1'000'000));
    return sharding;
  }
  const std::string word = s.choice("sharding", std::span(kShardings).first(4), profile.sharding);
  for (std::size_t i = 0; i < kShardings.size(); ++i)
    if (word == kShardings[i]) sharding.kind = static_cast<Sharding::Kind>(i);
  return sharding;
}

Overlap read_overlap(Section s, const SoftwareProfile& profile) {
  Overlap o;
  o.data = s.flag("data", profile.overlap_data);
  o.tensor = s.flag("tensor", profile.overlap_tensor);
  o.pipeline = s.flag("pipeline", true);
  o.expert = s.flag("expert", false);
  return o;
}

Offload read_offload(Section& s) {
  std::vector<std::string> words;
  if (s.kind("offload") == NodeKind::list)
    words = s.texts("offload");
  else
    words.push_back(s.choice("offload", kOffloads, "none"));
  Offload o;
  for (const std::string& word : words) {
    if (std::find(kOffloads.begin(), kOffloads.end(), word) == kOffloads.end())
      s.fail("offload", fmt::format("'{}' cannot be offloaded; legal: {}", word, fmt::join(kOffloads, ", ")));
    o.optimizer |= word == "optimizer";
    o.activations |= word == "activations";
  }
  return o;
}

std::vector<std::int64_t> read_stage_layers(Section& s, std::int64_t layers, std::int64_t stages,
                                            double head) {
  std::vector<std::int64_t> even = balanced_stages(layers, stages, head);
  if (s.has("stage_layers")) {
    std::vector<std::int64_t> given = s.counts("stage_layers");
    const std::int64_t sum = std::accumulate(given.begin(), given.end(), std::int64_t{0});
    if (s.ok() && (given.size() != static_cast<std::size_t>(stages) || sum != layers))
      s.fail("stage_layers",
             fmt::format("stage_layers has {} entries that sum to {}; needed: {} entries (pipeline x "
                         "virtual_stages) that sum to the model's {} layers",
                         given.size(), sum, stages, layers));
    return given.size() == even.size() ? given : even;
  }
  const bool embedding = s.flag("embedding_as_layer", false), last_is_head = s.flag("head_as_layer", false);
  if (embedding || last_is_head) {
    const std::int64_t slots = layers + (embedding ? 1 : 0) + (last_is_head ? 1 : 0);
    if (slots % stages != 0 || slots < 2 * stages)
      s.fail(
          embedding ? "embedding_as_layer" : "head_as_layer",
          fmt::format(
              "{} layers with embedding or head as layers are {} slots, which do not divide over {} stages; "
              "give stage_layers",
              layers, slots, stages));
    std::fill(even.begin(), even.end(), slots / stages);
    even.front() -= embedding ? 1 : 0;
    even.back() -= last_is_head ? 1 : 0;
    return even;
  }
  const auto first = s.count_or_word("first_stage_layers", "auto");
  const auto last = s.count_or_word("last_stage_layers", "auto");
  if (!first && !last) return even;
  if (stages < (first && last ? 3 : 2)) {
    s.fail("first_stage_layers", "first_stage_layers and last_stage_layers need more than one other stage");
    return even;
  }
  const std::int64_t fixed = (first ? *first : 0) + (last ? *last : 0);
  const std::int64_t middle = stages - (first ? 1 : 0) - (last ? 1 : 0);
  if (fixed > layers || (layers - fixed) % middle != 0) {
    s.fail(
        first ? "first_stage_layers" : "last_stage_layers",
        fmt::format("the {} layers left for {} other stages do not divide evenly", layers - fixed, middle));
    return even;
  }
  std::fill(even.begin(), even.end(), (layers - fixed) / middle);
  if (first) even.front() = *first;
  if (last) even.back() = *last;
  return even;
}

int read_virtual_stages(Section& s, std::string_view schedule, const Layout& layout, std::int64_t layers) {
  const bool v_shaped = schedule == "zb_v" || schedule == "dualpipe_v" || schedule == "dualpipe";
  const auto given = s.count_or_word("virtual_stages", "auto");
  if (v_shaped) {
    if (given && *given != 1 && *given != 2)
      s.fail("virtual_stages",
             fmt::format("{} has 2 chunks a rank; virtual_stages must be 1, 2 or auto", schedule));
    return 2;
  }
  if (schedule != "interleaved_1f1b") {
    if (given && *given != 1)
      s.fail("virtual_stages", fmt::format("{} has no virtual stages; use interleaved_1f1b or 1", schedule));
    return 1;
  }
  const std::int64_t value = given.value_or(2);
  if (value < 1 || value > (layers + 2) / layout.pipeline)
    s.fail("virtual_stages",
           fmt::format("virtual_stages must be between 1 and {}: {} layers, embedding and head over "
                       "{} pipeline ranks",
                       (layers + 2) / layout.pipeline, layers, layout.pipeline));
  return static_cast<int>(std::clamp<std::int64_t>(value, 1, layers + 2));
}

// 0 = one group of as many micro-batches as pipeline ranks; `all` = breadth first.
int read_group_size(Section& s, std::int64_t m) {
  const std::string word = s.text("group_size", "auto");
  if (word == "auto") return 0;
  if (word == "all") return static_cast<int>(m);
  try {
    const std::int64_t group = parse_count(word, "group_size");
    if (group >= 1) return static_cast<int>(std::min(group, m));
  } catch (const ConfigError&) {
  }
  s.fail("group_size",
         fmt::format("group_size must be a count of at least 1, 'all' or 'auto', not '{}'", word));
  return 0;
}

}  // namespace

bool Recompute::has(std::string_view module) const {
  return std::find(modules.begin(), modules.end(), module) != modules.end();
}

std::string_view name_of(Sharding::Kind kind) { return kShardings[static_cast<std::size_t>(kind)]; }

TrainingSpec read_training(Section s, const SoftwareProfile& profile, const Model& model) {
  TrainingSpec t;
  t.tokens = static_cast<double>(s.count("tokens", 1'000'000'000'000));
  if (s.ok() && t.tokens == 0) s.fail("tokens", "a training takes at least 1 token; write tokens: 15.6T");
  t.sequence_length = positive(s, "sequence_length", s.count("sequence_length"), kMaxSequence);
  t.global_batch = positive(s, "global_batch", s.count("global_batch"), kMaxBatch);
  t.micro_batch = positive(s, "micro_batch", s.count("micro_batch", 1), kMaxBatch);
  const auto names = as_views(precisions());
  t.precision = find_precision(s.choice("precision", names, "bf16"));
  if (t.precision == nullptr) t.precision = &sixteen_bit();
  t.fp8_recipe = s.choice("fp8_recipe", fp8_recipes(), "delayed");
  t.flash_attention =
      s.choice("attention", kAttention,
               profile.attention == AttentionKernel::standard ? "standard" : "flash") == "flash";
  t.recompute = read_recompute(s, profile);
  t.sharding = read_sharding(s, profile);
  t.optimizer = s.choice("optimizer", kOptimizers, "adamw");
  t.cuda_graphs = s.choice("cuda_graphs", kGraphs, "none");
  const std::string dispatcher = s.choice("expert_dispatcher", kDispatchers, "alltoall");
  t.deduplicate_tokens = dispatcher != "alltoall";
  t.dispatch_on_device = dispatcher == "hybridep";
  t.narrow_dispatch = s.choice("dispatch_precision", kFormats, "bf16") == "fp8";
  t.narrow_storage = s.choice("activation_storage", kStorages, "bf16") == "narrow";
  t.offload = read_offload(s);
  t.overlap = read_overlap(s.section_or_empty("overlap"), profile);
  t.data_loading = read_data_loading(s.section_or_empty("data_loading"));
  if (s.ok() && t.narrow_storage && !t.precision->narrow)
    s.fail("activation_storage",
           fmt::format("{} has no narrow format to keep activations in; use fp8, mxfp8 or "
                       "nvfp4, or activation_storage: bf16",
                       t.precision->name));
  if (s.ok() && t.recompute.has("mla_up") && !model.latent)
    s.fail("recompute",
           fmt::format("{} has no latent attention whose up-projections could be recomputed", model.name));
  if (s.ok() && t.recompute.layers > model.layers)
    s.fail("recompute",
           fmt::format("layers {} is more than the model's {} layers", t.recompute.layers, model.layers));
  return t;
}

std::int64_t microbatches(Section s, const TrainingSpec& t, const Layout& layout) {
  const std::int64_t per_round = t.micro_batch * layout.data;
  if (t.global_batch % per_round != 0) {
    s.fail("global_batch",
           fmt::format("global_batch {} is not divisible by micro_batch {} x data {} = {}; nearest legal: {}",
                       t.global_batch, t.micro_batch, layout.data, per_round,
                       nearest_multiples_text(t.global_batch, per_round)));
    return 1;
  }
  const std::int64_t m = t.global_batch / per_round;
  if (m > 100'000)
    s.fail("global_batch", fmt::format("{} micro-batches a step; at most 100000 are simulated", m));
  return std::min<std::int64_t>(m, 100'000);
}

ScheduleRequest ScheduleSpec::request(const Layout& layout, std::int64_t m) const {
  return {layout.pipeline, static_cast<int>(m), virtual_stages, group_size, fuse_pairs, fuse_pairs};
}

double head_over_layer(const Model& m, const TrainingSpec& t) {
  const LayerFlops f =
      layer_forward_flops(m, m.prediction_is_moe(), 1, static_cast<double>(t.sequence_length));
  const double speed = 2 / t.precision->gemm_element;
  const double layer = f.attention.value + (f.total() - f.attention).value / speed;
  return head_forward_flops(m, 1).value / layer;
}

std::vector<std::int64_t> balanced_stages(std::int64_t layers, std::int64_t stages, double head) {
  std::vector<std::int64_t> count(static_cast<std::size_t>(stages), layers / stages);
  if (layers % stages == 0) return count;
  if ((layers + 2) % stages == 0 && stages > 1) {
    std::fill(count.begin(), count.end(), (layers + 2) / stages);
    --count.front();
    --count.back();
    return count;
  }
  // The most layers of the last stage that make the longest stage as short as can be.
  const std::int64_t others = stages - 1;
  const auto longest = [&](std::int64_t last) {
    const auto most = static_cast<double>((layers - last + others - 1) / others);
    return std::max(most, static_cast<double>(last) + head);
  };
  std::int64_t last = 0;
  for (std::int64_t n = 0; n <= (layers + stages - 1) / stages; ++n)
    if (longest(n) <= longest(last)) last = n;
  std::fill(count.begin(), count.end(), (layers - last) / others);
  count.back() = last;
  const std::int64_t odd = (layers - last) % others, from = (others - odd) / 2;
  for (std::int64_t i = 0; i < odd; ++i) ++count[static_cast<std::size_t>(from + i)];
  return count;
}

ScheduleSpec read_schedule(Section s, const Model& model, const Layout& layout, std::int64_t m,
                           const TrainingSpec& training, const SoftwareProfile& profile) {
  ScheduleSpec spec;
  const auto names = as_views(pipeline_schedules());
  const std::string name = s.choice("name", names, "1f1b");
  spec.row = find_schedule(name);
  spec.virtual_stages = read_virtual_stages(s, name, layout, model.layers);
  constexpr std::array<std::string_view, 3> kPointToPoint = {"blocking", "async", "overlapped"};
  const bool fused = training.overlap.expert && model.is_moe() && layout.expert > 1;
  spec.fuse_pairs = fused && spec.row != nullptr && spec.row->fuses_pairs;
  const bool hidden = (spec.virtual_stages > 1 ? profile.overlap_p2p_interleaved : profile.overlap_p2p_flat);
  const std::string p2p =
      s.choice("p2p", kPointToPoint, hidden && training.overlap.pipeline ? "overlapped" : "blocking");
  spec.point_to_point = p2p == "blocking" ? PointToPoint::blocking
                        : p2p == "async"  ? PointToPoint::async
                                          : PointToPoint::overlapped;
  if (s.choice("gradient_norm", kNorms, "barrier") == "post_validation")
    spec.gradient_norm = GradientNorm::post_validation;
  spec.group_size = read_group_size(s, m);
  const std::int64_t stages =
      name == "dualpipe" ? layout.pipeline : static_cast<std::int64_t>(layout.pipeline) * spec.virtual_stages;
  const double head = s.ok() ? head_over_layer(model, training) : 0;
  spec.stage_layers = read_stage_layers(s, model.layers, std::max<std::int64_t>(stages, 1), head);
  if (!s.ok() || spec.row == nullptr) return spec;
  if (const std::string why = spec.row->refuse(spec.request(layout, m)); !why.empty()) s.fail("name", why);
  return spec;
}

std::span<const std::string_view> optimizer_names() { return kOptimizers; }

double optimizer_state_bytes(std::string_view optimizer) {
  if (optimizer == "adamw") return 8;        // two fp32 moments [Kingma & Ba 2015]
  if (optimizer == "adamw_16bit") return 4;  // two bf16 moments [DeepSeek-V3 2024, sec. 3.3.3]
  if (optimizer == "adamw_8bit") return 2;   // two 8-bit moments [Dettmers et al. 2022]
  if (optimizer == "adamw_4bit") return 1;   // two 4-bit moments [Li et al. 2023]
  if (optimizer == "muon") return 4;         // one fp32 momentum [Jordan et al. 2024]
  if (optimizer == "shampoo")
    return 12;  // momentum and two preconditioner factors, square blocks [assumption]
  if (optimizer == "adafactor")
    return 0.01;  // row and column sums of the second moment [Shazeer & Stern 2018]
  return 4;       // sgd with fp32 momentum
}

}  // namespace runcast
