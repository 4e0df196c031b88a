// A published row as a scenario. Everything that is decided here is decided for all rows alike, from what the
// row says about hardware, software (framework and release), model dimensions and layout.
#include "scenarios/published.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "parallelism/memory.hpp"
#include "sim/error.hpp"

namespace runcast {

namespace {

// ---- software
// -----------------------------------------------------------------------------------------------

// Which profile of library/software stands for a name in the column `framework`; hyphens count as
// underscores.
struct FrameworkName {
  std::string_view framework, profile;
};
constexpr FrameworkName kFrameworks[] = {
    {"megatron", "megatron"},
    {"megatron_lm", "megatron"},
    {"megatron_core", "megatron"},
    {"mcore", "megatron"},
    {"nemo", "nemo"},
    {"megatron_bridge", "megatron-bridge"},
    {"megatron_deepspeed", "megatron-deepspeed"},
    {"gpt_neox", "megatron-deepspeed"},
    {"llm_foundry", "llm-foundry"},
    {"composer", "llm-foundry"},
    {"internevo", "internevo"},
    {"maxtext", "maxtext"},
    {"jax", "maxtext"},
    {"pax", "pax"},
    {"paxml", "pax"},
    {"automodel", "automodel"},
    {"nemo_automodel", "automodel"},
    {"torchtitan", "torchtitan"},
    {"deepspeed", "deepspeed"},
    {"fsdp", "fsdp-eager"},
    {"fsdp2", "fsdp-eager"},
    {"fsdp_eager", "fsdp-eager"},
    {"pytorch", "fsdp-eager"},
    {"pytorch_fsdp", "fsdp-eager"},
    {"transformers", "fsdp-eager"},
    {"accelerate", "fsdp-eager"},
    {"hai_llm", "hai-llm"},
};

constexpr double kCudnn9Since =
    2024.8;  // older software carries the slower fused attention of cuDNN 8 [assumption: NeMo 24.09]
constexpr int kOverlapSince = 2023;  // releases before it expose data-parallel traffic [accuracy study]
constexpr double kCurrentScalingSince =
    2025.5;  // per-tensor current scaling became the fp8 recipe [NeMo 25.07]

// The year of a release: "2024-08-12", "v25.04.02", "26.06"; 0 when it names none.
double release_year(std::string_view release) {
  const std::size_t from = release.find_first_of("0123456789");
  if (from == std::string_view::npos) return 0;
  std::vector<int> numbers(1, 0);
  int digits = 0;
  for (const char c : release.substr(from)) {
    if (c >= '0' && c <= '9' && digits < 4) {
      numbers.back() = numbers.back() * 10 + (c - '0');
      ++digits;
    } else if (digits > 0 && numbers.size() < 2) {
      numbers.push_back(0);
      digits = 0;
    } else {
      break;
    }
  }
  int year = numbers[0];
  if (year >= 20 && year < 100) year += 2000;
  if (year < 2015 || year > 2100) return 0;
  const int month = numbers.size() > 1 && numbers[1] >= 1 && numbers[1] <= 12 ? numbers[1] : 1;
  return year + (month - 1) / 12.0;
}

// When the software was made: a container says so in its name ("v24.11.1", "26.06"); a page or paper is dated later
// than what it measured, by half a year [assumption].
double software_year(std::string_view release) {
  const bool dated = release.starts_with("20");
  return release_year(release) - (dated ? 0.5 : 0);
}

struct Software {
  std::string profile;
  bool assumed = false;
};

// A framework without a row of its own: sharded parameters look like FSDP, model parallelism like an in-house stack on
// plain PyTorch.
Software software_of(const PublishedRow& row) {
  std::string name = row.framework;
  std::replace(name.begin(), name.end(), '-', '_');
  std::replace(name.begin(), name.end(), ' ', '_');
  std::string profile;
  for (const FrameworkName& f : kFrameworks)
    if (f.framework == name) profile = f.profile;
  const bool assumed = profile.empty();
  if (assumed) {
    const bool sharded = row.sharding == "zero3" || row.sharding == "hsdp";
    profile = !sharded && (row.tp > 1 || row.pp > 1 || row.is_moe()) ? "pytorch-native" : "fsdp-eager";
  }
  if ((profile == "megatron" || profile == "pytorch-native") && !row.flash) profile = "megatron-2021";
  const double year = release_year(row.release);
  const bool nvidia = profile == "nemo" || profile == "megatron";
  if (nvidia && year > 0 && !assumed && software_year(row.release) < kCudnn9Since) profile += "-2024";
  if (profile == "fsdp-eager" && !row.flash) profile = "deepspeed-2021";
  return {profile, assumed};
}

// Per-tensor fp8 scales: torchao's are always those of the tensor itself; Transformer Engine's were delayed.
bool scales_are_current(std::string_view profile, std::string_view release) {
  const bool torchao = profile == "torchtitan" || profile == "fsdp-eager" || profile == "automodel";
  return torchao || release_year(release) >= kCurrentScalingSince;
}

bool exchanges_context_in_a_ring(std::string_view profile) {  // cp_comm_type p2p is Megatron-Core's default
  return profile.starts_with("megatron") || profile.starts_with("nemo");
}

// ---- hardware
// -----------------------------------------------------------------------------------------------

struct NodeChoice {
  std::string name;
  int gpus = 0;
};

// The library's node with this GPU whose NICs are nearest to the row's; the first by name when it says
// nothing.
NodeChoice node_of(const PublishedRow& row, const Library& library) {
  NodeChoice best;
  double nearest = 0;
  for (const std::string& name : library.names("hardware/nodes")) {
    const LibraryEntry* entry = library.find("hardware/nodes", name);
    Document document = Document::parse(entry->text, entry->path);
    Section node = document.root();
    if (node.text("gpu", "") != row.hardware) continue;
    const auto gpus = static_cast<int>(node.count("gpus", 8));
    Section nic = node.section_or_empty("nic");
    const double per_gpu = nic.bandwidth("bandwidth", Bandwidth(0)).value * 8e-9 *
                           static_cast<double>(nic.count("count", gpus)) / gpus;
    const double far =
        row.network_gbps > 0 ? std::abs(std::log(row.network_gbps / std::max(per_gpu, 1e-3))) : 0;
    if (best.gpus == 0 || far < nearest) {
      best = {name, gpus};
      nearest = far;
    }
  }
  if (best.gpus > 0) return best;
  const std::vector<std::string> gpus = library.names("hardware/gpus");
  const std::string near = nearest_name(row.hardware, gpus);
  throw ConfigError(near.empty()
                        ? fmt::format("column 'hardware': no node of '{}' in the library", row.hardware)
                        : fmt::format("column 'hardware': no node of '{}' in the library, did you mean '{}'?",
                                      row.hardware, near));
}

// ---- the text
// -----------------------------------------------------------------------------------------------

// One line, without what would end a comment or a quoted text.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    line += control ? ' ' : c == '"' ? '\'' : c == '\\' ? '/' : c;
  }
  return line;
}

