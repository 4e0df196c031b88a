// Times of collectives and point-to-point messages between ranks, from the links of the routes that they take
// (network: alpha_beta). A group of ranks is looked at once; its links then price any collective and size, by the
// formulas of topology/tuner and, where the hardware entry has them, by measured curves (topology/measured_curve).
// Leaves out: contention in time (topology/flow_network), collisions (a fabric's routing_efficiency).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/units.hpp"
#include "topology/collective.hpp"
#include "topology/fabric.hpp"
#include "topology/group_links.hpp"
#include "topology/hardware.hpp"
#include "topology/measured_curve.hpp"
#include "topology/paths.hpp"
#include "topology/placement.hpp"

namespace runcast {

enum class Fidelity {
  alpha_beta,  // uplinks are counted: the rings that cross one against its capacity
               // (between routers, which have no tiers to count: as flow)
  flow,  // all groups of a kind run as flows over the graph, each ring in lockstep (topology/collective_flows)
};

// What one kind of group sends beside the others of a step.
struct KindTraffic {
  std::string kind;
  Collective collective =
      Collective::all_gather;  // all_to_all: pairwise; send_receive: from first to last; else rings
  std::vector<std::vector<GpuId>> groups;  // that run at once
  double busy = 0;                         // share of the step in which they send
};

class Network {
 public:
  // The fabric must outlive the network, and (flow) keep its health.
  // `beside` (flow): kinds of groups that contend. Kind k at rate r alone, and at s r while the groups of kind j send too
  // (max-min shares of all of both at once), which they do for the share u of the time: r (1 - u (1 - s)), once for
  // each other kind. Kinds are taken to meet by chance: u is the share of the step, wherever in it k runs.
  Network(const Fabric& fabric, Placement placement, Fidelity fidelity = Fidelity::alpha_beta,
          std::vector<KindTraffic> beside = {});

  // Links of one group, which is representative of its kind. A group without a second rank has no links.
  // `concurrent` groups of the same kind run at the same moment (all data-parallel groups of a step, say):
  // they share NICs of a node and the uplinks of the oversubscribed tiers that they cross. Where links are
  // degraded, the routes of the group's ring are looked up, and its slowest link sets the pace. With flows, the
  // slowest of the concurrent groups sets it; they are the translations of this one that tile the ranks. Throws
  // ConfigError when failed links cut the group apart.
  GroupLinks group(std::span<const RankId> members, int concurrent) const;
  // The GPUs of the group and of those that run with it, this one first.
  std::vector<std::vector<GpuId>> concurrent_groups(std::span<const RankId> members, int concurrent) const;

  // The fastest applicable algorithm at this size, corrected by the measured curves of the node. `fixed` is
  // launch time, added once.
  CollectiveCost collective(Collective, Bytes size, const GroupLinks&, Seconds fixed = Seconds(0)) const;

  // All-to-all of a dispatcher that sends each token once to a rank and once into a domain, not once per copy:
  // `inside` and `outside` are the per-rank buffers that such an exchange carries over the scale-up links and over
  // the network; they overlap. `inside_efficiency`: of what rings reach on the scale-up links.
  Seconds exchange(Bytes inside, Bytes outside, const GroupLinks&, double inside_efficiency,
                   Seconds fixed) const;

  // One message from rank to rank over its route: sum of hop latencies + size / bottleneck. `concurrent`
  // messages leave the node at the same moment (those of its other ranks) and share its NICs.
  Seconds point_to_point(RankId from, RankId to, Bytes size, int concurrent = 1) const;

  // What contention with the other kinds leaves of the rate that these groups have alone; 1 without any.
  double left_beside(Collective, std::span<const std::vector<GpuId>> groups) const;

  const Fabric& fabric() const { return *fabric_; }
  const Paths* paths() const { return paths_.get(); }  // null for alpha_beta over tiers
  const std::vector<KindTraffic>& beside() const { return beside_; }
  const Placement& placement() const { return placement_; }

 private:
  const Fabric* fabric_;
  Placement placement_;
  std::vector<CurveMap> curves_;
  std::shared_ptr<const Paths> paths_;
  std::shared_ptr<const Paths> routes_;  // where links were degraded before: the way of each pair

  std::vector<KindTraffic> beside_;
  // [tier where they meet] of messages between pipeline ranks (flow): rate of the slowest pair when all send.
  std::vector<Bandwidth> messages_;

  // Links of the groups that were asked for before, where they take flows to know.
  struct Memo;
  std::shared_ptr<Memo> memo_;

  void share_messages();
  GroupLinks links_of(std::span<const RankId> members, int concurrent) const;
  void share_by_flows(std::span<const RankId> members, int concurrent, GroupLinks&) const;
};

}  // namespace runcast
