// Random numbers by address: (seed, purpose, component, trial, n) -> the same draw always, on any thread, in
// any order (Philox4x64-10 of Random123; Salmon et al. 2011). Two policies on one seed meet the same
// failures. Distributions by inversion: one uniform, one value, so that a change of law keeps the ranks of
// the draws. INVARIANT of every law: means and shapes are positive, sigma is not negative, below() has n > 0.
#pragma once

#include <cstdint>

#include "sim/units.hpp"

namespace runcast {

// What a stream is drawn for. Never renumber: results are compared across versions.
enum class Purpose : std::uint32_t {
  test = 0,
  failure_time = 1,
  failure_victim = 2,
  repair = 3,
  restart = 4,
  lemon = 5,
  detection = 6,
  fail_slow = 7,
  corruption = 8,
  preemption = 9,
  planned = 10,
  placement = 11,
  routing = 12,
  jitter = 13,
  job = 14,
  group = 15,
  sampling = 16,
  survival = 17,
  recovery_phase = 18,
  young_node = 19,
  rate_estimate = 20,
  co_occurrence = 21,
  diagnosis = 22,
  evaluation = 23,
};

class RandomStream {
 public:
  RandomStream(std::uint64_t seed, Purpose purpose, std::uint64_t component, std::uint64_t trial)
      : seed_(seed), purpose_(purpose), component_(component), trial_(trial) {}

  double uniform();                          // in (0, 1): 2^-53 .. 1 - 2^-53 in steps of 2^-52
  double uniform_at(std::uint64_t n) const;  // the n-th draw of this stream
  std::uint64_t below(std::uint64_t n);      // 0 .. n-1, unbiased to 2^-64
  double exponential(double mean);
  double weibull(double shape, double mean);    // scale = mean / Gamma(1 + 1/shape)
  double lognormal(double mean, double sigma);  // mu = ln(mean) - sigma^2/2
  double gamma(double shape, double mean);
  double normal();  // mean 0, sd 1
  std::uint64_t position() const { return n_; }

 private:
  std::uint64_t bits_at(std::uint64_t n) const;

  std::uint64_t seed_;
  Purpose purpose_;
  std::uint64_t component_, trial_;
  std::uint64_t n_ = 0;
};

}  // namespace runcast
