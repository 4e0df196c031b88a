// Reads the options of a launch into the lines of a scenario.
#include "scenarios/interchange/megatron.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <numeric>
#include <optional>
#include <sstream>

#include "scenarios/interchange/megatron_options.hpp"
#include "scenarios/interchange/pipeline_layout.hpp"
#include "scenarios/interchange/shell_arguments.hpp"
#include "scenarios/interchange/yaml_text.hpp"
#include "sim/error.hpp"

namespace runcast {
namespace {

using Given =
    std::map<std::string, ShellOption, std::less<>>;  // by name; a later one replaces an earlier one

constexpr const char* kLayout = "--pipeline-model-parallel-layout";

// The options of a script, read by name and kind.
class Options {
 public:
  Options(const std::string& script, std::string where) : where_(std::move(where)) {
    LaunchCommand launch = launch_command(script, where_, is_megatron_option);
    for (ShellOption& option : launch.options) given_[option.name] = std::move(option);
    notes_ = std::move(launch.notes);
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
      fail(name, !value.empty() ? fmt::format("needs a whole number, not '{}'", value)
                                : "needs a number that the script itself gives" +
                                      (at->second.unknown.empty() ? "" : ": " + at->second.unknown));
    return number;
  }
  // One of a few words; refuses another.
  std::string choice(std::string_view name, std::initializer_list<std::string_view> legal,
                     std::string fallback) const {
    const std::string value = text(name, std::move(fallback));
    if (has(name) && std::find(legal.begin(), legal.end(), value) == legal.end())
      fail(name, fmt::format("is '{}'; legal: {}", value, fmt::join(legal, " ")));
    return value;
  }
  std::int64_t needed(std::string_view name) const {
    if (!has(name))
      throw ConfigError(fmt::format("{}: {} is missing: no run of Megatron-LM starts without it{}", where_,
                                    name,
                                    notes_.empty() ? "" : fmt::format("; {}", fmt::join(notes_, "; "))));
    return count(name, 0);
  }
  [[noreturn]] void fail(std::string_view name, const std::string& sentence) const {
    const auto at = given_.find(name);
    throw ConfigError(
        fmt::format("{}:{}: {} {}", where_, at == given_.end() ? 0 : at->second.line, name, sentence));
  }
  const std::vector<std::string>& notes() const { return notes_; }
  // Where an option stands: "launch.sh:12: --num-layers".
  std::string place(std::string_view name) const {
    const auto at = given_.find(name);
    return at == given_.end() ? fmt::format("{}: {}", where_, name)
                              : fmt::format("{}:{}: {}", where_, at->second.line, name);
  }

