// See statistics.hpp for the formulas.
#include "sim/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/policies/policy.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <limits>

namespace runcast {

namespace {

// Doubles stay doubles: long doubles would give other bits on other machines.
using Policy = boost::math::policies::policy<boost::math::policies::promote_double<false>>;

// The probability left out on each side of a central interval.
double tail(double level) {
  INVARIANT(level > 0 && level < 1);
  return (1 - level) / 2;
}

RateEstimate per_second(double low, double mean_count, double high, Seconds exposure) {
  INVARIANT(exposure.value > 0);
  return {EventRate(low / exposure.value), EventRate(mean_count / exposure.value),
          EventRate(high / exposure.value)};
}

}  // namespace

double sum(std::span<const double> values) {
  if (values.size() <= 8) {
    double total = 0;
    for (const double v : values) total += v;
    return total;
  }
  const std::size_t half = values.size() / 2;
  return sum(values.first(half)) + sum(values.subspan(half));
}

double mean(std::span<const double> values) {
  INVARIANT(!values.empty());
  return sum(values) / static_cast<double>(values.size());
}

double variance(std::span<const double> values) {
  const double center = mean(values);
  if (values.size() == 1) return 0;
  std::vector<double> squares(values.begin(), values.end());
  for (double& v : squares) v = (v - center) * (v - center);
  return sum(squares) / static_cast<double>(values.size() - 1);
}

double standard_deviation(std::span<const double> values) { return std::sqrt(variance(values)); }

double quantile(std::span<const double> sorted, double probability) {
  INVARIANT(!sorted.empty() && probability >= 0 && probability <= 1);
  const double place = probability * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  if (below + 1 >= sorted.size()) return sorted.back();
  const double share = place - static_cast<double>(below);
  return share == 0 ? sorted[below] : sorted[below] + share * (sorted[below + 1] - sorted[below]);
}

double confidence_half_width(std::span<const double> values, double level) {
  const double outside = tail(level);
  const auto n = static_cast<double>(values.size());
  INVARIANT(!values.empty());
  if (values.size() == 1) return std::numeric_limits<double>::infinity();
  const boost::math::students_t_distribution<double, Policy> student(n - 1);
  return boost::math::quantile(boost::math::complement(student, outside)) * standard_deviation(values) /
         std::sqrt(n);
}

Summary summarize(std::vector<double> values) {
  INVARIANT(!values.empty());
  INVARIANT(std::ranges::none_of(values, [](double v) { return std::isnan(v); }));
  Summary s;
  s.n = values.size();
  s.mean = mean(values);  // before sorting: in the order of the trials
  s.sd = standard_deviation(values);
  const double half = confidence_half_width(values);
  s.ci95_low = s.mean - half;
  s.ci95_high = s.mean + half;
  std::ranges::sort(values);
  s.p5 = quantile(values, 0.05);
  s.p50 = quantile(values, 0.5);
  s.p95 = quantile(values, 0.95);
  s.min = values.front();
  s.max = values.back();
  return s;
}

// chi2(p; 2k) / 2 is the p quantile of Gamma(k, 1).
Interval poisson_mean_interval(std::int64_t count, double level) {
  INVARIANT(count >= 0);
  const double outside = tail(level);
  const auto k = static_cast<double>(count);
  return {count == 0 ? 0.0 : boost::math::gamma_p_inv(k, outside, Policy()),
          boost::math::gamma_q_inv(k + 1, outside, Policy())};
}

RateEstimate rate_from_counts(std::int64_t count, Seconds exposure, double level) {
  const Interval events = poisson_mean_interval(count, level);
  return per_second(events.low, static_cast<double>(count), events.high, exposure);
}

RateEstimate rate_posterior(std::int64_t count, Seconds exposure, double prior_count, Seconds prior_exposure,
                            double level) {
  INVARIANT(count >= 0 && prior_count >= 0 && prior_exposure.value >= 0);
  const double shape = prior_count + static_cast<double>(count);
  INVARIANT(shape > 0);
  const double outside = tail(level);
  return per_second(boost::math::gamma_p_inv(shape, outside, Policy()), shape,
                    boost::math::gamma_q_inv(shape, outside, Policy()), exposure + prior_exposure);
}

}  // namespace runcast
