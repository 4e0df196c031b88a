// What sets single nodes apart. Lemons fail `multiplier` times as often as others until a repair cures them;
// broken nodes (a repair that fixed nothing, a fault blamed on a neighbour) fail again after a mean time of
// their own; young nodes fail 1 + (factor - 1) e^{-age / decay} times as often.
//   lemons, broken: each such node in the job has its own exponential clock for the extra rate
//   young: candidates at the extra rate of brand-new nodes, kept with probability e^{-age / decay} (thinning,
//     Lewis and Shedler 1979)
// What they suffer is a node failure of the model, by the classes' rates. Times are on the hazards' clock.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "failures/hazard.hpp"
#include "failures/node_fleet.hpp"
#include "sim/random.hpp"

namespace runcast {

class NodeHazard {
 public:
  NodeHazard(const FailureModel& model, const JobScale& scale, Seconds recurrence, std::uint64_t seed,
             std::uint64_t trial);

  // Node `node` begins to work in the job at `clock`; nothing happens for one that is like the others.
  void enter(std::int32_t node, const Node& record, Duration clock);
  Duration next() const;  // on the hazards' clock; kNever when no node is special

  struct Strike {
    std::int32_t node = -1;
    std::size_t failure = 0;  // index of the class
  };
  // The event that is due at next(): none when the node has left meanwhile, or a candidate was not taken.
  std::optional<Strike> take(const NodeFleet& fleet, Time now);

 private:
  struct Entry {
    Duration at;
    std::int32_t node;
    std::uint32_t stay;  // of the node in the job; another stay makes the entry void
    bool operator>(const Entry& other) const { return at != other.at ? at > other.at : node > other.node; }
  };
  void schedule(std::int32_t node, const Node& record, Duration clock);
  std::size_t some_class(double uniform) const;
  void step_young();

  const FailureModel& model_;
  double lemon_rate_, broken_rate_, young_rate_;  // extra, per second; young: of the whole job
  std::vector<double> cumulative_;                // of the node classes' rates
  std::uint64_t seed_, trial_;
  std::int64_t positions_;
  std::vector<Entry> heap_;
  RandomStream young_;
  Duration young_next_{kNever.ns};
};

}  // namespace runcast