 private:
  Given given_;
  std::string where_;
  std::vector<std::string> notes_;
};

// Keys of the scenario that this writes, with the option that each comes from: for errors of the scenario.
constexpr std::pair<std::string_view, std::string_view> kOrigins[] = {
    {"layers", "--num-layers"},
    {"hidden", "--hidden-size"},
    {"ffn", "--ffn-hidden-size"},
    {"heads", "--num-attention-heads"},
    {"kv_heads", "--num-query-groups"},
    {"head_dim", "--kv-channels"},
    {"latent_attention", "--multi-latent-attention"},
    {"vocabulary", "--vocab-size"},
    {"positions", "--max-position-embeddings"},
    {"multi_token_prediction", "--mtp-num-layers"},
    {"count", "--num-experts"},
    {"top_k", "--moe-router-topk"},
    {"shared_ffn", "--moe-shared-expert-intermediate-size"},
    {"node_limit", "--moe-router-group-topk"},
    {"capacity_factor", "--moe-expert-capacity-factor"},
    {"dense_layers", "--moe-layer-freq"},
    {"every", "--moe-layer-freq"},
    {"node", "--node"},
    {"nodes", "--nodes"},
    {"gpus_per_node", "--nproc-per-node"},
    {"tensor", "--tensor-model-parallel-size"},
    {"sequence_parallel", "--sequence-parallel"},
    {"context", "--context-parallel-size"},
    {"context_method", "--cp-comm-type"},
    {"pipeline", "--pipeline-model-parallel-size"},
    {"data", "--nodes"},
    {"expert", "--expert-model-parallel-size"},
    {"expert_tensor", "--expert-tensor-parallel-size"},
    {"virtual_stages", "--num-virtual-stages-per-pipeline-rank"},
    {"group_size", "--microbatch-group-size-per-virtual-pipeline-stage"},
    {"embedding_as_layer", "--account-for-embedding-in-pipeline-split"},
    {"head_as_layer", "--account-for-loss-in-pipeline-split"},
    {"first_stage_layers", "--decoder-first-pipeline-num-layers"},
    {"last_stage_layers", "--decoder-last-pipeline-num-layers"},
    {"stage_layers", "--pipeline-model-parallel-layout"},
    {"tokens", "--train-samples"},
    {"sequence_length", "--seq-length"},
    {"global_batch", "--global-batch-size"},
    {"micro_batch", "--micro-batch-size"},
    {"precision", "--fp8-format"},
    {"fp8_recipe", "--fp8-recipe"},
    {"recompute", "--recompute-granularity"},
    {"sharding", "--use-distributed-optimizer"},
    {"overlap", "--overlap-moe-expert-parallel-comm"}};

// Reads the options into the lines of a scenario.
class Importer {
 public:
  Importer(const Options& in, const std::string& node, std::int64_t nodes)
      : in_(in), node_(node), nodes_(nodes) {}

  MegatronImport read(const std::string& name) {
    notes_ = in_.notes();
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
          is_megatron_option(option) || std::find(read_.begin(), read_.end(), option) != read_.end();
      if (!known && !is_silent_megatron_option(option))
        note("line {}: {} is not known and was left out", given.line, option);
      if (known && !given.unknown.empty() && in_.text(option).empty() && option != "--nproc-per-node")
        note("line {}: the value of {} is not known ({}): its default is taken", given.line, option,
             given.unknown);
    }
    std::map<std::string, std::string, std::less<>> origins;
    for (const auto& [yaml_key, option] : kOrigins) origins.emplace(yaml_key, in_.place(option));
    return {std::move(text_), std::move(notes_), std::move(origins)};
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
    if (in_.choice("--position-embedding-type",
                   {"learned_absolute", "rope", "mrope", "yarn", "relative", "none"},
                   "learned_absolute") == "learned_absolute" &&
        !also("--use-rotary-position-embeddings"))
      line("  positions: {}", in_.count("--max-position-embeddings", in_.count("--seq-length", 0)));
    line("  activation: {}", swiglu ? "swiglu" : in_.has("--squared-relu") ? "squared_relu" : "gelu");
    if (!in_.has("--untie-embeddings-and-output-weights")) line("  tied_embeddings: true");
    if (!in_.has("--disable-bias-linear")) line("  biases: true");
    const bool rms = in_.choice("--normalization", {"LayerNorm", "RMSNorm"}, "LayerNorm") == "RMSNorm";
    line("  normalization: {}", rms ? "rmsnorm" : "layernorm");
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
    const bool brackets = text.starts_with('(') && text.ends_with(')');  // Python's, which may be missing
    const std::string list = brackets ? text.substr(1, text.size() - 2) : text;
    std::int64_t dense = 0, rest = 0;
    int length = 0;
    if (std::sscanf(list.c_str(), "[0]*%ld+[1]*%ld%n", &dense, &rest, &length) == 2 && length > 0 &&
        static_cast<std::size_t>(length) == list.size() && dense >= 0 && rest >= 0 && dense <= layers &&
        rest == layers - dense) {
      line("    dense_layers: {}", dense);
    } else if (text.find_first_not_of("0123456789") == std::string::npos) {
      if (in_.count("--moe-layer-freq", 1) > 1) line("    every: {}", in_.count("--moe-layer-freq", 1));
    } else {
      in_.fail(
          "--moe-layer-freq",
          fmt::format("must be a number or ([0]*D+[1]*E) with D + E = {} layers, not '{}'", layers, text));
    }
  }

