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

TEST_CASE("Akaike's criterion counts two for each parameter and twice the log-likelihood") {
  const CensoredSample sample{{1, 2, 3}, {4, 10}};
  const LawFit one = fit_law(Law::exponential, sample), two = fit_law(Law::weibull, sample);
  CHECK(one.aic == Approx(2 + 6 * std::log(20.0 / 3) + 6).epsilon(1e-12));
  CHECK(two.aic == Approx(4 - 2 * two.log_likelihood).epsilon(1e-12));
}

TEST_CASE("an exponential through equal gaps is 0.632 from them: p 0.581 for one of them, 0.0456 for four") {
  // F(mean) = 1 - 1/e. Stephens (1970): x = (sqrt n + 0.12 + 0.11 / sqrt n) D = 0.7775 and 1.3749;
  // p = 2 (e^{-2 x^2} - e^{-8 x^2} + e^{-18 x^2} ...).
  const LawFit one = fit_law(Law::exponential, {{7}, {}});
  CHECK(one.ks_distance == Approx(1 - std::exp(-1)).epsilon(1e-12));
  CHECK(one.ks_p == Approx(0.581130946).epsilon(1e-8));
  const LawFit four = fit_law(Law::exponential, {{7, 7, 7, 7}, {}});
  CHECK(100 * four.ks_p == Approx(4.56223791).epsilon(1e-8));
}

TEST_CASE("a lognormal of mean 1 and sigma 1 has its median at e^-0.5 and 84.13 % below e^0.5") {
  CHECK(law_cdf(Law::lognormal, 1, Seconds(1), std::exp(-0.5)) == Approx(0.5).epsilon(1e-12));
  CHECK(law_cdf(Law::lognormal, 1, Seconds(1), std::exp(0.5)) == Approx(0.841344746068543).epsilon(1e-12));
  CHECK(law_cdf(Law::lognormal, 2, Seconds(1), std::exp(-2)) == Approx(0.5).epsilon(1e-12));
}

TEST_CASE("fits to uncensored gaps solve the likelihood equations") {
  // Lognormal through e, e, e^3, e^3: mu 2, sigma 1, mean e^2.5; 4 x (-1/2 - ln sqrt(2 pi)) - (1 + 1 + 3 + 3).
  const double e = std::exp(1), e3 = std::exp(3);
  const LawFit lognormal = fit_law(Law::lognormal, {{e, e, e3, e3}, {}});
  CHECK(lognormal.shape == Approx(1).epsilon(1e-4));
  CHECK(lognormal.mean.value == Approx(std::exp(2.5)).epsilon(1e-4));
  CHECK(lognormal.log_likelihood == Approx(-13.675754132818691).epsilon(1e-9));
  // Weibull: sum (x / scale)^k = n, 1 / k + mean(ln x) = sum x^k ln x / sum x^k. Gamma: the sample's own mean,
  // ln k - psi(k) = ln(mean x) - mean(ln x), psi by the slope of ln Gamma.
  const std::vector<double> gaps{1, 2, 3, 5, 8, 13, 21};
  const auto n = static_cast<double>(gaps.size());
  const LawFit weibull = fit_law(Law::weibull, {gaps, {}}), gamma = fit_law(Law::gamma, {gaps, {}});
  const double k = weibull.shape, scale = weibull.mean.value / std::tgamma(1 + 1 / k);
  double logs = 0, powers = 0, weighted = 0, sum = 0;
  for (const double x : gaps) {
    sum += x;
    logs += std::log(x);
    powers += std::pow(x, k);
    weighted += std::pow(x, k) * std::log(x);
  }
  CHECK(powers / std::pow(scale, k) == Approx(n).epsilon(1e-4));
  CHECK(1 / k + logs / n == Approx(weighted / powers).epsilon(1e-4));
  CHECK(gamma.mean.value == Approx(sum / n).epsilon(1e-4));
  const double psi = (std::lgamma(gamma.shape + 1e-4) - std::lgamma(gamma.shape - 1e-4)) / 2e-4;
  CHECK(10 * (std::log(gamma.shape) - psi) == Approx(10 * (std::log(sum / n) - logs / n)).epsilon(1e-4));
}
