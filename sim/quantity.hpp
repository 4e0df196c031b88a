// Numbers as people write them: text -> value in the base unit, and back. No files and no places here:
// config.cpp adds the place to `problem`. A quantity is "<number> <unit>"; a count is "<number>[suffix] [noun
// ...]". Decimal prefixes are powers of ten applied to the decimal text, so that "3.35 TB/s" is the double
// nearest to 3.35e12 and "7 us" the one nearest to 7e-6.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sim/config.hpp"

namespace runcast::detail {

// What a text means: a value and its tidy spelling, or the problem as a sentence.
template <class T>
struct Reading {
  T value{};
  std::string echo;     // reads back to the same value
  std::string problem;  // empty when the text was understood
  explicit operator bool() const { return problem.empty(); }
};

// The spellings of one dimension. The first `shown` are told in errors, the rest are understood too.
struct UnitTable {
  std::span<const Unit> units;
  std::size_t shown;
  std::string_view example;  // the unit of "write for example"
};

extern const UnitTable kBytesUnits, kBandwidthUnits, kSecondsUnits, kFlopRateUnits, kWattsUnits,
    kDollarsUnits;

Reading<double> read_number(std::string_view text);
Reading<std::int64_t> read_count(std::string_view text);
Reading<double> read_quantity(std::string_view text, const UnitTable& table);
Reading<RatePer> read_event_rate(std::string_view text);

// The shortest spelling that reads back to `value`; the base unit when none is shorter.
std::string write_quantity(double value, const UnitTable& table);
std::string write_event_rate(const RatePer& rate);

// User text for an error: control characters replaced, long text cut.
std::string shown(std::string_view text);

}  // namespace runcast::detail