  // GPUs of a node as torchrun or Slurm say it.
  std::int64_t gpus_of_a_node() {
    constexpr std::string_view kNames[] = {"--nproc-per-node", "--gpus-per-node", "--ntasks-per-node"};
    for (const std::string_view name : kNames) also(name);
    for (const std::string_view name : kNames) {
      const std::string value = in_.text(name);  // "8", "h100:8"
      const std::string digits = value.substr(value.find_last_of(':') + 1);
      if (digits.empty() || value.starts_with('$')) continue;
      if (name == "--ntasks-per-node" && digits == "1") continue;  // of torchrun, which starts more
      if (value == digits) return in_.count(name, 8);
      std::int64_t count = 0;
      std::from_chars(digits.data(), digits.data() + digits.size(), count);
      if (count < 1 || count > 1000) in_.fail(name, fmt::format("needs a whole number, not '{}'", value));
      return count;
    }
    if (const auto at = in_.all().find("--nproc-per-node"); at != in_.all().end())
      note("line {}: --nproc-per-node has no value that the script itself gives: 8 GPUs a node are assumed",
           at->second.line);
    return 8;
  }

  void cluster() {
    const std::int64_t per_node = gpus_of_a_node(), needed = tensor() * context() * pipeline();
    std::int64_t nodes = nodes_;
    also("--nodes");
    const std::string said = !in_.text("--nnodes").empty() ? "--nnodes"
                             : in_.text("--nodes").empty() ? ""
                                                           : "--nodes";
    if (nodes == 0 && !said.empty()) nodes = in_.count(said, 1);
    if (nodes == 0) {
      nodes = std::max<std::int64_t>(1, (needed + per_node - 1) / std::max<std::int64_t>(1, per_node));
      note("the script does not say how many nodes: {} are the fewest for the layout; --nodes says it",
           nodes);
    }
    if (needed > 0 && per_node > 0 && nodes > 0 && nodes < 1'000'000'000 && per_node < 1'000'000 &&
        nodes * per_node % needed != 0)
      throw ConfigError(
          fmt::format("{}: {} nodes x {} GPUs = {} GPUs are no multiple of tensor {} x context {} x pipeline "
                      "{} = {} GPUs; "
                      "`import megatron --nodes N` says another number",
                      nodes_ > 0 ? "--nodes" : in_.place(said.empty() ? "--nnodes" : said), nodes, per_node,
                      nodes * per_node, tensor(), context(), pipeline(), needed));
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
    const std::string method =
        in_.choice("--cp-comm-type", {"p2p", "a2a", "allgather", "all_gather", "a2a+p2p"}, "p2p");
    if (method == "a2a+p2p") note("--cp-comm-type a2a+p2p is read as p2p, a ring over all context ranks");
    line("  context_method: {}", method == "a2a"             ? "ulysses"
                                 : method.starts_with("all") ? "allgather"
                                                             : "ring");
    line("  pipeline: {}", pipeline());
    line("  data: auto");
    if (in_.has("--num-experts")) {
      line("  expert: {}", in_.count("--expert-model-parallel-size", 1));
      line("  expert_tensor: {}", in_.count("--expert-tensor-parallel-size", tensor()));
    }
    line("  order: [tensor, context, {}]",
         in_.has("--use-tp-pp-dp-mapping") ? "pipeline, data" : "data, pipeline");
  }

