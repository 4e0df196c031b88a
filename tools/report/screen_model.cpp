// A model by counting, on the screen: parameters, FLOPs, memory, what fits where, rooflines, cost, grade.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

// "never" for a bound that no value reaches.
std::string or_never(const Json& value, std::string_view path) {
  const double found = number_of(value, path);
  return std::isfinite(found) ? count_text(found) : std::string("never");
}

Columns right_columns(const char* first, std::initializer_list<const char*> others) {
  Columns table;
  table.column(first, Align::left);
  for (const char* name : others) table.column(name, Align::right);
  return table;
}

// "bound by FLOPs from 983 tokens a step on", or that it never is.
std::string bound_text(const Json& value, std::string_view path, const char* what) {
  const double from = number_of(value, path);
  return std::isfinite(from) ? fmt::format("bound by FLOPs from {} {} on", count_text(from), what)
                             : fmt::format("bound by memory at any number of {}", what);
}

std::string parameters_part(const Json& d, const Style& style) {
  const double total = number_of(d, "parameters"), active = number_of(d, "active_parameters");
  std::string out =
      fmt::format("{}   {} ({})", heading("PARAMETERS", style), count_text(total), fixed(total, 0));
  if (active != total) out += fmt::format(", {} of them active for a token", count_text(active));
  out += "\n";
  Columns table = right_columns("component", {"parameters", "share"});
  for (const auto& [name, value] : part_of(d, "parameters_by_component").items())
    if (value.get<double>() > 0)
      table.row({words_of(name), fixed(value.get<double>(), 0), percent(value.get<double>() / total)});
  return out + table.text(2) +
         fmt::format("  the rule of a GELU block, 4 h^2 + 2 h f a layer, tells {}: {} of it\n",
                     count_text(number_of(d, "layer_rule.parameters")),
                     percent(number_of(d, "layer_rule.of_the_exact")));
}

std::string flops_part(const Json& d, const Style& style) {
  const std::string used = text_of(d, "convention");
  Columns table = right_columns("GFLOP per token", {"forward", "training", "with full recomputation"});
  table.column("", Align::left);
  for (const auto& [name, value] : part_of(d, "flops_per_token").items())
    table.row({name, fixed(number_of(d, "forward_flops_per_token." + name) / 1e9, 4),
               fixed(value.get<double>() / 1e9, 4),
               fixed(number_of(d, "full_recompute_flops_per_token." + name) / 1e9, 4),
               name == used ? "used for cost" : ""});
  std::string out = fmt::format("{}   at sequences of {} tokens\n", heading("FLOPS", style),
                                number(number_of(d, "sequence_length"), 7)) +
                    table.text(2);
  Columns shares =
      right_columns("sequence", {"attention", "its scores", "MLP", "head", "training GFLOP/token"});
  for (const Json& row : part_of(d, "flop_shares"))
    shares.row({fixed(number_of(row, "sequence_length"), 0), percent(number_of(row, "attention_share")),
                percent(number_of(row, "scores_share")), percent(number_of(row, "mlp_share")),
                percent(number_of(row, "head_share")),
                fixed(number_of(row, "exact_flops_per_token") / 1e9, 3)});
  out += shares.text(2);
  return out + fmt::format("  attention is one half from {} tokens on, its scores alone from {}\n",
                           or_never(d, "attention_half_sequence"), or_never(d, "scores_half_sequence"));
}

std::string states_part(const Json& d, const Style& style) {
  const Json& m = part_of(d, "memory");
  std::string out = fmt::format(
      "{}   to train: weights {} GB, gradients {} GB, optimizer {} GB: {} GB, {} B a parameter; all in 16 "
      "bits {} GB\n",
      heading("MEMORY", style), fixed(number_of(m, "weights_gb"), 1), fixed(number_of(m, "gradients_gb"), 1),
      fixed(number_of(m, "optimizer_gb"), 1), fixed(number_of(m, "states_gb"), 1),
      number(number_of(m, "state_bytes_per_parameter")), fixed(number_of(m, "all_16_bit_gb"), 1));
  Columns table = right_columns("recompute", {"activations of one sequence", "a token"});
  for (const Json& row : part_of(m, "activations_of_one_sequence"))
    table.row({words_of(text_of(row, "recompute")) +
                   (row.contains("segments") ? fmt::format(" of layers: {} segments, a rule of thumb",
                                                           number(number_of(row, "segments")))
                                             : std::string()),
               fixed(number_of(row, "layers_gb"), 2) + " GB",
               bytes_text(number_of(row, "layers_bytes_per_token"))});
  return out + table.text(2) +
         fmt::format("  by rule: weights {} GB and gradients {} GB in 16 bits, two moments {} GB in 32\n",
                     fixed(number_of(m, "by_rule_gb.weights_16_bit"), 1),
                     fixed(number_of(m, "by_rule_gb.gradients_16_bit"), 1),
                     fixed(number_of(m, "by_rule_gb.moments_32_bit"), 1)) +
         fmt::format("  KV cache {} B a token\n", fixed(number_of(d, "kv_cache_bytes_per_token"), 0));
}

