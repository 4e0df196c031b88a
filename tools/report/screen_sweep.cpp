// A study on the screen: its pivot or its rows, and how far it is.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

constexpr std::size_t kShown = 60;

std::string cell_text(const Json& value) {
  if (value.is_null()) return "-";
  return value.is_number_float() ? number(value.get<double>()) : plain_text(value);
}

std::vector<std::string> columns_of(const Json& rows) {
  std::vector<std::string> columns;
  for (const Json& row : rows)
    for (const auto& [key, unused] : row.items())
      if (std::ranges::find(columns, key) == columns.end()) columns.push_back(key);
  return columns;
}

std::string rows_table(const Json& rows) {
  const std::vector<std::string> columns = columns_of(rows);
  Columns table;
  for (const std::string& column : columns)
    table.column(column, column == "error" ? Align::left : Align::right);
  for (std::size_t i = 0; i < std::min(rows.size(), kShown); ++i) {
    std::vector<std::string> cells;
    for (const std::string& column : columns)
      cells.push_back(rows[i].contains(column) ? cell_text(rows[i][column]) : "");
    table.row(std::move(cells));
  }
  std::string text = table.text(2);
  if (rows.size() > kShown)
    text += fmt::format("  ... {} more; --format csv has all\n", rows.size() - kShown);
  return text;
}

// One value by two keys; of several points with the same pair, their mean.
std::string pivot_table(const Json& rows, const Json& pivot) {
  const std::string down = text_of(pivot, "rows"), across = text_of(pivot, "columns"),
                    value = text_of(pivot, "value");
  std::vector<std::string> lines, columns;
  std::map<std::pair<std::string, std::string>, std::pair<double, int>> cells;
  for (const Json& row : rows) {
    if (!row.contains(down) || !row.contains(across)) continue;
    const std::string line = cell_text(row[down]), column = cell_text(row[across]);
    for (auto [list, name] : {std::pair(&lines, line), std::pair(&columns, column)})
      if (std::ranges::find(*list, name) == list->end()) list->push_back(name);
    if (!row.contains(value) || !row[value].is_number()) continue;
    auto& [sum, count] = cells[{line, column}];
    sum += row[value].get<double>();
    ++count;
  }
  Columns table;
  table.column(fmt::format("{} \\ {}", down, across), Align::left);
  for (const std::string& column : columns) table.column(column, Align::right);
  for (const std::string& line : lines) {
    std::vector<std::string> row{line};
    for (const std::string& column : columns) {
      const auto found = cells.find({line, column});
      row.push_back(found == cells.end() ? "-" : number(found->second.first / found->second.second));
    }
    table.row(std::move(row));
  }
  return fmt::format("  {}\n{}", value, table.text(2));
}

}  // namespace

std::string sweep_screen(const Json& document, const Style& style) {
  const Json& rows = part_of(document, "rows");
  std::string out;
  if (const Json& pivot = part_of(document, "pivot"); pivot.is_object())
    out += heading("PIVOT", style) + "\n" + pivot_table(rows, pivot) + "\n";
  else
    out += heading("POINTS", style) + "\n" + rows_table(rows) + "\n";
  const std::string file = text_of(document, "results_file");
  out += fmt::format("  {} of {} points done", cell_text(part_of(document, "done")),
                     cell_text(part_of(document, "points")));
  if (number_of(document, "resumed") > 0)
    out += fmt::format(", {} of them before", cell_text(part_of(document, "resumed")));
  if (!file.empty()) out += fmt::format("; rows in {}", file);
  if (part_of(document, "complete") == false) out += "; the same command goes on";
  return out + "\n";
}

}  // namespace runcast
