// Against hand calculations and published tables.
#include "sim/statistics.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace runcast;

TEST_CASE("mean, unbiased variance and type 7 quantiles of 2 4 4 5 10") {
  // mean 25/5; squares 9+1+1+0+25 = 36, over 4; p5: place 0.2 -> 2 + 0.2*2; p95: place 3.8 -> 5 + 0.8*5
  const Summary s = summarize({10, 4, 2, 5, 4});
  CHECK(s.mean == 5);
  CHECK(s.sd == 3);
  CHECK(s.p5 == doctest::Approx(2.4).epsilon(1e-15));
  CHECK(s.p50 == 4);
  CHECK(s.p95 == doctest::Approx(9).epsilon(1e-15));
  CHECK(s.min == 2);
  CHECK(s.max == 10);
  CHECK(s.n == 5);
  // t(0.975; 4) = 2.7764451 (any table): half width 2.7764451 * 3 / sqrt(5)
  CHECK(s.ci95_high - s.mean == doctest::Approx(2.7764451051977987 * 3 / std::sqrt(5.0)).epsilon(1e-12));
  CHECK(s.mean - s.ci95_low == doctest::Approx(s.ci95_high - s.mean).epsilon(1e-14));
}

TEST_CASE("a 99 % interval of 10 values uses t(0.995; 9) = 3.2498355") {
  const std::vector<double> values{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};  // variance 82.5/9
  CHECK(confidence_half_width(values, 0.99) ==
        doctest::Approx(3.2498355415921254 * std::sqrt(82.5 / 9 / 10)).epsilon(1e-12));
}

TEST_CASE("one value has no spread and an endless confidence interval") {
  const Summary s = summarize({7});
  CHECK(s.mean == 7);
  CHECK(s.sd == 0);
  CHECK(s.p5 == 7);
  CHECK(s.p95 == 7);
  CHECK(std::isinf(s.ci95_high));
}

TEST_CASE("equal values have an interval of width 0") {
  const Summary s = summarize(std::vector<double>(100, 0.1));
  CHECK(s.ci95_low == doctest::Approx(0.1).epsilon(1e-14));
  CHECK(s.ci95_high == doctest::Approx(0.1).epsilon(1e-14));
  CHECK(s.p50 == 0.1);
}

TEST_CASE("a million tenths sum to 100000 within 1e-9, where one after another is off by 1e-6") {
  const std::vector<double> values(1'000'000, 0.1);
  CHECK(std::abs(sum(values) - 1e5) < 1e-9);
  double naive = 0;
  for (const double v : values) naive += v;
  CHECK(std::abs(naive - 1e5) > 1e-6);
}

TEST_CASE("a variance does not drown in a large mean") {
  // 1e9 + {4, 7, 13, 16}: variance 30, the usual test of the two-pass formula
  CHECK(variance(std::vector<double>{1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16}) == 30);
}

TEST_CASE("quantiles reach the ends and refuse what is outside") {
  const std::vector<double> sorted{1, 2, 4};
  CHECK(quantile(sorted, 0) == 1);
  CHECK(quantile(sorted, 1) == 4);
  CHECK(quantile(sorted, 0.75) == 3);  // place 1.5 between 2 and 4
  CHECK_THROWS_AS(quantile(sorted, 1.01), InternalError);
  CHECK_THROWS_AS(quantile({}, 0.5), InternalError);
}

TEST_CASE("no values and not-a-number are bugs of the caller") {
  CHECK_THROWS_AS(summarize({}), InternalError);
  CHECK_THROWS_AS(summarize({1, std::nan("")}), InternalError);
  CHECK_THROWS_AS(confidence_half_width(std::vector<double>{1, 2}, 1), InternalError);
  CHECK(sum({}) == 0);
}

TEST_CASE("Garwood's interval of 10 events is 4.7954 .. 18.3904, of none 0 .. 3.6889") {
  // Garwood 1936, table of 95 % limits; none: -ln(0.025)
  const Interval ten = poisson_mean_interval(10);
  CHECK(ten.low == doctest::Approx(4.795389).epsilon(1e-6));
  CHECK(ten.high == doctest::Approx(18.390356).epsilon(1e-6));
  const Interval none = poisson_mean_interval(0);
  CHECK(none.low == 0);
  CHECK(none.high == doctest::Approx(-std::log(0.025)).epsilon(1e-12));
}

TEST_CASE("419 interruptions in 54 days are 7.76 a day, between 7.03 and 8.54") {
  // LLaMA-3's count (Grattafiori et al. 2024, section 3.3.4). Normal approximation: 419 +- 1.96 sqrt(419)
  // gives 7.02 .. 8.50; Garwood's is a little higher.
  const RateEstimate r = rate_from_counts(419, Seconds(54 * kDay));
  CHECK(r.mean.value * kDay == doctest::Approx(419.0 / 54).epsilon(1e-14));
  CHECK(r.low.value * kDay == doctest::Approx(7.03).epsilon(1e-3));
  CHECK(r.high.value * kDay == doctest::Approx(8.54).epsilon(1e-3));
  CHECK_THROWS_AS(rate_from_counts(1, Seconds(0)), InternalError);
}

TEST_CASE("a prior worth one event pulls a rate without events away from zero") {
  // Posterior Gamma(1, 10 s + 90 s): mean 1/100, central 95 %: -ln(0.975)/100 .. -ln(0.025)/100
  const RateEstimate r = rate_posterior(0, Seconds(90), 1, Seconds(10));
  CHECK(r.mean.value == doctest::Approx(0.01).epsilon(1e-14));
  CHECK(r.low.value == doctest::Approx(-std::log(0.975) / 100).epsilon(1e-12));
  CHECK(r.high.value == doctest::Approx(-std::log(0.025) / 100).epsilon(1e-12));
  CHECK_THROWS_AS(rate_posterior(0, Seconds(90), 0, Seconds(10)), InternalError);
}
