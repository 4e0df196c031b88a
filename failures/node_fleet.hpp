// The nodes of a job by name: who works at which position, who stands by, who is in repair and comes back how.
//   IN_JOB -> (failed) -> [reset by the policy] | AUTOMATIC repair -> MANUAL repair (a crew) -> BURN_IN
//          -> standby | still broken | RETIRED and replaced by a new node
//   IN_JOB -> (taken back) -> AWAY, no crew works on it -> standby; meanwhile, where wanted, a node on demand
// Sources of nodes, in this order: warm standbys, cold nodes of the working pool, the reserve (other jobs are
// preempted, one after another), repairs that end. Each node's way through the shop is drawn when it enters;
// only the wait for a crew depends on others (first come, first served).
// A node on demand is given back as soon as any node returns: assumption, that change costs nothing.
// Leaves out: standbys that fail while idle, crews with shifts, spare parts that run out.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "failures/hazard.hpp"
#include "sim/random.hpp"

namespace runcast {

// How a shop treats the nodes that failed. Off (staged = false): each class's own `repair`, exponential.
struct RepairShop {
  bool staged = false;
  Seconds automatic{2 * kHour};      // AIReSim params.py, exponential
  Seconds manual{2 * kDay};          // AIReSim params.py, exponential
  double manual_share = 0.8;         // AIReSim: automatic repair does not do
  double false_fix_automatic = 0.4;  // AIReSim (illustrative): reported as repaired, still broken
  double false_fix_manual = 0.2;
  Seconds burn_in{0};
  double retire = 0;               // share of repairs that end with a new node instead
  Seconds replacement{14 * kDay};  // until the new node is there; assumption
  std::int64_t crews = 0;          // manual repairs at a time (all repairs when not staged); 0: any number
  Law law = Law::exponential;      // of both stages
  double shape = 1;
  Seconds recurrence{kDay};    // a broken node in the job fails again after this mean time; assumption
  Seconds suspect{2 * kHour};  // tests of a node that was blamed wrongly; assumption
};

struct FleetPlan {
  bool endless = false;  // failed nodes are replaced by others of the cluster at once; taken ones come back
  std::int64_t standby = 0;  // warm
  std::int64_t cold = 0;     // of the working pool
  std::int64_t reserve = 0;  // run other jobs
  bool on_demand = false;    // there is always a node on demand in place of one that was taken back
  RepairShop shop;
};

struct Node {  // small: each trial makes as many as the cluster has
  Time born{};                 // when it was new (negative: before the run)
  std::int32_t position = -1;  // in the job; -1: elsewhere
  std::uint32_t cause = 0;     // class of its last failure
  std::uint32_t stay = 0;      // how often it has entered the job
  bool lemon = false, broken = false;
  bool on_demand = false;  // in place of one that was taken back
};

// Node-seconds of a run that differ from all nodes and spares all along: what is not paid, and what is paid otherwise.
struct NodeTime {
  double absent = 0;         // positions of the job that stay empty because the node was taken back
  double spares_absent = 0;  // standbys that fill such positions
  double on_demand = 0;      // positions that are filled on demand
};

class NodeFleet {
 public:
  // Lemons are drawn by node: (seed, lemon, node, trial).
  NodeFleet(const FleetPlan& plan, const FailureModel& model, const JobScale& scale, std::uint64_t seed,
            std::uint64_t trial);

  const Node& node(std::int32_t id) const { return nodes_[static_cast<std::size_t>(id)]; }
  std::int32_t at(std::int64_t position) const { return positions_[static_cast<std::size_t>(position)]; }
  const std::deque<std::int64_t>& empty() const { return empty_; }  // positions without a node
  std::int64_t missing() const { return static_cast<std::int64_t>(empty_.size()); }
  void mark_broken(std::int32_t id, std::size_t cause);
  void renew(std::int32_t id) { ++nodes_[static_cast<std::size_t>(id)].stay; }  // a new clock for its hazards

  // The node at `position` leaves for repair after a failure of class `index`; nothing when it has left.
  void fail(std::int64_t position, const FailureClass& failure, std::size_t index, Time now,
            RandomStream& repair);
  // The node at `position` is blamed without cause: it comes back after tests.
  void suspect(std::int64_t position, Time now);

  // When all empty positions can be filled, if nothing else fails. kNever: not before nodes exist.
  Time ready(Time now);
  struct Filling {
    std::vector<std::int32_t> entered;    // their records say where
    std::int64_t cold = 0, borrowed = 0;  // of these from the working pool and the reserve
    std::int64_t rented = 0;              // on demand
  };
  // Fills as many positions as there are nodes at `now`.
  Filling fill(Time now);

  struct Counts {
    std::int64_t automatic = 0, manual = 0, false_fixes = 0, retired = 0, borrowed = 0, selections = 0,
                 suspects = 0;
  };
  const Counts& counts() const { return counts_; }
  std::int64_t in_repair(Time now);
  std::int64_t idle(Time now);
  std::int64_t warm(Time now);  // standbys
  bool on_demand(std::int64_t position, Time now);
  const NodeTime& node_time(Time now);

 private:
  enum class Stage : std::uint8_t { automatic, manual, burn_in, replacement };
  struct Ticket {  // a node's way through the shop
    std::int32_t node;
    Duration manual, burn_in, replacement;
    bool escalates, fixed, retires, staged;
    bool taken = false;  // by the cloud: not broken
  };
  struct Due {
    Time at;
    std::uint64_t order;
    Stage stage;
    Ticket ticket;
    bool operator>(const Due& o) const { return at != o.at ? at > o.at : order > o.order; }
  };
  struct Shop {            // copied to look ahead
    std::vector<Due> due;  // a heap, earliest first
    std::deque<Ticket> queue;
    std::int64_t busy = 0;
    std::uint64_t order = 0;
  };
  void remove(std::int64_t position);
  void push(Shop& shop, Time at, Stage stage, const Ticket& ticket) const;
  void want_crew(Shop& shop, const Ticket& ticket, Time now) const;
  // The next event of the shop; the node that came back, or -1.
  struct Returned {
    std::int32_t node = -1;
    Ticket ticket{};
  };
  Returned step(Shop& shop) const;
  void advance(Time now);
  void take_back(const Returned& returned, Time now);
  void place(std::int32_t id, Filling& filling);
  void place_new(Filling& filling, bool on_demand);
  std::int64_t rentable() const;
  void settle(Time at);
  bool is_lemon(std::size_t id) const;

  const FleetPlan& plan_;
  double lemon_fraction_;
  std::uint64_t seed_, trial_;
  Time born_;
  std::vector<Node> nodes_;
  std::vector<std::int32_t> positions_;  // position -> node, -1 when empty
  std::deque<std::int64_t> empty_;       // positions, the longest empty first
  std::deque<std::int32_t> standby_, cold_, reserve_;
  std::int64_t away_ = 0;             // taken back by the cloud
  std::vector<std::int32_t> rented_;  // in the job on demand, the longest first
  Time settled_{};
  NodeTime time_;  // until then
  Shop shop_;
  Counts counts_;
};

}  // namespace runcast
