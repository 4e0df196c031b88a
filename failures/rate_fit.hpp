// Laws and rates from a list of past failures.
//   rate      events over exposure (component-time that was watched), Garwood's exact interval
//   gaps      between events of one system, the time from the last event to the end of the record censored:
//             exponential, Weibull, lognormal, gamma by maximum likelihood, sum log f + sum log S, compared by
//             AIC (Akaike 1974)
//   fit       Kolmogorov-Smirnov distance of the uncensored gaps, p by Kolmogorov's limit law: optimistic, as
//             the parameters were fitted to the same gaps (Lilliefors 1967)
//   repairs   the same laws; repairs that had not ended are censored
// Leaves out: trends (a record is taken as stationary), dependence between causes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "failures/hazard.hpp"
#include "sim/statistics.hpp"
#include "sim/units.hpp"

namespace runcast {

// Waiting times; a censored one is known to be longer than its value. Seconds, greater than 0.
struct CensoredSample {
  std::vector<double> observed, censored;
};

struct LawFit {
  Law law = Law::exponential;
  double shape = 1;  // as FailureClass::shape
  Seconds mean;
  double log_likelihood = 0, aic = 0;
  double ks_distance = 0, ks_p = 1;
};

// P(X <= x) of a law with this mean.
double law_cdf(Law law, double shape, Seconds mean, double x);

// REQUIRES: an observed value. The fit of one law; and of all, the best (lowest AIC) first.
LawFit fit_law(Law law, const CensoredSample& sample);
std::vector<LawFit> fit_laws(const CensoredSample& sample);

// One line of a record.
struct PastFailure {
  Seconds at;  // since the beginning of the record
  std::string node, cause;
  std::optional<Seconds> repair;  // none: not told
  bool repair_open = false;       // `repair` is only how long it had lasted when the record ended
};

// A record: failures of `nodes` nodes, watched for `span`; or of jobs with `node_time` in all.
struct FailureRecord {
  std::vector<PastFailure> failures;  // any order
  Seconds span;
  std::int64_t nodes = 1;
  Seconds node_time;  // exposure
};

struct CauseFit {
  std::string cause;
  std::int64_t count = 0;
  RateEstimate per_node;          // 95 %
  std::vector<LawFit> gaps;       // best first; empty below 3 events
  std::vector<LawFit> repairs;    // best first; empty below 3 finished repairs
  std::int64_t open_repairs = 0;  // censored
  Seconds mean_repair{0};         // of the finished ones; of the best law where there is one
};
// By cause, the most frequent first; equal counts by name.
std::vector<CauseFit> fit_record(const FailureRecord& record);

}  // namespace runcast
