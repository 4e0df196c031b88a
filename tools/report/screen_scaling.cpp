// Scaling laws on the screen: the optimum of the budget, every law beside it, known models, the batch ramp.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

std::string budget_lines(const Json& document, const Style& style) {
  const double compute = number_of(document, "compute_flops");
  if (!std::isfinite(compute)) return {};
  std::string out = fmt::format(
      "{}   {} parameters, {} tokens ({} a parameter), loss {} nats/token   by the law {}\n",
      heading("OPTIMUM", style), count_text(number_of(document, "n_opt")),
      count_text(number_of(document, "d_opt")), number(number_of(document, "tokens_per_parameter"), 3),
      fixed(number_of(document, "loss"), 4), text_of(document, "law"));
  out += fmt::format("  for {} FLOPs\n", number(compute));
  const Json& budget = part_of(document, "budget");
  if (!budget.is_object()) return out;
  const double hours = number_of(budget, "gpu_hours"), usd = number_of(budget, "usd");
  const double mfu = number_of(budget, "mfu"), in_6n = number_of(budget, "mfu_6n");
  out += fmt::format("  on {} at {} TFLOP/s {}", text_of(budget, "gpu"),
                     number(number_of(budget, "peak_tflops_per_gpu")), text_of(budget, "precision"));
  if (std::isfinite(hours)) out += fmt::format(": {} GPU-hours", number(hours));
  if (std::isfinite(usd))
    out += fmt::format(", {} USD at {} USD a GPU-hour", number(usd),
                       fixed(number_of(budget, "usd_per_gpu_hour"), 2));
  out += "\n";
  if (std::isfinite(mfu)) {
    out += fmt::format("  MFU {}", percent(mfu));
    if (in_6n != mfu) out += fmt::format(" ({} in 6 N FLOPs a token, as the laws count)", percent(in_6n));
    out += fmt::format(": {}\n", text_of(budget, "mfu_source"));
  }
  return out;
}

std::string laws_part(const Json& document, const Style& style) {
  const Json& rows = part_of(document, "laws");
  if (!rows.is_array()) return {};
  Columns table;
  table.column("law", Align::left);
  for (const char* name : {"parameters", "tokens", "tokens/parameter", "loss"})
    table.column(name, Align::right);
  table.column("", Align::left);
  for (const Json& row : rows)
    table.row({text_of(row, "law"), count_text(number_of(row, "n_opt")), count_text(number_of(row, "d_opt")),
               number(number_of(row, "tokens_per_parameter"), 3), fixed(number_of(row, "loss"), 4),
               text_of(row, "sentence")});
  return heading("LAWS", style) + "   the same compute by each; losses of two laws do not compare\n" +
         table.text(2);
}

std::string frontier_part(const Json& document, const Style& style) {
  const Json& rows = part_of(document, "frontier");
  if (!rows.is_array() || rows.empty()) return {};
  Columns table;
  for (const char* name : {"FLOPs", "parameters", "tokens", "tokens/parameter", "loss"})
    table.column(name, Align::right);
  for (const Json& row : rows)
    table.row({number(number_of(row, "compute_flops")), count_text(number_of(row, "n_opt")),
               count_text(number_of(row, "d_opt")), number(number_of(row, "tokens_per_parameter"), 3),
               fixed(number_of(row, "loss"), 4)});
  return heading("FRONTIER", style) + "   by the law " + text_of(document, "law") + "\n" + table.text(2);
}

void model_row(Columns& table, const Json& row) {
  table.row({text_of(row, "name"), count_text(number_of(row, "parameters")),
             count_text(number_of(row, "tokens")), number(number_of(row, "compute_flops"), 3),
             number(number_of(row, "parameters_over_optimum"), 3) + " x",
             number(number_of(row, "tokens_over_optimum"), 3) + " x", fixed(number_of(row, "loss"), 4),
             fixed(number_of(row, "loss_at_optimum"), 4),
             number(number_of(row, "compute_over_needed"), 3) + " x"});
}

std::string models_part(const Json& document, const Style& style) {
  Columns table;
  table.column("model", Align::left);
  for (const char* name : {"parameters", "tokens", "FLOPs", "parameters/best", "tokens/best", "loss",
                           "loss at best", "compute/needed"})
    table.column(name, Align::right);
  if (const Json& own = part_of(document, "model"); own.is_object()) model_row(table, own);
  const Json& rows = part_of(document, "models");
  if (rows.is_array())
    for (const Json& row : rows) model_row(table, row);
  if (table.empty()) return {};
  return heading("MODELS", style) + "   against the optimum of the compute that each took\n" + table.text(2);
}

std::string batch_part(const Json& document, const Style& style) {
  const Json& batch = part_of(document, "batch");
  if (!batch.is_object()) return {};
  Columns table;
  for (const char* name :
       {"tokens", "batch", "critical batch", "steps", "step efficiency", "sample efficiency"})
    table.column(name, Align::right);
  for (const Json& row : batch["phases"])
    table.row({count_text(number_of(row, "tokens")), count_text(number_of(row, "batch_tokens")),
               count_text(number_of(row, "critical_batch_tokens")), number(number_of(row, "steps")),
               percent(number_of(row, "efficiency")), percent(number_of(row, "sample_efficiency"))});
  std::string out =
      heading("BATCH", style) + "   tokens; `runcast explain batch_efficiency`\n" + table.text(2);
  const Json &ramp = part_of(batch, "ramp"), &constant = part_of(batch, "constant");
  if (ramp.is_object() && batch["phases"].size() > 1)
    out += fmt::format(
        "  the ramp takes {} steps and uses {} of its samples; the last batch all along {} steps and {}\n",
        number(number_of(ramp, "steps")), percent(number_of(ramp, "sample_efficiency")),
        number(number_of(constant, "steps")), percent(number_of(constant, "sample_efficiency")));
  return out;
}

}  // namespace

std::string scaling_screen(const Json& document, const Style& style) {
  std::string out;
  for (const auto part : {budget_lines, laws_part, frontier_part, models_part, batch_part, provenance_part}) {
    const std::string text = part(document, style);
    if (!text.empty()) out += (out.empty() ? "" : "\n") + text;
  }
  return out;
}

}  // namespace runcast