  // Every stage's layers, which the other options of the split must not say too.
  PipelineLayout custom_layout(std::int64_t layers, std::int64_t pp) {
    PipelineLayout read;
    try {
      read = read_pipeline_layout(in_.text(kLayout));
    } catch (const ConfigError& error) {
      in_.fail(kLayout, error.what());
    }
    for (const char* other :
         {"--decoder-first-pipeline-num-layers", "--decoder-last-pipeline-num-layers",
          "--num-layers-per-virtual-pipeline-stage", "--account-for-embedding-in-pipeline-split",
          "--account-for-loss-in-pipeline-split"})
      if (in_.has(other)) in_.fail(kLayout, fmt::format("says what {} says too: give one of them", other));
    const auto stages = static_cast<std::int64_t>(read.layers.size());
    const std::int64_t sum = std::accumulate(read.layers.begin(), read.layers.end(), std::int64_t{0});
    if (stages % pp != 0)
      in_.fail(kLayout, fmt::format("has {} stages, which {} pipeline ranks do not divide", stages, pp));
    if (const std::int64_t chunks = in_.count("--num-virtual-stages-per-pipeline-rank", stages / pp);
        chunks != stages / pp)
      in_.fail(kLayout, fmt::format("has {} stages a rank; --num-virtual-stages-per-pipeline-rank is {}",
                                    stages / pp, chunks));
    if (sum != layers) in_.fail(kLayout, fmt::format("has {} layers (t); --num-layers is {}", sum, layers));
    if (const std::int64_t predicted = in_.count("--mtp-num-layers", 0); read.predicted != predicted)
      in_.fail(kLayout, fmt::format("has {} prediction layers (m); --mtp-num-layers is {}", read.predicted,
                                    predicted));
    if (read.predicted > 0 && read.predicted_stage + 1 != stages)
      note("{}: the prediction layers of stage {} of {} are computed with the loss, in the last", kLayout,
           read.predicted_stage + 1, stages);
    return read;
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
    std::optional<PipelineLayout> custom;
    if (also(kLayout)) custom = custom_layout(layers, pp);
    if (custom) chunks = static_cast<std::int64_t>(custom->layers.size()) / pp;
    line("schedule:");
    line("  name: {}", chunks > 1 ? "interleaved_1f1b" : "1f1b");
    line("  virtual_stages: {}", chunks);
    if (chunks > 1 && in_.has("--microbatch-group-size-per-virtual-pipeline-stage"))
      line("  group_size: {}", in_.count("--microbatch-group-size-per-virtual-pipeline-stage", pp));
    line("  p2p: {}", chunks > 1 && !in_.has("--no-overlap-p2p-communication") ? "overlapped" : "blocking");
    if (custom) return line("  stage_layers: [{}]", fmt::join(custom->layers, ", "));
    const bool embedding = also("--account-for-embedding-in-pipeline-split"),
               head = also("--account-for-loss-in-pipeline-split");
    // One layer a stage: embedding and head have the first and the last to themselves, as without the keys.
    if (!(embedding && head && layers + 2 == pp * chunks)) {
      if (embedding) line("  embedding_as_layer: true");
      if (head) line("  head_as_layer: true");
    }
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
    const std::string backend =
        in_.choice("--attention-backend", {"flash", "fused", "unfused", "local", "auto"}, "auto");
    line("  attention: {}", backend == "unfused" || backend == "local" ? "standard" : "flash");
    recompute();
    sharding();
    const std::string optimizer = in_.choice("--optimizer", {"adam", "sgd", "muon", "dist_muon"}, "adam");
    line("  optimizer: {}", optimizer == "adam" ? "adamw" : optimizer == "sgd" ? "sgd" : "muon");
    if (in_.has("--optimizer-cpu-offload")) line("  offload: optimizer");
    line("  overlap: {{data: {}, tensor: {}, expert: {}}}", in_.has("--overlap-grad-reduce"),
         in_.has("--tp-comm-overlap"), in_.has("--overlap-moe-expert-parallel-comm"));
    if (in_.has("--num-experts"))
      line("  expert_dispatcher: {}",
           in_.choice("--moe-token-dispatcher-type", {"allgather", "alltoall", "alltoall_seq", "flex"},
                      "allgather") == "flex"
               ? "deepep"
               : "alltoall");
    also("--moe-enable-deepep");
  }

