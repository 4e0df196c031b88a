// Fail-slow: draws by how much and for how long a slow GPU or a degraded link holds the job, and which of the
// stretches that overlap decides. A synchronous step waits for its slowest member, so the factor of the job is
// the maximum over stretches of hazard.hpp's step_factor.
// Defaults by GREYHOUND (ATC'25): mean 72 min for jobs of 512 GPUs and more, from tens of seconds to 10 h.
// The step model's own answer to one slow node is an input here (FailureClass::response).
#pragma once

#include <vector>

#include "failures/hazard.hpp"
#include "sim/random.hpp"

namespace runcast {

struct SlowStretch {
  double factor = 1;  // step time over normal step time, of the job
  Duration length;
};

// One draw of each stream; a class without spreads uses only the length's.
SlowStretch draw_slow_stretch(const FailureClass& failure, RandomStream& severity, RandomStream& length);

// Share of time that the stretches of a class cost, in the long run: they overlap as M/G/inf, so that the job
// is slow for 1 - e^{-rate x duration} of the time; the excess of one factor counts once.
double slow_excess(const FailureClass& failure, EventRate rate);

// A job's own slowdown for life: slow hosts, uneven stages and sequences. The excess over 1 is lognormal with this
// median. {0.084, 0.91} is ByteDance's fleet (What-if stragglers, OSDI'25): 42.5 % of 3,079 jobs slower than 1.1, 10.4 %
// of all GPU-hours wasted, the worst tenth 21.3 % and more.
struct PersistentSlowdown {
  double median_excess = 0;  // 0: none
  double spread = 0;         // sigma
};
double draw_persistent(const PersistentSlowdown& slowdown, RandomStream& random);

// The stretches that are on.
class SlowStretches {
 public:
  void add(double factor, Time end);  // of equal factors the one that ends last decides
  void drop_ended(Time now);
  void drop(double factor);  // its cause was taken out of the job
  bool any() const { return !stretches_.empty(); }
  bool has(double factor) const;
  double factor() const;  // of the job: 1 when none is on
  Time next_end() const;  // kNever when none is on

 private:
  struct Stretch {
    double factor;
    Time end;
  };
  std::vector<Stretch> stretches_;
};

}  // namespace runcast