class Writer {
 public:
  Writer(const PublishedRow& row, const Library& library, const OpenChoices& choices)
      : row_(row), library_(library), choices_(choices), software_(software_of(row)) {}

  RowScenario write() {
    heading();
    model();
    cluster();
    software();
    layout();
    schedule();
    training();
    return {std::move(text_), std::move(assumptions_)};
  }

 private:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format(format, std::forward<Args>(args)...);
    text_ += '\n';
  }
  // Appends the assumption to the line just written, as a comment.
  void assume(const std::string& sentence) {
    if (text_.ends_with('\n')) text_.pop_back();
    text_ += fmt::format("  # assumption: {}\n", sentence);
    assumptions_.push_back(sentence);
  }

  void heading() {
    line("# Measured step {}: {:.6g} s", one_line(row_.id), row_.measured_step_s);
    if (!row_.citation.empty()) line("# Source: {}", one_line(row_.citation));
    if (!row_.url.empty()) line("# {}", one_line(row_.url));
    if (!row_.notes.empty()) line("# Notes: {}", one_line(row_.notes));
    line("name: \"{}\"", one_line(row_.id));
  }

  void model() {
    line("model:");
    line("  name: \"{}\"", one_line(row_.model.empty() ? "unnamed" : row_.model));
    line("  layers: {}", row_.layers);
    line("  hidden: {}", row_.hidden);
    if (row_.ffn > 0) {
      line("  ffn: {}", row_.ffn);
    } else {
      line("  ffn: {}  # no layer is dense: not used", row_.hidden);
    }
    line("  heads: {}", row_.heads);
    line("  kv_heads: {}", row_.kv_heads);
    line("  head_dim: {}", row_.head_dim);
    line("  vocabulary: {}", row_.vocab);
    const bool two =
        row_.mlp_matrices == 2 || (row_.mlp_matrices == 0 && (row_.mlp == "gelu" || row_.mlp == "relu"));
    const bool squared = row_.mlp == "squared_relu" || row_.mlp == "relu2";
    line("  activation: {}", squared ? "squared_relu" : two ? "gelu" : "swiglu");
    if (two && !row_.flash) {
      line("  biases: true");
      line("  dropout: true");
      assume("a GELU model without flash attention has biases and dropout, as GPT-3 has");
    } else if (row_.biases) {
      line("  biases: true");
      line("  normalization: {}", two ? "layernorm" : "rmsnorm");
    }
    if (row_.window > 0)
      line("  sliding_window: {{tokens: {}, global_every: {}}}", row_.window, row_.window_every);
    if (row_.kv_lora > 0)
      line("  latent_attention: {{q_lora: {}, kv_lora: {}, rope_dim: {}, nope_dim: {}, v_dim: {}}}",
           row_.q_lora, row_.kv_lora, row_.rope_dim, row_.nope_dim, row_.v_dim);
    if (row_.is_moe())
      line("  experts: {{count: {}, top_k: {}, ffn: {}, shared_ffn: {}, dense_layers: {}, node_limit: {}}}",
           row_.experts, row_.top_k, row_.expert_ffn, row_.shared_expert_ffn, row_.dense_layers,
           row_.node_limit);
    if (row_.mtp > 0) line("  multi_token_prediction: {}", row_.mtp);
  }

  void cluster() {
    const NodeChoice node = node_of(row_, library_);
    const std::int64_t stated = row_.gpus_per_node > 0 ? row_.gpus_per_node : node.gpus;
    const std::int64_t most = std::min({stated, static_cast<std::int64_t>(node.gpus), row_.gpus});
    std::int64_t per_node = most;
    while (row_.gpus % per_node != 0) --per_node;
    line("cluster:");
    line("  node: {}", node.name);
    line("  nodes: {}", row_.gpus / per_node);
    line("  gpus_per_node: {}", per_node);
    if (per_node < most) assume(fmt::format("{} GPUs sit evenly in nodes of {}", row_.gpus, per_node));
    if (row_.network_gbps > 0) line("  network_per_gpu: {} Gbps", row_.network_gbps);
    line("  fabric: {}", row_.hardware.starts_with("a100") ? "infiniband-hdr-selene" : "infiniband-ndr-rail");
    assume("the network is not blocking and the job has it for itself");
  }

  void software() {
    line("software: {}", software_.profile);
    if (software_.assumed)
      assume(fmt::format("framework '{}' has no profile of its own", one_line(row_.framework)));
  }

  void layout() {
    line("layout:");
    line("  tensor: {}", row_.tp);
    line("  sequence_parallel: {}", row_.sp && row_.tp > 1);
    if (row_.left_open("sp")) assume("sequence parallelism is not stated");
    line("  context: {}", row_.cp);
    line("  context_method: {}",
         !software_.assumed && exchanges_context_in_a_ring(software_.profile) ? "ring" : "allgather");
    if (row_.cp > 1) assume("the profile's usual context exchange");
    line("  pipeline: {}", row_.pp);
    line("  data: auto");
    line("  expert: {}", row_.ep);
    line("  expert_tensor: {}", row_.etp);
    line("  order: [tensor, context, data, pipeline]");
  }

  void schedule() {
    const std::int64_t vp = choices_.virtual_stages.value_or(row_.vp);
    line("schedule:");
    if (dual_pipe()) {
      line("  name: dualpipe");
      return assume("the schedule is not stated; the framework's own");
    }
    line("  name: {}", vp > 1 ? "interleaved_1f1b" : "1f1b");
    line("  virtual_stages: {}", vp);
    if (row_.pp > 1 && (row_.left_open("vp") || row_.left_open("vp_blank")))
      assume("virtual stages are not stated");
  }

  // HAI-LLM pipelines experts by DualPipe [DeepSeek-V3 2024, sec. 3.2.1].
  bool dual_pipe() const {
    return software_.profile == "hai-llm" && row_.pp > 1 && row_.pp % 2 == 0 && row_.left_open("vp");
  }

  void training() {
    line("training:");
    line("  sequence_length: {}", row_.seq_len);
    line("  global_batch: {}", row_.global_batch);
    line("  micro_batch: {}", choices_.micro_batch.value_or(row_.micro_batch));
    if (row_.left_open("micro_batch")) assume("the micro-batch is not stated");
    precision();
    line("  attention: {}", row_.flash ? "flash" : "standard");
    recompute();
    sharding();
    overlap();
    if (row_.is_moe()) {
      const bool full = row_.moe_impl == "full_graph";
      const bool partial = row_.moe_impl == "partial_graph" || row_.moe_impl == "token_drop";
      line("  cuda_graphs: {}", full ? "full" : partial ? "partial" : "none");
      if (row_.moe_impl == "token_drop")
        assume("token dropping saves the host what partial CUDA graphs save");
      const bool unstated = row_.moe_dispatcher.empty();
      const bool once = unstated ? software_.profile == "automodel" || software_.profile == "hai-llm"
                                 : row_.moe_dispatcher != "alltoall";
      line("  expert_dispatcher: {}", row_.moe_dispatcher == "hybridep" ? "hybridep"
                                      : once                            ? "deepep"
                                                                        : "alltoall");
      if (unstated) assume("the expert dispatcher is not stated; the software's usual one");
    }
  }

  void precision() {
    const std::string p = row_.precision.empty() ? "bf16" : row_.precision;
    line("  precision: {}", p);
    if (row_.precision.empty() || row_.left_open("precision")) assume("the precision is not stated");
    if (p != "fp8") return;
    const std::string& recipe = row_.fp8_recipe;
    if (recipe == "tensorwise" || recipe.empty()) {
      line("  fp8_recipe: {}", scales_are_current(software_.profile, row_.release) ? "current" : "delayed");
      assume("Transformer Engine's per-tensor scales are delayed before mid-2025 and current since");
    } else if (recipe == "mx") {
      throw ConfigError("column 'fp8_recipe': mx belongs to precision mxfp8, not fp8");
    } else {
      line("  fp8_recipe: {}", recipe == "block" ? "blockwise" : recipe);
    }
  }

  // The modules of the column, in the words of `training.recompute`; "" for one that has no word there.
  static std::string_view module_word(std::string_view module) {
    if (module == "moe_act" || module == "moe_activation") return "moe_activation";
    if (module == "mlp_act") return "mlp_activation";
    if (module == "mla_up_proj") return "mla_up";
    if (module == "layernorm" || module == "norms") return "norms";
    if (module == "mlp") return "mlp_up";
    if (module == "core_attn" || module == "attention_core") return "attention_core";
    return {};
  }

  void recompute() {
    if (choices_.recompute) {
      line("  recompute: {}", *choices_.recompute);
      assume(fmt::format("recomputation is not stated; {} is the software's default, or the least that fits",
                         *choices_.recompute));
      return;
    }
    if (row_.recompute == "selective" && row_.recompute_modules.empty() && software_.profile == "hai-llm") {
      line("  recompute: [norms, mla_up, mlp_activation, moe_activation]");
      return assume(
          "the modules are not stated; those of the framework's paper");  // [DeepSeek-V3, sec. 3.2.3]
    }
    if (row_.recompute == "unknown") return assume("recomputation is not stated; the software's default");
    if (row_.recompute != "selective" || row_.recompute_modules.empty())
      return line("  recompute: {}", row_.recompute);
    std::vector<std::string> words;
    std::vector<std::string> without;
    for (const std::string& module : row_.recompute_modules) {
      const std::string_view word = module_word(module);
      if (word.empty()) {
        without.push_back(module);
      } else {
        words.emplace_back(word);
      }
    }
    if (words.empty()) {
      line("  recompute: none");
    } else {
      line("  recompute: [{}]", fmt::join(words, ", "));
    }
    if (!without.empty())
      assume(fmt::format("recomputing {} is left out: no module of this model",
                         one_line(fmt::format("{}", fmt::join(without, ", ")))));
  }

  void sharding() {
    const std::int64_t ranks = std::max<std::int64_t>(1, row_.gpus / (row_.tp * row_.pp));  // data x context
    const std::int64_t group = row_.shard_group > 0 ? row_.shard_group : ranks;
    const bool part = group > 1 && group < ranks && group != ranks / row_.cp;
    if (row_.sharding.empty()) return assume("sharding is not stated; the software's default");
    if (row_.sharding == "hsdp" || (row_.sharding == "zero3" && part)) {
      line("  sharding: {{hsdp: {}}}", std::min(group, ranks));
    } else if (group == 1 && row_.shard_group > 0 && row_.sharding != "zero3") {
      line("  sharding: none");
    } else if (row_.sharding == "zero1" && part && ranks % group == 0) {
      line("  sharding: {{zero1: {}}}", group);
    } else {
      line("  sharding: {}", row_.sharding);
      if (part && row_.sharding != "none")
        assume(
            fmt::format("{} shards over all {} ranks instead of groups of {}", row_.sharding, ranks, group));
    }
    if (row_.left_open("sharding")) assume("sharding is not stated");
  }

  void overlap() {
    const double year = release_year(row_.release);
    const bool old = year > 0 && year < kOverlapSince;
    if (!old && !row_.ep_overlap) return;
    line("  overlap:");
    if (old) {
      line("    data: false");
      assume("software before 2023 does not overlap data-parallel traffic");
    }
    if (row_.ep_overlap) line("    expert: true");
  }

  const PublishedRow& row_;
  const Library& library_;
  const OpenChoices& choices_;
  Software software_;
  std::string text_;
  std::vector<std::string> assumptions_;
};

