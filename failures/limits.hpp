// How long a time of failures, saves and recovery may be. The clock reaches 292 years; a run is given up at 20 times
// its failure-free time (10 years at most) and 30 days. A year is the longest that leaves room for random draws: an
// exponential one reaches 37 times its mean. Longer times, and rates that no machine has, are refused where they stand.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "sim/config.hpp"
#include "sim/units.hpp"

namespace runcast {

inline constexpr Seconds kLongestTime{365 * kDay};
inline constexpr Seconds kLongestInterval{10 * 365 * kDay};  // between two saves: as good as never
inline constexpr EventRate kHighestRate{1};                  // of one node, GPU, group or job
inline constexpr double kLargestSpread = 3;                  // sigma of a lognormal factor
inline constexpr double kLargestSlowdown = 1000;
inline constexpr std::int64_t kLargestGroup = 10'000, kMostSpares = 1'000'000;  // nodes
// Planned, slow, stall, outage and corrupt, until a run is given up.
inline constexpr double kMostQuietEvents = 100'000;
inline constexpr Seconds kClockReach{9e9};              // 285 years: what comes later never comes
inline constexpr Duration kLongestSpan{kNever.ns / 8};  // 36 years: sums of a few stay on the clock

// d x factor, rounded up, at most kLongestSpan.
inline Duration scaled(Duration d, double factor) {
  if (factor == 1 || d.ns == 0) return d;
  const double exact = std::min(static_cast<double>(kLongestSpan.ns), static_cast<double>(d.ns) * factor);
  const auto whole = static_cast<std::int64_t>(exact);  // towards zero, and durations are not negative
  return {whole + (static_cast<double>(whole) < exact ? 1 : 0)};
}

// Checks a time that was read from `key`; what is too long is recorded there and replaced by a harmless one.
inline Seconds limited(Section& section, std::string_view key, Seconds read, Seconds longest = kLongestTime) {
  if (read <= longest) return read;
  section.fail(key, fmt::format("{} must be from 0 s to {:.0f} days", key, longest.value / kDay));
  return kLongestTime;
}

}  // namespace runcast
