#include "scenarios/network_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "parallelism/kind_traffic.hpp"
#include "parallelism/stage_cost.hpp"
#include "scenarios/limits.hpp"
#include "topology/bisection.hpp"
#include "topology/collective_flows.hpp"
#include "topology/network.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kMicro = 1e6;

std::optional<Collective> collective_named(std::string_view name) {
  for (const Collective c : {Collective::all_reduce, Collective::all_gather, Collective::reduce_scatter,
                             Collective::all_to_all, Collective::broadcast})
    if (name_of(c) == name) return c;
  return std::nullopt;
}

// A group of the layout by the word that the step uses for it.
struct NamedGroup {
  std::string_view name;
  const GroupLinks* links;
  std::vector<RankId> members;  // empty: not along the grid's axes
};

std::vector<NamedGroup> groups_of(const Layout& l, const GroupTable& table) {
  return {{"tensor", &table.tensor, l.group(Axis::tensor)},
          {"context", &table.context, l.group(Axis::context)},
          {"expert", &table.expert, {}},
          {"data", &table.data, l.group(Axis::context, Axis::data, 0)}};
}

Json pair_json(const Network& network, const Paths& paths, RankId from, RankId to) {
  const GpuId a = network.placement()[from], b = network.placement()[to];
  const auto options = paths.between(a, b);
  Seconds latency;
  double slowest = 0;
  std::int32_t narrow = -1;
  std::size_t hops = 0;
  double sum = 0;
  for (const Paths::Path& path : options) {
    double least = 0;
    for (const std::int32_t link : path.links) {
      const double capacity = paths.capacities()[static_cast<std::size_t>(link)];
      if (least > 0 && capacity >= least) continue;
      least = capacity;
      if (narrow < 0 || capacity < slowest) {
        narrow = link;
        slowest = capacity;
      }
    }
    sum += least;
    latency = std::max(latency, path.latency);
    hops = std::max(hops, path.links.size());
  }
  const Fabric& fabric = network.fabric();
  const int tier = fabric.meeting_tier(a, b);
  const std::string relation = fabric.domain_of(a) == fabric.domain_of(b) ? "one scale-up domain"
                               : tier == 0                                ? "one node"
                               : fabric.spec().tiered()
                                   ? "meet at " + fabric.spec().tiers[static_cast<std::size_t>(tier) - 1].name
                                   : fmt::format("over {} router{}", hops - 3, hops == 4 ? "" : "s");
  return {{"from", from.value},
          {"to", to.value},
          {"from_gpu", std::string(fabric.vertex_name(fabric.vertex_of(a)))},
          {"to_gpu", std::string(fabric.vertex_name(fabric.vertex_of(b)))},
          {"relation", relation},
          {"hops", hops},
          {"latency_us", latency.value * kMicro},
          {"bandwidth_gbs", sum / static_cast<double>(options.size()) / kGiga},
          {"narrowest_link", narrow < 0 ? "" : paths.name(narrow)}};
}

// Rank 0 and the nearest rank at each distance.
Json pairs_json(const Network& network, const Paths& paths, const NetworkQuestion& question) {
  const int world = network.placement().ranks();
  Json pairs = Json::array();
  if (question.from || question.to) {
    const RankId from = question.from.value_or(RankId(0)), to = question.to.value_or(RankId(0));
    for (const RankId rank : {from, to})
      if (rank.value < 0 || rank.value >= world)
        throw ConfigError(
            fmt::format("rank {} is not there; the job has ranks 0 to {}", rank.value, world - 1));
    if (from == to) throw ConfigError(fmt::format("--from and --to are both rank {}; name two", from.value));
    pairs.push_back(pair_json(network, paths, from, to));
    return pairs;
  }
  std::vector<std::string> seen;
  for (int rank = 1; rank < world; ++rank) {
    const Fabric& fabric = network.fabric();
    const GpuId a = network.placement()[RankId(0)], b = network.placement()[RankId(rank)];
    const std::size_t hops = fabric.spec().tiered() ? 0 : paths.path(a, b, 0).links.size();
    const std::string distance =
        fmt::format("{} {} {}", fabric.domain_of(a) == fabric.domain_of(b), fabric.meeting_tier(a, b), hops);
    if (std::find(seen.begin(), seen.end(), distance) != seen.end()) continue;
    seen.push_back(distance);
    pairs.push_back(pair_json(network, paths, RankId(0), RankId(rank)));
  }
  return pairs;
}

