// What breaks: failure classes, each a renewal process of the whole system, drawn by stream address.
//   exponential: N components of rate h are one Poisson process of rate N h (one draw of the summed rate),
//     and the victim is any of the N alike, so that it need not be drawn until somebody asks who it was.
//   weibull, lognormal, gamma: the *system's* gaps follow the law with mean 1 / (N h). Many aged renewal
//     nodes superpose to nearly Poisson (Drenick 1960): only a system-level shape makes bursts, and `shape`
//     is that.
// Each class has its own stream (seed, failure_time, class, trial): removing a class leaves the others'
// failures where they were, and two policies on one seed meet the same failures. Leaves out: lemon nodes,
// infant mortality, failures of idle spares.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config.hpp"
#include "sim/random.hpp"
#include "sim/units.hpp"

namespace runcast {

// How large the job is, for rates per node and per GPU. `replicas` are data-parallel copies of the model.
struct JobScale {
  std::int64_t nodes = 1;
  std::int64_t gpus_per_node = 8;
  std::int64_t replicas = 1;
  double parameters = 0;  // of the model, for the size of a checkpoint
  std::int64_t gpus() const { return nodes * gpus_per_node; }
};

enum class Domain : std::uint8_t {
  node,
  group,
  job
};  // what one event takes down: 1 node, `size` nodes, no node
enum class Law : std::uint8_t { exponential, weibull, lognormal, gamma };

// What an event of the class asks for. swap: other nodes; reset and retry: the same nodes, restarted;
// planned: a graceful stop after a checkpoint; corrupt: silent data corruption, found `detect` later, rolled
// back to before its onset; slow: the whole job runs `slowdown` times slower for a while (GREYHOUND, ATC'25).
enum class Action : std::uint8_t { swap, reset, retry, planned, corrupt, slow };

// Which time the hazards count. always: wall time, restarts included (a failure in a restart restarts it);
// up: only time in which the job trains or saves. Planned stops follow the calendar, that is wall time, in
// both.
enum class HazardClock : std::uint8_t { always, up };

inline constexpr std::array<std::string_view, 3> kDomainNames{"node", "group", "job"};
inline constexpr std::array<std::string_view, 4> kLawNames{"exponential", "weibull", "lognormal", "gamma"};
inline constexpr std::array<std::string_view, 6> kActionNames{"swap",    "reset",   "retry",
                                                              "planned", "corrupt", "slow"};
inline constexpr std::array<std::string_view, 2> kClockNames{"always", "up"};

struct FailureClass {
  std::string name;
  Domain domain = Domain::node;
  std::int64_t size = 1;  // nodes that one event takes down; more than 1 only for a group
  RatePer rate;           // per "node", "gpu", "group", or "" = the whole job
  Law law = Law::exponential;
  double shape = 1;  // Weibull k, lognormal sigma, gamma k; unused by exponential
  Action action = Action::swap;
  std::optional<Seconds> detect;  // from the fault to knowing it; none: the recovery's own figure
  // swap: mean time until a failed node is back among the spares, exponential.
  Seconds repair{40.4 * kHour};    // AIReSim params.py: 2 h automatic for all + 2 d manual for 0.8 of them
  Seconds duration{10 * kMinute};  // planned: length of the stop; slow: mean length, exponential
  double slowdown = 1;             // slow: step time over the normal step time
};

struct FailureModel {
  HazardClock clock = HazardClock::always;
  std::vector<FailureClass> classes;
};

// Reads `failures: {clock:, classes: [...]}`. What is wrong is recorded in the section's document.
FailureModel read_failures(Section section);

// Rate of the whole job for one class, events per second; and of all classes that stop a run unplanned
// (swap, reset, retry, corrupt).
EventRate system_rate(const FailureClass& failure, const JobScale& scale);
EventRate unplanned_rate(const FailureModel& model, const JobScale& scale);
// Rate at which nodes leave the job for repair (swap events times nodes each), and their mean repair time.
EventRate swap_rate(const FailureModel& model, const JobScale& scale);
Seconds mean_repair(const FailureModel& model, const JobScale& scale);

// One trial's failures: the next event of each class, each on its own clock.
class FailureProcess {
 public:
  FailureProcess(const FailureModel& model, const JobScale& scale, std::uint64_t seed, std::uint64_t trial);

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
  static Duration gap(Stream& stream);
  static void step(Stream& stream);
  void find_first();

  std::vector<Stream> streams_;
  Next wall_, up_;
};

}  // namespace runcast
