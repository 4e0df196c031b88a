// The table of options, and the readers and writers that it names.
#include "scenarios/interchange/megatron.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <map>

#include "scenarios/interchange/shell_arguments.hpp"
#include "scenarios/interchange/yaml_text.hpp"
#include "sim/error.hpp"

namespace runcast {
namespace {

using Given =
    std::map<std::string, ShellOption, std::less<>>;  // by name; a later one replaces an earlier one

// The options of a script, read by name and kind.
class Options {
 public:
  Options(const std::string& script, std::string where) : where_(std::move(where)) {
    for (ShellOption& option : shell_options(script)) given_[option.name] = option;
  }

  const Given& all() const { return given_; }
  bool has(std::string_view name) const { return given_.find(name) != given_.end(); }
  std::string text(std::string_view name, std::string fallback = "") const {
    const auto at = given_.find(name);
    if (at == given_.end() || at->second.values.empty() || at->second.values[0].empty()) return fallback;
    return at->second.values[0];
  }
  std::vector<std::string> texts(std::string_view name) const {
    const auto at = given_.find(name);
    return at == given_.end() ? std::vector<std::string>{} : at->second.values;
  }
  std::int64_t count(std::string_view name, std::int64_t fallback) const {
    const auto at = given_.find(name);
    if (at == given_.end()) return fallback;
    const std::string value = text(name);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || number < 0 ||
        number > 1'000'000'000'000'000)
      fail(name, value.empty() ? "needs a number that the script itself gives"
                               : fmt::format("needs a whole number, not '{}'", value));
    return number;
  }
  std::int64_t needed(std::string_view name) const {
    if (!has(name))
      throw ConfigError(
          fmt::format("{}: {} is missing: no run of Megatron-LM starts without it", where_, name));
    return count(name, 0);
  }
  [[noreturn]] void fail(std::string_view name, const std::string& sentence) const {
    const auto at = given_.find(name);
    throw ConfigError(
        fmt::format("{}:{}: {} {}", where_, at == given_.end() ? 0 : at->second.line, name, sentence));
  }
  const std::string& where() const { return where_; }

