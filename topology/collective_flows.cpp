// Plans of transfers by algorithm, and their run over a flow network.
#include "topology/collective_flows.hpp"

#include <algorithm>
#include <bit>
#include <map>

#include "topology/flow_network.hpp"
#include "topology/router_fabrics.hpp"

namespace runcast {
namespace {

using Domains = std::vector<std::vector<GpuId>>;
using Transfers = std::vector<Transfer>;

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

std::size_t narrowest(const Domains& domains) {
  std::size_t least = domains.front().size();
  for (const auto& domain : domains) least = std::min(least, domain.size());
  return least;
}

// Around a list: each member to the next.
void add_ring(const std::vector<GpuId>& ring, Bytes each, Transfers& out) {
  for (std::size_t i = 0; ring.size() > 1 && i < ring.size(); ++i)
    out.push_back({ring[i], ring[(i + 1) % ring.size()], each, {}});
}

// One ring for each channel: channel k enters a domain at its rank k and ends at the one before it.
Transfers ring_edges(const Domains& domains, Bytes through_each_edge) {
  Transfers out;
  const std::size_t channels = domains.size() == 1 ? 1 : narrowest(domains);
  for (std::size_t k = 0; k < channels; ++k) {
    std::vector<GpuId> ring;
    for (const auto& domain : domains)
      for (std::size_t i = 0; i < domain.size(); ++i) ring.push_back(domain[(k + i) % domain.size()]);
    add_ring(ring, through_each_edge / static_cast<double>(channels), out);
  }
  return out;
}

// Both ways along each edge of a binary tree over `nodes`, the first of which is the root.
void add_tree(const std::vector<GpuId>& nodes, Bytes each_way, Transfers& out) {
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    out.push_back({nodes[i], nodes[(i - 1) / 2], each_way, {}});
    out.push_back({nodes[(i - 1) / 2], nodes[i], each_way, {}});
  }
}

// Two trees over the rank k of each domain; `share` is what both carry together.
void add_double_tree(const Domains& domains, std::size_t k, Bytes share, Transfers& out) {
  std::vector<GpuId> nodes;
  for (const auto& domain : domains) nodes.push_back(domain[k % domain.size()]);
  if (nodes.size() == 2) {  // each sends its half of the result's parts once, and receives the other
    out.push_back({nodes[0], nodes[1], share, {}});
    out.push_back({nodes[1], nodes[0], share, {}});
    return;
  }
  add_tree(nodes, share * 0.5, out);
  std::reverse(nodes.begin(), nodes.end());
  add_tree(nodes, share * 0.5, out);
}

FlowPlan double_tree(const Domains& domains, Bytes size) {
  Transfers out;
  const std::size_t channels = narrowest(domains);
  const Bytes share = size / static_cast<double>(channels);
  for (std::size_t k = 0; k < channels; ++k) {
    if (domains.size() > 1) add_double_tree(domains, k, share, out);
    for (const auto& domain : domains)  // a chain from rank k, both ways
      for (std::size_t i = 1; i < domain.size(); ++i) {
        const GpuId a = domain[(k + i - 1) % domain.size()], b = domain[(k + i) % domain.size()];
        out.push_back({a, b, share, {}});
        out.push_back({b, a, share, {}});
      }
  }
  return {{std::move(out)}};
}

FlowPlan halving_doubling(std::span<const GpuId> members, Bytes size) {
  const std::size_t pairs = std::bit_floor(members.size());
  FlowPlan plan;
  Transfers fold, unfold;
  for (std::size_t i = pairs; i < members.size(); ++i) {
    fold.push_back({members[i], members[i - pairs], size, {}});
    unfold.push_back({members[i - pairs], members[i], size, {}});
  }
  if (!fold.empty()) plan.phases.push_back(fold);
  std::vector<Transfers> rounds;
  Bytes each = size * 0.5;
  for (std::size_t distance = pairs / 2; distance > 0; distance /= 2, each = each * 0.5) {
    Transfers round;
    for (std::size_t i = 0; i < pairs; ++i) round.push_back({members[i], members[i ^ distance], each, {}});
    rounds.push_back(std::move(round));
  }
  plan.phases.insert(plan.phases.end(), rounds.begin(), rounds.end());
  plan.phases.insert(plan.phases.end(), rounds.rbegin(), rounds.rend());
  if (!unfold.empty()) plan.phases.push_back(unfold);
  return plan;
}

// Into the switch of each domain and out of it.
void add_in_switch(const Paths& paths, const Domains& domains, Bytes size, Transfers& out) {
  for (const auto& domain : domains) {
    if (domain.size() < 2) continue;
    const Bytes each = size * (1 + 1 / static_cast<double>(domain.size()));
    for (const GpuId gpu : domain) {
      out.push_back({gpu, gpu, each, {paths.to_switch(gpu)}});
      out.push_back({gpu, gpu, each, {paths.to_switch(gpu) ^ 1}});
    }
  }
}

Transfers rings_inside(const Domains& domains, Bytes size) {
  Transfers out;
  for (const auto& domain : domains) {
    const double g = static_cast<double>(domain.size());
    add_ring(domain, size * ((g - 1) / g), out);
  }
  return out;
}

FlowPlan hierarchical(const Paths& paths, const Domains& domains, Bytes size) {
  const std::size_t channels = narrowest(domains);
  const Bytes share = size / static_cast<double>(channels);
  Transfers outside;
  if (paths.fabric().node().in_switch_reduction && paths.has_switch()) {
    add_in_switch(paths, domains, size, outside);
    for (std::size_t k = 0; k < channels; ++k) add_double_tree(domains, k, share, outside);
    return {{std::move(outside)}};
  }
  const double n = static_cast<double>(domains.size());
  for (std::size_t k = 0; k < channels; ++k) {
    std::vector<GpuId> ring;
    for (const auto& domain : domains) ring.push_back(domain[k]);
    add_ring(ring, share * (2 * (n - 1) / n), outside);
  }
  return {{rings_inside(domains, size), std::move(outside), rings_inside(domains, size)}};
}

FlowPlan in_network(const Paths& paths, const Domains& domains, Bytes size) {
  Transfers outside;
  for (const auto& domain : domains)
    for (const GpuId gpu : domain) {
      const Bytes share = size / static_cast<double>(domain.size());
      const std::vector<std::int32_t> up = paths.to_leaf(gpu);
      std::vector<std::int32_t> down;
      for (auto link = up.rbegin(); link != up.rend(); ++link) down.push_back(*link ^ 1);
      outside.push_back({gpu, gpu, share, up});
      outside.push_back({gpu, gpu, share, down});
    }
  return {{rings_inside(domains, size), std::move(outside), rings_inside(domains, size)}};
}

FlowPlan all_pairs(std::span<const GpuId> members, Bytes each) {
  Transfers out;
  for (const GpuId from : members)
    for (const GpuId to : members)
      if (from != to) out.push_back({from, to, each, {}});
  return {{std::move(out)}};
}

// Of S, over one edge of a ring.
double ring_passes(Collective collective, double n) {
  if (collective == Collective::all_reduce) return 2 * (n - 1) / n;
  if (collective == Collective::broadcast) return 1;
  return (n - 1) / n;
}

// Bytes that must leave (or enter) k of n members.
double crossing(Collective collective, double k, double n) {
  switch (collective) {
    case Collective::all_reduce:
    case Collective::broadcast:
      return 1;
    case Collective::all_gather:
    case Collective::reduce_scatter:
      return (n - k) / n;
    case Collective::all_to_all:
      return k * (n - k) / n;
    case Collective::send_receive:
      return 0;
  }
  return 0;
}

// All edges of a group's rings, all its pairs, or the message from its first to its last, on their paths.
std::vector<std::int32_t> lockstep_links(const Paths& paths, Collective collective,
                                         const std::vector<GpuId>& group) {
  std::vector<std::int32_t> links;
  Transfers transfers;
  if (collective == Collective::all_to_all)
    transfers = all_pairs(group, Bytes(1)).phases.front();
  else if (collective == Collective::send_receive)
    transfers = {{group.front(), group.back(), Bytes(1), {}}};
  else
    transfers = ring_edges(by_domain(paths.fabric(), group), Bytes(1));
  for (const Transfer& transfer : transfers) {
    const auto options = paths.between(transfer.from, transfer.to);
    for (int pair = 0; pair < paths.parts(); ++pair) {  // one part of the edge's bytes on each path
      const Paths::Path& path = options[index(pair) % options.size()];
      links.insert(links.end(), path.links.begin(), path.links.end());
    }
  }
  return links;
}

// Plans over a flow network, each transfer's bytes in equal parts over its paths.
class PlanRun {
 public:
  PlanRun(const Paths& paths, std::span<const FlowPlan> plans)
      : paths_(paths), plans_(plans), network_(queue_, paths.capacities()), states_(plans.size()) {
    network_.on_arrival([this](std::uint64_t tag) { arrived(index(static_cast<std::int64_t>(tag))); });
  }

