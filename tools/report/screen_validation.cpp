// Predicted against measured on the screen: the errors in sum, by group, then row by row.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

std::string signed_percent(double error) { return (error > 0 ? "+" : "") + percent(error); }

std::string rows_table(const Json& rows) {
  Columns table;
  table.column("row", Align::left);
  for (const char* name : {"measured s", "predicted s", "error"}) table.column(name, Align::right);
  for (const Json& row : rows)
    table.row({text_of(row, "id"), number(number_of(row, "measured_step_s")),
               number(number_of(row, "predicted_step_s")), signed_percent(number_of(row, "error"))});
  return table.empty() ? std::string() : table.text(2) + "\n";
}

// How many rows each reason kept out, the most frequent first.
std::string skipped_table(const Json& skipped) {
  std::map<std::string, int> counts;
  for (const Json& row : skipped) ++counts[text_of(row, "reason")];
  std::vector<std::pair<std::string, int>> order(counts.begin(), counts.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  Columns table;
  table.column("skipped", Align::right);
  table.column("because", Align::left);
  for (const auto& [reason, count] : order) table.row({number(count), reason});
  return table.empty() ? std::string() : table.text(2) + "\n";
}

std::vector<std::string> error_cells(const std::string& name, const Json& errors) {
  return {name,
          number(number_of(errors, "rows")),
          percent(number_of(errors, "mape")),
          percent(number_of(errors, "median")),
          percent(number_of(errors, "p90")),
          signed_percent(number_of(errors, "bias"))};
}

Columns error_columns(const char* first) {
  Columns table;
  table.column(first, Align::left);
  for (const char* name : {"rows", "mean |error|", "median", "90 % within", "bias"})
    table.column(name, Align::right);
  return table;
}

}  // namespace

// The sum comes last, where a terminal ends.
std::string validation_screen(const Json& document, const Style& style) {
  const Json& rows = part_of(document, "rows");
  const Json& skipped = part_of(document, "skipped");
  std::string out = rows_table(rows) + skipped_table(skipped);
  Columns groups = error_columns("group");
  for (const Json& group : part_of(document, "groups")) groups.row(error_cells(text_of(group, "key"), group));
  if (!groups.empty()) out += groups.text(2) + "\n";

  out += fmt::format("{}   {} measured steps, {} skipped\n", heading("PREDICTED AGAINST MEASURED", style),
                     rows.size(), skipped.size());
  Columns table = error_columns("");
  Json all = document;
  all["rows"] = rows.size();
  table.row(error_cells("all", all));
  for (const char* kind : {"dense", "moe"})
    if (const Json& errors = part_of(document, kind); errors.is_object())
      table.row(error_cells(kind, errors));
  const auto add = [&](const char* name, const char* path) {
    const Json& errors = part_of(document, path);
    if (errors.is_object() && errors.contains("mape")) table.row(error_cells(name, errors));
  };
  add("the same steps measured twice", "remeasurement_floor");
  add("to compare: one MFU for each GPU", "baselines.constant_mfu");
  add("to compare: 6ND at 40 %", "baselines.6nd_40");
  return out + table.text(2);
}

}  // namespace runcast