 private:
  Given given_;
  std::string where_;
};

// ---- what one option writes of a scenario: "" = left out (the default)

using Text = std::string;
Text number(std::int64_t value, std::int64_t fallback = 0) {
  return value == fallback ? "" : std::to_string(value);
}
Text flag(bool set) { return set ? "yes" : ""; }

bool has_dense_layers(const Model& m) { return m.moe_layers() < m.layers; }
bool is_full_recompute(const Recompute& r) { return r.kind == Recompute::Kind::full; }
Text fsdp_strategy(const Scenario& s) {
  if (s.training.sharding.kind == Sharding::Kind::zero2) return "optim_grads";
  return s.training.sharding.shards_parameters() ? "optim_grads_params" : "";
}

constexpr std::pair<std::string_view, std::string_view> kModules[] = {  // Megatron's word, ours
    {"core_attn", "attention_core"}, {"mlp", "mlp_up"},         {"moe_act", "moe_activation"},
    {"layernorm", "norms"},          {"mla_up_proj", "mla_up"}, {"mlp_act", "mlp_activation"}};

Text modules_of(const Scenario& s) {
  const Recompute& r = s.training.recompute;
  if (r.kind != Recompute::Kind::modules) return "";
  std::vector<std::string_view> words;
  for (const auto& [theirs, ours] : kModules)
    if (r.has(ours)) words.push_back(theirs);
  return fmt::format("{}", fmt::join(words, " "));
}

Text layer_frequency(const Scenario& s) {
  const Experts& e = *s.model.experts;
  if (e.dense_layers > 0)
    return fmt::format("([0]*{}+[1]*{})", e.dense_layers, s.model.layers - e.dense_layers);
  return number(e.every, 1);
}

double samples(const Scenario& s) {
  return s.training.tokens / static_cast<double>(s.training.sequence_length);
}

struct Row {
  std::string_view name;
  Text (*write)(const Scenario&);
};

// Each option that changes time or memory, with what it says of a scenario; `import_megatron` reads the same names.
const Row kRows[] = {
    {"--nnodes", [](const Scenario& s) { return number(s.nodes); }},
    {"--nproc-per-node", [](const Scenario& s) { return number(s.node.gpus); }},
    {"--num-layers", [](const Scenario& s) { return number(s.model.layers); }},
    {"--hidden-size", [](const Scenario& s) { return number(s.model.hidden); }},
    {"--ffn-hidden-size",
     [](const Scenario& s) { return has_dense_layers(s.model) ? number(s.model.ffn) : Text(); }},
    {"--num-attention-heads", [](const Scenario& s) { return number(s.model.heads); }},
    {"--group-query-attention",
     [](const Scenario& s) { return flag(!s.model.latent && s.model.kv_heads != s.model.heads); }},
    {"--num-query-groups",
     [](const Scenario& s) { return s.model.latent ? Text() : number(s.model.kv_heads, s.model.heads); }},
    {"--kv-channels",
     [](const Scenario& s) {
       const Model& m = s.model;
       return m.latent || m.head_dim * m.heads == m.hidden ? Text() : number(m.head_dim);
     }},
    {"--vocab-size", [](const Scenario& s) { return number(s.model.vocabulary); }},
    {"--position-embedding-type",
     [](const Scenario& s) { return Text(s.model.positions > 0 ? "" : "rope"); }},
    {"--max-position-embeddings", [](const Scenario& s) { return number(s.model.positions); }},
    {"--swiglu", [](const Scenario& s) { return flag(s.model.activation == Activation::swiglu); }},
    {"--squared-relu",
     [](const Scenario& s) { return flag(s.model.activation == Activation::squared_relu); }},
    {"--disable-bias-linear", [](const Scenario& s) { return flag(!s.model.biases); }},
    {"--normalization", [](const Scenario& s) { return Text(s.model.layer_norm ? "" : "RMSNorm"); }},
    {"--untie-embeddings-and-output-weights",
     [](const Scenario& s) { return flag(!s.model.tied_embeddings); }},
    {"--hidden-dropout", [](const Scenario& s) { return Text(s.model.dropout ? "" : "0"); }},
    {"--multi-latent-attention", [](const Scenario& s) { return flag(s.model.latent.has_value()); }},
    {"--q-lora-rank",
     [](const Scenario& s) { return s.model.latent ? number(s.model.latent->q_lora) : Text(); }},
    {"--kv-lora-rank",
     [](const Scenario& s) { return s.model.latent ? number(s.model.latent->kv_lora) : Text(); }},
    {"--qk-head-dim",
     [](const Scenario& s) { return s.model.latent ? number(s.model.latent->nope_dim) : Text(); }},
    {"--qk-pos-emb-head-dim",
     [](const Scenario& s) { return s.model.latent ? number(s.model.latent->rope_dim) : Text(); }},
    {"--v-head-dim",
     [](const Scenario& s) { return s.model.latent ? number(s.model.latent->v_dim) : Text(); }},
    {"--num-experts",
     [](const Scenario& s) { return s.model.experts ? number(s.model.experts->count) : Text(); }},
    {"--moe-router-topk",
     [](const Scenario& s) { return s.model.experts ? number(s.model.experts->top_k) : Text(); }},
    {"--moe-ffn-hidden-size",
     [](const Scenario& s) { return s.model.experts ? number(s.model.experts->ffn) : Text(); }},
    {"--moe-shared-expert-intermediate-size",
     [](const Scenario& s) { return s.model.experts ? number(s.model.experts->shared_ffn) : Text(); }},
    {"--moe-layer-freq", [](const Scenario& s) { return s.model.experts ? layer_frequency(s) : Text(); }},
    {"--moe-router-group-topk",
     [](const Scenario& s) { return s.model.experts ? number(s.model.experts->node_limit) : Text(); }},
    {"--moe-expert-capacity-factor",
     [](const Scenario& s) {
       return s.model.experts && s.model.experts->capacity_factor > 0
                  ? fmt::format("{}", s.model.experts->capacity_factor)
                  : Text();
     }},
    {"--mtp-num-layers", [](const Scenario& s) { return number(s.model.predicted_tokens); }},
    {"--tensor-model-parallel-size", [](const Scenario& s) { return number(s.layout.tensor, 1); }},
    {"--sequence-parallel",
     [](const Scenario& s) { return flag(s.layout.sequence_parallel && s.layout.tensor > 1); }},
    {"--pipeline-model-parallel-size", [](const Scenario& s) { return number(s.layout.pipeline, 1); }},
    {"--context-parallel-size", [](const Scenario& s) { return number(s.layout.context, 1); }},
    {"--cp-comm-type",
     [](const Scenario& s) {
       if (s.layout.context == 1 || s.layout.context_method == "ring") return Text();
       return Text(s.layout.context_method == "ulysses" ? "a2a" : "all_gather");
     }},
    {"--expert-model-parallel-size", [](const Scenario& s) { return number(s.layout.expert, 1); }},
    {"--expert-tensor-parallel-size",
     [](const Scenario& s) {
       return s.model.experts ? number(s.layout.expert_tensor, s.layout.tensor) : Text();
     }},
    {"--use-tp-pp-dp-mapping",
     [](const Scenario& s) { return flag(s.layout.order[2] == Axis::pipeline && s.layout.pipeline > 1); }},
    {"--num-virtual-stages-per-pipeline-rank",
     [](const Scenario& s) { return number(s.schedule.virtual_stages, 1); }},
    {"--microbatch-group-size-per-virtual-pipeline-stage",
     [](const Scenario& s) {
       const int n = s.schedule.group_size;
       return s.schedule.virtual_stages > 1 && n != s.layout.pipeline ? number(n) : Text();
     }},
    {"--no-overlap-p2p-communication",
     [](const Scenario& s) {
       return flag(s.schedule.virtual_stages > 1 && s.schedule.point_to_point == PointToPoint::blocking);
     }},
    {"--seq-length", [](const Scenario& s) { return number(s.training.sequence_length); }},
    {"--micro-batch-size", [](const Scenario& s) { return number(s.training.micro_batch); }},
    {"--global-batch-size", [](const Scenario& s) { return number(s.training.global_batch); }},
    {"--train-samples",
     [](const Scenario& s) { return number(static_cast<std::int64_t>(samples(s) + 0.5)); }},
    {"--bf16",
     [](const Scenario& s) {
       return flag(s.training.precision->name != "fp16" && s.training.precision->name != "fp32");
     }},
    {"--fp16", [](const Scenario& s) { return flag(s.training.precision->name == "fp16"); }},
    {"--fp8-format",
     [](const Scenario& s) {
       if (s.training.precision->name == "mxfp8") return Text("e4m3");
       return Text(s.training.precision->name == "fp8" ? "hybrid" : "");
     }},
    {"--fp8-recipe",
     [](const Scenario& s) {
       if (s.training.precision->name == "mxfp8") return Text("mxfp8");
       if (s.training.precision->name != "fp8" || s.training.fp8_recipe == "delayed") return Text();
       return Text(s.training.fp8_recipe == "current" ? "tensorwise" : s.training.fp8_recipe);
     }},
    {"--attention-backend",
     [](const Scenario& s) { return Text(s.training.flash_attention ? "" : "unfused"); }},
    {"--recompute-granularity",
     [](const Scenario& s) {
       if (is_full_recompute(s.training.recompute)) return Text("full");
       return Text(s.training.recompute.kind == Recompute::Kind::none ? "" : "selective");
     }},
    {"--recompute-method",
     [](const Scenario& s) {
       if (!is_full_recompute(s.training.recompute)) return Text();
       return Text(s.training.recompute.layers > 0 ? "block" : "uniform");
     }},
    {"--recompute-num-layers",
     [](const Scenario& s) {
       if (!is_full_recompute(s.training.recompute)) return Text();
       return number(std::max<std::int64_t>(1, s.training.recompute.layers));
     }},
    {"--recompute-modules", modules_of},
    {"--use-distributed-optimizer",
     [](const Scenario& s) { return flag(s.training.sharding.kind == Sharding::Kind::zero1); }},
    {"--use-megatron-fsdp", [](const Scenario& s) { return flag(!fsdp_strategy(s).empty()); }},
    {"--data-parallel-sharding-strategy", fsdp_strategy},
    {"--optimizer",
     [](const Scenario& s) { return Text(s.training.optimizer == "adamw" ? "" : s.training.optimizer); }},
    {"--optimizer-cpu-offload", [](const Scenario& s) { return flag(s.training.offload.optimizer); }},
    {"--overlap-grad-reduce", [](const Scenario& s) { return flag(s.training.overlap.data); }},
    {"--tp-comm-overlap",
     [](const Scenario& s) { return flag(s.training.overlap.tensor && s.layout.tensor > 1); }},
    {"--overlap-moe-expert-parallel-comm", [](const Scenario& s) { return flag(s.training.overlap.expert); }},
    {"--moe-token-dispatcher-type",
     [](const Scenario& s) {
       if (!s.model.experts) return Text();
       return Text(s.training.deduplicate_tokens ? "flex" : "alltoall");
     }},
};

// Options that a run may have and that say nothing of time or memory here; and prefixes of such.
constexpr std::string_view kSilent[] = {"--lr",
                                        "--min-lr",
                                        "--lr-",
                                        "--weight-decay",
                                        "--clip-grad",
                                        "--adam-",
                                        "--init-method",
                                        "--log-",
                                        "--tensorboard",
                                        "--wandb",
                                        "--save",
                                        "--load",
                                        "--data-",
                                        "--split",
                                        "--tokenizer",
                                        "--vocab-file",
                                        "--merge-file",
                                        "--eval-",
                                        "--seed",
                                        "--num-workers",
                                        "--distributed-",
                                        "--master-",
                                        "--node-rank",
                                        "--rdzv",
                                        "--train-data",
                                        "--valid-data",
                                        "--mock-data",
                                        "--exit-",
                                        "--ckpt",
                                        "--use-mcore-models",
                                        "--no-",
                                        "--initial-loss-scale",
                                        "--rotary",
                                        "--use-rotary",
                                        "--norm-epsilon",
                                        "--moe-aux",
                                        "--moe-router-load",
                                        "--moe-router-dtype",
                                        "--moe-router-score",
                                        "--moe-router-enable",
                                        "--moe-router-bias",
                                        "--moe-router-pre",
                                        "--moe-router-num-groups",
                                        "--moe-router-topk-scaling",
                                        "--moe-grouped-gemm",
                                        "--moe-z-loss",
                                        "--manual-gc",
                                        "--transformer-impl",
                                        "--timing",
                                        "--attention-softmax",
                                        "--attention-dropout",
                                        "--qk-layernorm",
                                        "--apply-",
                                        "--make-vocab",
                                        "--use-flash-attn",
                                        "--fp8-amax",
                                        "--fp8-margin",
                                        "--cross-entropy",
                                        "--distribute-saved",
                                        "--use-checkpoint",
                                        "--async-save",
                                        "--dist-ckpt",
                                        "--override",
                                        "--finetune",
                                        "--module",
                                        "--local-ranks",
                                        "--tee",
                                        "--mscale",
                                        "--beta-",
                                        "--original-max",
                                        "--mtp-loss",
                                        "--enable-experimental",
                                        "--create-attention",
                                        "--te-rng",
                                        "--overlap-param-gather",
                                        "--grad-reduce-in",
                                        "--accumulate-allreduce",
                                        "--moe-permute-fusion",
                                        "--ddp-",
                                        "--empty-unused"};

bool is_silent(std::string_view name) {
  return std::any_of(std::begin(kSilent), std::end(kSilent), [&](std::string_view prefix) {
    return name == prefix ||
           (name.starts_with(prefix) && (prefix.ends_with('-') || name[prefix.size()] == '-'));
  });
}

}  // namespace

MegatronExport export_megatron(const Scenario& s) {
  MegatronExport out;
  for (const Row& row : kRows) {
    const Text value = row.write(s);
    if (value.empty()) continue;
    out.options.push_back(value == "yes" ? std::string(row.name) : fmt::format("{} {}", row.name, value));
  }
  const std::string_view schedule = s.schedule.row != nullptr ? s.schedule.row->name : "";
  if (schedule != "1f1b" && schedule != "interleaved_1f1b")
    out.notes.push_back(fmt::format("Megatron-LM has no schedule {}: it runs {}", schedule,
                                    s.schedule.virtual_stages > 1 ? "interleaved 1F1B" : "1F1B"));
  if (s.training.precision->name == "nvfp4")
    out.notes.emplace_back("nvfp4 is written as bf16: no option of core 0.12");
  if (s.model.window) out.notes.emplace_back("the sliding window is left out");
  if (s.training.offload.activations) out.notes.emplace_back("offloading of activations is left out");
  if (s.training.cuda_graphs != "none") out.notes.emplace_back("CUDA graphs are left out");
  if (s.layout.context > 1 && s.layout.order[1] != Axis::context)
    out.notes.emplace_back("Megatron-LM keeps context ranks next to tensor ranks");
  return out;
}

namespace {

// Reads the options into the lines of a scenario.
class Importer {
 public:
  Importer(const Options& in, const std::string& node, std::int64_t nodes)
      : in_(in), node_(node), nodes_(nodes) {}