std::string fits_cell(const Json& row, const std::string& place, const char* key) {
  return count_text(number_of(row, place + ".none." + key)) + " / " +
         count_text(number_of(row, place + ".full." + key));
}

std::string gpus_part(const Json& d, const Style& style) {
  Columns table = right_columns("GPU", {"train: sequence", "micro-batch", "serve: context", "batch", "GPUs",
                                        "train: sequence", "micro-batch", "serve: context", "batch"});
  for (const Json& row : part_of(d, "gpus")) {
    std::vector<std::string> cells = {text_of(row, "gpu")};
    for (const std::string prefix : {"", "node_"}) {
      if (prefix == "node_") cells.push_back(text_of(row, "node_gpus"));
      const bool there = row.contains(prefix + "training");
      for (const char* key : {"longest_sequence", "largest_micro_batch"})
        cells.push_back(there ? fits_cell(row, prefix + "training", key) : std::string());
      for (const char* key : {"longest_context", "largest_batch"})
        cells.push_back(there ? count_text(number_of(row, prefix + "inference." + key)) : std::string());
    }
    table.row(std::move(cells));
  }
  return heading("WHAT FITS", style) +
         "   on one GPU, and on a node that shares the states; train: without / with full recomputation\n" +
         table.text(2);
}

std::string size_text(const Json& m) {
  if (!m.is_object()) return "none";
  return fmt::format("{} ({} layers, hidden {})", count_text(number_of(m, "parameters")),
                     text_of(m, "layers"), text_of(m, "hidden"));
}

std::string curve_table(const Json& rows, const char* axis, const char* title) {
  Columns table = right_columns("", {title, "FLOPs a token", "bytes a token", "time a token", "MFU at most"});
  table.column("bound by", Align::left);
  for (const Json& row : rows) {
    const Json& bound = part_of(row, "memory_bound");
    table.row({"", count_text(number_of(row, axis)), time_text(number_of(row, "compute_per_token_s")),
               time_text(number_of(row, "memory_per_token_s")), time_text(number_of(row, "time_per_token_s")),
               percent(number_of(row, "mfu")), bound.get<bool>() ? "memory" : "FLOPs"});
  }
  return table.text(0);
}

std::string roofline_part(const Json& d, const Style& style) {
  const Json& r = part_of(d, "roofline");
  std::string out = fmt::format("{}   {}: {} TFLOP/s {}, {} GB/s\n", heading("ROOFLINE", style),
                                text_of(r, "gpu"), number(number_of(r, "peak_tflops_per_gpu")),
                                text_of(r, "precision"), number(number_of(r, "memory_bandwidth_gb_per_s")));
  out += fmt::format("  training on one GPU: {}\n",
                     bound_text(r, "training.compute_bound_from_batch_tokens", "tokens a step"));
  out += fmt::format(
      "  a step moves {} of weights, {} of gradients, {} of optimizer states, and {} of activations a "
      "token\n",
      bytes_text(number_of(r, "training.weights_bytes")),
      bytes_text(number_of(r, "training.gradients_bytes")),
      bytes_text(number_of(r, "training.optimizer_bytes")),
      bytes_text(number_of(r, "training.activation_bytes_per_token")));
  out += curve_table(part_of(r, "training.curve"), "batch_tokens", "tokens a step");
  out += fmt::format("  decoding at a context of {} tokens: {}", count_text(number_of(r, "decode.context")),
                     bound_text(r, "decode.compute_bound_from_batch", "sequences"));
  if (const double past = number_of(r, "decode.memory_bound_past_context"); std::isfinite(past))
    out += fmt::format("; past {} tokens of context by memory at any", count_text(past));
  out += "\n";
  out += curve_table(part_of(r, "decode.curve"), "batch", "sequences");
  out += fmt::format(
      "  smallest model of these proportions that is not memory-bound: {}; at one sequence a step: {}\n",
      size_text(part_of(r, "smallest_not_memory_bound")),
      size_text(part_of(r, "smallest_not_memory_bound_at_one_sequence")));
  Columns table;
  for (const char* name : {"largest that trains, recompute", "one GPU"}) table.column(name, Align::left);
  table.column(fmt::format("a node of {}", text_of(r, "node_gpus")), Align::left);
  for (const auto& [name, size] : part_of(r, "largest_trained_on_one_gpu").items())
    table.row({name, size_text(size), size_text(part_of(r, "largest_trained_on_a_node." + name))});
  return out + table.text(2);
}

