#include "tools/commands/option_values.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "sim/error.hpp"
#include "sim/spelling.hpp"

namespace runcast {
namespace {

constexpr std::array kSuffixes = {Unit{"k", 1e3}, Unit{"K", 1e3},  Unit{"M", 1e6}, Unit{"B", 1e9},
                                  Unit{"G", 1e9}, Unit{"T", 1e12}, Unit{"P", 1e15}};
constexpr std::array kNoUnit = {Unit{"", 1}};

std::string names_of(std::span<const Unit> units) {
  std::vector<std::string> names;
  for (const Unit& unit : units)
    if (!unit.name.empty()) names.emplace_back(unit.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

const Unit* find_unit(std::span<const Unit> known, std::string_view name) {
  for (const Unit& unit : known)
    if (unit.name == name) return &unit;
  return nullptr;
}

}  // namespace

double positive_quantity(const std::string& text, std::string_view where, std::span<const Unit> units) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  std::string_view rest(stop, static_cast<std::size_t>(end - stop));
  if (error == std::errc() && !rest.empty()) {
    // "5M", "5M tokens"; but not the first letter of a unit: "5 TB".
    const Unit* suffix = find_unit(kSuffixes, rest.substr(0, 1));
    if (suffix != nullptr && (rest.size() == 1 || rest[1] == ' ')) {
      value *= suffix->factor;
      rest.remove_prefix(1);
    }
  }
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const Unit* unit = find_unit(units, rest);
  const bool number = error == std::errc() && std::isfinite(value) && value > 0;
  if (!number || unit == nullptr)
    throw ConfigError(fmt::format(
        "{}: '{}' is no number above 0{}", where, text,
        names_of(units).empty() ? std::string() : fmt::format(" in one of: {}", names_of(units))));
  return value * unit->factor;
}

std::optional<double> quantity_option(const Invocation& invocation, std::string_view option,
                                      std::span<const Unit> units) {
  if (!invocation.arguments.has(option)) return std::nullopt;
  return positive_quantity(invocation.arguments.last(option), fmt::format("--{}", option), units);
}

std::optional<double> number_option(const Invocation& invocation, std::string_view option) {
  return quantity_option(invocation, option, kNoUnit);
}

std::optional<Dollars> dollars_option(const Invocation& invocation, std::string_view option) {
  if (!invocation.arguments.has(option)) return std::nullopt;
  const Dollars value = parse_dollars(invocation.arguments.last(option), fmt::format("--{}", option));
  if (value.value <= 0) throw ConfigError(fmt::format("--{}: it must be more than 0 USD", option));
  return value;
}

std::string value_with_unit(const Invocation& invocation, std::string_view option, std::size_t index) {
  const std::string value = invocation.arguments.last(option);
  const auto& words = invocation.arguments.positionals;
  if (words.size() <= index) return value;
  const bool bare = !value.empty() && value.find(' ') == std::string::npos &&
                    std::isdigit(static_cast<unsigned char>(words[index].front())) == 0;
  if (!bare)
    throw ConfigError(
        fmt::format("unexpected argument '{}'; `runcast help` shows how commands are used", words[index]));
  return value + " " + words[index];
}

void refuse_kind(std::string_view command, const std::string& kind, const std::vector<std::string>& kinds) {
  const std::string near = nearest_name(kind, kinds);
  throw ConfigError(fmt::format("{}: unknown kind '{}'{}; legal: {}", command, kind,
                                near.empty() ? "" : fmt::format(", did you mean '{}'?", near),
                                fmt::join(kinds, " ")));
}

void refuse_other_options(const Invocation& invocation, std::string_view command, std::string_view kind,
                          std::string_view own, std::initializer_list<std::string_view> all) {
  const std::string list = fmt::format(" {} ", own);
  for (const std::string_view option : all)
    if (invocation.arguments.has(std::string(option)) &&
        list.find(fmt::format(" {} ", option)) == std::string::npos)
      throw ConfigError(fmt::format("{} {} takes no --{}{}", command, kind, option,
                                    own.empty() ? "" : fmt::format("; its own: {}", own)));
}

}  // namespace runcast