  FlowOutcome run() {
    for (std::size_t plan = 0; plan < plans_.size(); ++plan) start_phase(plan);
    queue_.run();
    FlowOutcome outcome;
    for (const State& state : states_) {
      outcome.finished.push_back(to_seconds(state.end));
      INVARIANT(state.phase == plans_[index(&state - states_.data())].phases.size());
    }
    check_bounds();
    outcome.busiest = busiest();
    return outcome;
  }

 private:
  struct State {
    std::size_t phase = 0, flying = 0;
    Time end;
    std::map<std::int32_t, double> bytes;  // by link
  };

  void start_phase(std::size_t plan) {
    State& state = states_[plan];
    while (state.phase < plans_[plan].phases.size() && state.flying == 0) {
      for (const Transfer& transfer : plans_[plan].phases[state.phase]) send(plan, transfer);
      if (state.flying == 0) ++state.phase;
    }
    state.end = queue_.now();
  }

  void send(std::size_t plan, const Transfer& transfer) {
    if (!transfer.links.empty()) return send_over(plan, {transfer.links, Seconds(0)}, transfer.size);
    const auto paths = paths_.between(transfer.from, transfer.to);
    for (const Paths::Path& path : paths)
      if (!path.links.empty()) send_over(plan, path, transfer.size / static_cast<double>(paths.size()));
  }

