// The table of published steps: cells to rows. One visible line per column says its name, its type and its
// member.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <variant>

#include "scenarios/csv.hpp"
#include "scenarios/published.hpp"
#include "sim/error.hpp"

namespace runcast {

namespace {

using Row = PublishedRow;
// Words of one cell, split at blanks.
using Words = std::vector<std::string> Row::*;

struct Column {
  std::string_view title;
  std::variant<std::string Row::*, std::int64_t Row::*, double Row::*, bool Row::*, Words> member;
  bool needed = false;
};

const Column kColumns[] = {
    {"id", &Row::id},
    {"source_key", &Row::source_key},
    {"citation", &Row::citation},
    {"url", &Row::url},
    {"release", &Row::release},
    {"framework", &Row::framework},
    {"hardware", &Row::hardware, true},
    {"gpus", &Row::gpus, true},
    {"gpus_per_node", &Row::gpus_per_node},
    {"node_network_gbps", &Row::network_gbps},
    {"model", &Row::model},
    {"layers", &Row::layers, true},
    {"hidden", &Row::hidden, true},
    {"ffn", &Row::ffn},
    {"mlp", &Row::mlp},
    {"mlp_matrices", &Row::mlp_matrices},
    {"heads", &Row::heads, true},
    {"kv_heads", &Row::kv_heads},
    {"head_dim", &Row::head_dim},
    {"vocab", &Row::vocab, true},
    {"q_lora", &Row::q_lora},
    {"kv_lora", &Row::kv_lora},
    {"rope_dim", &Row::rope_dim},
    {"nope_dim", &Row::nope_dim},
    {"v_dim", &Row::v_dim},
    {"flash", &Row::flash},
    {"experts", &Row::experts},
    {"top_k", &Row::top_k},
    {"expert_ffn", &Row::expert_ffn},
    {"shared_expert_ffn", &Row::shared_expert_ffn},
    {"dense_layers", &Row::dense_layers},
    {"node_limit", &Row::node_limit},
    {"mtp", &Row::mtp},
    {"biases", &Row::biases},
    {"window", &Row::window},
    {"window_every", &Row::window_every},
    {"seq_len", &Row::seq_len, true},
    {"global_batch", &Row::global_batch, true},
    {"micro_batch", &Row::micro_batch},
    {"tp", &Row::tp},
    {"sp", &Row::sp},
    {"pp", &Row::pp},
    {"vp", &Row::vp},
    {"cp", &Row::cp},
    {"ep", &Row::ep},
    {"etp", &Row::etp},
    {"sharding", &Row::sharding},
    {"shard_group", &Row::shard_group},
    {"precision", &Row::precision},
    {"fp8_recipe", &Row::fp8_recipe},
    {"recompute", &Row::recompute},
    {"measured_step_s", &Row::measured_step_s},
    {"measured_peak_mem_gb", &Row::measured_peak_gb},
    {"quality", &Row::quality},
    {"assumed", &Row::assumed},
    {"moe_impl", &Row::moe_impl},
    {"ep_overlap", &Row::ep_overlap},
    {"moe_dispatcher", &Row::moe_dispatcher},
    {"recompute_modules", &Row::recompute_modules},
    {"outlier", &Row::outlier},
    {"family", &Row::family},
    {"config", &Row::config},
    {"notes", &Row::notes},
};

// Known columns that are not read by name above: what the source printed beside the step time, and
// `attention` and `dp`, which follow from other columns.
constexpr std::string_view kTokenRate = "measured_tokens_s_gpu";
constexpr std::string_view kUnread[] = {kTokenRate,
                                        "measured_tflops_gpu",
                                        "flop_convention",
                                        "attention",
                                        "model_tflops_causal",
                                        "step_derived_from",
                                        "dp",
                                        "recipe"};

std::string lower(std::string_view text) {
  std::string word(text);
  for (char& c : word) c = (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
  return word;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t from = text.find_first_not_of(" ,;|", at);
    if (from == std::string_view::npos) break;
    at = std::min(text.find_first_of(" ,;|", from), text.size());
    words.push_back(lower(text.substr(from, at - from)));
  }
  return words;
}

// A finite number, or nothing.
std::optional<double> number(std::string_view cell) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

// Reads one cell into the row; the sentence says what is wrong with it, "" when nothing.
std::string put(std::string_view cell, std::string Row::*member, Row& row) {
  row.*member = cell;
  return {};
}
std::string put(std::string_view cell, std::int64_t Row::*member, Row& row) {
  const std::optional<double> value = number(cell);
  if (!value || *value < 0 || *value > 1e15 || *value != std::floor(*value))
    return fmt::format("'{}' is no count", cell);
  row.*member = static_cast<std::int64_t>(*value);
  return {};
}
std::string put(std::string_view cell, double Row::*member, Row& row) {
  const std::optional<double> value = number(cell);
  if (!value || *value < 0) return fmt::format("'{}' is no number of 0 or more", cell);
  row.*member = *value;
  return {};
}
std::string put(std::string_view cell, bool Row::*member, Row& row) {
  const std::string word = lower(cell);
  if (word != "yes" && word != "no" && word != "true" && word != "false")
    return fmt::format("'{}' is neither yes nor no", cell);
  row.*member = word == "yes" || word == "true";
  return {};
}
std::string put(std::string_view cell, Words member, Row& row) {
  row.*member = split(cell);
  return {};
}

void check_columns(const CsvTable& table, PublishedTable& out) {
  std::vector<std::string> known, missing, errors;
  for (const Column& c : kColumns) known.emplace_back(c.title);
  for (const std::string_view title : kUnread) known.emplace_back(title);
  for (const std::string& title : known)
    if (!table.column(title)) missing.push_back(title);
  auto fail = [&](const std::string& sentence) {
    errors.push_back(fmt::format("{}:{}: {}", table.name, table.header_line, sentence));
  };
  for (const std::string& title : table.header) {
    if (std::find(known.begin(), known.end(), title) != known.end()) continue;
    const std::string near = nearest_name(title, missing);
    if (near.empty()) {
      out.ignored_columns.push_back(title);
    } else {
      fail(fmt::format("unknown column '{}', did you mean '{}'?", title, near));
    }
  }
  for (const Column& c : kColumns)
    if (c.needed && !table.column(c.title)) fail(fmt::format("column '{}' is missing", c.title));
  if (!table.column("measured_step_s") && !table.column(kTokenRate))
    fail(fmt::format("column 'measured_step_s' is missing (or '{}')", kTokenRate));
  if (!errors.empty()) throw ConfigError(fmt::format("{}", fmt::join(errors, "\n")));
}

// What the cells leave out but the others tell.
std::string complete(Row& row, std::string_view token_rate) {
  if (row.measured_step_s <= 0) {
    const std::optional<double> rate = number(token_rate);
    if (!rate || *rate <= 0 || row.gpus <= 0) return "column 'measured_step_s': no measured time";
    row.measured_step_s = row.tokens() / (*rate * static_cast<double>(row.gpus));
  }
  if (row.layers < 1 || row.hidden < 1 || row.heads < 1 || row.vocab < 1 || row.seq_len < 1 ||
      row.global_batch < 1 || row.gpus < 1)
    return "gpus, layers, hidden, heads, vocab, seq_len and global_batch must be 1 or more";
  for (std::int64_t Row::*degree :
       {&Row::micro_batch, &Row::tp, &Row::pp, &Row::vp, &Row::cp, &Row::ep, &Row::etp})
    if (row.*degree < 1) return "micro_batch, tp, pp, vp, cp, ep and etp must be 1 or more";
  if (row.ffn == 0 && row.experts == 0) return "column 'ffn': a dense model needs it";
  if (row.experts > 0 && (row.top_k < 1 || row.expert_ffn < 1))
    return "columns 'top_k' and 'expert_ffn': a model with experts needs them";
  if (row.kv_heads == 0) row.kv_heads = row.heads;
  if (row.head_dim == 0) row.head_dim = std::max<std::int64_t>(1, row.hidden / row.heads);
  return {};
}

Row read_row(const CsvTable& table, const CsvRow& cells) {
  Row row;
  row.where = fmt::format("{}:{}", table.name, cells.line);
  row.recompute = "unknown";
  std::vector<std::string> wrong;
  auto blank = [&](std::string_view title) {
    const auto column = table.column(title);
    return !column || cells.cells[*column].empty();
  };
  for (const Column& c : kColumns) {
    if (blank(c.title)) {
      if (c.needed) wrong.push_back(fmt::format("{}: column '{}': is blank", row.where, c.title));
      continue;
    }
    const std::string& cell = cells.cells[*table.column(c.title)];
    const std::string why = std::visit([&](auto member) { return put(cell, member, row); }, c.member);
    if (!why.empty()) wrong.push_back(fmt::format("{}: column '{}': {}", row.where, c.title, why));
  }
  if (row.id.empty()) row.id = fmt::format("line-{}", cells.line);
  if (blank("micro_batch")) row.assumed.emplace_back("micro_batch");
  if (blank("vp") && row.pp > 1) row.assumed.emplace_back("vp_blank");
  for (std::string Row::*word : {&Row::sharding, &Row::precision, &Row::fp8_recipe, &Row::recompute,
                                 &Row::moe_impl, &Row::mlp, &Row::moe_dispatcher, &Row::framework})
    row.*word = lower(row.*word);
  if (wrong.empty()) {
    const auto rate = table.column(kTokenRate);
    const std::string why = complete(row, rate ? std::string_view(cells.cells[*rate]) : std::string_view());
    if (!why.empty()) wrong.push_back(fmt::format("{}: {}", row.where, why));
  }
  row.unusable = fmt::format("{}", fmt::join(wrong, "; "));
  return row;
}

}  // namespace

bool PublishedRow::left_open(std::string_view column) const {
  return std::find(assumed.begin(), assumed.end(), column) != assumed.end();
}

std::string PublishedRow::model_key() const {
  return fmt::format("l{} h{} f{} m{} a{} g{} d{} v{} q{} k{} e{} t{} x{} s{} n{}", layers, hidden, ffn,
                     mlp_matrices, heads, kv_heads, head_dim, vocab, q_lora, kv_lora, experts, top_k,
                     expert_ffn, shared_expert_ffn, dense_layers);
}

PublishedTable read_published(std::string_view text, const std::string& name) {
  const CsvTable table = parse_csv(text, name);
  PublishedTable out;
  check_columns(table, out);
  for (const CsvRow& cells : table.rows) out.rows.push_back(read_row(table, cells));
  return out;
}

PublishedTable published_rows(const Library& library) {
  const LibraryEntry& entry = library.get("published", "training_steps", "table", "library");
  return read_published(entry.text, entry.path);
}

}  // namespace runcast
