#include "failures/rate_fit.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "failures/failure_process.hpp"
#include "sim/random.hpp"

using namespace runcast;
using doctest::Approx;

namespace {

CensoredSample sample_of(Law law, double shape, double mean, int n, double cut) {
  RandomStream random(11, Purpose::test, static_cast<std::uint64_t>(law), 0);
  CensoredSample sample;
  for (int i = 0; i < n; ++i) {
    const double x = draw(law, shape, Seconds(mean), random).value;
    (x < cut ? sample.observed : sample.censored).push_back(std::min(x, cut));
  }
  return sample;
}

}  // namespace

TEST_CASE(
    "each law is found again from its own draws, a third of them censored, and is the best or nearly so") {
  for (const auto& [law, shape] :
       {std::pair{Law::exponential, 1.0}, {Law::weibull, 0.7}, {Law::lognormal, 1.2}, {Law::gamma, 2.5}}) {
    const CensoredSample sample = sample_of(law, shape, 1000, 3000, 1100);
    const LawFit fit = fit_law(law, sample);
    const auto this_law = static_cast<int>(law);
    CAPTURE(this_law);
    REQUIRE(sample.censored.size() > 500);
    CHECK(fit.mean.value == Approx(1000).epsilon(0.12));
    CHECK(fit.shape == Approx(shape).epsilon(0.07));
    CHECK(fit_laws(sample).front().aic >= fit.aic - 6);  // another law may win by luck, not by much
  }
}

TEST_CASE("the exponential's rate counts censored time: events over all time") {
  const LawFit fit = fit_law(Law::exponential, {{1, 2, 3}, {4, 10}});
  CHECK(fit.mean.value == Approx(20.0 / 3).epsilon(1e-12));
  CHECK(fit.log_likelihood == Approx(-3 * std::log(20.0 / 3) - 3).epsilon(1e-12));
}

TEST_CASE("goodness of fit tells a wrong law") {
  const CensoredSample sample = sample_of(Law::gamma, 8, 1000, 500, 1e9);
  CHECK(fit_law(Law::exponential, sample).ks_p < 1e-6);
  CHECK(fit_law(Law::gamma, sample).ks_p > 0.05);
}

TEST_CASE("a record by cause: rates with Garwood's interval, repairs with open ones censored") {
  FailureRecord record;
  record.nodes = 10;
  record.span = Seconds(100 * kDay);
  record.node_time = Seconds(1000 * kDay);
  for (int i = 0; i < 10; ++i)
    record.failures.push_back({Seconds((i * 9 + 1) * kDay), "n", "gpu", Seconds(2 * kHour), i == 9});
  record.failures.push_back({Seconds(5 * kDay), "n", "nic", std::nullopt, false});
  const std::vector<CauseFit> fits = fit_record(record);
  REQUIRE(fits.size() == 2);
  CHECK(fits[0].cause == "gpu");
  CHECK(fits[0].per_node.mean.value * kDay == Approx(0.01).epsilon(1e-12));
  CHECK(fits[0].per_node.low.value * kDay == Approx(0.01 * 0.480).epsilon(0.01));   // 4.80 of 10
  CHECK(fits[0].per_node.high.value * kDay == Approx(0.01 * 1.839).epsilon(0.01));  // 18.39
  CHECK(fits[0].open_repairs == 1);
  CHECK(fits[0].gaps.size() == 4);
  CHECK(fits[0].gaps.front().law != Law::exponential);  // nine equal gaps
  CHECK(fits[1].gaps.empty());
}
