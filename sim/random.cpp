// Random numbers by address: Philox4x64-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011; the code is Random123). Key = (seed, purpose), counter = (n, component, trial, 0), first
// word of the block. Laws by inversion of one uniform, quantiles from Boost.Math.
#include "sim/random.hpp"

#include <Random123/philox.h>

#include <boost/math/policies/policy.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <numbers>

namespace runcast {

namespace {

__extension__ using Wide = unsigned __int128;

// Doubles stay doubles: 80-bit long doubles would give other bits on other machines.
using Policy = boost::math::policies::policy<boost::math::policies::promote_double<false>>;

}  // namespace

std::uint64_t RandomStream::bits_at(std::uint64_t n) const {
  const philox4x64_key_t key{{seed_, static_cast<std::uint64_t>(purpose_)}};
  const philox4x64_ctr_t counter{{n, component_, trial_, 0}};
  return philox4x64(counter, key)[0];
}

// The middle of one of 2^52 equal cells. (With 2^53 cells the last middle, 1 - 2^-54, would round to 1.)
double RandomStream::uniform_at(std::uint64_t n) const {
  return (static_cast<double>(bits_at(n) >> 12) + 0.5) * 0x1p-52;
}

double RandomStream::uniform() { return uniform_at(n_++); }

// Lemire 2019, without the rejection: the high word of a 64 x 64 bit product.
std::uint64_t RandomStream::below(std::uint64_t n) {
  INVARIANT(n > 0);
  return static_cast<std::uint64_t>(Wide{bits_at(n_++)} * n >> 64);
}

double RandomStream::exponential(double mean) {
  INVARIANT(mean > 0);
  return -mean * std::log1p(-uniform());
}

double RandomStream::weibull(double shape, double mean) {
  INVARIANT(shape > 0 && mean > 0);
  return mean / std::tgamma(1 + 1 / shape) * std::pow(-std::log1p(-uniform()), 1 / shape);
}

double RandomStream::lognormal(double mean, double sigma) {
  INVARIANT(mean > 0 && sigma >= 0);
  return mean * std::exp(sigma * normal() - sigma * sigma / 2);
}

double RandomStream::gamma(double shape, double mean) {
  INVARIANT(shape > 0 && mean > 0);
  return mean / shape * boost::math::gamma_p_inv(shape, uniform(), Policy());
}

// The complement keeps the lower tail exact: 2u - 1 would lose it.
double RandomStream::normal() {
  return -std::numbers::sqrt2 * boost::math::erfc_inv(2 * uniform(), Policy());
}

}  // namespace runcast
