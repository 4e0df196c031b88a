// Known answers of the generator, the address, and the moments of each law.
#include "sim/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "sim/statistics.hpp"

using namespace runcast;

namespace {

constexpr std::size_t kDraws = 100'000;

std::vector<double> draw(const std::function<double(RandomStream&)>& law, std::uint64_t seed = 1) {
  RandomStream stream(seed, Purpose::test, 0, 0);
  std::vector<double> values(kDraws);
  for (double& v : values) v = law(stream);
  return values;
}

double uniform_of(std::uint64_t word) { return (static_cast<double>(word >> 12) + 0.5) * 0x1p-52; }

// The seed is fixed, so these cannot flicker; 4 standard errors say that the value is not merely near by luck
// of the tolerance. Standard error of the mean: sd / sqrt(n).
void check_mean(const std::vector<double>& values, double mean_expected, double sd_expected) {
  const double standard_error = sd_expected / std::sqrt(static_cast<double>(values.size()));
  CHECK(std::abs(mean(values) - mean_expected) < 4 * standard_error);
}

// The share of draws below x, against the law's distribution function: binomial, sd sqrt(p(1-p)/n).
void check_share_below(const std::vector<double>& values, double x, double p) {
  const auto below = static_cast<double>(std::ranges::count_if(values, [x](double v) { return v < x; }));
  const auto n = static_cast<double>(values.size());
  CHECK(std::abs(below / n - p) < 4 * std::sqrt(p * (1 - p) / n));
}

}  // namespace

TEST_CASE("address zero is the known answer of Philox4x64-10") {
  // Random123's kat_vectors: counter 0, key 0 -> 16554d9eca36314c ...
  CHECK(RandomStream(0, Purpose::test, 0, 0).uniform_at(0) == uniform_of(0x16554d9eca36314c));
}

TEST_CASE("the address is key (seed, purpose), counter (n, component, trial, 0)") {
  // Words of an independent implementation in Python that meets Random123's known answers.
  CHECK(RandomStream(42, Purpose::failure_time, 7, 3).uniform_at(5) == uniform_of(0xde228f17d036159e));
  constexpr std::uint64_t all = ~std::uint64_t{0};
  CHECK(RandomStream(all, Purpose::sampling, all, all).uniform_at(all) == uniform_of(0x74d1d4cc77658d71));
}

TEST_CASE("a stream is its own n-th draws, whoever drew before") {
  RandomStream stream(9, Purpose::repair, 1, 2);
  const RandomStream again(9, Purpose::repair, 1, 2);
  CHECK(again.uniform_at(2) == again.uniform_at(2));
  for (std::uint64_t n = 0; n < 5; ++n) CHECK(stream.uniform() == again.uniform_at(n));
  CHECK(stream.position() == 5);
  stream.normal();
  stream.gamma(2, 1);
  stream.below(10);
  CHECK(stream.position() == 8);  // each law takes one uniform
}

TEST_CASE("each part of the address changes the draw") {
  const std::set<double> draws{
      RandomStream(1, Purpose::test, 1, 1).uniform_at(1),
      RandomStream(2, Purpose::test, 1, 1).uniform_at(1),
      RandomStream(1, Purpose::repair, 1, 1).uniform_at(1),
      RandomStream(1, Purpose::test, 2, 1).uniform_at(1),
      RandomStream(1, Purpose::test, 1, 2).uniform_at(1),
      RandomStream(1, Purpose::test, 1, 1).uniform_at(2),
  };
  CHECK(draws.size() == 6);
}

TEST_CASE("two threads draw the same bits as one") {
  std::vector<double> alone(1000), shared(1000);
  const auto fill = [](std::vector<double>& out, std::size_t first, std::size_t step) {
    for (std::size_t i = first; i < out.size(); i += step)
      out[i] = RandomStream(3, Purpose::test, i, 0).gamma(0.7, 2);
  };
  fill(alone, 0, 1);
  std::thread other([&] { fill(shared, 1, 2); });
  fill(shared, 0, 2);
  other.join();
  CHECK(alone == shared);
}

TEST_CASE("uniform draws have mean 1/2, variance 1/12 and stay inside (0, 1)") {
  const auto values = draw([](RandomStream& s) { return s.uniform(); });
  check_mean(values, 0.5, std::sqrt(1.0 / 12));
  // sd of the sample variance of a uniform law: sqrt((1/80 - 1/144)/n) = 2.4e-4
  CHECK(std::abs(variance(values) - 1.0 / 12) < 4 * 2.4e-4);
  CHECK(*std::ranges::min_element(values) > 0);
  CHECK(*std::ranges::max_element(values) < 1);
  for (const double p : {0.01, 0.3, 0.99}) check_share_below(values, p, p);
}

TEST_CASE("the smallest and the largest cell of the uniform law are inside (0, 1)") {
  CHECK(uniform_of(0) == 0x1p-53);
  CHECK(uniform_of(~std::uint64_t{0}) == 1 - 0x1p-53);
}