// ---- what the source left open
// ------------------------------------------------------------------------------

// Jobs that are known to have run without recomputation lie up to 16 % above the memory by our own count.
constexpr double kMemoryTolerance = 1.2;

bool fits(const Scenario& s, const Recompute& recompute, const PipelineSchedule& schedule) {
  TrainingSpec training = s.training;
  training.recompute = recompute;
  const MemoryReport m = memory_of(s.model, s.layout, training, s.schedule, s.software, schedule, s.node.gpu);
  return m.peak <= m.capacity * kMemoryTolerance;
}

Recompute whole_layers(std::int64_t layers) {
  Recompute r;
  r.kind = Recompute::Kind::full;
  r.layers = layers;
  return r;
}

// None, then the attention core, then whole layers from the first of each stage on, then all of them. Where
// the memory model lets nothing fit though the job ran, the default stands.
std::string least_recompute(const Scenario& s) {
  const PipelineSchedule schedule = s.schedule.row->build(s.schedule.request(s.layout, s.microbatches));
  Recompute selective;
  selective.kind = Recompute::Kind::selective;
  if (fits(s, Recompute{}, schedule)) return "none";
  if (fits(s, selective, schedule)) return "selective";
  const auto& stages = s.schedule.stage_layers;
  const std::int64_t most = *std::max_element(stages.begin(), stages.end());
  if (!fits(s, whole_layers(0), schedule)) return "none";
  std::int64_t low = 1, high = most;  // the least number that fits: fewer layers never need less memory
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (fits(s, whole_layers(middle), schedule))
      high = middle;
    else
      low = middle + 1;
  }
  return high == most ? "full" : fmt::format("{{layers: {}}}", high);
}