std::string price_part(const Json& d, const Style& style) {
  const Json& c = part_of(d, "cost");
  if (!c.is_object()) return {};
  std::string out = fmt::format("{}   of {} tokens at MFU {} on {} GPU(s), {} FLOPs; {} a token forward\n",
                                heading("COST", style), count_text(number_of(c, "tokens")),
                                percent(number_of(c, "mfu")), number(number_of(c, "gpus"), 7),
                                text_of(c, "convention"), time_text(number_of(c, "forward_per_token_s")));
  Columns table = right_columns("", {"GPU-hours", "days", "USD"});
  for (const char* key : {"training", "forward", "decode"})
    table.row({key, fixed(number_of(c, std::string(key) + ".gpu_hours"), 2),
               number(number_of(c, std::string(key) + ".wall_days")),
               fixed(number_of(c, std::string(key) + ".usd"), 2)});
  return out + table.text(2) +
         fmt::format("  training takes {} FLOPs; {} MWh and {} t CO2e at {} W a GPU, PUE {}, {} kg/kWh\n",
                     number(number_of(c, "training_flops")), number(number_of(c, "energy.energy_mwh")),
                     number(number_of(c, "energy.co2e_t")), number(number_of(c, "energy.watts_per_gpu")),
                     number(number_of(c, "energy.pue")), number(number_of(c, "energy.kg_per_kwh")));
}

std::string grade_part(const Json& d, const Style& style) {
  const Json& m = part_of(d, "measured");
  if (!m.is_object()) return {};
  std::string out = fmt::format("{}   {} tokens/s per GPU   {} model TFLOP/s per GPU   MFU {}",
                                heading("MEASURED", style), number(number_of(m, "tokens_per_s_per_gpu")),
                                number(number_of(m, "model_tflops_per_gpu")), percent(number_of(m, "mfu")));
  if (const std::string grade = text_of(m, "grade"); !grade.empty()) out += "   grade " + grade;
  out += "\n";
  if (number_of(m, "published_steps") > 0)
    out += fmt::format("  above {} of {} published {} (median {}, best {}: {}, {})\n",
                       percent(number_of(m, "better_than_share")), number(number_of(m, "published_steps")),
                       text_of(m, "compared_with"), percent(number_of(m, "published_median_mfu")),
                       percent(number_of(m, "published_best.mfu")), text_of(m, "published_best.model"),
                       text_of(m, "published_best.id"));
  else
    out += "  no published step was measured on this GPU in this format\n";
  out += "  MFU by convention:";
  for (const auto& [name, value] : part_of(m, "mfu_by_convention").items())
    out += fmt::format(" {} {}", name, percent(value.get<double>()));
  out += "\n";
  for (const char* key : {"warning", "impossible"})
    if (const std::string text = text_of(m, key); !text.empty())
      out += fmt::format("  {}: {}\n", bad("warning", style), text);
  return out;
}

std::string assumed_part(const Json& d, const Style& style) {
  std::string out = heading("ASSUMED, NOT MEASURED", style) + "\n";
  for (const Json& sentence : part_of(d, "provenance.assumptions"))
    out += "  - " + wrapped(plain_text(sentence), 4) + "\n";
  return out + fmt::format("\nruncast {}\n", text_of(d, "provenance.version"));
}

}  // namespace

std::string model_screen(const Json& document, const Style& style) {
  std::string out = heading(text_of(document, "model"), style) + "\n";
  for (const auto part : {parameters_part, flops_part, states_part, gpus_part, roofline_part, price_part,
                          grade_part, assumed_part})
    if (const std::string text = part(document, style); !text.empty()) out += "\n" + text;
  return out;
}

}  // namespace runcast
