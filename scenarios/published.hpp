// Training steps that others measured and published: rows of a table, each of which becomes a scenario that
// can be shown, run and changed. The table in the library is library/published/training_steps.csv, each row
// with its source. A prediction depends on what the row says about hardware, software, model and layout as
// numbers; never on its id, the model's name, the source, the citation, the family or the config key. What
// the source left open is filled by a rule that is the same for all rows and is named as an assumption.
// Leaves out: what the columns do not tell (optimizer, attention sinks, sliding windows, clocks).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/library.hpp"
#include "scenarios/scenario.hpp"

namespace runcast {

struct PublishedRow {
  std::string where;  // "file:line"
  // Labels; predictions do not depend on them.
  std::string id, source_key, citation, url, model, family, config, notes, quality, outlier;

  std::string release, framework, hardware;
  std::int64_t gpus = 0, gpus_per_node = 0;  // gpus_per_node 0: the node's usual number
  double network_gbps = 0;                   // per GPU; 0: the node's usual NICs

  std::int64_t layers = 0, hidden = 0, ffn = 0, mlp_matrices = 0, heads = 0, kv_heads = 0, head_dim = 0,
               vocab = 0;
  std::string mlp;
  std::int64_t q_lora = 0, kv_lora = 0, rope_dim = 0, nope_dim = 0, v_dim = 0;
  std::int64_t experts = 0, top_k = 0, expert_ffn = 0, shared_expert_ffn = 0, dense_layers = 0;
  std::int64_t node_limit = 0;  // groups of experts that a token may use, one a node (n_group 8, topk_group)
  std::int64_t mtp = 0;  // modules of multi-token prediction: stated, or counted in the source's own FLOPs

  std::int64_t seq_len = 0, global_batch = 0, micro_batch = 1;
  std::int64_t tp = 1, pp = 1, vp = 1, cp = 1, ep = 1, etp = 1;
  std::int64_t window = 0, window_every = 0;  // sliding window, tokens, in all but each window_every-th layer
  bool biases = false;                        // on linear layers of attention and experts
  bool sp = false, flash = true, ep_overlap = false;
  std::string sharding, precision, fp8_recipe, recompute, moe_impl, moe_dispatcher;
  std::int64_t shard_group = 0;
  std::vector<std::string> recompute_modules;

  double measured_step_s = 0;
  double measured_peak_gb = 0;       // 0: none
  std::vector<std::string> assumed;  // columns that the source did not state
  std::string unusable;              // why the row cannot be read, located; "" when it can

  bool is_moe() const { return experts > 0; }
  bool left_open(std::string_view column) const;
  double tokens() const { return static_cast<double>(seq_len) * static_cast<double>(global_batch); }
  // The dimensions of the model as one key: rows of one model have the same one whatever they call it.
  std::string model_key() const;
};

struct PublishedTable {
  std::vector<PublishedRow> rows;
  std::vector<std::string> ignored_columns;  // that this program does not know
};

// Reads a table with the columns of the library's. Needed: hardware, gpus, layers, hidden, heads, vocab,
// seq_len, global_batch, and measured_step_s or measured_tokens_s_gpu; the others may be missing. Throws
// ConfigError for what is no table, for a missing column and for a misspelt one; a wrong cell makes its row
// unusable.
PublishedTable read_published(std::string_view text, const std::string& name);
// The rows of the library.
PublishedTable published_rows(const Library& library);

// What is chosen where the row leaves it open.
struct OpenChoices {
  std::optional<std::int64_t> micro_batch, virtual_stages;
  std::optional<std::string>
      recompute;  // as the scenario writes it: "none", "selective", "{layers: 2}", "full"
};

// One row as a scenario file, with the source and the assumptions as comments. Throws ConfigError when the
// row asks for what a scenario cannot express.
struct RowScenario {
  std::string text;
  std::vector<std::string> assumptions;
};
RowScenario scenario_of(const PublishedRow& row, const Library& library, const OpenChoices& choices);

// The choices that stand for a row: recomputation that the source left open is the profile's default, and
// where the default is none and does not fit, the least that fits.
OpenChoices settle(const PublishedRow& row, const Library& library);
// Few other values that the source's silence allows, for a range of predictions; not all need be legal or
// fit.
std::vector<OpenChoices> alternatives(const PublishedRow& row, const OpenChoices& settled);

// The scenario of a row, read.
Scenario read_row(const PublishedRow& row, const Library& library, const OpenChoices& choices);

// The text of a measured row, for `published:ID`; ConfigError with "did you mean" for an unknown id.
std::string published_scenario(std::string_view id, const Library& library);

}  // namespace runcast