TEST_CASE("below(n) meets 0 .. n-1 equally often") {
  RandomStream stream(1, Purpose::test, 0, 0);
  std::array<double, 7> seen{};
  for (std::size_t i = 0; i < 70'000; ++i) seen.at(stream.below(7)) += 1;
  double chi_square = 0;
  for (const double count : seen) chi_square += (count - 10'000) * (count - 10'000) / 10'000;
  CHECK(chi_square < 22.46);  // 0.999 quantile of chi-square with 6 degrees of freedom
  CHECK(stream.below(1) == 0);
  CHECK_THROWS_AS(stream.below(0), InternalError);
}

TEST_CASE("exponential draws with mean 5") {
  const auto values = draw([](RandomStream& s) { return s.exponential(5); });
  check_mean(values, 5, 5);
  check_share_below(values, 5, 1 - std::exp(-1));
  check_share_below(values, 0.05, 1 - std::exp(-0.01));
  CHECK(*std::ranges::min_element(values) > 0);
}

TEST_CASE("Weibull draws with shape 0.7 keep their mean of 3") {
  // scale = 3 / Gamma(1 + 1/0.7); variance = scale^2 (Gamma(1 + 2/0.7) - Gamma(1 + 1/0.7)^2)
  const double g1 = std::tgamma(1 + 1 / 0.7), g2 = std::tgamma(1 + 2 / 0.7), scale = 3 / g1;
  const auto values = draw([](RandomStream& s) { return s.weibull(0.7, 3); });
  check_mean(values, 3, scale * std::sqrt(g2 - g1 * g1));
  check_share_below(values, scale, 1 - std::exp(-1));  // whatever the shape
}

TEST_CASE("Weibull with shape 1 is the exponential law, draw by draw") {
  RandomStream a(1, Purpose::test, 0, 0), b(1, Purpose::test, 0, 0);
  for (int i = 0; i < 100; ++i) CHECK(a.weibull(1, 2) == doctest::Approx(b.exponential(2)).epsilon(1e-14));
}

TEST_CASE("lognormal draws with sigma 0.8 have mean 4 and median 4 exp(-0.32)") {
  // variance = mean^2 (exp(sigma^2) - 1)
  const auto values = draw([](RandomStream& s) { return s.lognormal(4, 0.8); });
  check_mean(values, 4, 4 * std::sqrt(std::exp(0.64) - 1));
  check_share_below(values, 4 * std::exp(-0.32), 0.5);
  CHECK(draw([](RandomStream& s) { return s.lognormal(4, 0); }).back() == 4);
}

TEST_CASE("gamma draws of shape 0.5 and 9 have mean 2 and standard deviation 2 / sqrt(shape)") {
  for (const double shape : {0.5, 9.0}) {
    const auto values = draw([shape](RandomStream& s) { return s.gamma(shape, 2); });
    check_mean(values, 2, 2 / std::sqrt(shape));
    CHECK(*std::ranges::min_element(values) > 0);
  }
  // Shape 1/2, scale 4 is 2 chi-square(1): below 2 * 3.841459 with probability 0.95.
  check_share_below(draw([](RandomStream& s) { return s.gamma(0.5, 2); }), 2 * 3.841458820694124, 0.95);
}

TEST_CASE("normal draws have mean 0, variance 1 and both tails") {
  const auto values = draw([](RandomStream& s) { return s.normal(); });
  check_mean(values, 0, 1);
  CHECK(std::abs(variance(values) - 1) <
        4 * std::sqrt(2.0 / kDraws));  // sd of the sample variance: sqrt(2/n)
  check_share_below(values, -1.959963984540054, 0.025);
  check_share_below(values, 1.959963984540054, 0.975);
  check_share_below(values, -3.090232306167813, 0.001);
}

TEST_CASE("laws rise with the uniform: a change of law keeps the ranks of the draws") {
  std::vector<std::array<double, 6>> rows(500);
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    const auto fresh = [i] { return RandomStream(5, Purpose::test, i, 0); };
    rows[i] = {fresh().uniform(),         fresh().exponential(1), fresh().weibull(2, 1),
               fresh().lognormal(1, 0.5), fresh().gamma(1.5, 1),  fresh().normal()};
  }
  std::ranges::sort(rows);
  for (std::size_t i = 1; i < rows.size(); ++i)
    for (std::size_t law = 1; law < 6; ++law) REQUIRE(rows[i - 1][law] <= rows[i][law]);
}

TEST_CASE("laws refuse means and shapes that are not positive") {
  RandomStream s(1, Purpose::test, 0, 0);
  CHECK_THROWS_AS(s.exponential(0), InternalError);
  CHECK_THROWS_AS(s.weibull(0, 1), InternalError);
  CHECK_THROWS_AS(s.lognormal(1, -1), InternalError);
  CHECK_THROWS_AS(s.gamma(1, std::nan("")), InternalError);
}