  void precision() {
    std::string name = in_.has("--fp16") ? "fp16" : in_.has("--bf16") ? "bf16" : "fp32", recipe;
    if (in_.has("--fp8-format")) {
      (void)in_.choice("--fp8-format", {"hybrid", "e4m3"}, "hybrid");
      recipe = in_.choice("--fp8-recipe", {"delayed", "tensorwise", "blockwise", "mxfp8"}, "delayed");
      name = recipe == "mxfp8" ? "mxfp8" : "fp8";
    }
    line("  precision: {}", name);
    if (name == "fp8") line("  fp8_recipe: {}", recipe == "tensorwise" ? "current" : recipe);
  }

  void recompute() {
    const std::string granularity = also("--recompute-activations")
                                        ? "selective"
                                        : in_.choice("--recompute-granularity", {"full", "selective"}, "");
    if (granularity == "full" && in_.choice("--recompute-method", {"uniform", "block"}, "") == "block") {
      line("  recompute: {{layers: {}}}", in_.count("--recompute-num-layers", 1));
    } else if (granularity == "selective" && in_.has("--recompute-modules")) {
      std::vector<std::string_view> words;
      static constexpr std::string_view kLegal[] = {"core_attn", "moe_act", "layernorm",     "mla_up_proj",
                                                    "mlp",       "moe",     "shared_experts"};
      for (const std::string& module : in_.texts("--recompute-modules")) {
        if (module.empty() || module.ends_with(".py")) continue;
        if (std::find(std::begin(kLegal), std::end(kLegal), module) == std::end(kLegal))
          in_.fail("--recompute-modules", fmt::format("has '{}'; legal: {}", module, fmt::join(kLegal, " ")));
        const auto known = megatron_modules();
        const auto row = std::find_if(known.begin(), known.end(),
                                      [&](const MegatronModule& m) { return m.theirs == module; });
        if (row == known.end())
          note("--recompute-modules {}: no such module here, left out", module);
        else
          words.push_back(row->ours);
      }
      line("  recompute: [{}]", fmt::join(words, ", "));
    } else {
      line("  recompute: {}", granularity.empty() ? "none" : granularity);
    }
  }

  void sharding() {
    const std::string strategy =
        in_.choice("--data-parallel-sharding-strategy",
                   {"no_shard", "optim", "optim_grads", "optim_grads_params"}, "no_shard");
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

std::string told_by_options(const std::string& error, const MegatronImport& import) {
  // "launch.sh as a scenario:22:3: sentence" of each line.
  std::vector<std::string> lines;
  std::istringstream yaml(import.yaml), told(error);
  for (std::string line; std::getline(yaml, line);) lines.push_back(line);
  std::string out;
  for (std::string row; std::getline(told, row);) {
    const std::size_t mark = row.find(" as a scenario:");
    if (mark == std::string::npos) {
      // The source line and its caret belong to a text that nobody has.
      if (row.empty() || row[0] == ' ' || row.find(" | ") != std::string::npos) continue;
      out += (out.empty() ? "" : "\n") + row;
      continue;
    }
    const std::string place = row.substr(mark + 15);
    const auto number = static_cast<std::size_t>(std::strtoul(place.c_str(), nullptr, 10));
    const std::size_t sentence = row.find(": ", mark + 15);
    std::string key = number >= 1 && number <= lines.size() ? lines[number - 1] : "";
    key = key.substr(0, key.find(':'));
    key.erase(0, std::min(key.find_first_not_of(' '), key.size()));
    const auto origin = import.origins.find(key);
    out += out.empty() ? "" : "\n";
    out += origin != import.origins.end() ? origin->second : row.substr(0, mark);
    out += sentence == std::string::npos ? row.substr(mark) : row.substr(sentence);
  }
  return out.empty() ? error : out;
}

MegatronImport import_megatron(const std::string& script, const std::string& name, const std::string& where,
                               const std::string& node, std::int64_t nodes) {
  const Options options(script, where);
  if (options.all().empty())
    throw ConfigError(
        fmt::format("{}: no option of Megatron-LM in it (--num-layers, ...){}", where,
                    options.notes().empty() ? "" : fmt::format("; {}", fmt::join(options.notes(), "; "))));
  return Importer(options, node, nodes).read(name);
}

}  // namespace runcast