  MegatronImport read(const std::string& name) {
    line("name: {}", yaml_quoted(name));
    model();
    cluster();
    line("software: megatron");
    layout();
    schedule();
    training();
    for (const auto& [key, given] : in_.all()) {
      const auto& option = key;  // clang 14 cannot capture a binding
      const bool known =
          std::any_of(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.name == option; }) ||
          std::find(read_.begin(), read_.end(), option) != read_.end();
      if (!known && !is_silent(option)) note("line {}: {} is not known and was left out", given.line, option);
    }
    return {std::move(text_), std::move(notes_)};
  }

 private:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format(format, std::forward<Args>(args)...) + '\n';
  }
  template <class... Args>
  void note(fmt::format_string<Args...> format, Args&&... args) {
    notes_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  // An option beside the table's that import understands.
  bool also(std::string_view name) {
    read_.emplace_back(name);
    return in_.has(name);
  }

  void model() {
    const std::int64_t layers = in_.needed("--num-layers"), hidden = in_.needed("--hidden-size");
    const std::int64_t heads = in_.needed("--num-attention-heads");
    const bool swiglu = in_.has("--swiglu"), latent = in_.has("--multi-latent-attention");
    line("model:");
    line("  name: megatron");
    line("  layers: {}", layers);
    line("  hidden: {}", hidden);
    // Megatron's default for a gated MLP: 4h x 2/3 rounded to 64.
    const std::int64_t ffn = swiglu ? hidden * 4 * 2 / 3 / 64 * 64 : 4 * hidden;
    line("  ffn: {}", in_.count("--ffn-hidden-size", ffn));
    line("  heads: {}", heads);
    line("  kv_heads: {}",
         in_.has("--group-query-attention") && !latent ? in_.count("--num-query-groups", 1) : heads);
    if (latent) {
      const std::int64_t nope = in_.count("--qk-head-dim", 128),
                         rope = in_.count("--qk-pos-emb-head-dim", 64);
      line("  head_dim: {}", nope + rope);
      line("  latent_attention: {{q_lora: {}, kv_lora: {}, rope_dim: {}, nope_dim: {}, v_dim: {}}}",
           in_.count("--q-lora-rank", 0), in_.count("--kv-lora-rank", 32), rope, nope,
           in_.count("--v-head-dim", 128));
    } else if (in_.has("--kv-channels")) {
      line("  head_dim: {}", in_.count("--kv-channels", 0));
    }
    vocabulary();
    if (in_.text("--position-embedding-type", "learned_absolute") == "learned_absolute" &&
        !also("--use-rotary-position-embeddings"))
      line("  positions: {}", in_.count("--max-position-embeddings", in_.count("--seq-length", 0)));
    line("  activation: {}", swiglu ? "swiglu" : in_.has("--squared-relu") ? "squared_relu" : "gelu");
    if (!in_.has("--untie-embeddings-and-output-weights")) line("  tied_embeddings: true");
    if (!in_.has("--disable-bias-linear")) line("  biases: true");
    line("  normalization: {}",
         in_.text("--normalization", "LayerNorm") == "RMSNorm" ? "rmsnorm" : "layernorm");
    const std::string dropout = in_.text("--hidden-dropout", "0.1");
    if (dropout.find_first_not_of("0.") != std::string::npos) line("  dropout: true");
    if (in_.has("--num-experts")) experts(layers);
    if (in_.has("--mtp-num-layers")) line("  multi_token_prediction: {}", in_.count("--mtp-num-layers", 0));
  }

  void vocabulary() {
    if (in_.has("--vocab-size")) {
      line("  vocabulary: {}", in_.count("--vocab-size", 0));
      return;
    }
    line("  vocabulary: 128256");
    note("--vocab-size is missing (the tokenizer says it): 128,256 is assumed, as LLaMA 3 has");
  }

  void experts(std::int64_t layers) {
    line("  experts:");
    line("    count: {}", in_.count("--num-experts", 0));
    line("    top_k: {}", in_.count("--moe-router-topk", 2));
    line("    ffn: {}", in_.count("--moe-ffn-hidden-size", in_.count("--ffn-hidden-size", 0)));
    if (const std::int64_t shared = in_.count("--moe-shared-expert-intermediate-size", 0); shared > 0)
      line("    shared_ffn: {}", shared);
    if (const std::int64_t limit = in_.count("--moe-router-group-topk", 0); limit > 0)
      line("    node_limit: {}", limit);
    if (in_.has("--moe-expert-capacity-factor"))
      line("    capacity_factor: {}", in_.text("--moe-expert-capacity-factor"));
    frequency(layers);
  }

  // "2" or "([0]*3+[1]*58)", the list that leading dense layers need.
  void frequency(std::int64_t layers) {
    const std::string text = in_.text("--moe-layer-freq", "1");
    std::int64_t dense = 0, rest = 0;
    char end = 0;
    if (std::sscanf(text.c_str(), "([0]*%ld+[1]*%ld%c", &dense, &rest, &end) == 3 && end == ')' &&
        dense + rest == layers) {
      line("    dense_layers: {}", dense);
    } else if (text.find_first_not_of("0123456789") == std::string::npos) {
      if (in_.count("--moe-layer-freq", 1) > 1) line("    every: {}", in_.count("--moe-layer-freq", 1));
    } else {
      in_.fail(
          "--moe-layer-freq",
          fmt::format("must be a number or ([0]*D+[1]*E) with D + E = {} layers, not '{}'", layers, text));
    }
  }

  void cluster() {
    also("--nproc-per-node");
    const std::int64_t per_node = in_.text("--nproc-per-node").empty() ? 8 : in_.count("--nproc-per-node", 8);
    std::int64_t nodes = nodes_;
    const std::string said = in_.text("--nnodes");
    if (nodes == 0 && !said.empty()) nodes = in_.count("--nnodes", 1);
    if (nodes == 0) {
      const std::int64_t needed = tensor() * context() * pipeline();
      nodes = std::max<std::int64_t>(1, (needed + per_node - 1) / std::max<std::int64_t>(1, per_node));
      note("the script does not say how many nodes: {} are the fewest for the layout; --nodes says it",
           nodes);
    }
    line("cluster:");
    line("  node: {}", node_);
    line("  nodes: {}", nodes);
    line("  gpus_per_node: {}", per_node);
    line("  fabric: {}", nodes > 1 ? "infiniband-ndr-rail" : "none");
    note("hardware is assumed: {} {}", nodes, node_);
  }

  std::int64_t tensor() const { return in_.count("--tensor-model-parallel-size", 1); }
  std::int64_t pipeline() const { return in_.count("--pipeline-model-parallel-size", 1); }
  std::int64_t context() const { return in_.count("--context-parallel-size", 1); }

  void layout() {
    line("layout:");
    line("  tensor: {}", tensor());
    line("  sequence_parallel: {}", in_.has("--sequence-parallel") && tensor() > 1);
    line("  context: {}", context());
    const std::string method = in_.text("--cp-comm-type", "p2p");
    line("  context_method: {}", method == "a2a" ? "ulysses" : method == "all_gather" ? "allgather" : "ring");
    line("  pipeline: {}", pipeline());
    line("  data: auto");
    if (in_.has("--num-experts")) {
      line("  expert: {}", in_.count("--expert-model-parallel-size", 1));
      line("  expert_tensor: {}", in_.count("--expert-tensor-parallel-size", tensor()));
    }
    line("  order: [tensor, context, {}]",
         in_.has("--use-tp-pp-dp-mapping") ? "pipeline, data" : "data, pipeline");
  }

  void schedule() {
    const std::int64_t layers = in_.needed("--num-layers"), pp = pipeline();
    std::int64_t chunks = in_.count("--num-virtual-stages-per-pipeline-rank", 1);
    if (also("--num-layers-per-virtual-pipeline-stage")) {
      const std::int64_t each = in_.count("--num-layers-per-virtual-pipeline-stage", 1);
      if (each == 0 || layers % (pp * each) != 0)
        in_.fail("--num-layers-per-virtual-pipeline-stage",
                 fmt::format("{} x {} pipeline ranks do not divide {} layers", each, pp, layers));
      chunks = layers / pp / each;
    }
    line("schedule:");
    line("  name: {}", chunks > 1 ? "interleaved_1f1b" : "1f1b");
    line("  virtual_stages: {}", chunks);
    if (chunks > 1 && in_.has("--microbatch-group-size-per-virtual-pipeline-stage"))
      line("  group_size: {}", in_.count("--microbatch-group-size-per-virtual-pipeline-stage", pp));
    line("  p2p: {}", chunks > 1 && !in_.has("--no-overlap-p2p-communication") ? "overlapped" : "blocking");
    if (also("--account-for-embedding-in-pipeline-split")) line("  embedding_as_layer: true");
    if (also("--account-for-loss-in-pipeline-split")) line("  head_as_layer: true");
    if (also("--decoder-first-pipeline-num-layers"))
      line("  first_stage_layers: {}", in_.count("--decoder-first-pipeline-num-layers", 0));
    if (also("--decoder-last-pipeline-num-layers"))
      line("  last_stage_layers: {}", in_.count("--decoder-last-pipeline-num-layers", 0));
  }

  void training() {
    const std::int64_t sequence = in_.needed("--seq-length"), batch = in_.needed("--global-batch-size");
    line("training:");
    std::int64_t samples = in_.count("--train-samples", 0);
    if (also("--train-iters")) samples = in_.count("--train-iters", 0) * batch;
    if (samples > 0)
      line("  tokens: {}", samples * sequence);
    else
      note("neither --train-samples nor --train-iters: the length of the run is the scenario's default");
    line("  sequence_length: {}", sequence);
    line("  global_batch: {}", batch);
    line("  micro_batch: {}", in_.needed("--micro-batch-size"));
    precision();
    also("--use-flash-attn");
    line("  attention: {}", in_.text("--attention-backend") == "unfused" ? "standard" : "flash");
    recompute();
    sharding();
    line("  optimizer: {}", in_.text("--optimizer", "adam") == "adam" ? "adamw" : in_.text("--optimizer"));
    if (in_.has("--optimizer-cpu-offload")) line("  offload: optimizer");
    line("  overlap: {{data: {}, tensor: {}, expert: {}}}", in_.has("--overlap-grad-reduce"),
         in_.has("--tp-comm-overlap"), in_.has("--overlap-moe-expert-parallel-comm"));
    if (in_.has("--num-experts"))
      line("  expert_dispatcher: {}",
           in_.text("--moe-token-dispatcher-type", "allgather") == "flex" ? "deepep" : "alltoall");
    also("--moe-enable-deepep");
  }

  void precision() {
    std::string name = in_.has("--fp16") ? "fp16" : in_.has("--bf16") ? "bf16" : "fp32", recipe;
    if (in_.has("--fp8-format")) {
      recipe = in_.text("--fp8-recipe", "delayed");
      name = recipe == "mxfp8" ? "mxfp8" : "fp8";
    }
    line("  precision: {}", name);
    if (name == "fp8") line("  fp8_recipe: {}", recipe == "tensorwise" ? "current" : recipe);
  }

  void recompute() {
    const std::string granularity =
        also("--recompute-activations") ? "selective" : in_.text("--recompute-granularity");
    if (granularity == "full" && in_.text("--recompute-method") == "block") {
      line("  recompute: {{layers: {}}}", in_.count("--recompute-num-layers", 1));
    } else if (granularity == "selective" && in_.has("--recompute-modules")) {
      std::vector<std::string_view> words;
      for (const std::string& module : in_.texts("--recompute-modules")) {
        const auto row = std::find_if(std::begin(kModules), std::end(kModules),
                                      [&](const auto& m) { return m.first == module; });
        if (row == std::end(kModules)) {
          note("--recompute-modules {}: no such module here, left out", module);
        } else {
          words.push_back(row->second);
        }
      }
      line("  recompute: [{}]", fmt::join(words, ", "));
    } else {
      line("  recompute: {}", granularity.empty() ? "none" : granularity);
    }
  }

  void sharding() {
    const std::string strategy = in_.text("--data-parallel-sharding-strategy", "no_shard");
    if (in_.has("--use-megatron-fsdp") && strategy != "no_shard") {
      line("  sharding: {}", strategy == "optim_grads_params" ? "zero3"
                             : strategy == "optim_grads"      ? "zero2"
                                                              : "zero1");
    } else {
      line("  sharding: {}", in_.has("--use-distributed-optimizer") ? "zero1" : "none");
    }
  }

  const Options& in_;
  std::string node_;
  std::int64_t nodes_;
  std::string text_;
  std::vector<std::string> notes_;
  std::vector<std::string> read_;
};

}  // namespace

MegatronImport import_megatron(const std::string& script, const std::string& name, const std::string& where,
                               const std::string& node, std::int64_t nodes) {
  const Options options(script, where);
  if (options.all().empty())
    throw ConfigError(where + ": no option of Megatron-LM in it (--num-layers, ...)");
  return Importer(options, node, nodes).read(name);
}

}  // namespace runcast
