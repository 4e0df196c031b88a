// See the header.
#include "failures/straggler.hpp"

#include <algorithm>
#include <cmath>

namespace runcast {

SlowStretch draw_slow_stretch(const FailureClass& failure, RandomStream& severity, RandomStream& length) {
  SlowStretch stretch;
  double excess = failure.slowdown - 1;
  if (failure.slowdown_spread > 0 && excess > 0) excess = severity.lognormal(excess, failure.slowdown_spread);
  stretch.factor = step_factor(failure, 1 + excess);
  if (failure.duration.value <= 0) return stretch;
  const double seconds = failure.duration_spread > 0
                             ? length.lognormal(failure.duration.value, failure.duration_spread)
                             : length.exponential(failure.duration.value);
  stretch.length = to_clock(Seconds(std::min(seconds, 1e9)));  // 32 years: the clock's sums stay inside it
  return stretch;
}

double slow_excess(const FailureClass& failure, EventRate rate) {
  const double slow = -std::expm1(-(rate * failure.duration));
  return slow * (step_factor(failure, failure.slowdown) - 1);
}

double draw_persistent(const PersistentSlowdown& slowdown, RandomStream& random) {
  if (slowdown.median_excess <= 0) return 1;
  return 1 + slowdown.median_excess * std::exp(slowdown.spread * random.normal());
}

void SlowStretches::add(double factor, Time end) {
  const auto same = std::find_if(stretches_.begin(), stretches_.end(),
                                 [&](const Stretch& s) { return s.factor == factor; });
  if (same == stretches_.end())
    stretches_.push_back({factor, end});
  else
    same->end = std::max(same->end, end);
}

void SlowStretches::drop_ended(Time now) {
  std::erase_if(stretches_, [&](const Stretch& s) { return s.end <= now; });
}

void SlowStretches::drop(double factor) {
  std::erase_if(stretches_, [&](const Stretch& s) { return s.factor == factor; });
}

bool SlowStretches::has(double factor) const {
  return std::any_of(stretches_.begin(), stretches_.end(),
                     [&](const Stretch& s) { return s.factor == factor; });
}

double SlowStretches::factor() const {
  double slowest = 1;
  for (const Stretch& s : stretches_) slowest = std::max(slowest, s.factor);
  return slowest;
}

Time SlowStretches::next_end() const {
  Time next = kNever;
  for (const Stretch& s : stretches_) next = std::min(next, s.end);
  return next;
}

}  // namespace runcast
