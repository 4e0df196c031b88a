// The state machine of one run, private to this folder: training_run.cpp has time and training,
// run_recovery.cpp what happens when something breaks. Its rules stand in training_run.hpp.
#pragma once

#include <optional>
#include <vector>

#include "failures/failure_process.hpp"
#include "failures/limits.hpp"
#include "failures/node_hazard.hpp"
#include "failures/replica_set.hpp"
#include "failures/save_levels.hpp"
#include "failures/straggler.hpp"
#include "failures/training_run.hpp"

namespace runcast {

// The draws besides failure times: each class has its own streams, so that classes do not disturb one
// another.
struct ClassDraws {
  RandomStream victim, repair, restart, manual, survival, length, severity, phase, together, blame, idle;
  ClassDraws(std::uint64_t seed, std::uint64_t trial, std::uint64_t address)
      : victim(seed, Purpose::failure_victim, address, trial),
        repair(seed, Purpose::repair, address, trial),
        restart(seed, Purpose::restart, address, trial),
        manual(seed, Purpose::detection, address, trial),
        survival(seed, Purpose::survival, address, trial),
        length(seed, Purpose::fail_slow, address, trial),
        severity(seed, Purpose::jitter, address, trial),
        phase(seed, Purpose::recovery_phase, address, trial),
        together(seed, Purpose::co_occurrence, address, trial),
        blame(seed, Purpose::diagnosis, address, trial),
        idle(seed, Purpose::job, address, trial) {}
};

class Run {
 public:
  Run(const RunInput& input, std::uint64_t seed, std::uint64_t trial, RunRecord* record);
  RunResult simulate();

 private:
  struct PhaseRow {  // a phase on the axis of work
    StepGrid grid;
    std::vector<double> pace;   // [k]: step time with k replicas out over the normal one; the last for more
    JobScale scale;             // of the nodes that take part
    std::vector<double> share;  // [class]: of the job's events that strike them
  };
  struct Latent {  // silent corruption, not yet found
    Work onset;
    Time found;
    std::size_t failure;
  };
  struct Eviction {  // a slow node, not yet found
    Time found;
    std::size_t failure;
    double factor;
  };
  enum class Kind : std::uint8_t { strike, found, evict };
  struct Trouble {  // what interrupts a run
    std::size_t failure = 0;
    Kind kind = Kind::strike;
    std::optional<Work> onset;        // of what was found, or of a rollback
    std::vector<std::int64_t> nodes;  // positions that it takes, ascending
    std::int32_t special = -1;        // the node whose own hazard it was
  };

  // -- time and ledger
  Time now() const { return book_.now(); }
  void charge(Duration d, Bucket bucket) { book_.charge(d, bucket); }
  void charge_work(Work from, Work to, Duration wall);
  std::optional<Trouble> spend(Duration d, Bucket bucket, bool up);
  Time next_failure(bool up) const;
  Time on_wall(Duration hazard_clock, bool counts_up, bool up) const;
  Duration hazard_clock() const;
  void give_up_when_hopeless();
  // -- what strikes
  std::optional<Trouble> strike(bool up);
  bool strikes_idle_nodes(std::size_t index);
  std::optional<Trouble> strike_class(std::size_t index, bool up);
  std::optional<Trouble> strike_node(const NodeHazard::Strike& strike);
  std::optional<Trouble> with_victims(std::size_t index, std::vector<std::int64_t> nodes);
  void slow_down(std::size_t index, bool up);
  // -- training
  Time next_change() const;
  void advance(Time until);
  bool jump_cycles(Time until, Work limit);
  void compute(Work target, Time until);
  void begin_save();
  void finish_save();
  void meet_changes();
  void planned_stop();
  void evaluate();
  void finish();
  double elastic_pace() const;
  double diurnal() const;
  bool persisting() const { return persist_until_ > now(); }
  bool storage_reachable() const { return storage_down_until_ <= now(); }
  double drag() const;  // step time over normal, for all reasons but the hour
  const PhaseRow& phase_at(Work position) const;
  const JobScale& scale() const { return phase_at(position_).scale; }
  Work step_begin(Work position) const { return phase_at(position).grid.floor(position); }
  void place_saves();
  // -- recovery
  void recover(Trouble trouble);
  std::optional<Trouble> recover_once(const Trouble& trouble);
  std::optional<Trouble> go_on_without(const Trouble& trouble);
  std::optional<Trouble> leave_with_notice(const Trouble& trouble);
  bool can_go_on_without(const Trouble& trouble) const;
  std::int64_t most_lost() const {
    return std::min(plan_.max_lost, std::max<std::int64_t>(1, scale().replicas - 1));
  }
  struct Loaded {
    const SaveLevels::Level* level;
    Duration load;
  };
  Loaded roll_back(const Trouble& trouble);
  struct Attempt {  // the times of one recovery
    Incident incident;
    RecoveryTimes times;
    double load_factor;
  };
  Attempt begin_attempt(const Trouble& trouble);
  std::optional<Trouble> pass_states(const Trouble& trouble, Loaded loaded);
  Work oldest_kept(Work newest, Work wanted) const;
  void take_out(const Trouble& trouble);
  std::array<double, kRecoveryStates> state_factors(ClassDraws& draws) const;
  Duration fill_positions();
  void rejoin_due();
  bool has_lost_nodes(std::int64_t replica) const;
  bool can_start_without_lost() const;
  void put_back_whole();

  const RunInput& input_;
  const RecoveryPlan& plan_;
  FleetPlan fleet_plan_;
  std::vector<PhaseRow> phases_;
  Work total_;
  Time horizon_;
  FailureProcess process_;
  NodeFleet fleet_;
  NodeHazard hazard_;
  std::vector<ClassDraws> draws_;
  SaveLevels levels_;
  RunLedger book_;

  Duration up_{};
  Work position_{}, furthest_{}, recompute_until_{}, evaluation_next_;
  std::size_t phase_ = 0;  // of the strides in use
  bool saving_ = false;
  Duration block_left_{};
  bool stop_due_ = false;
  std::size_t stop_class_ = 0;
  Time persist_until_{}, storage_down_until_{};
  std::vector<Latent> latent_;
  std::vector<Eviction> evictions_;
  SlowStretches slow_;
  ReplicaSet replicas_;
  std::int64_t events_ = 0;
  bool done_ = false;
  RunResult result_;
};

}  // namespace runcast
