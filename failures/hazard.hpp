// What breaks: failure classes with their rates, laws and reach, and what sets nodes apart from each other.
//   exponential: N components of rate h are one Poisson process of rate N h (one draw of the summed rate).
//   weibull, lognormal, gamma: the *system's* gaps follow the law with mean 1 / (N h). Many aged renewal
//     nodes superpose to nearly Poisson (Drenick 1960): only a system-level shape makes bursts, and `shape`
//     is that.
// The processes themselves are drawn by failure_process (classes) and node_hazard (lemons, young nodes).
// Leaves out: hazards that follow load or temperature, failures of idle spares.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config.hpp"
#include "sim/units.hpp"

namespace runcast {

// What one event takes down. group: `size` nodes of no particular place; the others are places of the cluster,
// whose sizes it knows (JobScale): a link and a NIC hang on one node, leaf to facility hold many.
enum class Domain : std::uint8_t { node, group, job, link, nic, leaf, rack, row, pod, storage, facility };
inline constexpr std::size_t kDomains = 11;
inline constexpr std::array<std::string_view, kDomains> kDomainNames{
    "node", "group", "job", "link", "nic", "leaf", "rack", "row", "pod", "storage", "facility"};

// How large the job is and how its nodes stand together, for rates, blast radius and checkpoints.
struct JobScale {
  std::int64_t nodes = 1;
  std::int64_t gpus_per_node = 8;
  std::int64_t replicas = 1;  // data-parallel copies of the model, on consecutive nodes
  double parameters = 0;      // of the model, for the size of a checkpoint
  std::int64_t nics_per_node = 8;
  std::int64_t nodes_per_leaf = 2;   // two hosts a rack switch (LLaMA-3, arXiv 2407.21783, 3.3.1)
  std::int64_t nodes_per_rack = 2;   // NVL72: 18 trays
  std::int64_t nodes_per_row = 16;   // assumption: eight racks on one power row
  std::int64_t nodes_per_pod = 384;  // 3,072 GPUs (LLaMA-3)
  double bytes_per_parameter = 14;   // of a checkpoint: bf16 weights 2, fp32 master 4, Adam moments 8
  Bandwidth node_network{0};         // of one node's NICs together; 0: unknown
  std::int64_t gpus() const { return nodes * gpus_per_node; }
  // Nodes in one domain: 1 for node, link and NIC; all for job, storage and facility.
  std::int64_t nodes_in(Domain domain) const;
};

enum class Law : std::uint8_t { exponential, weibull, lognormal, gamma };
inline constexpr std::array<std::string_view, 4> kLawNames{"exponential", "weibull", "lognormal", "gamma"};

// What an event of the class asks for.
//   swap      other nodes; the old ones come back after their repair
//   reset     the same nodes, restarted
//   retry     the job only
//   planned   a graceful stop after a checkpoint
//   corrupt   silent data corruption, found `detect` later, rolled back to before its onset
//   slow      the job runs slower for a while (straggler.hpp); `evict` swaps the slow node once it is found
//   rollback  people go back by `lookback` and skip what made the loss spike
//   preempt   the cloud takes the node back after `notice`
//   outage    the parallel file system neither takes nor gives checkpoints for a while
//   stall     the job stands still for a while and goes on (link flaps)
enum class Action : std::uint8_t {
  swap,
  reset,
  retry,
  planned,
  corrupt,
  slow,
  rollback,
  preempt,
  outage,
  stall
};
inline constexpr std::array<std::string_view, 10> kActionNames{
    "swap", "reset", "retry", "planned", "corrupt", "slow", "rollback", "preempt", "outage", "stall"};

// Which time the hazards count. always: wall time, restarts included (a failure in a restart restarts it);
// up: only time in which the job trains or saves. Planned stops follow the calendar, that is wall time, in
// both.
enum class HazardClock : std::uint8_t { always, up };
inline constexpr std::array<std::string_view, 2> kClockNames{"always", "up"};

// What the step model says of one severity: a node `slowdown` times slower, the step `step` times.
struct SlowPoint {
  double slowdown = 1, step = 1;
};

struct FailureClass {
  std::string name;
  Domain domain = Domain::node;
  std::int64_t size = 1;  // nodes in the domain; 0: as many as the cluster's own
  double blast = 1;       // share of the domain's nodes that one event takes down, at least one
  RatePer rate;           // per "node", "gpu", a domain, or "" = the whole job
  Law law = Law::exponential;
  double shape = 1;  // Weibull k, lognormal sigma, gamma k; unused by exponential
  Action action = Action::swap;
  std::optional<Seconds> detect;  // from the fault to knowing it; none: the recovery's own figure
  // swap, preempt: mean time until a failed node is back among the spares, exponential.
  Seconds repair{40.4 * kHour};    // AIReSim params.py: 2 h automatic for all + 2 d manual for 0.8 of them
  bool own_repair = false;         // `repair` was given: the repair shop of the recovery does not apply
  Seconds duration{10 * kMinute};  // planned, slow, outage, stall: length of the stop or mean length
  double slowdown = 1;             // slow: step time over the normal step time
  double slowdown_spread = 0;      // slow: sigma of a lognormal excess (slowdown - 1), mean kept
  double duration_spread = 0;      // slow: 0 = exponential; else sigma of a lognormal duration
  // slow: share of the excess that reaches the step; none: `response`
  std::optional<double> sensitivity;
  std::vector<SlowPoint> response;  // slow: from the step model, ascending; empty: all wait for the slow one
  bool evict = false;               // slow: the node is swapped `detect` after it became slow
  Seconds lookback{0};              // rollback
  Seconds notice{0};                // preempt
  std::int64_t observed = 0;        // events that the rate was estimated from; 0: taken as exact
};

// Some nodes are worse than the others until they are repaired (AIReSim: 15 % of 5 x more; RSC: "lemons").
struct LemonNodes {
  double fraction = 0;
  double multiplier = 10;  // of the node classes' rates (a choice; AIReSim: 6 in all)
};
// Nodes fail more often when they are new: factor 1 + (factor - 1) e^{-age / decay}.
struct YoungNodes {
  double factor = 1;
  Seconds decay{30 * kDay};
  Seconds age{0};  // of every node when the run begins
};

struct FailureModel {
  HazardClock clock = HazardClock::always;
  std::vector<FailureClass> classes;
  LemonNodes lemons;
  YoungNodes young;
  double co_occurring = 0;  // P(a node failure takes another node along): 0.03-0.05 (RSC, arXiv 2410.21680)
};

// Reads `failures: {clock:, classes: [...]}`. What is wrong is recorded in the section's document.
FailureModel read_failures(Section section);

// Step time over normal step time of the job when what is slow takes `slowdown` times as long: by its sensitivity, else
// linear between the points of its response (from 1, and on beyond the last one).
double step_factor(const FailureClass& failure, double slowdown);

// The same where the cloud takes no node back.
FailureModel without_preemption(FailureModel model);

// Nodes in the class's domain, at this scale.
std::int64_t domain_size(const FailureClass& failure, const JobScale& scale);
// Nodes that one event of the class takes down on average.
double mean_victims(const FailureClass& failure, const JobScale& scale);
// The class's events have nodes as victims (not the job, not the storage).
bool has_victims(const FailureClass& failure);
bool unplanned(Action action);  // stops a run that did not plan to stop

// Rate of the whole job for one class, events per second, without lemons and young nodes; and of all classes
// that stop a run unplanned.
EventRate system_rate(const FailureClass& failure, const JobScale& scale);
EventRate unplanned_rate(const FailureModel& model, const JobScale& scale);
// Rate of the classes that lemons and young nodes multiply: single nodes that need a swap or a reset.
EventRate node_rate(const FailureModel& model, const JobScale& scale);
bool of_single_nodes(const FailureClass& failure);
// Rate at which nodes leave the job for repair (swap events times nodes each), and their mean repair time.
EventRate swap_rate(const FailureModel& model, const JobScale& scale);
Seconds mean_repair(const FailureModel& model, const JobScale& scale);

}  // namespace runcast
