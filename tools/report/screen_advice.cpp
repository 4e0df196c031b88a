// Advice on the screen: what each lever saves, where it is in the scenario and how it is applied, and all together.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

std::string before_after(const Json& row, const char* key, std::string (*text)(double)) {
  const double before = number_of(row, std::string("before.") + key),
               after = number_of(row, std::string("after.") + key);
  const auto told = [&](double value) { return std::isfinite(value) ? text(value) : std::string("-"); };
  return told(before) + " to " + told(after);
}

// "same_run": the user's to change at once.
std::string needs(const std::string& asks_for) {
  if (asks_for == "same_run") return "nothing";
  return asks_for == "recipe"     ? "another recipe"
         : asks_for == "contract" ? "another contract"
                                  : "other machines";
}

std::string plain(double value) { return number(value); }

std::string applied(const Json& set) {
  std::string out;
  for (const Json& one : set) {
    const auto text = one.get<std::string>();
    const bool quoted = text.find_first_of(" {}[]*") != std::string::npos;
    out += fmt::format(" --set {}{}{}", quoted ? "'" : "", text, quoted ? "'" : "");
  }
  return out;
}

std::string base_line(const Json& document, const Style& style) {
  const Json& base = part_of(document, "base");
  return fmt::format("{}   {} days   {} USD   {} t CO2e   MFU {}   step {}{}\n", heading("TODAY", style),
                     number(number_of(base, "days")), number(number_of(base, "total_usd")),
                     number(number_of(base, "co2e_t")), percent(number_of(base, "mfu")),
                     time_text(number_of(base, "step_s")),
                     part_of(base, "fits") == Json(false) ? "   does not fit into memory" : "");
}

std::string table_part(const Json& rows) {
  Columns table;
  for (const char* name : {"severity", "lever", "today", "proposed"}) table.column(name, Align::left);
  for (const char* name : {"days saved", "USD saved", "t CO2e saved", "step", "needs"})
    table.column(name, Align::right);
  for (const Json& row : rows)
    table.row({text_of(row, "severity"), text_of(row, "lever") + (row.contains("stands_on") ? " *" : ""),
               text_of(row, "today"), text_of(row, "proposed"), number(number_of(row, "days_saved")),
               number(number_of(row, "usd_saved")), number(number_of(row, "co2e_t_saved")),
               before_after(row, "step_s", time_text), needs(text_of(row, "asks_for"))});
  return table.text(2);
}

std::string words(const Json& names) {
  std::string out;
  for (const Json& name : names) out += (out.empty() ? "" : ", ") + name.get<std::string>();
  return out;
}

// The best of another kind, that the row hides.
std::string second_lines(const Json& row) {
  const Json& second = part_of(row, "second");
  if (!second.is_object()) return {};
  const bool fewer = part_of(second, "trials") != part_of(row, "trials");
  return fmt::format("     next best: {}: {} days, {} USD and {} t CO2e saved{}\n      {}\n",
                     text_of(second, "proposed"), number(number_of(second, "days_saved")),
                     number(number_of(second, "usd_saved")), number(number_of(second, "co2e_t_saved")),
                     fewer ? fmt::format(" (in {} trials)", part_of(second, "trials").dump()) : "",
                     applied(part_of(second, "set")));
}

// Of recomputation: what each granularity takes and keeps.
std::string tried_lines(const Json& tried) {
  Columns table;
  table.column("recompute", Align::left);
  for (const char* name : {"step", "peak GiB", "a layer keeps", "a layer again"})
    table.column(name, Align::right);
  for (const Json& one : tried)
    table.row(
        {text_of(one, "proposed"), time_text(number_of(one, "step_s")),
         fixed(number_of(one, "peak_gib"), 1) + (part_of(one, "fits") == Json(false) ? " too much" : ""),
         bytes_text(number_of(one, "layer_bytes")), time_text(number_of(one, "layer_again_s"))});
  return table.text(5);
}

std::string details(const Json& rows) {
  std::string out;
  bool removes = false;
  for (const Json& row : rows) {
    out += fmt::format("  {}: {}: {}\n", text_of(row, "where"), text_of(row, "lever"),
                       wrapped(text_of(row, "finding"), 5));
    if (row.contains("stands_on"))
      out += "     * helps only on top of " + words(part_of(row, "stands_on.levers")) +
             ", which its --set has too; what is saved is beyond them\n";
    if (part_of(row, "after.fits") == Json(false))
      out += fmt::format("     still too much: {} GiB at the peak, {} before\n",
                         fixed(number_of(row, "after.peak_gib"), 1),
                         fixed(number_of(row, "before.peak_gib"), 1));
    out += "     " + applied(part_of(row, "set")) + "\n";
    out += second_lines(row);
    if (const Json& tried = part_of(row, "tried"); tried.is_array() && tried.front().contains("layer_bytes"))
      out += tried_lines(tried);
    for (const Json& one : part_of(row, "set")) removes = removes || one.get<std::string>().ends_with("=");
  }
  return removes ? out + "  KEY= takes the key out of the file, so that it has its default\n" : out;
}

// What the combination would lose without each of its levers.
std::string worth_part(const Json& all) {
  const Json& worth = part_of(all, "worth");
  if (!worth.is_array() || worth.empty()) return {};
  Columns table;
  table.column("without", Align::left);
  for (const char* name : {"days more", "USD more", "t CO2e more"}) table.column(name, Align::right);
  for (const Json& one : worth)
    table.row({text_of(one, "lever") + (part_of(one, "fits_without") == Json(false) ? " (does not fit)" : ""),
               number(number_of(one, "days_saved")), number(number_of(one, "usd_saved")),
               number(number_of(one, "co2e_t_saved"))});
  return table.text(2);
}

std::string together_part(const char* title, const Json& all, const Style& style) {
  if (!all.is_object() || !part_of(all, "set").is_array() || part_of(all, "set").empty()) return {};
  return fmt::format("{}   {} days   {} USD   {} t CO2e   MFU {}{}\n    {}\n", heading(title, style),
                     before_after(all, "days", plain), before_after(all, "total_usd", plain),
                     before_after(all, "co2e_t", plain), before_after(all, "mfu", percent),
                     part_of(all, "after.fits") == Json(false) ? "   does not fit into memory" : "",
                     applied(part_of(all, "set"))) +
         worth_part(all);
}

}  // namespace

std::string advice_screen(const Json& document, const Style& style) {
  std::string out = scenario_part(document, style) + base_line(document, style);
  const Json& rows = part_of(document, "rows");
  if (!rows.is_array() || rows.empty())
    return out + heading("ADVICE", style) + "   no lever saves half a percent\n" +
           provenance_part(document, style);
  out +=
      heading("ADVICE", style) + "   each simulated; savings do not add\n" + table_part(rows) + details(rows);
  out += together_part("TOGETHER, asking for nothing", part_of(document, "combined"), style) +
         together_part("TOGETHER, whatever it asks for", part_of(document, "combined_all"), style);
  return out + provenance_part(document, style);
}

}  // namespace runcast
