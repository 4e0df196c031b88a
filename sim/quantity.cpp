// The unit tables, and the reading and writing of numbers with units (see quantity.hpp).
#include "sim/quantity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

namespace runcast::detail {

namespace {

// ---- the unit tables: spelling and size in the base unit ------------------------------------------------

constexpr double kKi = 1024.0, kMi = kKi * kKi, kGi = kKi * kMi, kTi = kKi * kGi, kPi = kKi * kTi;
constexpr double kYear = 365 * kDay;  // 8760 h, the year of failure rates; a month is 30 days

constexpr std::array kBytes{
    Unit{"B", 1},     Unit{"kB", 1e3},  Unit{"MB", 1e6},  Unit{"GB", 1e9},
    Unit{"TB", 1e12}, Unit{"PB", 1e15}, Unit{"KiB", kKi}, Unit{"MiB", kMi},
    Unit{"GiB", kGi}, Unit{"TiB", kTi}, Unit{"PiB", kPi}, Unit{"KB", 1e3},
};
constexpr std::array kBandwidth{
    // bits are eighths of a byte
    Unit{"B/s", 1},        Unit{"kB/s", 1e3},      Unit{"MB/s", 1e6},     Unit{"GB/s", 1e9},
    Unit{"TB/s", 1e12},    Unit{"KiB/s", kKi},     Unit{"MiB/s", kMi},    Unit{"GiB/s", kGi},
    Unit{"TiB/s", kTi},    Unit{"bps", 1 / 8.0},   Unit{"kbps", 1e3 / 8}, Unit{"Mbps", 1e6 / 8},
    Unit{"Gbps", 1e9 / 8}, Unit{"Tbps", 1e12 / 8}, Unit{"PB/s", 1e15},    Unit{"bit/s", 1 / 8.0},
    Unit{"kbit/s", 125},   Unit{"Mbit/s", 125e3},  Unit{"Gbit/s", 125e6}, Unit{"Tbit/s", 125e9},
    Unit{"Gb/s", 125e6},   Unit{"Tb/s", 125e9},    Unit{"Mb/s", 125e3},   Unit{"KB/s", 1e3},
};
constexpr std::array kSeconds{
    Unit{"ns", 1e-9},         Unit{"us", 1e-6},          Unit{"ms", 1e-3},     Unit{"s", 1},
    Unit{"min", kMinute},     Unit{"h", kHour},          Unit{"d", kDay},      Unit{"day", kDay},
    Unit{"days", kDay},       Unit{"week", 7 * kDay},    Unit{"year", kYear},  Unit{"weeks", 7 * kDay},
    Unit{"years", kYear},     Unit{"hour", kHour},       Unit{"hours", kHour}, Unit{"minute", kMinute},
    Unit{"minutes", kMinute}, Unit{"second", 1},         Unit{"seconds", 1},   Unit{"sec", 1},
    Unit{"month", 30 * kDay}, Unit{"months", 30 * kDay},
};
constexpr std::array kFlopRates{
    Unit{"GFLOP/s", 1e9}, Unit{"TFLOP/s", 1e12}, Unit{"PFLOP/s", 1e15}, Unit{"FLOP/s", 1},
    Unit{"MFLOP/s", 1e6}, Unit{"EFLOP/s", 1e18}, Unit{"GFLOPS", 1e9},   Unit{"TFLOPS", 1e12},
    Unit{"PFLOPS", 1e15}, Unit{"EFLOPS", 1e18},
};
constexpr std::array kWatts{Unit{"W", 1}, Unit{"kW", 1e3}, Unit{"MW", 1e6}, Unit{"GW", 1e9}};
constexpr std::array kDollars{Unit{"USD", 1}, Unit{"kUSD", 1e3}, Unit{"MUSD", 1e6}};
constexpr std::array kRateTimes{
    Unit{"hour", kHour}, Unit{"day", kDay}, Unit{"week", 7 * kDay},  Unit{"month", 30 * kDay},
    Unit{"year", kYear}, Unit{"second", 1}, Unit{"minute", kMinute},
};
constexpr std::size_t kRateTimesShown = 5;

struct Suffix {
  std::string_view name;
  std::int64_t factor;
};
constexpr std::array kSuffixes{
    // of counts; B is 1e9, as in "405B"
    Suffix{"k", 1'000},
    Suffix{"K", 1'000},
    Suffix{"M", 1'000'000},
    Suffix{"B", 1'000'000'000},
    Suffix{"G", 1'000'000'000},
    Suffix{"T", 1'000'000'000'000},
    Suffix{"P", 1'000'000'000'000'000},
    Suffix{"Ki", 1 << 10},
    Suffix{"Mi", 1 << 20},
    Suffix{"Gi", 1 << 30},
    Suffix{"Ti", std::int64_t{1} << 40},
};
constexpr std::string_view kSuffixList = "k M B G T P Ki Mi Gi Ti";

// ---- the number in front --------------------------------------------------------------------------------

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// A decimal number as its parts: (-) digits * 10^exponent, without underscores.
struct Decimal {
  bool negative = false;
  std::string digits;    // integer and fraction digits in one row, at least one
  long exponent = 0;     // of ten
  std::string spelling;  // as written, without '_' and '+'
  std::string_view rest;
};

// digits with '_' between them; false when there is none
bool take_digits(std::string_view& text, std::string& digits, std::string& spelling) {
  std::size_t i = 0;
  while (i < text.size() &&
         (is_digit(text[i]) || (text[i] == '_' && i > 0 && i + 1 < text.size() && is_digit(text[i + 1])))) {
    if (text[i] != '_') {
      digits += text[i];
      spelling += text[i];
    }
    ++i;
  }
  text.remove_prefix(i);
  return i > 0;
}

// An 'e' belongs to the number only if digits follow. At most 6 of them: more is out of every range.
void take_exponent(std::string_view& text, Decimal& d) {
  if (text.empty() || (text[0] != 'e' && text[0] != 'E')) return;
  std::size_t i = 1;
  const bool negative = i < text.size() && text[i] == '-';
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  if (i == text.size() || !is_digit(text[i])) return;
  long exponent = 0;
  for (; i < text.size() && is_digit(text[i]); ++i)
    exponent = std::min(exponent * 10 + (text[i] - '0'), 999'999L);
  d.exponent += negative ? -exponent : exponent;
  d.spelling += fmt::format("e{}", negative ? -exponent : exponent);
  text.remove_prefix(i);
}

std::optional<Decimal> take_decimal(std::string_view text) {
  Decimal d;
  text = trim(text);
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    d.negative = text[0] == '-';
    if (d.negative) d.spelling = "-";
    text.remove_prefix(1);
  }
  if (!take_digits(text, d.digits, d.spelling)) return std::nullopt;
  if (!text.empty() && text[0] == '.') {
    text.remove_prefix(1);
    const std::size_t whole = d.digits.size();
    d.spelling += '.';
    if (!take_digits(text, d.digits, d.spelling)) d.spelling.pop_back();
    d.exponent -= static_cast<long>(d.digits.size() - whole);
  }
  take_exponent(text, d);
  d.rest = trim(text);
  return d;
}

// The double nearest to digits * 10^(exponent + shift), or nothing past the range of doubles.
std::optional<double> to_double(const Decimal& d, int shift) {
  const std::string text = fmt::format("{}{}e{}", d.negative ? "-" : "", d.digits, d.exponent + shift);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    if (d.digits.find_first_not_of('0') == std::string::npos) return 0.0;  // 0e999
    return std::nullopt;
  }
  return value;
}

// The k of factor = 10^k, if it is one.
std::optional<int> power_of_ten(double factor) {
  constexpr std::array powers{1e-9, 1e-6, 1e-3, 1e0, 1e3, 1e6, 1e9, 1e12, 1e15, 1e18};
  for (std::size_t i = 0; i < powers.size(); ++i)
    if (factor == powers[i]) return static_cast<int>(i) * 3 - 9;
  return std::nullopt;
}

std::optional<double> scaled(const Decimal& d, double factor) {
  if (const auto shift = power_of_ten(factor)) return to_double(d, *shift);
  const auto plain = to_double(d, 0);
  if (!plain || !std::isfinite(*plain * factor)) return std::nullopt;
  return *plain * factor;
}

const Unit* find_unit(std::span<const Unit> units, std::string_view name) {
  const auto found = std::ranges::find(units, name, &Unit::name);
  return found == units.end() ? nullptr : &*found;
}

std::string legal_units(const UnitTable& table) {
  std::string list;
  for (const Unit& u : table.units.first(table.shown)) list += fmt::format(" {}", u.name);
  return list;
}

template <class T>
Reading<T> problem(std::string sentence) {
  return {{}, {}, std::move(sentence)};
}

}  // namespace

const UnitTable kBytesUnits{kBytes, 11, "GB"};
const UnitTable kBandwidthUnits{kBandwidth, 14, "Gbps"};
const UnitTable kSecondsUnits{kSeconds, 11, "s"};
const UnitTable kFlopRateUnits{kFlopRates, 3, "TFLOP/s"};
const UnitTable kWattsUnits{kWatts, 3, "W"};
const UnitTable kDollarsUnits{kDollars, 3, "USD"};

std::string shown(std::string_view text) {
  constexpr std::size_t limit = 60;
  std::string out(text.substr(0, limit));
  if (text.size() > limit) {
    while (!out.empty() && (static_cast<unsigned char>(text[out.size()]) & 0xC0) == 0x80) out.pop_back();
    out += "...";
  }
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return out;
}

Reading<double> read_number(std::string_view text) {
  const auto d = take_decimal(text);
  if (d && d->rest == "%")
    return problem<double>(fmt::format("'{}' is not a plain number, 5% is written 0.05", shown(text)));
  if (!d || !d->rest.empty()) return problem<double>(fmt::format("'{}' is not a number", shown(text)));
  const auto value = to_double(*d, 0);
  if (!value) return problem<double>(fmt::format("'{}' is out of range", shown(text)));
  return {*value, d->spelling, {}};
}

Reading<double> read_quantity(std::string_view text, const UnitTable& table) {
  const auto d = take_decimal(text);
  if (!d)
    return problem<double>(
        fmt::format("'{}' is not a quantity, write for example '1 {}'", shown(text), table.example));
  if (d->rest.empty())
    return problem<double>(
        fmt::format("{} has no unit, write for example '{} {}'", shown(text), d->spelling, table.example));
  const Unit* unit = find_unit(table.units, d->rest);
  if (unit == nullptr)
    return problem<double>(fmt::format("unknown unit '{}'; legal:{}", shown(d->rest), legal_units(table)));
  const auto value = scaled(*d, unit->factor);
  if (!value) return problem<double>(fmt::format("'{}' is out of range", shown(text)));
  if (*value < 0) return problem<double>(fmt::format("'{}' must not be negative", shown(text)));
  return {*value, fmt::format("{} {}", d->spelling, unit->name), {}};
}

// ---- counts ---------------------------------------------------------------------------------------------

namespace {

// "M tokens" -> the suffix and the noun; "GPUs" after a blank is a noun, "GPUs" glued to the digits is wrong.
struct CountTail {
  std::int64_t factor = 1;
  bool legal = true;
};
CountTail read_tail(std::string_view rest, bool glued) {
  CountTail tail;
  const auto word_end = std::ranges::find_if(rest, is_blank);
  const std::string_view word(rest.begin(), word_end);
  const auto suffix = std::ranges::find(kSuffixes, word, &Suffix::name);
  if (suffix != kSuffixes.end()) {
    tail.factor = suffix->factor;
    rest.remove_prefix(word.size());
  } else if (glued && !rest.empty()) {
    tail.legal = false;
  }
  for (const char c : rest)
    if (!is_letter(c) && !is_blank(c) && c != '-' && c != '_') tail.legal = false;
  return tail;
}

// digits * 10^exponent * factor as an integer, exactly. 0: fine, 1: not whole, 2: too large.
int exact_integer(const Decimal& d, std::int64_t factor, std::int64_t& out) {
  std::string digits = d.digits;
  long exponent = d.exponent;
  while (digits.size() > 1 && digits.back() == '0') digits.pop_back(), ++exponent;
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  out = 0;
  if (digits.empty()) return 0;
  for (; exponent < 0 && factor % 10 == 0; ++exponent) factor /= 10;
  // Binary suffixes: "1.5Ki" is 15 * 1024 / 10.
  std::int64_t divisor = 1;
  for (; exponent < 0 && divisor < 1'000'000'000'000; ++exponent) divisor *= 10;
  if (exponent < 0) return 1;
  if (digits.size() + static_cast<std::size_t>(exponent) > 30) return 2;
  digits.append(static_cast<std::size_t>(exponent), '0');
  __extension__ using Wide = unsigned __int128;
  Wide value = 0;
  for (const char c : digits) value = value * 10 + static_cast<unsigned>(c - '0');
  if (value > (Wide{1} << 100) / static_cast<Wide>(factor)) return 2;
  value *= static_cast<Wide>(factor);
  if (value % static_cast<Wide>(divisor) != 0) return 1;
  value /= static_cast<Wide>(divisor);
  if (value > static_cast<Wide>(std::numeric_limits<std::int64_t>::max())) return 2;
  out = static_cast<std::int64_t>(value);
  return 0;
}

}  // namespace

Reading<std::int64_t> read_count(std::string_view text) {
  using R = std::int64_t;
  const auto d = take_decimal(text);
  if (!d) return problem<R>(fmt::format("'{}' is not a count, write for example 8 or 15.6T", shown(text)));
  const std::string_view trimmed = trim(text);
  const std::size_t before = trimmed.size() - d->rest.size();
  const bool glued = before > 0 && !is_blank(trimmed[before - 1]);
  const CountTail tail = read_tail(d->rest, glued);
  if (!tail.legal)
    return problem<R>(fmt::format("'{}' is not a count; suffixes: {} (B is 1e9)", shown(text), kSuffixList));
  std::int64_t value = 0;
  const int trouble = exact_integer(*d, tail.factor, value);
  if (trouble == 1) return problem<R>(fmt::format("{} is not a whole number", shown(text)));
  if (trouble == 2)
    return problem<R>(fmt::format("{} is too large, the most is 9223372036854775807", shown(text)));
  if (d->negative && value != 0) return problem<R>(fmt::format("{} must not be negative", shown(text)));
  return {value, fmt::format("{}", value), {}};
}

// ---- event rates ----------------------------------------------------------------------------------------

Reading<RatePer> read_event_rate(std::string_view text) {
  const auto d = take_decimal(text);
  const char* form = "write for example '{} /day' or '{} /node-day'";
  if (!d)
    return problem<RatePer>(
        fmt::format("'{}' is not a rate, write for example '0.01 /day' or '0.01 /node-day'", shown(text)));
  if (d->rest.empty())
    return problem<RatePer>(fmt::format("{} has no unit, ", shown(text)) +
                            fmt::format(fmt::runtime(form), d->spelling, d->spelling));
  const std::string_view unit = d->rest;
  const std::size_t dash = unit.rfind('-');
  const bool has_noun = dash != std::string_view::npos;
  const std::string_view noun = has_noun ? unit.substr(1, dash - 1) : std::string_view();
  const Unit* time = find_unit(kRateTimes, has_noun ? unit.substr(dash + 1) : trim(unit.substr(1)));
  const bool legal_noun =
      std::ranges::all_of(noun, [](char c) { return is_letter(c) || c == '_' || c == '-'; });
  if (unit[0] != '/' || time == nullptr || !legal_noun || (has_noun && noun.empty())) {
    std::string list;
    for (const Unit& u : std::span(kRateTimes).first(kRateTimesShown)) list += fmt::format(" /{}", u.name);
    return problem<RatePer>(
        fmt::format("unknown unit '{}'; legal:{}, or with a noun: /node-day /gpu-hour", shown(unit), list));
  }
  const auto value = to_double(*d, 0);
  if (!value) return problem<RatePer>(fmt::format("'{}' is out of range", shown(text)));
  if (*value < 0) return problem<RatePer>(fmt::format("'{}' must not be negative", shown(text)));
  return {{EventRate(*value / time->factor), std::string(noun)},
          fmt::format("{} /{}{}{}", d->spelling, noun, has_noun ? "-" : "", time->name),
          {}};
}

// ---- writing --------------------------------------------------------------------------------------------

namespace {

// A short spelling, near `guess`, of a number that `back` maps to exactly `value`; empty if there is none.
// 15 digits first: they drop the noise of the division that made the guess.
template <class Back>
std::string spell(double guess, double value, Back back) {
  if (!std::isfinite(guess)) return {};
  // Rounding may leave the range of doubles at its end.
  const double rounded = to_double(*take_decimal(fmt::format("{:.15g}", guess)), 0).value_or(guess);
  for (const double x : {rounded, guess, std::nextafter(guess, 0.0), std::nextafter(guess, 2 * guess)}) {
    if (!std::isfinite(x)) continue;
    std::string text = fmt::format("{}", x);
    if (back(*take_decimal(text)) == value) return text;
  }
  return {};
}

// Fewer characters are better; with equally many the larger unit.
struct Shortest {
  std::string number;
  Unit unit{};
  void offer(std::string candidate, const Unit& u) {
    if (candidate.empty()) return;
    if (!number.empty() && candidate.size() >= number.size() &&
        (candidate.size() > number.size() || u.factor <= unit.factor))
      return;
    number = std::move(candidate);
    unit = u;
  }
};

}  // namespace

std::string write_quantity(double value, const UnitTable& table) {
  Shortest best;
  const auto offer = [&](const Unit& u) {
    best.offer(
        spell(value / u.factor, value, [&](const Decimal& d) { return scaled(d, u.factor).value_or(-1); }),
        u);
  };
  for (const Unit& u : table.units.first(value == 0 ? 1 : table.shown))
    if (value == 0 || value >= u.factor) offer(u);  // "300 s", not "0.3 ks"
  if (best.number.empty())
    for (const Unit& u : table.units) offer(u);
  INVARIANT(!best.number.empty());
  return fmt::format("{} {}", best.number, best.unit.name);
}

// Per day where that is short, as failure rates are told; else the shortest; per second says every double.
std::string write_event_rate(const RatePer& rate) {
  constexpr std::size_t short_enough = 8;
  Shortest best;
  const double value = rate.rate.value;
  const auto offer = [&](const Unit& u) {
    best.offer(spell(value * u.factor, value, [&](const Decimal& d) { return to_double(d, 0).value_or(-1) / u.factor; }),
               u);
  };
  offer(*find_unit(kRateTimes, "day"));
  if (best.number.empty() || best.number.size() > short_enough)
    for (const Unit& u : kRateTimes) offer(u);
  INVARIANT(!best.number.empty());
  return fmt::format("{} /{}{}{}", best.number, rate.per, rate.per.empty() ? "" : "-", best.unit.name);
}

}  // namespace runcast::detail

namespace runcast {

namespace {

template <class T>
T or_throw(detail::Reading<T> reading, std::string_view where) {
  if (!reading) throw ConfigError(fmt::format("{}: {}", where, reading.problem));
  return reading.value;
}

}  // namespace

Bytes parse_bytes(std::string_view text, std::string_view where) {
  return Bytes(or_throw(detail::read_quantity(text, detail::kBytesUnits), where));
}
Seconds parse_seconds(std::string_view text, std::string_view where) {
  return Seconds(or_throw(detail::read_quantity(text, detail::kSecondsUnits), where));
}
Dollars parse_dollars(std::string_view text, std::string_view where) {
  return Dollars(or_throw(detail::read_quantity(text, detail::kDollarsUnits), where));
}
std::int64_t parse_count(std::string_view text, std::string_view where) {
  return or_throw(detail::read_count(text), where);
}

}  // namespace runcast