  void send_over(std::size_t plan, const Paths::Path& path, Bytes size) {
    for (const std::int32_t link : path.links) states_[plan].bytes[link] += size.value;
    ++states_[plan].flying;
    network_.start(network_.route(path.links, path.latency), size, plan);
  }

  void arrived(std::size_t plan) {
    State& state = states_[plan];
    if (--state.flying > 0) return;
    ++state.phase;
    start_phase(plan);
  }

  void check_bounds() const {
    const std::vector<double> nominal = paths_.nominal();
    for (const State& state : states_)
      for (const auto& [link, bytes] : state.bytes)
        INVARIANT(to_seconds(state.end).value >= bytes / nominal[index(link)] * (1 - 1e-9));
  }

  std::vector<LinkUse> busiest() const {
    std::map<std::int32_t, double> bytes;
    for (const State& state : states_)
      for (const auto& [link, more] : state.bytes) bytes[link] += more;
    const double total = to_seconds(queue_.now()).value;
    std::vector<LinkUse> uses;
    for (const auto& [link, sum] : bytes)
      uses.push_back({link, sum, total > 0 ? sum / paths_.capacities()[index(link)] / total : 0});
    std::stable_sort(uses.begin(), uses.end(),
                     [](const LinkUse& a, const LinkUse& b) { return a.occupied > b.occupied; });
    if (uses.size() > 8) uses.resize(8);
    return uses;
  }

  const Paths& paths_;
  std::span<const FlowPlan> plans_;
  EventQueue queue_;
  FlowNetwork network_;
  std::vector<State> states_;
};

}  // namespace

std::vector<std::vector<GpuId>> by_domain(const Fabric& fabric, std::span<const GpuId> members) {
  Domains domains;
  std::map<int, std::size_t> place;
  for (const GpuId gpu : members) {
    const auto [at, added] = place.try_emplace(fabric.domain_of(gpu), domains.size());
    if (added) domains.emplace_back();
    domains[at->second].push_back(gpu);
  }
  return domains;
}

