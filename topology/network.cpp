// Which links a group of ranks gets, and the fastest algorithm over them (the formulas are in network.hpp).
// Tiers are counted, not simulated: the flows of all concurrent groups that cross an uplink against its
// capacity. The graph is looked at only where links are degraded.
#include "topology/network.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

#include "topology/collective_flows.hpp"
#include "topology/routing.hpp"
#include "topology/tuner.hpp"

namespace runcast {
namespace {

// ---- where the members of a group are -------------------------------------------------------------------

struct Domain {
  int key;                  // scale-up domain, or node where the group spans several domains of one
  std::vector<GpuId> gpus;  // in the order of the members
};

struct Spread {
  int ranks = 0;
  std::vector<Domain> domains;  // in order of first member: the order of NCCL's ring over nodes
  int ranks_per_node = 1;       // in the fullest one
  bool pairs_apart = false;     // domains smaller than a node, and the group is in more than one of them

  int fullest() const {
    std::size_t most = 0;
    for (const Domain& domain : domains) most = std::max(most, domain.gpus.size());
    return static_cast<int>(most);
  }
  int narrowest() const {
    std::size_t least = domains.front().gpus.size();
    for (const Domain& domain : domains) least = std::min(least, domain.gpus.size());
    return static_cast<int>(least);
  }
};

Spread spread_of(const Fabric& fabric, const Placement& placement, std::span<const RankId> members) {
  Spread spread;
  spread.ranks = static_cast<int>(members.size());
  const bool small_domains = fabric.gpus_per_domain() < fabric.node().gpus;
  const int first_domain = fabric.domain_of(placement[members.front()]);
  for (const RankId rank : members)
    spread.pairs_apart |= small_domains && fabric.domain_of(placement[rank]) != first_domain;
  std::vector<int> place(static_cast<std::size_t>(std::max(fabric.domains(), fabric.nodes())), -1);
  std::vector<int> on_node(static_cast<std::size_t>(fabric.nodes()), 0);
  for (const RankId rank : members) {
    const GpuId gpu = placement[rank];
    const int node = fabric.node_of(gpu).value;
    const int key = spread.pairs_apart ? node : fabric.domain_of(gpu);
    int& at = place[static_cast<std::size_t>(key)];
    if (at < 0) {
      at = static_cast<int>(spread.domains.size());
      spread.domains.push_back({key, {}});
    }
    spread.domains[static_cast<std::size_t>(at)].gpus.push_back(gpu);
    spread.ranks_per_node = std::max(spread.ranks_per_node, ++on_node[static_cast<std::size_t>(node)]);
  }
  return spread;
}

// ---- links inside a domain ------------------------------------------------------------------------------

// The share of a torus that a group of n neighbours uses: a line of up to 16 chips is on one axis, a plane of
// up to 256 on two (assumption: slices are cut along the axes).
double torus_share(int axes, int ranks) {
  int used = 1;
  for (int reach = 16; used < axes && ranks > reach; reach *= 16) ++used;
  return static_cast<double>(used) / axes;
}

Bandwidth scale_up_nominal(const NodeSpec& node, int ranks, bool pairs_apart) {
  if (pairs_apart) return node.host_link;
  if (node.scale_up_kind == "mesh")  // a ring over g GPUs uses the links to g-1 peers of each
    return node.scale_up.bandwidth * (std::max(1.0, ranks - 1.0) / std::max(1.0, node.scale_up_domain - 1.0));
  if (node.scale_up_kind == "torus") return node.scale_up.bandwidth * torus_share(node.torus_axes, ranks);
  return node.scale_up.bandwidth;
}

void fill_intra(const NodeSpec& node, const Spread& spread, GroupLinks& links) {
  links.intra_nominal = scale_up_nominal(node, links.ranks_per_domain, spread.pairs_apart);
  links.intra = links.intra_nominal * node.scale_up.efficiency;
  links.intra_latency = node.scale_up.latency;
  links.in_switch_reduction = node.in_switch_reduction && links.ranks_per_domain > 1;
  if (links.in_switch_reduction) {
    links.in_switch = links.intra_nominal * node.in_switch_efficiency;
    links.in_switch_latency = links.ranks_per_domain * node.in_switch_latency;
  }
  links.busiest_link = spread.pairs_apart ? "PCIe" : node.scale_up.name;
}

// ---- links between domains ------------------------------------------------------------------------------

// alpha of a step between nodes that meet at `tier` (1 = the first): up and down through the tiers below it.
Seconds alpha_at(const Fabric& fabric, int tier) {
  Seconds alpha = fabric.node().nic.latency;
  const auto& tiers = fabric.spec().tiers;
  for (int t = 1; t <= tier; ++t)
    alpha += (t < tier ? 2.0 : 1.0) * tiers[static_cast<std::size_t>(t) - 1].latency;
  return alpha;
}

// Of the node's NICs, per rank, when `active` ranks of the node send; alone, a rank has the NICs near it.
Bandwidth nic_share(const NodeSpec& node, int active) {
  const double near = std::max(1.0, static_cast<double>(node.nics) / node.gpus);
  return node.nic.bandwidth * std::min(near, static_cast<double>(node.nics) / active);
}

// The members below one switch group of a tier ("unit"): the most in one, and how often a ring over the
// domains leaves one.
struct TierUse {
  int fullest = 0;
  int crossings = 0;
};

TierUse use_of_tier(const Fabric& fabric, const Spread& spread, int unit_nodes) {
  const auto unit = [&](const Domain& domain) {
    return static_cast<std::size_t>(fabric.node_of(domain.gpus.front()).value / unit_nodes);
  };
  const std::size_t units = static_cast<std::size_t>(fabric.nodes() / unit_nodes) + 1;
  std::vector<int> members(units, 0), crossings(units, 0);
  for (std::size_t i = 0; i < spread.domains.size(); ++i) {
    const std::size_t here = unit(spread.domains[i]);
    members[here] += static_cast<int>(spread.domains[i].gpus.size());
    crossings[here] += unit(spread.domains[(i + 1) % spread.domains.size()]) != here;
  }
  return {*std::max_element(members.begin(), members.end()),
          *std::max_element(crossings.begin(), crossings.end())};
}

// How full each tier's uplinks would be at the NICs' rate: demand over capacity, by tier from the leaf up.
std::vector<double> fill_inter(const Fabric& fabric, const Spread& spread, int concurrent,
                               GroupLinks& links) {
  const NodeSpec& node = fabric.node();
  const int groups_on_node = std::clamp(node.gpus / spread.ranks_per_node, 1, concurrent);
  const Bandwidth share = nic_share(node, spread.ranks_per_node * groups_on_node);
  links.inter_nominal = links.pairwise_nominal = share;
  links.busiest_link = node.nic.name;
  std::vector<double> load;
  double oversubscription = 1;
  for (const TierSpec& tier : fabric.spec().tiers) {
    if (tier.nodes == 0 || tier.nodes >= fabric.nodes()) break;
    oversubscription *= tier.oversubscription;
    const TierUse use = use_of_tier(fabric, spread, tier.nodes);
    load.push_back(0);
    if (use.crossings == 0) continue;
    const Bandwidth uplink = node.nic.bandwidth * (tier.nodes * node.nics / oversubscription);
    const int groups = std::clamp(tier.nodes * node.gpus / use.fullest, 1, concurrent);
    const Bandwidth demand = share * (1.0 * groups * use.crossings * links.ranks_per_domain);
    load.back() = demand / uplink;
    const Bandwidth ring = share / std::max(1.0, load.back());
    if (ring < links.inter_nominal) {
      links.inter_nominal = ring;
      links.busiest_link = tier.name + " uplinks";
    }
    const double leaving =
        static_cast<double>(spread.ranks - links.ranks_per_domain) / std::max(1, spread.ranks - use.fullest);
    links.pairwise_nominal =
        std::min(links.pairwise_nominal, uplink / (1.0 * groups * use.fullest) * leaving);
  }
  const double reached = node.nic.efficiency * fabric.spec().routing_efficiency;
  links.inter = links.inter_nominal * reached;
  links.pairwise = links.pairwise_nominal * reached;
  return load;
}

// The slowest way between neighbours of the ring over the domains.
Seconds longest_way(const Paths& paths, const Spread& spread) {
  Seconds longest;
  for (std::size_t i = 0; i < spread.domains.size(); ++i) {
    const Domain& next = spread.domains[(i + 1) % spread.domains.size()];
    longest = std::max(longest, paths.path(spread.domains[i].gpus.front(), next.gpus.front(), 0).latency);
  }
  return longest;
}

int highest_meeting(const Fabric& fabric, const Spread& spread) {
  int tier = 1;
  for (std::size_t i = 0; i < spread.domains.size(); ++i) {
    const Domain& next = spread.domains[(i + 1) % spread.domains.size()];
    tier = std::max(tier, fabric.meeting_tier(spread.domains[i].gpus.front(), next.gpus.front()));
  }
  return tier;
}

// ---- degraded links -------------------------------------------------------------------------------------

Route require_route(const Fabric& fabric, const Paths* routes, GpuId a, GpuId b) {
  if (routes != nullptr) {
    Route route;
    for (const std::int32_t link : routes->path(a, b, 0).links) route.links.emplace_back(link);
    return route;
  }
  if (auto route = find_route(fabric, a, b)) return *std::move(route);
  throw ConfigError("failed links cut " + std::string(fabric.vertex_name(fabric.vertex_of(a))) + " from " +
                    std::string(fabric.vertex_name(fabric.vertex_of(b))) +
                    "; leave one path between them whole, or take the node out of the job");
}

struct Slowest {
  double factor = 1;  // of the rate without faults
  std::string link;
  Seconds latency{};  // of hot switches, on the way that has most of it
  void meet(double candidate, const std::string& name) {
    if (candidate < factor) {
      factor = candidate;
      link = name;
    }
  }
};

// What a switch's uplinks can still carry, of whole. Tiers are built upwards: higher switches have higher
// ids.
double uplink_health(const Fabric& fabric, VertexId from) {
  double sum = 0;
  int count = 0;
  for (const LinkId id : fabric.links_from(from)) {
    const Link& link = fabric.link(id);
    if (fabric.kind(link.to) != VertexKind::network_switch || link.to < from) continue;
    sum += link.health;
    ++count;
  }
  return count == 0 ? 1 : sum / count;
}

// A GPU's or NIC's link sets the pace of its route. A bundle between switches does so only as far as the
// uplinks are needed: `load` is the demand on the fullest tier over its capacity, whole.
void follow(const Fabric& fabric, const Route& route, double load, Slowest& slowest) {
  Seconds extra;
  for (const LinkId id : route.links) extra += fabric.link(id).extra_latency;
  slowest.latency = std::max(slowest.latency, extra);
  for (const LinkId id : route.links) {
    const Link& link = fabric.link(id);
    if (fabric.kind(link.from) != VertexKind::network_switch ||
        fabric.kind(link.to) != VertexKind::network_switch) {
      slowest.meet(link.health, link.name);
      continue;
    }
    const double left = std::min(link.health, uplink_health(fabric, std::min(link.from, link.to)));
    if (load > 0) slowest.meet(left / std::min(load, 1.0), link.name);
  }
}

// The ring's routes: to the next member inside each domain, and from each channel to the next domain.
void slow_down(const Fabric& fabric, const Paths* routes, const Spread& spread, double load,
               GroupLinks& links) {
  Slowest inside, outside;
  for (std::size_t d = 0; d < spread.domains.size(); ++d) {
    const auto& gpus = spread.domains[d].gpus;
    for (std::size_t i = 0; gpus.size() > 1 && i < gpus.size(); ++i)
      follow(fabric, require_route(fabric, routes, gpus[i], gpus[(i + 1) % gpus.size()]), load, inside);
    const auto& next = spread.domains[(d + 1) % spread.domains.size()].gpus;
    for (std::size_t i = 0; links.domains > 1 && i < std::min(gpus.size(), next.size()); ++i)
      follow(fabric, require_route(fabric, routes, gpus[i], next[i]), load, outside);
  }
  links.intra *= inside.factor;
  links.in_switch *= inside.factor;
  links.inter *= outside.factor;
  links.pairwise *= outside.factor;
  links.intra_latency += inside.latency;
  links.in_switch_latency += inside.latency;
  links.inter_latency += outside.latency;
  if (!inside.link.empty()) links.busiest_link = inside.link;
  if (!outside.link.empty()) links.busiest_link = outside.link;
}

// ---- measured curves ------------------------------------------------------------------------------------

// The network that nccl-tests had to itself: one leaf above all nodes.
FabricSpec quiet_fabric() {
  FabricSpec spec;
  spec.name = "quiet";
  spec.rails = true;
  // assumption: InfiniBand switch and cable
  spec.tiers = {{.name = "leaf", .latency = Seconds(0.3e-6), .switches = 1}};
  spec.routing_efficiency = 1;
  return spec;
}

// What the tuner needs of the links that were measured. An entry's own curve is laid over that entry's present
// efficiencies and latencies: a fit of them to other measurements does not scale the curve a second time.
GroupLinks reference_links(const MeasuredCurve& curve, const NodeSpec& own) {
  NodeSpec node = *curve.reference;
  node.measured.clear();
  if (node.name == own.name) {
    node.scale_up.efficiency = own.scale_up.efficiency;
    node.scale_up.latency = own.scale_up.latency;
    node.nic.efficiency = own.nic.efficiency;
    node.nic.latency = own.nic.latency;
    node.in_switch_efficiency = own.in_switch_efficiency;
    node.in_switch_latency = own.in_switch_latency;
  }
  const Fabric fabric(std::move(node), curve.nodes, quiet_fabric());
  std::vector<RankId> ranks;
  for (int rank = 0; rank < curve.ranks; ++rank) ranks.emplace_back(rank);
  return Network(fabric, packed_placement(curve.ranks)).group(ranks, 1);
}

}  // namespace

struct Network::Memo {
  std::mutex mutex;
  std::map<std::pair<std::vector<RankId>, int>, GroupLinks> links;
};

Network::Network(const Fabric& fabric, Placement placement, Fidelity fidelity,
                 std::vector<KindTraffic> beside)
    : fabric_(&fabric), placement_(std::move(placement)), beside_(std::move(beside)) {
  for (const GpuId gpu : placement_.gpu) INVARIANT(gpu.value >= 0 && gpu.value < fabric.gpus());
  for (const MeasuredCurve& curve : fabric.node().measured)
    curves_.emplace_back(curve, reference_links(curve, fabric.node()));
  if (fidelity == Fidelity::flow || !fabric.spec().tiered()) paths_ = std::make_shared<const Paths>(fabric);
  if (paths_ != nullptr) {
    memo_ = std::make_shared<Memo>();
    share_messages();
  }
  if (fabric.degraded()) routes_ = std::make_shared<const Paths>(fabric, Routing::ecmp);
}

std::vector<std::vector<GpuId>> Network::concurrent_groups(std::span<const RankId> members,
                                                           int concurrent) const {
  const int world = placement_.ranks(), first = members.front().value;
  std::vector<bool> taken(static_cast<std::size_t>(world), false);
  std::vector<std::vector<GpuId>> groups;
  const auto add = [&](int shift) {
    for (const RankId rank : members) {
      const int moved = rank.value + shift;
      if (moved < 0 || moved >= world || taken[static_cast<std::size_t>(moved)]) return;
    }
    std::vector<GpuId>& group = groups.emplace_back();
    for (const RankId rank : members) {
      taken[static_cast<std::size_t>(rank.value + shift)] = true;
      group.push_back(placement_[RankId(rank.value + shift)]);
    }
  };
  add(0);
  for (int rank = 0; rank < world && static_cast<int>(groups.size()) < concurrent; ++rank)
    if (!taken[static_cast<std::size_t>(rank)]) add(rank - first);
  return groups;
}

double Network::left_beside(Collective collective, std::span<const std::vector<GpuId>> groups) const {
  double left = 1;
  if (paths_ == nullptr || groups.empty()) return left;
  double alone = 0;
  for (const KindTraffic& other : beside_) {
    if (other.busy <= 0 || other.groups.empty() || other.groups.front() == groups.front()) continue;
    if (alone <= 0) alone = lockstep_rates(*paths_, collective, groups).slowest.value;
    const std::array others{OtherGroups{other.collective, other.groups}};
    const double together = lockstep_rates(*paths_, collective, groups, others).slowest.value;
    left *= 1 - std::min(1.0, other.busy) * (1 - together / alone);
  }
  return left;
}

// Pairs that exchange messages, by the tier where they meet: all at once, beside the other kinds.
void Network::share_messages() {
  const auto pipeline = std::find_if(beside_.begin(), beside_.end(),
                                     [](const KindTraffic& traffic) { return traffic.kind == "pipeline"; });
  if (pipeline == beside_.end()) return;
  const double left = left_beside(pipeline->collective, pipeline->groups);
  std::map<int, std::vector<std::vector<GpuId>>> by_tier;
  for (const std::vector<GpuId>& pair : pipeline->groups)
    by_tier[fabric_->meeting_tier(pair.front(), pair.back())].push_back(pair);
  for (const auto& [tier, pairs] : by_tier) {
    if (tier == 0) continue;
    std::vector<OtherGroups> others;
    for (const auto& [other, rest] : by_tier)
      if (other != tier) others.push_back({pipeline->collective, rest});
    if (messages_.size() <= static_cast<std::size_t>(tier))
      messages_.resize(static_cast<std::size_t>(tier) + 1, Bandwidth(0));
    messages_[static_cast<std::size_t>(tier)] =
        lockstep_rates(*paths_, pipeline->collective, pairs, others).slowest * left;
  }
}

// Rates of rings, and of all-to-alls that are not too many pairs, when all concurrent groups run at once. Flows see
// failed links, hashes and placement; latencies and what stays inside a domain are as without them.
void Network::share_by_flows(std::span<const RankId> members, int concurrent, GroupLinks& links) const {
  const auto groups = concurrent_groups(members, concurrent);
  const double reached = fabric_->node().nic.efficiency * fabric_->spec().routing_efficiency;
  const LockstepRates rings = lockstep_rates(*paths_, Collective::all_gather, groups);
  links.inter = rings.slowest * left_beside(Collective::all_gather, groups);
  links.inter_nominal = links.inter / reached;
  if (!rings.busiest_link.empty()) links.busiest_link = rings.busiest_link;
  constexpr double kMostPairs = 250'000;
  const double pairs = static_cast<double>(groups.size()) * links.ranks * (links.ranks - 1);
  if (pairs > kMostPairs) return;
  const LockstepRates exchange = lockstep_rates(*paths_, Collective::all_to_all, groups);
  // Rate to one other rank x those outside the domain; what stays inside is priced apart.
  const Bandwidth outside = exchange.slowest * (static_cast<double>(links.ranks - links.narrowest_domain) *
                                                left_beside(Collective::all_to_all, groups));
  links.pairwise = outside;
  links.pairwise_nominal = links.pairwise / reached;
}

GroupLinks Network::group(std::span<const RankId> members, int concurrent) const {
  if (memo_ == nullptr) return links_of(members, concurrent);
  const std::pair key(std::vector(members.begin(), members.end()), concurrent);
  {
    const std::lock_guard lock(memo_->mutex);
    if (const auto known = memo_->links.find(key); known != memo_->links.end()) return known->second;
  }
  GroupLinks links = links_of(members, concurrent);
  const std::lock_guard lock(memo_->mutex);
  memo_->links.emplace(key, links);
  return links;
}

GroupLinks Network::links_of(std::span<const RankId> members, int concurrent) const {
  INVARIANT(!members.empty() && concurrent >= 1);
  const Spread spread = spread_of(*fabric_, placement_, members);
  GroupLinks links;
  links.ranks = spread.ranks;
  links.domains = static_cast<int>(spread.domains.size());
  links.ranks_per_domain = spread.fullest();
  links.narrowest_domain = spread.narrowest();
  links.tree_depth = static_cast<int>(std::bit_width(static_cast<unsigned>(links.domains - 1)));
  links.in_network_reduction = fabric_->spec().in_network_reduction && links.domains > 1;
  fill_intra(fabric_->node(), spread, links);
  double load = 0;
  if (links.domains > 1) {
    links.inter_latency = fabric_->spec().tiered() ? alpha_at(*fabric_, highest_meeting(*fabric_, spread))
                                                   : longest_way(*paths_, spread);
    for (const double tier : fill_inter(*fabric_, spread, concurrent, links)) load = std::max(load, tier);
    if (links.ranks_per_domain > 1 && links.intra < links.inter * links.narrowest_domain)
      links.busiest_link = fabric_->node().scale_up.name;
  }
  if (paths_ != nullptr && links.domains > 1)
    share_by_flows(members, concurrent, links);
  else if (fabric_->degraded() && links.ranks > 1)
    slow_down(*fabric_, routes_.get(), spread, load, links);
  return links;
}

CollectiveCost Network::collective(Collective collective, Bytes size, const GroupLinks& links,
                                   Seconds fixed) const {
  if (links.ranks == 1) return {};
  CollectiveCost cost = tune(collective, size, links);
  cost.time =
      fixed + std::max(cost.bound, corrected(curves_, fabric_->node().name, collective, cost.time, links));
  return cost;
}

Seconds Network::exchange(Bytes inside, Bytes outside, const GroupLinks& links, double inside_efficiency,
                          Seconds fixed) const {
  if (links.ranks < 2) return Seconds(0);
  const double n = links.ranks;
  const Seconds near = inside * ((links.ranks_per_domain - 1) / n) / (links.intra * inside_efficiency);
  if (links.domains == 1) return near + links.intra_latency + fixed;
  const Seconds far = outside * ((n - links.narrowest_domain) / n) / links.pairwise;
  return std::max(near, far) + links.inter_latency + fixed;
}

Seconds Network::point_to_point(RankId from, RankId to, Bytes size, int concurrent) const {
  INVARIANT(concurrent >= 1);
  const GpuId a = placement_[from], b = placement_[to];
  if (a == b) return Seconds(0);
  const NodeSpec& node = fabric_->node();
  const auto meeting = static_cast<std::size_t>(fabric_->meeting_tier(a, b));
  // Pairs that meet where no message of the pipeline does are not slowed.
  const Bandwidth shared = meeting < messages_.size() && messages_[meeting].value > 0
                               ? messages_[meeting]
                               : Bandwidth(std::numeric_limits<double>::infinity());
  if (!fabric_->spec().tiered() && fabric_->meeting_tier(a, b) > 0) {
    const Paths::Path path = paths_->path(a, b, 0);
    Bandwidth rate = nic_share(node, concurrent) * (node.nic.efficiency * fabric_->spec().routing_efficiency);
    for (const std::int32_t link : path.links)
      rate = std::min(rate, Bandwidth(paths_->capacities()[static_cast<std::size_t>(link)]));
    return path.latency + size / std::min(rate, shared);
  }
  if (fabric_->degraded()) {
    const Route route = require_route(*fabric_, routes_.get(), a, b);
    Bandwidth rate = bandwidth_of(*fabric_, route);
    if (fabric_->meeting_tier(a, b) > 0)
      rate = std::min(rate, nic_share(node, concurrent) * (node.nic.efficiency * health_of(*fabric_, route) *
                                                           fabric_->spec().routing_efficiency));
    return latency_of(*fabric_, route) + size / std::min(rate, shared);
  }
  const int tier = fabric_->meeting_tier(a, b);
  if (tier > 0)
    return alpha_at(*fabric_, tier) +
           size / std::min(shared, nic_share(node, concurrent) *
                                       (node.nic.efficiency * fabric_->spec().routing_efficiency));
  const bool pairs_apart = fabric_->domain_of(a) != fabric_->domain_of(b);
  Bandwidth link = scale_up_nominal(node, 2, pairs_apart);
  if (node.scale_up_kind == "torus") link *= 0.5;  // one direction round of the axis
  return node.scale_up.latency + size / (link * node.scale_up.efficiency);
}

}  // namespace runcast
