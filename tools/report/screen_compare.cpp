// Scenarios side by side on the screen.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

std::string value_text(const Json& value) {
  if (value.is_null()) return "-";
  return value.is_number_float() ? number(value.get<double>()) : plain_text(value);
}

std::string signed_text(double value, const std::string& text) {
  return (value > 0 ? "+" : value < 0 ? "-" : "") + text;
}

Columns by_scenario(const std::string& first, const Json& names, Align align) {
  Columns table;
  table.column(first, Align::left);
  for (const Json& name : names) table.column(name.get<std::string>(), align);
  return table;
}

std::string terms_table(const Json& document, const char* path, const char* title, const char* unit) {
  const Json& differences = part_of(document, path);
  const Json& names = part_of(document, "scenarios");
  if (!differences.is_array() || differences.empty()) return {};
  Columns table;
  table.column(fmt::format("{}, {}", title, unit), Align::left);
  for (std::size_t i = 1; i < names.size(); ++i) table.column(names[i].get<std::string>(), Align::right);
  const auto row = [&](const std::string& name, auto value_of) {
    std::vector<std::string> cells{name};
    bool any = false;
    for (const Json& difference : differences) {
      const double value = value_of(difference);
      any |= std::abs(value) > 1e-9;
      cells.push_back(signed_text(value, number(std::abs(value))));
    }
    if (any) table.row(std::move(cells));
  };
  for (const auto& term : part_of(differences.front(), "terms").items())
    row(words_of(term.key()),
        [&](const Json& difference) { return difference["terms"][term.key()].get<double>(); });
  row("together", [](const Json& difference) { return difference["total"].get<double>(); });
  return table.empty() ? std::string() : table.text(2) + "\n";
}

}  // namespace

std::string compare_screen(const Json& document, const Style& style) {
  const Json& names = part_of(document, "scenarios");
  std::string out = heading("INPUTS THAT DIFFER", style) + "\n";
  Columns inputs = by_scenario("", names, Align::left);
  for (const Json& row : part_of(document, "inputs")) {
    std::vector<std::string> cells{text_of(row, "key")};
    for (const Json& value : row["values"]) cells.push_back(value_text(value));
    inputs.row(std::move(cells));
  }
  out += inputs.empty() ? "  none\n\n" : inputs.text(2) + "\n";
  out += heading("RESULTS", style) + "\n";
  Columns outputs = by_scenario("", names, Align::right);
  outputs.column("last over first", Align::right);
  for (const Json& row : part_of(document, "outputs")) {
    std::vector<std::string> cells{text_of(row, "key")};
    for (const Json& value : row["values"]) cells.push_back(value_text(value));
    const Json& last = row["relative"].empty() ? Json() : row["relative"].back();
    cells.push_back(last.is_number() ? signed_text(last.get<double>(), percent(std::abs(last.get<double>())))
                                     : "");
    outputs.row(std::move(cells));
  }
  out += outputs.text(2) + "\n" + heading("WHERE THE DIFFERENCE LIES", style) +
         fmt::format("   from {}\n", plain_text(names[0]));
  const std::string terms = terms_table(document, "step_difference_s", "step", "s") +
                            terms_table(document, "days_difference", "run", "days");
  return out + (terms.empty() ? "  nowhere\n" : terms);
}

}  // namespace runcast
