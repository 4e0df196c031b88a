// The table of options with what each writes of a scenario, and the export that it makes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "scenarios/interchange/megatron.hpp"
#include "scenarios/interchange/megatron_options.hpp"
#include "scenarios/interchange/pipeline_layout.hpp"

namespace runcast {
namespace {

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

constexpr MegatronModule kModules[] = {{"core_attn", "attention_core"},
                                       {"mlp", "mlp_up"},
                                       {"moe_act", "moe_activation"},
                                       {"layernorm", "norms"},
                                       {"mla_up_proj", "mla_up"}};

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

// Stages of a pipeline rank for Megatron-LM: DualPipe's second one is another rank's first, held twice.
std::int64_t chunks_of(const Scenario& s) {
  return std::max<std::int64_t>(
      1, static_cast<std::int64_t>(s.schedule.stage_layers.size()) / std::max(1, s.layout.pipeline));
}

// Layers of the stages as Megatron-LM's options say them, which otherwise divides evenly.
struct Split {
  bool said = true;  // false: only --pipeline-model-parallel-layout says it
  std::int64_t first = 0, last = 0;
  bool embedding = false, head = false;
};
Split split_of(const Scenario& s) {
  const std::vector<std::int64_t>& layers = s.schedule.stage_layers;
  Split out;
  if (layers.size() < 2 || std::all_of(layers.begin(), layers.end(), [&](auto n) { return n == layers[0]; }))
    return out;
  if (layers.size() == 2) {
    out.said = chunks_of(s) == 1;
    if (out.said) out.last = layers.back();
    return out;
  }
  const std::int64_t middle = layers[1];
  out.said = std::all_of(layers.begin() + 1, layers.end() - 1, [&](auto n) { return n == middle; });
  if (!out.said) return out;
  if (chunks_of(s) == 1) {
    out.first = layers.front() == middle ? 0 : layers.front();
    out.last = layers.back() == middle ? 0 : layers.back();
    out.said = layers.front() > 0 && layers.back() > 0;
    return out;
  }
  // With virtual stages those two count the layers of a rank; embedding and head as layers fit stages of one less.
  out.embedding = layers.front() == middle - 1;
  out.head = layers.back() == middle - 1;
  out.said = (out.embedding || layers.front() == middle) && (out.head || layers.back() == middle);
  if (!out.said) out.embedding = out.head = false;
  return out;
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
    {"--max-position-embeddings",  // needed by every run, whatever the positions are
     [](const Scenario& s) {
       return number(s.model.positions > 0 ? s.model.positions : s.training.sequence_length);
     }},
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
    {"--pipeline-model-parallel-layout",
     [](const Scenario& s) {
       return split_of(s).said ? Text()
                               : pipeline_layout_text(s.schedule.stage_layers, s.model.predicted_tokens);
     }},
    {"--num-virtual-stages-per-pipeline-rank",
     [](const Scenario& s) { return split_of(s).said ? number(chunks_of(s), 1) : Text(); }},
    {"--microbatch-group-size-per-virtual-pipeline-stage",
     [](const Scenario& s) {
       const int n = s.schedule.group_size;
       return chunks_of(s) > 1 && n != s.layout.pipeline ? number(n) : Text();
     }},
    {"--decoder-first-pipeline-num-layers", [](const Scenario& s) { return number(split_of(s).first); }},
    {"--decoder-last-pipeline-num-layers", [](const Scenario& s) { return number(split_of(s).last); }},
    {"--account-for-embedding-in-pipeline-split",
     [](const Scenario& s) { return flag(split_of(s).embedding); }},
    {"--account-for-loss-in-pipeline-split", [](const Scenario& s) { return flag(split_of(s).head); }},
    {"--no-overlap-p2p-communication",
     [](const Scenario& s) {
       return flag(chunks_of(s) > 1 && s.schedule.point_to_point == PointToPoint::blocking);
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
       const bool modules = s.training.recompute.kind == Recompute::Kind::modules;
       if (modules && modules_of(s).empty()) return Text();
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
     [](const Scenario& s) {
       const std::string& name = s.training.optimizer;
       return Text(name == "sgd" || name == "muon" ? name : "");
     }},
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
                                        "--no-masked-softmax-fusion",
                                        "--no-bias-gelu-fusion",
                                        "--no-bias-swiglu-fusion",
                                        "--no-bias-dropout-fusion",
                                        "--no-rope-fusion",
                                        "--no-gradient-accumulation-fusion",
                                        "--no-save-optim",
                                        "--no-save-rng",
                                        "--no-load-optim",
                                        "--no-load-rng",
                                        "--no-async-tensor-model-parallel-allreduce",
                                        "--no-query-key-layer-scaling",
                                        "--no-position-embedding",
                                        "--no-initialization",
                                        "--no-check-for-nan-in-loss-and-grad",
                                        "--no-data-sharding",
                                        "--no-log-learning-rate-to-tensorboard",
                                        "--no-log-loss-scale-to-tensorboard",
                                        "--no-log-learnig-rate-to-tensorboard",
                                        "--no-persist-layer-norm",
                                        "--no-create-attention-mask-in-dataloader",
                                        "--no-mmap-bin-files",
                                        "--no-scatter-gather-tensors-in-pipeline",
                                        "--no-barrier-with-level-1-timing",
                                        "--no-one-logger",
                                        "--no-ckpt-fully-parallel-save",
                                        "--no-use-tokenizer-model-from-checkpoint-args",
                                        "--no-align-grad-reduce",
                                        "--no-align-param-gather",
                                        "--no-fp8-wgrad",
                                        "--no-clone-scatter-output-in-embedding",
                                        "--no-delay-grad-reduce",
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

bool silent_option(std::string_view name) {
  return std::any_of(std::begin(kSilent), std::end(kSilent), [&](std::string_view prefix) {
    return name == prefix ||
           (name.starts_with(prefix) && (prefix.ends_with('-') || name[prefix.size()] == '-'));
  });
}

void add_layout_notes(const Scenario& s, std::vector<std::string>& notes) {
  if (!split_of(s).said) notes.emplace_back("--pipeline-model-parallel-layout is of core 0.13 and later");
  for (const PhaseSpec& phase : s.phases)
    notes.push_back(
        fmt::format("the phase {} ({:.4g} tokens, {} sequences of {}) is left out: a launch has one batch "
                    "and one sequence length",
                    phase.name, phase.tokens, phase.global_batch, phase.sequence_length));
  if (s.training.sharding.group > 0)
    notes.push_back(fmt::format("the sharding group of {} ranks is left out: all replicas are one group",
                                s.training.sharding.group));
}

void add_training_notes(const Scenario& s, std::vector<std::string>& notes) {
  const std::string& optimizer = s.training.optimizer;
  if (optimizer == "muon") notes.emplace_back("--optimizer muon is of core 0.15 and later");
  if (optimizer != "adamw" && optimizer != "sgd" && optimizer != "muon")
    notes.push_back(fmt::format("the optimizer {} is left out: Megatron-LM then runs Adam", optimizer));
  if (s.training.recompute.kind != Recompute::Kind::modules) return;
  for (const std::string& module : s.training.recompute.modules)
    if (std::none_of(std::begin(kModules), std::end(kModules),
                     [&](const MegatronModule& m) { return m.ours == module; }))
      notes.push_back(
          fmt::format("recomputation of {} is left out: no module of --recompute-modules", module));
}

// As a word of the shell.
std::string quoted(const std::string& value) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-./:=,+ ").find(c) != std::string_view::npos;  // blanks: several words
  };
  return std::all_of(value.begin(), value.end(), plain) ? value : '"' + value + '"';
}

}  // namespace

bool is_megatron_option(std::string_view name) {
  return std::any_of(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.name == name; });
}
bool is_silent_megatron_option(std::string_view name) { return silent_option(name); }
std::span<const MegatronModule> megatron_modules() { return kModules; }

