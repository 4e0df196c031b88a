// Numbers as people write them, and back.
#include "sim/quantity.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <random>
#include <string>
#include <utility>

using namespace runcast;
using namespace runcast::detail;

namespace {

std::string quantity_problem(std::string_view text, const UnitTable& table) {
  return read_quantity(text, table).problem;
}

}  // namespace

TEST_CASE("decimal prefixes give the nearest double of the decimal value, not a product of roundings") {
  CHECK(parse_seconds("7 us", "x").value == 7e-6);  // 7 * 1e-6 is 6.999999999999999e-06
  CHECK(read_quantity("3.35 TB/s", kBandwidthUnits).value == 3.35e12);
  CHECK(read_quantity("989.4 TFLOP/s", kFlopRateUnits).value == 989.4e12);
  CHECK(read_quantity("0.1 kW", kWattsUnits).value == 100);
}

TEST_CASE("units of time") {
  const std::pair<const char*, double> rows[] = {
      {"1 ns", 1e-9},     {"2.5 ms", 2.5e-3}, {"10 s", 10},         {"5 min", 300},     {"2 h", 7200},
      {"1 d", 86400},     {"1 day", 86400},   {"54 days", 4665600}, {"1 week", 604800}, {"1 year", 31536000},
      {"5 minutes", 300}, {"2 hours", 7200},  {"5min", 300},        {" 5  min ", 300},  {"1_000 s", 1000},
      {"1.5e3 s", 1500},  {"+3 s", 3},        {"1e-3 s", 1e-3},     {"1. s", 1},        {"1E+2 s", 100},
  };
  for (const auto& row : rows) {
    CAPTURE(row.first);
    CHECK(parse_seconds(row.first, "x").value == row.second);
  }
}

