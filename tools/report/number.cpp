// Numbers: rounding, grouping, and the units that key suffixes stand for.
#include "tools/report/number.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

namespace runcast {
namespace {

struct UnitName {
  std::string_view key;
  std::string_view unit;
};

// Whole keys first, suffixes after; the first match wins.
constexpr std::array kWholeKeys = {
    UnitName{"mfu", "1"},
    UnitName{"hfu", "1"},
    UnitName{"goodput", "1"},
    UnitName{"ledger", "1"},
    UnitName{"days", "days"},
    UnitName{"usd", "USD"},
    UnitName{"gpu_hours", "GPU h"},
    UnitName{"seconds", "s"},
    UnitName{"bubble_over_ideal", "1"},
    UnitName{"error", "1"},
    UnitName{"mape", "1"},
    UnitName{"median", "1"},
    UnitName{"bias", "1"},
    UnitName{"p90", "1"},
    UnitName{"interruptions", "count"},
    UnitName{"count", "count"},
    UnitName{"trials", "count"},
    UnitName{"bytes_per_rank", "B"},
    UnitName{"mfu_low", "1"},
    UnitName{"mfu_high", "1"},
    UnitName{"days_low", "days"},
    UnitName{"days_high", "days"},
    UnitName{"usd_low", "USD"},
    UnitName{"usd_high", "USD"},
    UnitName{"level", "1"},
    UnitName{"measured_steps", "count"},
    UnitName{"n_opt", "parameters"},
    UnitName{"d_opt", "tokens"},
    UnitName{"loss", "nats/token"},
    UnitName{"loss_at_optimum", "nats/token"},
    UnitName{"parameters", "parameters"},
    UnitName{"active_parameters", "parameters"},
    UnitName{"tokens", "tokens"},
    UnitName{"mfu_6n", "1"},
    UnitName{"parameters_by_component", "parameters"},
    UnitName{"flops_per_token", "FLOP/token"},
    UnitName{"forward_flops_per_token", "FLOP/token"},
    UnitName{"full_recompute_flops_per_token", "FLOP/token"},
    UnitName{"exact_flops_per_token", "FLOP/token"},
    UnitName{"mfu_by_convention", "1"},
    UnitName{"longest_sequence", "tokens"},
    UnitName{"longest_context", "tokens"},
    UnitName{"largest_batch", "sequences"},
    UnitName{"largest_micro_batch", "sequences"},
    UnitName{"sequence_length", "tokens"},
    UnitName{"context", "tokens"},
    UnitName{"batch", "sequences"},
    UnitName{"memory_bound_past_context", "tokens"},
    UnitName{"compute_bound_from_batch", "sequences"},
};
constexpr std::array kSuffixes = {
    UnitName{"_tokens_per_s_per_gpu", "tokens/s/GPU"},
    UnitName{"tokens_per_s_per_gpu", "tokens/s/GPU"},
    UnitName{"tflops_per_gpu", "TFLOP/s/GPU"},
    UnitName{"_gpu_hours", "GPU h"},
    UnitName{"usd_per_1t_tokens", "USD"},
    UnitName{"bytes_per_token", "B/token"},
    UnitName{"_fraction", "1"},
    UnitName{"usd_per_gpu_hour", "USD/h"},
    UnitName{"tokens_per_parameter", "tokens/parameter"},
    UnitName{"_flops", "FLOP"},
    UnitName{"efficiency", "1"},
    UnitName{"_tokens", "tokens"},
    UnitName{"_sequence", "tokens"},
    UnitName{"_share", "1"},
    UnitName{"memory_bandwidth_gb_per_s", "GB/s"},
    UnitName{"state_bytes_per_parameter", "B/parameter"},
    UnitName{"_gb", "GB"},
    UnitName{"_gib", "GiB"},
    UnitName{"_gbps", "Gbps"},
    UnitName{"_days", "days"},
    UnitName{"_usd", "USD"},
    UnitName{"_mwh", "MWh"},
    UnitName{"co2e_t", "t"},
    UnitName{"_bytes", "B"},
    UnitName{"_hours", "h"},
    UnitName{"_s", "s"},
};

std::string_view unit_of_key(std::string_view key) {
  for (const UnitName& name : kWholeKeys)
    if (key == name.key) return name.unit;
  for (const UnitName& name : kSuffixes)
    if (key.ends_with(name.key)) return name.unit;
  return {};
}

}  // namespace

std::string grouped(long long value) {
  std::string digits = std::to_string(value < 0 ? -value : value);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return value < 0 ? "-" + digits : digits;
}

std::string fixed(double value, int decimals) {
  if (!std::isfinite(value)) return "-";
  if (std::abs(value) >= 1e15) return fmt::format("{:.3e}", value);
  std::string text = fmt::format("{:.{}f}", value, decimals);
  const bool negative = text.front() == '-';
  const auto point = std::min(text.find('.'), text.size());
  const std::string whole = text.substr(negative ? 1 : 0, point - (negative ? 1 : 0));
  return (negative ? "-" : "") + grouped(std::stoll(whole)) + text.substr(point);
}

std::string number(double value, int significant) {
  if (!std::isfinite(value)) return "-";
  if (value == 0) return "0";
  const std::string rounded =
      fmt::format("{:.{}e}", value, significant - 1);  // 999.96 has the magnitude of 1000
  const int magnitude = std::stoi(rounded.substr(rounded.find('e') + 1));
  if (magnitude < -4 || magnitude >= 15) return fmt::format("{:.{}g}", value, significant);
  if (value == std::floor(value) && magnitude < significant) return fixed(value, 0);  // 8, not 8.000
  return fixed(value, std::max(0, significant - 1 - magnitude));
}

std::string percent(double fraction) {
  return std::isfinite(fraction) ? fixed(fraction * 100, 1) + " %" : std::string("-");
}

std::string time_text(double seconds) {
  const double size = std::abs(seconds);
  if (!std::isfinite(seconds)) return "-";
  if (size == 0) return "0 s";
  if (size < 1e-3) return number(seconds * 1e6, 3) + " us";
  if (size < 1) return number(seconds * 1e3, 4) + " ms";
  if (size < 120) return number(seconds, 4) + " s";
  if (size < 7200) return number(seconds / 60, 3) + " min";
  if (size < 172800) return number(seconds / 3600, 3) + " h";
  return number(seconds / 86400, 4) + " days";
}

std::string range_text(const std::string& low, const std::string& high) {
  const auto low_unit = low.find(' '), high_unit = high.find(' ');
  const bool equal = low_unit != std::string::npos && high_unit != std::string::npos &&
                     low.substr(low_unit) == high.substr(high_unit);
  return (equal ? low.substr(0, low_unit) : low) + " to " + high;
}

std::string count_text(double count) {
  static constexpr std::array<std::string_view, 4> kSuffix = {"", "k", "M", "B"};
  if (!std::isfinite(count)) return "-";
  std::size_t suffix = 0;
  while (std::abs(count) >= 999.95 && suffix < kSuffix.size()) {
    count /= 1000;
    ++suffix;
  }
  return number(count) + (suffix < kSuffix.size() ? std::string(kSuffix[suffix]) : "T");
}

std::string bytes_text(double bytes) {
  if (!std::isfinite(bytes)) return "-";
  static constexpr std::array<std::string_view, 6> kUnits = {"B", "kB", "MB", "GB", "TB", "PB"};
  std::size_t unit = 0;
  while (std::abs(bytes) >= 999.5 && unit + 1 < kUnits.size()) {
    bytes /= 1000;
    ++unit;
  }
  return fmt::format("{} {}", number(bytes, 3), kUnits[unit]);
}

std::string unit_of(std::string_view path) {
  while (!path.empty()) {
    const auto dot = path.rfind('.');
    std::string_view key = dot == std::string_view::npos ? path : path.substr(dot + 1);
    key = key.substr(0, key.find('['));
    if (const std::string_view unit = unit_of_key(key); !unit.empty()) return std::string(unit);
    path = dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
  }
  return {};
}

std::string plain_text(const nlohmann::ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return {};
  return json_text(value);
}

std::string json_text(const nlohmann::ordered_json& value, int indent) {
  return value.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace runcast
