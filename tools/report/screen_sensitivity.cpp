// The tornado: what each constant does to days and dollars, the strongest first.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

constexpr std::size_t kShown = 24;
constexpr double kNothing = 5e-4;

std::string signed_number(double value) {
  return std::isfinite(value) ? fmt::format("{}{}", value > 0 ? "+" : "", fixed(value, 3)) : "-";
}

}  // namespace

std::string sensitivity_part(const Json& document, const Style& style) {
  const Json& sensitivity = part_of(document, "sensitivity");
  if (!sensitivity.is_object()) return {};
  Columns table;
  for (const char* name : {"constant", "kind"}) table.column(name, Align::left);
  for (const char* name : {"step", "days", "USD"}) table.column(name, Align::right);
  table.column("days", Align::left);
  double largest = 0;
  for (const Json& row : part_of(sensitivity, "rows"))
    largest = std::max(largest, std::abs(number_of(row, "days")));
  std::size_t shown = 0;
  for (const Json& row : part_of(sensitivity, "rows")) {
    const double days = number_of(row, "days"), usd = number_of(row, "usd");
    if (shown == kShown || (std::abs(days) < kNothing && !(std::abs(usd) >= kNothing))) continue;
    ++shown;
    table.row({text_of(row, "name"), text_of(row, "kind"), signed_number(number_of(row, "step")),
               signed_number(days), signed_number(usd),
               largest > 0 ? bar(std::abs(days) / largest, 24, style) : ""});
  }
  std::string out =
      heading("SENSITIVITY", style) +
      "   elasticity: by how many per cent the figure grows with one per cent more of the constant\n" +
      table.text(2);
  const Json& interval = part_of(sensitivity, "calibration");
  const auto range = [&](const char* key, const char* unit) {
    const Json& figure = part_of(interval, key);
    return figure.is_object() ? fmt::format(", {} to {} {}", number(number_of(figure, "low")),
                                            number(number_of(figure, "high")), unit)
                              : std::string();
  };
  out += fmt::format("  {} of what the calibration leaves open{}{}{}\n\n", level_of(interval),
                     range("step_s", "s a step"), range("days", "days"), range("usd", "USD"));
  return out;
}

}  // namespace runcast
