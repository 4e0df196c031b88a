// Predicted against measured on the screen: the errors in sum, by group, then row by row.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

std::string signed_percent(double error) { return (error > 0 ? "+" : "") + percent(error); }

}  // namespace

std::string validation_screen(const Json& document, const Style& style) {
  const Json& rows = part_of(document, "rows");
  const Json& skipped = part_of(document, "skipped");
  std::string out = fmt::format("{}   {} measured steps, {} skipped\n",
                                heading("PREDICTED AGAINST MEASURED", style), rows.size(), skipped.size());
  out += fmt::format("  mean absolute error {}   median {}   90 % are within {}   bias {}\n",
                     percent(number_of(document, "mape")), percent(number_of(document, "median")),
                     percent(number_of(document, "p90")), signed_percent(number_of(document, "bias")));
  Columns groups;
  groups.column("group", Align::left);
  for (const char* name : {"rows", "mean abs error", "bias", "p90"}) groups.column(name, Align::right);
  for (const Json& group : part_of(document, "groups"))
    groups.row({text_of(group, "key"), number(number_of(group, "rows")), percent(number_of(group, "mape")),
                signed_percent(number_of(group, "bias")), percent(number_of(group, "p90"))});
  if (!groups.empty()) out += "\n" + groups.text(2);

  Columns table;
  table.column("row", Align::left);
  for (const char* name : {"measured s", "predicted s", "error"}) table.column(name, Align::right);
  for (const Json& row : rows)
    table.row({text_of(row, "id"), number(number_of(row, "measured_step_s")),
               number(number_of(row, "predicted_step_s")), signed_percent(number_of(row, "error"))});
  if (!table.empty()) out += "\n" + table.text(2);

  Columns reasons;
  reasons.column("skipped", Align::left);
  reasons.column("because", Align::left);
  for (const Json& row : skipped) reasons.row({text_of(row, "id"), text_of(row, "reason")});
  if (!reasons.empty()) out += "\n" + reasons.text(2);
  return out;
}

}  // namespace runcast