FlowPlan plan_of(Collective collective, Algorithm algorithm, const Paths& paths,
                 std::span<const GpuId> members, Bytes size) {
  if (members.size() < 2) return {};
  const Domains domains = by_domain(paths.fabric(), members);
  const double n = static_cast<double>(members.size());
  switch (algorithm) {
    case Algorithm::ring:
      return {{ring_edges(domains, size * ring_passes(collective, n))}};
    case Algorithm::pairwise:
      if (collective == Collective::all_to_all) return all_pairs(members, size / n);
      return {{{{members.front(), members.back(), size, {}}}}};
    case Algorithm::tree: {
      Transfers out;
      add_tree({members.begin(), members.end()}, size, out);
      return {{std::move(out)}};
    }
    case Algorithm::double_tree:
      return double_tree(domains, size);
    case Algorithm::halving_doubling:
      return halving_doubling(members, size);
    case Algorithm::nvls: {
      INVARIANT(domains.size() == 1);
      Transfers out;
      add_in_switch(paths, domains, size, out);
      return {{std::move(out)}};
    }
    case Algorithm::hierarchical:
      return hierarchical(paths, domains, size);
    case Algorithm::in_network:
      return in_network(paths, domains, size);
  }
  INVARIANT(false && "unknown algorithm");
  return {};
}

Seconds cut_bound(Collective collective, const Fabric& fabric, std::span<const GpuId> members, Bytes size) {
  const NodeSpec& node = fabric.node();
  const double n = static_cast<double>(members.size());
  Seconds bound;
  // Members by unit of so many GPUs, and what the unit sends and receives at most.
  const auto cut = [&](int gpus_in_unit, Bandwidth capacity) {
    std::map<int, double> inside;
    for (const GpuId gpu : members) inside[gpu.value / gpus_in_unit] += 1;
    if (inside.size() < 2) return;
    for (const auto& [unit, k] : inside)
      bound = std::max(bound, size * crossing(collective, k, n) / capacity);
  };
  if (fabric.spec().kind == "none") return bound;
  const int domain = std::max(fabric.gpus_per_domain(), node.gpus);
  const Bandwidth per_node = node.nic.bandwidth * static_cast<double>(node.nics);
  cut(domain, per_node * (static_cast<double>(domain) / node.gpus));
  double oversubscription = 1;
  for (const TierSpec& tier : fabric.spec().tiers) {
    if (tier.nodes == 0 || tier.nodes >= fabric.nodes()) break;
    oversubscription *= tier.oversubscription;
    cut(tier.nodes * node.gpus, per_node * (tier.nodes / oversubscription));
  }
  for (const RouterBlock& block : router_blocks(fabric)) cut(block.nodes * node.gpus, block.out);
  return bound;
}

FlowOutcome run_flows(const Paths& paths, std::span<const FlowPlan> plans) {
  return PlanRun(paths, plans).run();
}

LockstepRates lockstep_rates(const Paths& paths, Collective collective,
                             std::span<const std::vector<GpuId>> groups,
                             std::span<const OtherGroups> others) {
  MaxMin shares(paths.capacities());
  const int parts = paths.parts();
  std::vector<int> classes;
  for (const std::vector<GpuId>& group : groups)
    if (const auto links = lockstep_links(paths, collective, group); !links.empty())
      classes.push_back(shares.add_class(links));
  for (const int c : classes) shares.change(c, 1);
  for (const OtherGroups& other : others)
    for (const std::vector<GpuId>& group : other.groups)
      if (const auto links = lockstep_links(paths, other.collective, group); !links.empty())
        shares.change(shares.add_class(links), 1);
  LockstepRates rates;
  if (classes.empty()) return rates;
  (void)shares.solve();
  int slowest = classes.front();
  rates.fastest = Bandwidth(shares.rate(slowest));
  for (const int c : classes) {
    if (shares.rate(c) < shares.rate(slowest)) slowest = c;
    rates.fastest = std::max(rates.fastest, Bandwidth(shares.rate(c)));
  }
  rates.fastest *= parts;
  rates.slowest = Bandwidth(shares.rate(slowest) * parts);
  std::vector<std::int32_t> full(shares.links(slowest).begin(), shares.links(slowest).end());
  std::sort(full.begin(), full.end());
  full.erase(std::unique(full.begin(), full.end()), full.end());
  std::erase_if(full,
                [&](std::int32_t link) { return shares.load(link) < shares.capacity(link) * (1 - 1e-9); });
  for (const std::int32_t link : full)
    if (rates.full_links.size() < 8) rates.full_links.push_back(paths.name(link));
  if (!full.empty()) {
    rates.busiest_link = rates.full_links.front();
    for (int c = 0; c < shares.classes(); ++c)
      rates.crossings +=
          static_cast<int>(std::count(shares.links(c).begin(), shares.links(c).end(), full.front()));
  }
  return rates;
}

}  // namespace runcast
