// What is done about a failure: a visible table of policies, each a function from an incident to the timeline
// of states that the job goes through before it computes again.
//   detect -> diagnose -> (wait for a spare) -> reschedule -> process start -> communicator set-up
//   -> load -> warm-up
// The wait is the fleet's (node_fleet.hpp): until as many nodes are there as the job has lost, counted from the failure.
// The policy also says where other nodes come from and whether the surviving replicas go on meanwhile.
// To add a policy: one row in kPolicies and its function.
// Leaves out: people who take a wrong decision, reconfiguration of the fabric.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "failures/checkpoint.hpp"
#include "failures/hazard.hpp"
#include "failures/node_fleet.hpp"
#include "sim/config.hpp"
#include "sim/units.hpp"

namespace runcast {

// ---- the states -----------------------------------------------------------------------------------------

enum class RecoveryState : std::uint8_t {
  detect,
  diagnose,
  wait_for_spare,
  reschedule,
  start,
  initialize,
  load,
  warm_up,
};
inline constexpr std::size_t kRecoveryStates = 8;
inline constexpr std::array<std::string_view, kRecoveryStates> kRecoveryStateNames{
    "detect", "diagnose", "wait_for_spare", "reschedule", "start", "initialize", "load", "warm_up"};

// Time spent in each state, in the order of the enum.
using Timeline = std::array<Duration, kRecoveryStates>;

// How a state's time varies from one recovery to the next, its mean kept. none: the common factor of the
// whole restart (`spread`).
struct PhaseLaw {
  Law law = Law::lognormal;
  double shape = 0.7;
};
using PhaseLaws = std::array<std::optional<PhaseLaw>, kRecoveryStates>;

// ---- what the user writes -------------------------------------------------------------------------------

struct RecoverySettings {
  std::string policy = "hot_spare";
  std::optional<std::int64_t> spares;  // none: P99 of the nodes in repair, at least 2 (availability.hpp)
  Seconds detect{10};  // crash or exit: 0.3-30 s (Unicron, ByteRobust); a hang is the class's own figure
  Seconds diagnose{3 * kMinute};  // automated; MegaScale: below 10 min with detection
  std::optional<Seconds>
      reschedule;     // none: 20 s onto a warm standby (TrainMover), 5 min onto a cold node (assumption)
  Seconds start{60};  // containers, processes, imports: 30-180 s; assumption
  std::optional<Seconds>
      initialize;  // none: 5 s + 0.3 s per 1,000 GPUs (MegaScale: <5 s at 2,048, <30 s at >10,000)
  std::optional<Seconds> load;  // none: max(bytes / read bandwidth, 30 s)
  Seconds warm_up{60};          // compilation and first steps; Google 12.7 s, others minutes
  PhaseLaws laws{};             // `detect: {mean: 30 s, law: weibull, shape: 0.7}`
  double spread = 0.7;          // sigma of a lognormal factor (mean 1) on the whole restart, waits excepted
  double manual_probability =
      0.007;                  // 3 of 419 needed significant manual work (LLaMA-3, arXiv 2407.21783, 3.3.4)
  Seconds manual{2 * kHour};  // assumption
  // Other sources of nodes when no spare stands by, and the shop that repairs them.
  std::int64_t cold_spares = 0;          // nodes of the working pool
  Seconds cold_reschedule{5 * kMinute};  // assumption; 20 s to 30 min published; AIReSim 3 min
  std::int64_t reserve = 0;              // nodes that run other jobs
  Seconds preemption{20 * kMinute};      // to preempt one of them (AIReSim params.py)
  RepairShop shop;
  double misdiagnosis = 0;      // P(another node is blamed): 0.02 where it is modelled (a choice); 0-0.2
  std::int64_t over_evict = 1;  // nodes taken out together with a faulty one, itself among them
  Seconds stall{30};            // elastic: all replicas stop this long; Gemini 2.5: tens of seconds
  Seconds rejoin{3 * kMinute};  // elastic: all wait while a replica comes back; FT-HSDP (arXiv 2602.00277)
  double elastic_overhead =
      0.99;  // elastic: throughput besides the lost share (Gemini 2.5: 97 % with a slice out)
  std::optional<std::int64_t> max_lost;    // elastic: replicas that may be out; none: half of them
  std::int64_t replication = 2;            // replicated: replicas that compute each part of the batch
  std::optional<double> replication_pace;  // replicated: step time over normal; none: `replication`
  bool replicas_return = true;             // replicated: one by one; false: at the next restart
  // in_memory: copies in peers' memory (GEMINI, SOSP'23); see CheckpointTier for the defaults
  CheckpointTier memory;
};

// Reads `recovery:`; keys of policies other than the chosen one are accepted, so that policies can be
// compared.
RecoverySettings read_recovery(Section section);

// ---- the table ------------------------------------------------------------------------------------------

// Resolved durations of one job.
struct RecoveryTimes {
  Duration detect, diagnose, reschedule, start, initialize, warm_up, manual;
};

// One thing that went wrong, as the policy sees it.
struct Incident {
  bool swap = false;  // other nodes are needed
  Duration detect;    // already the class's own
  Duration load;      // reading the level that survived
  Duration manual;    // extra diagnosis by people; mostly 0
};

enum class Supply : std::uint8_t { unlimited, spares, none };  // where swapped nodes come from

// What the other replicas do when one is lost: stop too; go on, slower; go on, its part is computed elsewhere.
enum class Survivors : std::uint8_t { stop, go_on_slower, mask };

struct RecoveryPolicy {
  std::string_view name;
  std::string_view sentence;
  Timeline (*timeline)(const Incident&, const RecoveryTimes&);
  Supply supply;
  Seconds reschedule;  // default of `reschedule: auto`
  Survivors survivors;
  bool keeps_memory_copies;  // in_memory: adds a checkpoint level in peers' memory
};

std::span<const RecoveryPolicy> recovery_policies();
// Null for a name that is not in the table.
const RecoveryPolicy* find_recovery_policy(std::string_view name);

// ---- what training_run follows --------------------------------------------------------------------------

struct RecoveryPlan {
  const RecoveryPolicy* policy = nullptr;
  RecoveryTimes times;
  PhaseLaws laws{};
  std::optional<Seconds> load;  // the user's figure; none: the checkpoint level's
  std::int64_t spares = 0;      // unused by Supply::unlimited
  double spread = 0, manual_probability = 0;
  std::int64_t cold_spares = 0, reserve = 0;
  bool on_demand = false;  // a node that was taken back is replaced on demand, cold, while it is away
  Duration cold_reschedule, preemption;
  RepairShop shop;
  double misdiagnosis = 0;
  std::int64_t over_evict = 1;
  Duration stall, rejoin;
  double elastic_overhead = 1;
  std::int64_t max_lost = 0;
  std::int64_t replication = 1;
  double replication_pace = 1;
  bool replicas_return = true;
  FleetPlan fleet() const;
};

RecoveryPlan resolve(const RecoverySettings& settings, const JobScale& scale, const FailureModel& failures);
// The checkpoint plan of a policy: in_memory puts its level in front of those less frequent; others add
// nothing.
CheckpointPlan with_memory_level(CheckpointPlan plan, const RecoverySettings& settings,
                                 const JobScale& scale);
// Total of a timeline without waits and manual work: the R of the closed forms.
Seconds planned_restart(const RecoveryPlan& plan, const CheckpointPlan& checkpoint);
// What a user should know before the run: a policy under which the job mostly waits. Sentences; may be empty.
std::vector<std::string> warnings(const RecoveryPlan& plan, const FailureModel& failures,
                                  const JobScale& scale);

}  // namespace runcast
