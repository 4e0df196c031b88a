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
  for (const char* name : {"days saved", "USD saved", "t CO2e saved", "MFU", "asks for"})
    table.column(name, Align::right);
  for (const Json& row : rows)
    table.row({text_of(row, "severity"), text_of(row, "lever"), text_of(row, "today"),
               text_of(row, "proposed"), number(number_of(row, "days_saved")),
               number(number_of(row, "usd_saved")), number(number_of(row, "co2e_t_saved")),
               before_after(row, "mfu", percent), words_of(text_of(row, "asks_for"))});
  return table.text(2);
}

std::string details(const Json& rows) {
  std::string out;
  for (const Json& row : rows)
    out += fmt::format("  {}: {}: {}\n     {}\n", text_of(row, "where"), text_of(row, "lever"),
                       wrapped(text_of(row, "finding"), 5), applied(part_of(row, "set")));
  return out;
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
  const Json& all = part_of(document, "combined");
  if (part_of(all, "set").is_array() && !part_of(all, "set").empty())
    out += fmt::format("{}   {} days   {} USD   {} t CO2e   MFU {}\n    {}\n", heading("TOGETHER", style),
                       before_after(all, "days", plain), before_after(all, "total_usd", plain),
                       before_after(all, "co2e_t", plain), before_after(all, "mfu", percent),
                       applied(part_of(all, "set")));
  return out + provenance_part(document, style);
}

}  // namespace runcast