// GPUs that the job leaves free, for its neighbours one after the other.
Placement beside(const Fabric& fabric, const std::vector<const Placement*>& placed,
                 const Scenario& neighbour) {
  std::vector<bool> taken(static_cast<std::size_t>(fabric.gpus()), false);
  for (const Placement* placement : placed)
    for (const GpuId gpu : placement->gpu) taken[static_cast<std::size_t>(gpu.value)] = true;
  Placement placement;
  for (int gpu = 0; gpu < fabric.gpus() && placement.ranks() < neighbour.layout.world(); ++gpu)
    if (!taken[static_cast<std::size_t>(gpu)]) placement.gpu.emplace_back(gpu);
  if (placement.ranks() < neighbour.layout.world())
    throw ConfigError(
        fmt::format("{} needs {} GPUs, but only {} of {} are free beside the other jobs; give the first "
                    "scenario more cluster.nodes",
                    neighbour.name, neighbour.layout.world(), placement.ranks(), fabric.gpus()));
  return placement;
}

// Each other kind of group that meets these in the network: how busy, and how much slower these are while it sends.
Json beside_json(const Paths& paths, const std::vector<std::vector<GpuId>>& groups, double rate,
                 const std::vector<KindTraffic>& kinds) {
  Json list = Json::array();
  for (const KindTraffic& other : kinds) {
    if (other.groups.front() == groups.front()) continue;
    const std::array others{OtherGroups{other.collective, other.groups}};
    const LockstepRates both = lockstep_rates(paths, Collective::all_gather, groups, others);
    list.push_back({{"group", other.kind},
                    {"busy", other.busy},
                    {"slowdown", rate / both.slowest.value},
                    {"busiest_link", both.busiest_link}});
  }
  return list;
}

// The rings of one group kind and those of the neighbours' data-parallel groups at once, as flows.
Json flows_json(const Network& network, const Paths& paths, const NamedGroup& group,
                const std::vector<std::vector<GpuId>>& neighbours, const std::vector<KindTraffic>& kinds) {
  const int concurrent = std::max(1, network.placement().ranks() / static_cast<int>(group.members.size()));
  auto groups = network.concurrent_groups(group.members, concurrent);
  const LockstepRates alone = lockstep_rates(paths, Collective::all_gather, std::span(groups).first(1));
  const LockstepRates together = lockstep_rates(paths, Collective::all_gather, groups);
  Json flows = {{"groups", groups.size()},
                {"slowdown", alone.slowest.value / together.slowest.value},
                {"spread", together.fastest.value / together.slowest.value},
                {"busiest_link", together.busiest_link},
                {"crossings", together.crossings},
                {"full_links", together.full_links},
                {"beside", beside_json(paths, groups, together.slowest.value, kinds)}};
  if (neighbours.empty()) return flows;
  groups.insert(groups.end(), neighbours.begin(), neighbours.end());
  flows["slowdown_with_neighbours"] =
      alone.slowest.value / lockstep_rates(paths, Collective::all_gather, groups).slowest.value;
  return flows;
}

Json collective_json(const Network& network, const Paths& paths, const CommunicationTotal& total,
                     const NamedGroup& group, Collective kind, Seconds launch,
                     const std::vector<std::vector<GpuId>>& neighbours,
                     const std::vector<KindTraffic>& kinds) {
  const GroupLinks& links = *group.links;
  const Bytes size = total.bytes_per_rank / std::max(1.0, total.count);
  const CollectiveCost cost = network.collective(kind, size, links, launch);
  Json json = {{"group", group.name},
               {"ranks", links.ranks},
               {"domains", links.domains},
               {"collective", name_of(kind)},
               {"count", total.count},
               {"bytes", size.value},
               {"algorithm", name_of(cost.algorithm)},
               {"protocol", name_of(cost.protocol)},
               {"time_s", cost.time.value},
               {"bus_bandwidth_gbs", bus_bandwidth(kind, links.ranks, size, cost.time).value / kGiga},
               {"bound_s", cost.bound.value},
               {"busiest_link", links.busiest_link}};
  if (group.members.empty()) return json;
  std::vector<GpuId> gpus;
  for (const RankId rank : group.members) gpus.push_back(network.placement()[rank]);
  const Seconds cut = cut_bound(kind, network.fabric(), gpus, size);
  INVARIANT(cost.time >= cut);
  json["cut_bound_s"] = cut.value;
  if (links.domains > 1) json["flows"] = flows_json(network, paths, group, neighbours, kinds);
  return json;
}

