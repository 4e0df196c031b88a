// A search on the screen: what was counted, the best layouts, the front, why others were rejected, and the scenario's
// own layout beside the best.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

std::string whole(const Json& row, const char* key) { return number(number_of(row, key)); }

// "interleaved_1f1b x 8, all": the schedule, its chunks, and a group that is not the usual one.
std::string schedule_text(const Json& row) {
  std::string text = text_of(row, "schedule");
  if (text == "interleaved_1f1b") text = fmt::format("interleaved x {}", whole(row, "virtual_stages"));
  if (const double group = number_of(row, "group_size"); group > 0)
    text += fmt::format(", {} a group", number(group));
  return text;
}

std::string overlaps_text(const Json& row) {
  std::string text;
  for (const char* name : {"data", "tensor", "pipeline", "expert"})
    if (part_of(row, fmt::format("overlap_{}", name)) == true)
      text += fmt::format("{}{}", text.empty() ? "" : " ", name);
  return text.empty() ? "none" : text;
}

std::string order_text(const Json& row) {
  std::string text;
  for (const Json& axis : part_of(row, "order")) text += axis.get<std::string>().substr(0, 1);
  return text;
}

std::string layouts_table(const Json& rows) {
  if (!rows.is_array() || rows.empty()) return {};
  const Json& first = rows.front();
  const bool machines = first.contains("gpus"), experts = number_of(first, "expert") > 0;
  const bool days = first.contains("days"), energy = first.contains("energy_mwh");
  Columns table;
  for (const char* name : {"step s", "MFU", "peak GiB", "USD/1T tokens"}) table.column(name, Align::right);
  if (days) table.column("days", Align::right);
  if (energy) table.column("MWh", Align::right);
  if (machines) table.column("node x GPUs, batch", Align::left);
  for (const char* name : {"t", "c", "p", "d"}) table.column(name, Align::right);
  if (experts) table.column("e x et", Align::right);
  table.column("b", Align::right);
  for (const char* name : {"sp", "schedule", "recompute", "sharding", "overlap", "order"})
    table.column(name, Align::left);
  for (const Json& row : rows) {
    std::vector<std::string> cells = {number(number_of(row, "step_s")), percent(number_of(row, "mfu")),
                                      fixed(number_of(row, "peak_gib"), 1),
                                      number(number_of(row, "usd_per_1t_tokens"))};
    if (days) cells.push_back(number(number_of(row, "days")));
    if (energy) cells.push_back(number(number_of(row, "energy_mwh")));
    if (machines)
      cells.push_back(
          fmt::format("{} x {}, {}", text_of(row, "node"), whole(row, "gpus"), whole(row, "global_batch")));
    for (const char* key : {"tensor", "context", "pipeline", "data"}) cells.push_back(whole(row, key));
    if (experts) cells.push_back(fmt::format("{} x {}", whole(row, "expert"), whole(row, "expert_tensor")));
    cells.push_back(whole(row, "micro_batch"));
    cells.emplace_back(part_of(row, "sequence_parallel") == true ? "yes" : "no");
    cells.push_back(schedule_text(row));
    cells.push_back(text_of(row, "recompute"));
    cells.push_back(text_of(row, "sharding"));
    cells.push_back(overlaps_text(row));
    cells.push_back(order_text(row));
    table.row(std::move(cells));
  }
  return table.text(2);
}

std::string rejected_table(const Json& rejected) {
  Columns table;
  table.column("layouts", Align::right);
  table.column("rejected because", Align::left);
  table.column("for example", Align::left);
  for (const Json& row : rejected)
    table.row({grouped(static_cast<long long>(number_of(row, "count"))), text_of(row, "reason"),
               text_of(row, "example")});
  return table.empty() ? std::string() : table.text(2) + "\n";
}

std::string own_part(const Json& own, const Style& style) {
  if (!own.is_object()) return {};
  std::string out = heading("THE SCENARIO'S OWN LAYOUT", style) +
                    fmt::format("   {} a step, {} MFU, {} GiB", time_text(number_of(own, "step_s")),
                                percent(number_of(own, "mfu")), fixed(number_of(own, "peak_gib"), 1));
  if (part_of(own, "fits") == false) out += ", does not fit";
  const double over = number_of(own, "over_best");
  if (std::isfinite(over)) {
    out += fmt::format("; {} {} than the best\n", percent(std::abs(over)), over >= 0 ? "longer" : "shorter");
    std::string terms;
    for (const auto& [key, value] : part_of(own, "difference_s").items())
      if (std::abs(value.get<double>()) > 1e-6)
        terms += fmt::format("{}{} {}{}", terms.empty() ? "" : ", ", words_of(key),
                             value.get<double>() > 0 ? "+" : "-", time_text(std::abs(value.get<double>())));
    out += "    where: " + wrapped(terms, 4);
  }
  return out + "\n\n";
}

std::string none_text(const Json& document) {
  const double fit = number_of(document, "feasible");
  if (!(fit > 0)) return "  none fits\n";
  return fmt::format("  none of the {} that fit fulfils --where\n", grouped(static_cast<long long>(fit)));
}

}  // namespace

std::string search_screen(const Json& document, const Style& style) {
  std::string out = heading("REJECTED", style) + "\n" + rejected_table(part_of(document, "rejected"));
  out += own_part(part_of(document, "own"), style);
  if (const Json& miss = part_of(document, "nearest_miss"); miss.is_object())
    out += heading("NEAREST MISS", style) +
           fmt::format("   {} a step, if {} GiB more memory were there\n{}    {}\n\n",
                       time_text(number_of(miss, "step_s")), fixed(number_of(miss, "missing_gib"), 1),
                       layouts_table(Json::array({miss})), wrapped(text_of(miss, "reason"), 4));
  if (const Json& front = part_of(document, "pareto"); front.is_array() && front.size() > 1)
    out += heading("PARETO FRONT", style) + "   no layout is better in time, memory and cost together\n" +
           layouts_table(front) + "\n";
  const Json& layouts = part_of(document, "layouts");
  out += heading("BEST LAYOUTS", style) + fmt::format("   by {}\n", words_of(text_of(document, "objective")));
  out += layouts.empty() ? none_text(document) : layouts_table(layouts);
  const double seconds = number_of(document, "seconds"), counted = number_of(document, "counted");
  out += fmt::format("\n  {} layouts counted, {} rejected, {} fit, {} simulated",
                     grouped(static_cast<long long>(counted)),
                     grouped(static_cast<long long>(number_of(document, "pruned"))),
                     grouped(static_cast<long long>(number_of(document, "feasible"))),
                     grouped(static_cast<long long>(number_of(document, "simulated"))));
  if (std::isfinite(seconds))
    out += fmt::format("; {}, {}/s", time_text(seconds), number(counted / seconds, 3));
  out += part_of(document, "complete") == false ? "; stopped before the end\n" : "\n";
  out +=
      "  t c p d: tensor, context, pipeline, data; b: micro-batch; sp: sequence parallel; order: innermost "
      "first\n"
      "  Every layout listed was simulated. --format json has each with the --set values that make it.\n";
  return out;
}

}  // namespace runcast