TEST_CASE("bytes are decimal or binary, links are bits or bytes") {
  CHECK(parse_bytes("80 GB", "x").value == 80e9);
  CHECK(parse_bytes("80 GiB", "x").value == 80 * kGiB);
  CHECK(parse_bytes("4 KiB", "x").value == 4096);
  CHECK(parse_bytes("2 TiB", "x").value == 2199023255552.0);
  CHECK(read_quantity("400 Gbps", kBandwidthUnits).value == 50e9);
  CHECK(read_quantity("1 Tbps", kBandwidthUnits).value == 125e9);
  CHECK(read_quantity("8 bps", kBandwidthUnits).value == 1);
  CHECK(read_quantity("50 GiB/s", kBandwidthUnits).value == 50 * kGiB);
  CHECK(read_quantity("900 GB/s", kBandwidthUnits).value == 900e9);
  CHECK(parse_dollars("10 kUSD", "x").value == 10'000);
}

TEST_CASE("a quantity without its unit, with a wrong one, or below zero is told what is right") {
  CHECK(quantity_problem("400", kBandwidthUnits) == "400 has no unit, write for example '400 Gbps'");
  CHECK(quantity_problem("80", kBytesUnits) == "80 has no unit, write for example '80 GB'");
  CHECK(quantity_problem("1_000.50", kSecondsUnits) == "1_000.50 has no unit, write for example '1000.50 s'");
  CHECK(quantity_problem("5 m", kSecondsUnits) ==
        "unknown unit 'm'; legal: ns us ms s min h d day days week year");
  CHECK(quantity_problem("80 gb", kBytesUnits) ==
        "unknown unit 'gb'; legal: B kB MB GB TB PB KiB MiB GiB TiB PiB");
  CHECK(
      quantity_problem("1 GBps", kBandwidthUnits) ==
      "unknown unit 'GBps'; legal: B/s kB/s MB/s GB/s TB/s KiB/s MiB/s GiB/s TiB/s bps kbps Mbps Gbps Tbps");
  CHECK(quantity_problem("-5 GB", kBytesUnits) == "'-5 GB' must not be negative");
  CHECK(quantity_problem("fast", kBandwidthUnits) == "'fast' is not a quantity, write for example '1 Gbps'");
  CHECK(quantity_problem(".inf", kSecondsUnits) == "'.inf' is not a quantity, write for example '1 s'");
  CHECK(quantity_problem("1e999 s", kSecondsUnits) == "'1e999 s' is out of range");
  CHECK(quantity_problem("1e308 year", kSecondsUnits) == "'1e308 year' is out of range");
  CHECK(quantity_problem("", kSecondsUnits) == "'' is not a quantity, write for example '1 s'");
  CHECK_THROWS_WITH_AS(parse_seconds("5", "--budget"), "--budget: 5 has no unit, write for example '5 s'",
                       ConfigError);
}

TEST_CASE("counts take suffixes and nouns, are never octal, and are exact") {
  const std::pair<const char*, std::int64_t> rows[] = {
      {"8", 8},
      {"010", 10},
      {"1_000", 1000},
      {"15.6T", 15'600'000'000'000},
      {"252M tokens", 252'000'000},
      {"405B", 405'000'000'000},
      {"1.5G", 1'500'000'000},
      {"16 k", 16'000},
      {"16K tokens", 16'000},
      {"8Ki", 8192},
      {"1.5Ki", 1536},
      {"128 attention heads", 128},
      {"8 GPUs", 8},
      {"1e3", 1000},
      {"8.0", 8},
      {"2.50e1", 25},
      {"0", 0},
      {"-0", 0},
      {"+7", 7},
      {"0.000001M", 1},
      {"9223372036854775807", 9223372036854775807},
      {"9.007199254740993P", 9'007'199'254'740'993},  // 2^53 + 1: no double holds it
      {"10000000000000000000e-18", 10},
  };
  for (const auto& row : rows) {
    CAPTURE(row.first);
    const auto r = read_count(row.first);
    CHECK(r.problem == "");
    CHECK(r.value == row.second);
  }
}

TEST_CASE("what is no count says why") {
  const std::pair<const char*, const char*> rows[] = {
      {"8.5", "8.5 is not a whole number"},
      {"1e-1", "1e-1 is not a whole number"},
      {"1e-999999", "1e-999999 is not a whole number"},
      {"1.0001k", "1.0001k is not a whole number"},
      {"-3", "-3 must not be negative"},
      {"9223372036854775808", "9223372036854775808 is too large, the most is 9223372036854775807"},
      {"9224P", "9224P is too large, the most is 9223372036854775807"},
      {"1e999999", "1e999999 is too large, the most is 9223372036854775807"},
      {"0x10", "'0x10' is not a count; suffixes: k M B G T P Ki Mi Gi Ti (B is 1e9)"},
      {"8GPUs", "'8GPUs' is not a count; suffixes: k M B G T P Ki Mi Gi Ti (B is 1e9)"},
      {"8 9", "'8 9' is not a count; suffixes: k M B G T P Ki Mi Gi Ti (B is 1e9)"},
      {"1,000", "'1,000' is not a count; suffixes: k M B G T P Ki Mi Gi Ti (B is 1e9)"},
      {"many", "'many' is not a count, write for example 8 or 15.6T"},
      {"", "'' is not a count, write for example 8 or 15.6T"},
      {".nan", "'.nan' is not a count, write for example 8 or 15.6T"},
  };
  for (const auto& [text, sentence] : rows) CHECK(read_count(text).problem == sentence);
}

TEST_CASE("plain numbers are finite and without a unit or a percent sign") {
  CHECK(read_number("0.05").value == 0.05);
  CHECK(read_number("-2e-3").value == -2e-3);
  CHECK(read_number("5%").problem == "'5%' is not a plain number, 5% is written 0.05");
  CHECK(read_number(".nan").problem == "'.nan' is not a number");
  CHECK(read_number("-.inf").problem == "'-.inf' is not a number");
  CHECK(read_number("inf").problem == "'inf' is not a number");
  CHECK(read_number("1e400").problem == "'1e400' is out of range");
  CHECK(read_number("0e999").value == 0);
  CHECK(read_number("1 s").problem == "'1 s' is not a number");
  CHECK(read_number("1e").problem == "'1e' is not a number");
}

TEST_CASE("event rates name what they are counted over") {
  const auto r = read_event_rate("3.0e-3 /node-day");
  CHECK(r.value.rate.value == 3.0e-3 / 86400);
  CHECK(r.value.per == "node");
  CHECK(r.echo == "3.0e-3 /node-day");
  CHECK(read_event_rate("2 /day").value.per == "");
  CHECK(read_event_rate("2/week").value.rate.value == 2.0 / 604800);
  CHECK(read_event_rate("5 /gpu-hour").value.rate.value == 5.0 / 3600);
  CHECK(read_event_rate("1 /leaf-switch-year").value.per == "leaf-switch");
  CHECK(read_event_rate("3").problem == "3 has no unit, write for example '3 /day' or '3 /node-day'");
  const std::string legal = "; legal: /hour /day /week /month /year, or with a noun: /node-day /gpu-hour";
  CHECK(read_event_rate("3 per day").problem == "unknown unit 'per day'" + legal);
  CHECK(read_event_rate("3 /").problem == "unknown unit '/'" + legal);
  CHECK(read_event_rate("3 /-day").problem == "unknown unit '/-day'" + legal);
  CHECK(read_event_rate("3 -").problem == "unknown unit '-'" + legal);
  CHECK(read_event_rate("-3 /day").problem == "'-3 /day' must not be negative");
  CHECK(read_event_rate("often").problem ==
        "'often' is not a rate, write for example '0.01 /day' or '0.01 /node-day'");
}

TEST_CASE("defaults are told in the unit a person would choose") {
  CHECK(write_quantity(300, kSecondsUnits) == "5 min");
  CHECK(write_quantity(90, kSecondsUnits) == "90 s");
  CHECK(write_quantity(86400, kSecondsUnits) == "1 d");
  CHECK(write_quantity(7e-6, kSecondsUnits) == "7 us");
  CHECK(write_quantity(0, kBytesUnits) == "0 B");
  CHECK(write_quantity(80e9, kBytesUnits) == "80 GB");
  CHECK(write_quantity(64 * kGiB, kBytesUnits) == "64 GiB");
  CHECK(write_quantity(3.35e12, kBandwidthUnits) == "3.35 TB/s");
  CHECK(write_quantity(3.5, kDollarsUnits) == "3.5 USD");
  CHECK(write_event_rate({EventRate(0.003 / 86400), "node"}) == "0.003 /node-day");
}

TEST_CASE("every double written with a unit reads back to the same double") {
  std::mt19937_64 bits(7);  // positive finite doubles over the range of quantities
  const std::array tables{&kBytesUnits, &kBandwidthUnits, &kSecondsUnits, &kFlopRateUnits, &kWattsUnits};
  for (int i = 0; i < 1'000; ++i) {
    const double value =
        std::ldexp(1 + static_cast<double>(bits() >> 12) * 0x1p-52, static_cast<int>(bits() % 120) - 60);
    for (const UnitTable* table : tables) {
      const std::string text = write_quantity(value, *table);
      CAPTURE(text);
      REQUIRE(read_quantity(text, *table).value == value);
    }
    const std::string rate = write_event_rate({EventRate(value), "gpu"});
    CAPTURE(rate);
    REQUIRE(read_event_rate(rate).value.rate.value == value);
  }
}

TEST_CASE("the largest and the smallest doubles are written in units that can hold them") {
  for (const double value : {1.7976931348623157e308, 2.2250738585072014e-308, 5e-324}) {
    CAPTURE(value);
    CHECK(read_quantity(write_quantity(value, kBytesUnits), kBytesUnits).value == value);
    CHECK(read_quantity(write_quantity(value, kDollarsUnits), kDollarsUnits).value == value);
    CHECK(read_event_rate(write_event_rate({EventRate(value), ""})).value.rate.value == value);
  }
}

TEST_CASE("errors show user text without control characters and cut to 60 bytes, at a character") {
  CHECK(shown("a\x1b[31m\tb") == "a [31m b");
  CHECK(shown(std::string(100, 'x')) == std::string(60, 'x') + "...");
  std::string accents;
  for (int i = 0; i < 50; ++i) accents += "\xC3\xA9";
  CHECK(shown("x" + accents).size() == 59 + 3);  // 60 bytes would split the 30th e with acute accent
}