bool profile_recomputes_nothing(const Scenario& s) { return s.software.recompute == "none"; }

}  // namespace

RowScenario scenario_of(const PublishedRow& row, const Library& library, const OpenChoices& choices) {
  if (!row.unusable.empty()) throw ConfigError(row.unusable);
  return Writer(row, library, choices).write();
}

Scenario read_row(const PublishedRow& row, const Library& library, const OpenChoices& choices) {
  RowScenario written = scenario_of(row, library, choices);
  Document document = Document::parse(std::move(written.text), "published:" + one_line(row.id));
  Scenario scenario = read_scenario(document, library);
  scenario.assumptions.insert(scenario.assumptions.end(), written.assumptions.begin(),
                              written.assumptions.end());
  return scenario;
}

OpenChoices settle(const PublishedRow& row, const Library& library) {
  OpenChoices choices;
  if (row.recompute != "unknown") return choices;
  const Scenario s = read_row(row, library, choices);
  choices.recompute = profile_recomputes_nothing(s) ? least_recompute(s) : s.software.recompute;
  return choices;
}

std::vector<OpenChoices> alternatives(const PublishedRow& row, const OpenChoices& settled) {
  std::vector<OpenChoices> list;
  auto add = [&](auto OpenChoices::*member, auto value) {
    OpenChoices other = settled;
    other.*member = value;
    list.push_back(other);
  };
  if (row.left_open("micro_batch")) {
    if (row.micro_batch % 2 == 0) add(&OpenChoices::micro_batch, row.micro_batch / 2);
    add(&OpenChoices::micro_batch, row.micro_batch * 2);
  }
  if (row.pp > 1 && (row.left_open("vp") || row.left_open("vp_blank"))) {
    for (const std::int64_t vp : {std::int64_t{1}, std::int64_t{2}, std::int64_t{4}, row.layers / row.pp})
      if (vp != row.vp && vp >= 1 && row.layers >= vp * row.pp) add(&OpenChoices::virtual_stages, vp);
  }
  if (row.recompute == "unknown")
    for (const char* word : {"none", "selective", "full"})
      if (settled.recompute != word) add(&OpenChoices::recompute, std::string(word));
  return list;
}

std::string published_scenario(std::string_view id, const Library& library) {
  const PublishedTable table = published_rows(library);
  std::vector<std::string> ids;
  for (const PublishedRow& row : table.rows) {
    if (row.id == id) return scenario_of(row, library, settle(row, library)).text;
    ids.push_back(row.id);
  }
  const std::string near = nearest_name(std::string(id), ids);
  throw ConfigError(
      near.empty()
          ? fmt::format("published:{}: unknown measured row; runcast validate lists all {}", id, ids.size())
          : fmt::format("published:{}: unknown measured row, did you mean '{}'?", id, near));
}

}  // namespace runcast
