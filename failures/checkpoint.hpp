// What saving costs and how often to save: the plan that training_run follows, and the closed forms of the
// field. Symbols of the closed forms, all Seconds: `mttf` M mean time between failures of the job, `interval`
// tau useful compute between two saves, `block` delta (b) how long a save stops the training, `persist` p how
// much later it is durable, `restart` R whole downtime of one failure, `work` T_s failure-free time. Leaves
// out: storage contention between jobs, partial (MoE) checkpoints, growth of the checkpoint.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "failures/hazard.hpp"
#include "sim/config.hpp"
#include "sim/units.hpp"

namespace runcast {

// ---- what the user writes -------------------------------------------------------------------------------

enum class IntervalRule : std::uint8_t { fixed, automatic, young, daly };
enum class SaveMode : std::uint8_t { sync, async };  // sync: training waits until the save is durable

// A faster level in front of the durable one: peers' memory, a local disk.
struct CheckpointTier {
  std::string name;
  Seconds interval{kMinute};
  Seconds block{0.05};  // overlapped copy, 0.04 s per save (ByteRobust, SOSP'25, Table 8)
  Seconds persist{0};
  Seconds load{10};      // assumption: GEMINI (SOSP'23) restores from peers in seconds
  double covers = 0.95;  // share of node and job events that leave a copy whole (GEMINI, m = 2); assumption
};

struct CheckpointSettings {
  IntervalRule rule = IntervalRule::automatic;
  Seconds interval{10 * kMinute};  // when fixed, and when nothing ever fails
  SaveMode mode = SaveMode::async;
  std::optional<Seconds> block;  // none: async 2 s (PyTorch DCP async: 6.3 s for 7B, ByteCheckpoint: 0.6 s),
                                 // sync bytes / write
  std::optional<Seconds> persist;  // none: async bytes / write; sync 0
  std::optional<Bytes> bytes;      // none: 14 B per parameter: bf16 weights 2 + fp32 master 4 + Adam 8
  Bandwidth write{
      100e9};  // of the whole job; 85,000 saves measured at 50-200 GB/s (VAST), ByteCheckpoint 111 GB/s
  Bandwidth read{100e9};  // assumption: as fast as writing
  std::vector<CheckpointTier> tiers;
};

// Reads `checkpoint:`; a fixed interval shorter than its own blocking time is refused here.
CheckpointSettings read_checkpoint(Section section);

// ---- what training_run follows --------------------------------------------------------------------------

// One level of saves. Levels are listed from the most frequent to the durable one, which is last and covers
// all.
struct CheckpointLevel {
  std::string name;
  Seconds interval;  // useful compute between saves, rounded up to whole steps by the run
  Seconds block;
  Seconds persist;
  Seconds load;       // reading it back
  double covers = 1;  // share of node and job events that leave it whole; 0 of group events unless durable
};

struct CheckpointPlan {
  std::vector<CheckpointLevel> levels;
  Bytes bytes;
  const CheckpointLevel& durable() const { return levels.back(); }
};

// Fills in what was left to the program. `failure_rate` is the job's unplanned rate, per second.
CheckpointPlan resolve(const CheckpointSettings& settings, const JobScale& scale, EventRate failure_rate);
// Sentences that say why a plan cannot be carried out; empty when it can.
std::vector<std::string> problems(const CheckpointPlan& plan);

// ---- closed forms ---------------------------------------------------------------------------------------

// Young 1974 (CACM 17(9)), eq. 3: sqrt(2 delta M).
Seconds young_interval(Seconds block, Seconds mttf);
// Daly 2006 (FGCS 22(3) 303), first order: sqrt(2 delta M) - delta.
Seconds daly_first_order_interval(Seconds block, Seconds mttf);
// Daly 2006, eq. 37: sqrt(2 delta M) (1 + sqrt(delta/2M)/3 + (delta/2M)/9) - delta for delta < 2M; else M.
Seconds daly_interval(Seconds block, Seconds mttf);
// The exact optimum of Daly's model: the root of e^{-(tau+delta)/M} = 1 - tau/M.
Seconds exact_optimal_interval(Seconds block, Seconds mttf);
// Daly 2006, eq. 20: E[T] = M e^{R/M} (e^{(tau+delta)/M} - 1) T_s / tau: exponential failures that also
// strike saves and restarts. `repair` is a downtime D before R in which nothing fails: M becomes M + D
// outside the exponentials.
Seconds daly_expected_time(Seconds work, Seconds interval, Seconds block, Seconds restart, Seconds mttf,
                           Seconds repair = Seconds(0));
// First-order share of time lost: delta/tau + (R + tau/2)/M; at Young's interval sqrt(2 delta/M) + R/M.
double first_order_waste(Seconds interval, Seconds block, Seconds restart, Seconds mttf);

// Asynchronous save: the mean compute lost at a failure is tau/2 + p for tau >= p (derived; Monte Carlo
// agrees), so
//   goodput = 1/(1 + b/tau) * 1/(1 + (R + tau/2 + p)/M) - planned share,       M counted in up-time.
Seconds mean_lost_compute(Seconds interval, Seconds persist);
double async_goodput(Seconds interval, Seconds block, Seconds persist, Seconds restart, Seconds mttf,
                     double planned_share = 0);
// max(p, sqrt(2 b M)): the next save cannot begin before the last one is durable.
Seconds async_optimal_interval(Seconds block, Seconds persist, Seconds mttf);

// Several levels; `share` is the fraction of events that this level and no lower one recovers.
struct LevelTerms {
  Seconds interval, block, persist, restart;
  double share = 1;
};
// W = sum_l b_l/tau_l + (1/M) sum_l q_l (R_l + tau_l/2 + p_l); tau_l* = sqrt(2 b_l M / q_l).
double multi_level_waste(std::span<const LevelTerms> levels, Seconds mttf);
Seconds multi_level_interval(Seconds block, double share, Seconds mttf);

// GEMINI (SOSP'23): mean wasted time t_ckpt + 1/(2f) + t_retrieve, saves as often as they can be made: 1/f =
// period.
Seconds gemini_wasted_time(Seconds checkpoint_time, Seconds period, Seconds retrieve_time);
// GEMINI corollary 1, m | N: at least max(0, 1 - N C(N-m, k-m) / (m C(N, k))) for k simultaneous losses; 1
// for k < m.
double gemini_memory_recovery(std::int64_t machines, std::int64_t replicas, std::int64_t lost);

// RSC (Kokolis et al. 2024, arXiv 2410.21680): (1 - N r_f (u0 + dt/2)) / (1 + w/dt), linear in the losses:
// pessimistic by 4 points where they reach 30 %.
double rsc_goodput(std::int64_t nodes, EventRate per_node, Seconds restart, Seconds interval, Seconds block);
// Recovery only: (MTTF - R)/MTTF when MTTF is counted wall to wall, MTTF/(MTTF + R) when counted in up-time.
double recovery_goodput(Seconds mttf, Seconds restart, HazardClock clock);
// Replica-tolerant training: (1 - n lambda_r s)(1 - lambda_r T_out) x overhead, n replicas of failure rate
// lambda_r, stall s of all per event, one replica out for T_out.
double elastic_goodput(std::int64_t replicas, EventRate per_replica, Seconds stall, Seconds out,
                       double overhead = 1);
// Silent corruption rolls back to the last save before its onset: T_sdc + tau/2.
Seconds corruption_loss(Seconds detection, Seconds interval);
// SPARe with checkpoints (arXiv 2603.00357): T_s + sqrt(T_s^2 + 2 T_s (T_f + T_r)), T_s time of one save, T_f
// mean time to a failure that redundancy does not mask, T_r restart; and the best redundancy floor(log2 N +
// 0.833).
Seconds spare_checkpoint_interval(Seconds save, Seconds unmasked_mttf, Seconds restart);
std::int64_t spare_redundancy(std::int64_t groups);

}  // namespace runcast
