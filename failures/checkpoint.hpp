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

// optimal: found by simulation (monte_carlo.hpp); until then as automatic.
enum class IntervalRule : std::uint8_t { fixed, automatic, young, daly, optimal };
enum class SaveMode : std::uint8_t { sync, async };  // sync: training waits until the save is durable

// Where copies are kept, and what they outlive:
//   peer_memory   host memory of `copies` nodes: lost with them (a reset node loses its memory too)
//   local_disk    each node's own: outlives a reset, lost with a node that is swapped
//   parallel_fs   outlives everything, out of reach during an outage of the storage
//   object_store  outlives everything
enum class TierKind : std::uint8_t { peer_memory, local_disk, parallel_fs, object_store };
inline constexpr std::array<std::string_view, 4> kTierKindNames{"peer_memory", "local_disk", "parallel_fs",
                                                                "object_store"};

// A faster level in front of the durable one.
struct CheckpointTier {
  std::string name = "memory";
  TierKind kind = TierKind::peer_memory;
  Seconds interval{kMinute};
  Seconds block{0.05};             // overlapped copy, 0.04 s per save (ByteRobust, SOSP'25, Table 8)
  std::optional<Seconds> persist;  // none: bytes over the bandwidth of the tier, 0 where that is unknown
  std::optional<Seconds> load;     // none: the same, at least 10 s (assumption; GEMINI, SOSP'23: seconds)
  std::optional<double>
      covers;               // chance that a copy is whole besides; none: memory 0.95 (assumption), else 1
  std::int64_t copies = 2;  // peer_memory: nodes that hold the same state (GEMINI: m = 2)
  bool apart = false;       // peer_memory: no leaf, rack or row holds two copies
  Bandwidth write{5e9};     // local_disk: of one node's NVMe (assumption); others: of the whole job
};

// Where durable saves go: an entry of the library, or inline. Bandwidths are of the whole job.
struct StorageSpec {
  std::string name = "default";
  TierKind kind = TierKind::parallel_fs;
  // 85,000 saves measured at 50-200 GB/s (VAST), ByteCheckpoint 111 GB/s
  Bandwidth write{100e9};
  Bandwidth read{100e9};        // assumption: as fast as writing
  Dollars gb_month, gb_egress;  // 0: not priced
};
StorageSpec read_storage(Section section);

struct CheckpointSettings {
  IntervalRule rule = IntervalRule::automatic;
  Seconds interval{10 * kMinute};  // when fixed, and when nothing ever fails
  SaveMode mode = SaveMode::async;
  std::optional<Seconds> block;  // none: async 2 s (PyTorch DCP async: 6.3 s for 7B, ByteCheckpoint: 0.6 s),
                                 // sync bytes / write
  std::optional<Seconds> persist;  // none: async bytes / write; sync 0
  std::optional<Bytes> bytes;      // none: the scale's bytes per parameter (14 with Adam) x parameters
  Bandwidth write = StorageSpec{}.write, read = StorageSpec{}.read;
  TierKind storage = TierKind::parallel_fs;  // where the durable saves go
  double slowdown = 1;                       // step time while a durable save persists, over normal
  std::int64_t retain = 0;                   // newest durable saves that are kept; 0: all
  Seconds archive{0};                        // of older ones, one in each such stretch of work; 0: none
  std::vector<CheckpointTier> tiers;
};

// Reads `checkpoint:`; what it leaves out of bandwidths and kind is the storage's. A fixed interval shorter than its own
// blocking time is refused here.
CheckpointSettings read_checkpoint(Section section, const StorageSpec& storage = {});

// ---- what training_run follows --------------------------------------------------------------------------

// One level of saves. Levels are listed from the most frequent to the durable one, which is last and covers
// all.
struct CheckpointLevel {
  std::string name;
  Seconds interval;  // useful compute between saves, rounded up to whole steps by the run
  Seconds block;
  Seconds persist;
  Seconds load;       // reading it back
  double covers = 1;  // chance that it is whole, besides what the event took
  TierKind kind = TierKind::parallel_fs;
  std::int64_t copies = 2;
  bool apart = false;
};

struct CheckpointPlan {
  std::vector<CheckpointLevel> levels;
  Bytes bytes;
  double slowdown = 1;
  std::int64_t retain = 0;
  Seconds archive{0};
  const CheckpointLevel& durable() const { return levels.back(); }
};

// What an event did to the nodes that hold copies.
struct Loss {
  std::vector<std::int64_t> nodes;  // positions in the job, ascending
  bool swapped = false;             // their disks are gone too
};
bool survives(const CheckpointLevel& level, const Loss& loss, std::int64_t nodes);

// A tier as a level: what it leaves open follows from the bytes and the bandwidths.
CheckpointLevel level_of(const CheckpointTier& tier, Bytes bytes, const JobScale& scale);

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
