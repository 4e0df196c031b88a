// Simulated time and the door into it.
#include "sim/units.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace runcast;
using namespace runcast::literals;

TEST_CASE("real seconds enter the clock rounded up to the next nanosecond") {
  CHECK(to_clock(Seconds(0)) == 0_ns);
  CHECK(to_clock(Seconds(1)) == 1_s);
  CHECK(to_clock(Seconds(1e-9)) == 1_ns);
  CHECK(to_clock(Seconds(1e-10)) == 1_ns);  // never 0: something happened
  CHECK(to_clock(Seconds(1.5e-9)) == 2_ns);
  CHECK(to_clock(Seconds(2.5e-3)) == Duration{2'500'000});
}

TEST_CASE("the clock refuses negative, infinite and not-a-number seconds, and more than 291 years") {
  CHECK_THROWS_AS(to_clock(Seconds(-1e-12)), InternalError);
  CHECK_THROWS_AS(to_clock(Seconds(std::nan(""))), InternalError);
  CHECK_THROWS_AS(to_clock(Seconds(INFINITY)), InternalError);
  CHECK_THROWS_AS(to_clock(Seconds(9.3e9)), InternalError);
  CHECK(to_clock(Seconds(9.1e9)) == Duration{9'100'000'000'000'000'000});
}

TEST_CASE("time minus time is a duration, and a day of nanoseconds survives the trip") {
  const Time later = Time{} + 86400_s;
  CHECK(later - Time{} == 86400_s);
  CHECK(later - 86400_s == Time{});
  CHECK(to_seconds(later).value == doctest::Approx(kDay).epsilon(1e-15));
  CHECK(3 * 5_us == 15000_ns);
}

TEST_CASE("400 Gbps move 1 MB in 20 us, and 989 TFLOP in one second need 989 TFLOP/s") {
  const Bandwidth link(400e9 / 8);
  CHECK((Bytes(1e6) / link).value == doctest::Approx(20e-6).epsilon(1e-15));  // 1e6 / 5e10
  CHECK((Flops(989e12) / Seconds(1)).value == doctest::Approx(989e12).epsilon(1e-15));
  CHECK((Watts(700) * Seconds(3600)).value == doctest::Approx(2.52e6).epsilon(1e-15));  // 0.7 kWh
  CHECK(in_gib(Bytes(80e9)) == doctest::Approx(74.505805969238281).epsilon(1e-15));     // 80e9 / 2^30
}

TEST_CASE("identities start as nobody and compare by number") {
  CHECK(RankId().value == -1);
  CHECK(RankId(3) < RankId(4));
}