MegatronExport export_megatron(const Scenario& s) {
  MegatronExport out;
  for (const Row& row : kRows) {
    const Text value = row.write(s);
    if (value.empty()) continue;
    out.options.push_back(value == "yes" ? std::string(row.name)
                                         : fmt::format("{} {}", row.name, quoted(value)));
  }
  const std::string_view schedule = s.schedule.row != nullptr ? s.schedule.row->name : "";
  if (schedule != "1f1b" && schedule != "interleaved_1f1b")
    out.notes.push_back(fmt::format("Megatron-LM has no schedule {}: it runs {}", schedule,
                                    chunks_of(s) > 1 ? "interleaved 1F1B" : "1F1B"));
  if (s.training.precision->name == "nvfp4")
    out.notes.emplace_back("nvfp4 is written as bf16: no option of core 0.12");
  if (s.model.window) out.notes.emplace_back("the sliding window is left out");
  if (s.training.offload.activations) out.notes.emplace_back("offloading of activations is left out");
  if (s.training.cuda_graphs != "none") out.notes.emplace_back("CUDA graphs are left out");
  if (s.layout.context > 1 && s.layout.order[1] != Axis::context)
    out.notes.emplace_back("Megatron-LM keeps context ranks next to tensor ranks");
  add_layout_notes(s, out.notes);
  add_training_notes(s, out.notes);
  return out;
}

}  // namespace runcast
