// See the header. Two-parameter laws by the simplex of Nelder and Mead (1965) over (log shape, log mean).
#include "failures/rate_fit.hpp"

#include <algorithm>
#include <array>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>

namespace runcast {

namespace {

constexpr double kWorst = -1e300;
// Values below which no law is fitted: a shape from 9 values has a relative standard error of a quarter (Weibull:
// 0.78 / sqrt(n)), and from 3 it says nothing.
constexpr std::size_t kFewest = 10;

double normal_cdf(double z) { return std::erfc(-z / std::numbers::sqrt2) / 2; }

// log f(x) and log S(x).
struct LogLaw {
  double density, survival;
};

LogLaw weibull(double k, double mean, double x) {
  const double scale = mean / std::tgamma(1 + 1 / k), u = x / scale, power = std::pow(u, k);
  return {std::log(k / scale) + (k - 1) * std::log(u) - power, -power};
}

LogLaw lognormal(double sigma, double mean, double x) {
  const double z = (std::log(x) - std::log(mean) + sigma * sigma / 2) / sigma;
  return {-z * z / 2 - std::log(x * sigma * std::sqrt(2 * std::numbers::pi)),
          std::log(std::max(1e-300, normal_cdf(-z)))};
}

LogLaw gamma(double k, double mean, double x) {
  const double scale = mean / k;
  return {(k - 1) * std::log(x) - x / scale - std::lgamma(k) - k * std::log(scale),
          std::log(std::max(1e-300, boost::math::gamma_q(k, x / scale)))};
}

LogLaw log_law(Law law, double shape, double mean, double x) {
  switch (law) {
    case Law::weibull:
      return weibull(shape, mean, x);
    case Law::lognormal:
      return lognormal(shape, mean, x);
    case Law::gamma:
      return gamma(shape, mean, x);
    case Law::exponential:
      break;
  }
  return {-std::log(mean) - x / mean, -x / mean};
}

double log_likelihood(Law law, double shape, double mean, const CensoredSample& sample) {
  double sum = 0;
  for (const double x : sample.observed) sum += log_law(law, shape, mean, x).density;
  for (const double x : sample.censored) sum += log_law(law, shape, mean, x).survival;
  return std::isfinite(sum) ? sum : kWorst;
}

using Point = std::array<double, 2>;
struct Vertex {
  Point at;
  double value;
};

// The maximum of f near `start`.
template <class F>
Point climb(F f, Point start) {
  const auto vertex = [&](Point p) { return Vertex{p, f(p)}; };
  std::array<Vertex, 3> s{vertex(start), vertex({start[0] + 0.4, start[1]}),
                          vertex({start[0], start[1] + 0.4})};
  for (int i = 0; i < 400; ++i) {
    std::sort(s.begin(), s.end(), [](const Vertex& a, const Vertex& b) { return a.value > b.value; });
    if (s[0].value - s[2].value < 1e-10 * (1 + std::abs(s[0].value))) break;
    const auto along = [&](double t) {
      Point p;
      for (std::size_t d = 0; d < 2; ++d) {
        const double middle = (s[0].at[d] + s[1].at[d]) / 2;
        p[d] = middle + t * (middle - s[2].at[d]);
      }
      return vertex(p);
    };
    const Vertex reflected = along(1);
    if (reflected.value > s[0].value) {
      const Vertex expanded = along(2);
      s[2] = expanded.value > reflected.value ? expanded : reflected;
    } else if (reflected.value > s[1].value) {
      s[2] = reflected;
    } else if (const Vertex contracted = along(-0.5); contracted.value > s[2].value) {
      s[2] = contracted;
    } else {
      for (std::size_t v = 1; v < 3; ++v)
        s[v] = vertex({(s[v].at[0] + s[0].at[0]) / 2, (s[v].at[1] + s[0].at[1]) / 2});
    }
  }
  return s[0].at;
}

// Kolmogorov's limit law with Stephens' correction for small samples (1970).
double kolmogorov_p(double distance, std::size_t n) {
  const double root = std::sqrt(static_cast<double>(n)), x = (root + 0.12 + 0.11 / root) * distance;
  double p = 0;
  for (int k = 1; k <= 100; ++k) p += (k % 2 == 1 ? 2 : -2) * std::exp(-2.0 * k * k * x * x);
  return x < 0.2 ? 1 : std::clamp(p, 0.0, 1.0);
}

void judge(LawFit& fit, std::vector<double> observed) {
  std::sort(observed.begin(), observed.end());
  const auto n = static_cast<double>(observed.size());
  for (std::size_t i = 0; i < observed.size(); ++i) {
    const double f = law_cdf(fit.law, fit.shape, fit.mean, observed[i]), at = static_cast<double>(i);
    fit.ks_distance = std::max({fit.ks_distance, f - at / n, (at + 1) / n - f});
  }
  fit.ks_p = kolmogorov_p(fit.ks_distance, observed.size());
}

// Gaps between the events of one system; the last one is cut by the end of the record.
CensoredSample gaps_of(std::vector<double> times, Seconds span) {
  std::sort(times.begin(), times.end());
  CensoredSample gaps;
  double last = 0;
  for (const double t : times) {
    if (t > last) gaps.observed.push_back(t - last);  // of simultaneous events only the first counts
    last = t;
  }
  if (span.value > last) gaps.censored.push_back(span.value - last);
  return gaps;
}

void fit_repairs(CauseFit& fit, const std::vector<const PastFailure*>& events) {
  CensoredSample repairs;
  double sum = 0;
  for (const PastFailure* event : events) {
    if (!event->repair || event->repair->value <= 0) continue;
    (event->repair_open ? repairs.censored : repairs.observed).push_back(event->repair->value);
    if (!event->repair_open) sum += event->repair->value;
  }
  fit.open_repairs = static_cast<std::int64_t>(repairs.censored.size());
  if (repairs.observed.empty()) return;
  fit.mean_repair = Seconds(sum / static_cast<double>(repairs.observed.size()));
  if (repairs.observed.size() < kFewest) return;
  fit.repairs = fit_laws(repairs);
  fit.mean_repair = fit.repairs.front().mean;
}

}  // namespace

double law_cdf(Law law, double shape, Seconds mean, double x) {
  if (x <= 0) return 0;
  if (law == Law::lognormal) {
    const double z = (std::log(x / mean.value) + shape * shape / 2) / shape;
    return normal_cdf(z);
  }
  return -std::expm1(log_law(law, shape, mean.value, x).survival);
}

LawFit fit_law(Law law, const CensoredSample& sample) {
  INVARIANT(!sample.observed.empty());
  LawFit fit{law, 1, Seconds(0), 0, 0, 0, 1};
  double total = 0;
  for (const double x : sample.observed) total += x;
  for (const double x : sample.censored) total += x;
  const double simple = total / static_cast<double>(sample.observed.size());  // the exponential's maximum
  fit.mean = Seconds(simple);
  if (law != Law::exponential) {
    const auto value = [&](const Point& p) {
      if (std::abs(p[0]) > 5 || std::abs(p[1] - std::log(simple)) > 12) return kWorst;
      return log_likelihood(law, std::exp(p[0]), std::exp(p[1]), sample);
    };
    const Point best = climb(value, climb(value, {0, std::log(simple)}));
    fit.shape = std::exp(best[0]);
    fit.mean = Seconds(std::exp(best[1]));
  }
  fit.log_likelihood = log_likelihood(law, fit.shape, fit.mean.value, sample);
  fit.aic = (law == Law::exponential ? 2 : 4) - 2 * fit.log_likelihood;
  judge(fit, sample.observed);
  return fit;
}

std::vector<LawFit> fit_laws(const CensoredSample& sample) {
  std::vector<LawFit> fits;
  for (const Law law : {Law::exponential, Law::weibull, Law::lognormal, Law::gamma})
    fits.push_back(fit_law(law, sample));
  std::stable_sort(fits.begin(), fits.end(), [](const LawFit& a, const LawFit& b) { return a.aic < b.aic; });
  return fits;
}

std::vector<CauseFit> fit_record(const FailureRecord& record) {
  std::map<std::string, std::vector<const PastFailure*>> by_cause;
  for (const PastFailure& failure : record.failures) by_cause[failure.cause].push_back(&failure);
  std::vector<CauseFit> fits;
  for (const auto& [cause, events] : by_cause) {
    CauseFit fit;
    fit.cause = cause;
    fit.count = static_cast<std::int64_t>(events.size());
    fit.per_node = rate_from_counts(fit.count, record.node_time);
    std::vector<double> times;
    for (const PastFailure* event : events) times.push_back(event->at.value);
    if (events.size() >= kFewest) {
      const CensoredSample gaps = gaps_of(times, record.span);
      if (gaps.observed.size() >= kFewest) fit.gaps = fit_laws(gaps);
    }
    fit_repairs(fit, events);
    fits.push_back(std::move(fit));
  }
  std::stable_sort(fits.begin(), fits.end(),
                   [](const CauseFit& a, const CauseFit& b) { return a.count > b.count; });
  return fits;
}

}  // namespace runcast
