// One trial's failures: the next event of each class, each on its own clock. Each class has its own streams
// (seed, purpose, name of the class, trial): a class that is added, moved or taken away leaves the others'
// failures where they were, and two policies on one seed meet the same failures.
// Uncertainty: a rate that was estimated from k events is, for one trial, the rate times a draw of
// Gamma(k, mean 1), the posterior of a Poisson count under the prior 1 / rate.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "failures/hazard.hpp"
#include "sim/random.hpp"

namespace runcast {

// The address of a class among the components of a purpose: FNV-1a of its name.
std::uint64_t class_address(std::string_view name);

// Factor on a class's rate in one trial; 1 for a rate that is taken as exact.
double rate_factor(const FailureClass& failure, std::uint64_t seed, std::uint64_t trial);

// A draw of `law` with this mean; exponential ignores the shape.
Seconds draw(Law law, double shape, Seconds mean, RandomStream& random);

class FailureProcess {
 public:
  // `uncertain`: each trial has its own rates (rate_factor).
  FailureProcess(const FailureModel& model, const JobScale& scale, std::uint64_t seed, std::uint64_t trial,
                 bool uncertain = false);

  struct Next {
    Duration at{kNever.ns};   // on the clock asked for, since the start of the run
    std::size_t failure = 0;  // index into the model's classes
  };
  Next next_on_wall() const { return wall_; }  // the first event of all classes that count wall time
  Next next_on_up() const { return up_; }      // the first event of all classes that count up time
  void take(std::size_t failure);              // that event has happened: draw the class's next one

 private:
  struct Stream {
    RandomStream random;
    Law law;
    double shape, mean;  // mean gap in s; 0: the class never strikes
    bool wall;
    Duration next;
  };
  static void step(Stream& stream);
  void find_first();

  std::vector<Stream> streams_;
  Next wall_, up_;
};

}  // namespace runcast