Json bisection_json(const Fabric& fabric) {
  if (fabric.domains() < 2) {
    const double half = fabric.gpus() / 2;
    return {{"bandwidth_gbs", fabric.node().scale_up.bandwidth.value * half / kGiga},
            {"per_gpu_gbs", fabric.node().scale_up.bandwidth.value / kGiga},
            {"of_full", 1.0},
            {"nodes", fabric.nodes()}};
  }
  const Bisection b = bisection(fabric);
  const int gpus = std::min(b.nodes, fabric.nodes() - b.nodes) * fabric.node().gpus;
  return {{"bandwidth_gbs", b.bandwidth.value / kGiga},
          {"per_gpu_gbs", b.bandwidth.value / kGiga / gpus},
          {"of_full", b.bandwidth / b.full},
          {"nodes", b.nodes}};
}

}  // namespace

nlohmann::ordered_json network_document(Document document, const Library& library,
                                        const ExperimentOptions& options, const NetworkQuestion& question) {
  const Scenario s = read_scenario(document, library);
  if (const std::string why = too_large_fabric(s, read_limits(document.root())); !why.empty())
    throw ConfigError(why);
  Fabric fabric(s.node, s.nodes, s.fabric);
  if (names_links(s.faults)) degrade_links(s.faults, fabric);
  const StepResult step = step_of(s, options.seed, false);
  const Network alone(fabric, s.place(options.seed), s.network);
  const std::vector<KindTraffic> kinds = kind_traffic(alone, s.layout, step);
  const Network network(fabric, s.place(options.seed), s.network,
                        s.network == Fidelity::flow ? kinds : std::vector<KindTraffic>{});
  const Paths paths(fabric);
  std::vector<Placement> others;
  std::vector<std::vector<GpuId>> neighbours;
  for (const Scenario& neighbour : question.neighbours) {
    std::vector<const Placement*> placed{&network.placement()};
    for (const Placement& other : others) placed.push_back(&other);
    others.push_back(beside(fabric, placed, neighbour));
    const auto members = neighbour.layout.group(Axis::context, Axis::data, 0);
    const int concurrent = neighbour.layout.world() / static_cast<int>(members.size());
    const auto groups = Network(fabric, others.back()).concurrent_groups(members, concurrent);
    if (members.size() > 1) neighbours.insert(neighbours.end(), groups.begin(), groups.end());
  }
  const GroupTable table = GroupTable::of(network, s.layout, s.training.sharding);
  const std::vector<NamedGroup> groups = groups_of(s.layout, table);
  Json collectives = Json::array();
  for (const CommunicationTotal& total : step.communication) {
    const auto kind = collective_named(total.collective);
    const auto group = std::find_if(groups.begin(), groups.end(),
                                    [&](const NamedGroup& g) { return g.name == total.group; });
    if (!kind || group == groups.end() || group->links->ranks < 2 || total.bytes_per_rank.value <= 0)
      continue;
    collectives.push_back(collective_json(network, paths, total, *group, *kind, s.software.collective_launch,
                                          neighbours, kinds));
  }
  Json json = {{"schema_version", 1}, {"scenario", document.resolved()}};
  json["network"] = {{"fabric", s.fabric.name},
                     {"fidelity", s.network == Fidelity::flow ? "flow" : "alpha_beta"},
                     {"placement", s.placement},
                     {"gpus", s.layout.world()},
                     {"links", fabric.links()},
                     {"pairs", pairs_json(network, paths, question)},
                     {"collectives", std::move(collectives)},
                     {"bisection", bisection_json(fabric)}};
  return json;
}

}  // namespace runcast
