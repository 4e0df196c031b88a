// Quantities as types: simulated time in integer nanoseconds, and bytes, FLOPs, rates, money and energy as
// doubles that cannot be mixed up. No bare number crosses an interface.
// int64 ns reaches 292 years; real seconds enter the clock through to_clock() alone, which rounds up, so that
// nothing ever takes less time than physics says. Doubles are exact for integers up to 2^53 (9.0e15 bytes).
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

#include "sim/error.hpp"

namespace runcast {

// ---- simulated time -------------------------------------------------------------------------------------

struct Duration {  // a span of simulated time, ns
  std::int64_t ns = 0;
  friend constexpr auto operator<=>(Duration, Duration) = default;
  constexpr Duration& operator+=(Duration d) { return ns += d.ns, *this; }
  constexpr Duration& operator-=(Duration d) { return ns -= d.ns, *this; }
};
constexpr Duration operator+(Duration a, Duration b) { return {a.ns + b.ns}; }
constexpr Duration operator-(Duration a, Duration b) { return {a.ns - b.ns}; }
constexpr Duration operator*(Duration a, std::int64_t n) { return {a.ns * n}; }
constexpr Duration operator*(std::int64_t n, Duration a) { return a * n; }

struct Time {  // a point of simulated time, ns since the start of the simulation
  std::int64_t ns = 0;
  friend constexpr auto operator<=>(Time, Time) = default;
  constexpr Time& operator+=(Duration d) { return ns += d.ns, *this; }
};
constexpr Time operator+(Time t, Duration d) { return {t.ns + d.ns}; }
constexpr Time operator-(Time t, Duration d) { return {t.ns - d.ns}; }
constexpr Duration operator-(Time a, Time b) { return {a.ns - b.ns}; }

inline constexpr Time kNever{std::numeric_limits<std::int64_t>::max()};

// ---- quantities -----------------------------------------------------------------------------------------

template <class Tag>
struct Quantity {
  double value = 0;
  constexpr Quantity() = default;
  constexpr explicit Quantity(double v) : value(v) {}
  friend constexpr auto operator<=>(Quantity, Quantity) = default;
  constexpr Quantity& operator+=(Quantity o) { return value += o.value, *this; }
  constexpr Quantity& operator-=(Quantity o) { return value -= o.value, *this; }
  constexpr Quantity& operator*=(double k) { return value *= k, *this; }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity(a.value + b.value); }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity(a.value - b.value); }
  friend constexpr Quantity operator*(Quantity a, double k) { return Quantity(a.value * k); }
  friend constexpr Quantity operator*(double k, Quantity a) { return Quantity(a.value * k); }
  friend constexpr Quantity operator/(Quantity a, double k) { return Quantity(a.value / k); }
  friend constexpr double operator/(Quantity a, Quantity b) { return a.value / b.value; }
};

using Seconds = Quantity<struct SecondsTag>;
using Bytes = Quantity<struct BytesTag>;
using Flops = Quantity<struct FlopsTag>;             // floating-point operations, a multiply-add is 2
using Bandwidth = Quantity<struct BandwidthTag>;     // B/s, per direction
using FlopRate = Quantity<struct FlopRateTag>;       // FLOP/s
using Watts = Quantity<struct WattsTag>;
using Joules = Quantity<struct JoulesTag>;
using Dollars = Quantity<struct DollarsTag>;         // USD
using EventRate = Quantity<struct EventRateTag>;     // events per second

constexpr Seconds operator/(Bytes size, Bandwidth rate) { return Seconds(size.value / rate.value); }
constexpr Seconds operator/(Flops work, FlopRate rate) { return Seconds(work.value / rate.value); }
constexpr Bandwidth operator/(Bytes size, Seconds t) { return Bandwidth(size.value / t.value); }
constexpr FlopRate operator/(Flops work, Seconds t) { return FlopRate(work.value / t.value); }
constexpr Bytes operator*(Bandwidth rate, Seconds t) { return Bytes(rate.value * t.value); }
constexpr Flops operator*(FlopRate rate, Seconds t) { return Flops(rate.value * t.value); }
constexpr Joules operator*(Watts p, Seconds t) { return Joules(p.value * t.value); }
constexpr double operator*(EventRate r, Seconds t) { return r.value * t.value; }

inline constexpr double kKilo = 1e3, kMega = 1e6, kGiga = 1e9, kTera = 1e12, kPeta = 1e15;
inline constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;  // 2^30
inline constexpr double kMinute = 60, kHour = 3600, kDay = 86400;  // in seconds
constexpr double in_gib(Bytes b) { return b.value / kGiB; }
constexpr double in_days(Seconds s) { return s.value / kDay; }
constexpr double in_hours(Seconds s) { return s.value / kHour; }

// The one door from real seconds into the clock. Rounds up to the next nanosecond. INVARIANT: the value is
// finite, not negative and inside the clock's 292 years.
inline Duration to_clock(Seconds s) {
  INVARIANT(s.value >= 0 && s.value < 9.2e9);  // also false for NaN
  const double ns = s.value * 1e9;
  const auto floor = static_cast<std::int64_t>(ns);
  return {static_cast<double>(floor) < ns ? floor + 1 : floor};
}
constexpr Seconds to_seconds(Duration d) { return Seconds(static_cast<double>(d.ns) * 1e-9); }
constexpr Seconds to_seconds(Time t) { return Seconds(static_cast<double>(t.ns) * 1e-9); }

// ---- identities: a rank is not a GPU is not a node ------------------------------------------------------

template <class Tag>
struct Id {
  std::int32_t value = -1;
  constexpr Id() = default;
  constexpr explicit Id(std::int32_t v) : value(v) {}
  friend constexpr auto operator<=>(Id, Id) = default;
};
using RankId = Id<struct RankIdTag>;  // position in the job: 0 .. world-1
using GpuId = Id<struct GpuIdTag>;    // position in the cluster: 0 .. gpus-1
using NodeId = Id<struct NodeIdTag>;

namespace literals {
constexpr Duration operator""_ns(unsigned long long v) { return {static_cast<std::int64_t>(v)}; }
constexpr Duration operator""_us(unsigned long long v) { return {static_cast<std::int64_t>(v) * 1000}; }
constexpr Duration operator""_ms(unsigned long long v) { return {static_cast<std::int64_t>(v) * 1000000}; }
constexpr Duration operator""_s(unsigned long long v) { return {static_cast<std::int64_t>(v) * 1000000000}; }
}  // namespace literals

}  // namespace runcast
