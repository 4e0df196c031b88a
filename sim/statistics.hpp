// Statistics of a sample of trials, and of counted failures.
// Sums are pairwise in index order (split in halves down to 8 values): the same bits for any number of
// threads that filled the array, and an error that grows with log n. Quantiles are type 7 of Hyndman and Fan
// 1996 (linear between order statistics, the default of R and NumPy). Student's t and gamma quantiles:
// Boost.Math. INVARIANT everywhere: samples are not empty and hold no NaN; levels and probabilities are
// inside (0, 1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/units.hpp"

namespace runcast {

double sum(std::span<const double> values);  // 0 of nothing
double mean(std::span<const double> values);
double variance(std::span<const double> values);  // unbiased, n - 1; 0 of one value
double standard_deviation(std::span<const double> values);
double quantile(std::span<const double> sorted, double probability);  // probability in [0, 1]

// Half of the width of the confidence interval of the mean: t(n - 1) * sd / sqrt(n). Infinite for one value,
// which says nothing about spread.
double confidence_half_width(std::span<const double> values, double level = 0.95);

// What a report says of one figure over all trials. The units are those of the values.
struct Summary {
  double mean = 0, sd = 0;
  double ci95_low = 0, ci95_high = 0;  // of the mean
  double p5 = 0, p50 = 0, p95 = 0;
  double min = 0, max = 0;
  std::size_t n = 0;
};
Summary summarize(std::vector<double> values);

struct Interval {
  double low = 0, high = 0;
};

// The mean of a Poisson law of which `count` events were seen: exact, central, conservative
// (Garwood 1936): chi2(a/2; 2k)/2 .. chi2(1 - a/2; 2k + 2)/2.
Interval poisson_mean_interval(std::int64_t count, double level = 0.95);

struct RateEstimate {
  EventRate low, mean, high;
};
// Events per second (of one component) from `count` events in `exposure` component-seconds, Garwood's
// interval.
RateEstimate rate_from_counts(std::int64_t count, Seconds exposure, double level = 0.95);
// The same with a Gamma prior worth `prior_count` events in `prior_exposure`: the posterior is
// Gamma(prior_count + count, prior_exposure + exposure); its mean and central credible interval.
RateEstimate rate_posterior(std::int64_t count, Seconds exposure, double prior_count, Seconds prior_exposure,
                            double level = 0.95);

}  // namespace runcast
