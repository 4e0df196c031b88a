// Routes from the index that the builders left (topology/graph.hpp), each checked for failed links.
#include "topology/paths.hpp"

#include <algorithm>

#include "sim/error.hpp"
#include "topology/graph.hpp"
#include "topology/router_paths.hpp"
#include "topology/routing.hpp"

namespace runcast {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

// A group's place in the tier: nodes are cut into groups in order.
int group_of(const ClosTier& tier, int node) { return tier.nodes == 0 ? 0 : node / tier.nodes; }

}  // namespace

Paths::Paths(const Fabric& fabric) : Paths(fabric, fabric.spec().routing) {}

Paths::Paths(const Fabric& fabric, Routing routing) : fabric_(&fabric), routing_(routing) {
  const bool hashed = routing == Routing::ecmp;
  for (const Link& link : fabric.graph().links) {
    const bool switched = fabric.kind(link.to) == VertexKind::network_switch ||
                          fabric.kind(link.from) == VertexKind::network_switch;
    // Collisions are drawn, so that the share which stands for them is not taken off a second time.
    const double efficiency =
        hashed && switched ? link.efficiency / fabric.spec().routing_efficiency : link.efficiency;
    nominal_.push_back(link.bandwidth.value * link.health);
    capacities_.push_back(link.bandwidth.value * link.health * efficiency);
  }
  merged_.assign(capacities_.size(), 1);
  if (routing == Routing::adaptive) merge_parallel_links();
  for (double& capacity : capacities_)  // no route takes a failed link; a capacity must still be a number
    if (capacity <= 0) capacity = 1;
}

std::vector<double> Paths::nominal() const { return nominal_; }

// The links between a lower group and the switches above it, on the first of them; leaves of other rails stay apart.
void Paths::merge_parallel_links() {
  const auto& tiers = fabric_->graph().clos.tiers;
  for (std::size_t t = 1; t < tiers.size(); ++t) {
    const int above = tiers[t].switches, below = tiers[t - 1].switches;
    const bool leaves = t == 1;
    for (const std::int32_t first : tiers[t].first) {
      const int apart = leaves ? below : 1, together = (leaves ? 1 : below) * above;
      for (int group = 0; group < apart; ++group)
        for (const int way : {0, 1}) {
          const std::int32_t to = first + 2 * group * above + way;
          for (int other = 1; other < together; ++other) {
            capacities_[index(to)] += capacities_[index(to + 2 * other)];
            nominal_[index(to)] += nominal_[index(to + 2 * other)];
          }
          merged_[index(to)] = together;
        }
    }
  }
}

bool Paths::has_switch() const { return !fabric_->graph().clos.gpu_to_switch.empty(); }

std::int32_t Paths::to_switch(GpuId gpu) const {
  INVARIANT(has_switch());
  return fabric_->graph().clos.gpu_to_switch[index(gpu.value)];
}

std::vector<std::int32_t> Paths::to_leaf(GpuId gpu) const {
  const Fabric::Graph& graph = fabric_->graph();
  INVARIANT(!graph.clos.nic_to_leaf.empty());
  const std::int32_t out = graph.clos.gpu_to_nic[index(gpu.value)];
  const VertexId nic = graph.links[index(out)].to;
  return {out, graph.clos.nic_to_leaf[index(nic.value - graph.nics.front().value)]};
}

// From a node's leaf up through `tiers` tiers of switches.
void Paths::climb(int tiers, int node, int rail, std::uint64_t hash, std::vector<std::int32_t>& links) const {
  const auto& clos = fabric_->graph().clos;
  const bool spread = routing_ == Routing::adaptive;
  int at = clos.tiers[0].switches > 1 ? rail : 0;  // the switch within its group
  for (int t = 1; t <= tiers; ++t) {
    const ClosTier& tier = clos.tiers[index(t)];
    // The same choice from both sides: way up and way down meet in one switch.
    const int next =
        spread ? 0 : static_cast<int>((hash >> (8 * (t - 1))) % static_cast<std::uint64_t>(tier.switches));
    links.push_back(tier.first[index(group_of(clos.tiers[index(t - 1)], node))] +
                    2 * (at * tier.switches + next));
    at = next;
  }
}

// Over the routers, the same way in both directions.
void Paths::between_routers(GpuId from, GpuId to, std::uint32_t flow,
                            std::vector<std::int32_t>& links) const {
  const Fabric::Graph& graph = fabric_->graph();
  const GpuId low = std::min(from, to), high = std::max(from, to);
  const auto router_of = [&](GpuId gpu) { return gpu.value / graph.node.gpus / graph.spec.routers.nodes; };
  links = to_leaf(low);
  append_router_path(graph, router_of(low), router_of(high), ecmp_hash(from, to, flow), links);
  const std::vector<std::int32_t> end = to_leaf(high);
  for (auto link = end.rbegin(); link != end.rend(); ++link) links.push_back(*link ^ 1);
  if (from == low) return;
  std::reverse(links.begin(), links.end());
  for (std::int32_t& link : links) link ^= 1;
}

bool Paths::direct(GpuId from, GpuId to, std::uint32_t flow, std::vector<std::int32_t>& links) const {
  const Fabric::Graph& graph = fabric_->graph();
  const ClosIndex& clos = graph.clos;
  const bool star = !clos.gpu_to_switch.empty();
  if (star && fabric_->domain_of(from) == fabric_->domain_of(to)) {
    links = {clos.gpu_to_switch[index(from.value)], clos.gpu_to_switch[index(to.value)] ^ 1};
    return true;
  }
  const int tier = fabric_->meeting_tier(from, to);
  if (tier > 0 && graph.routers.count > 0) {
    between_routers(from, to, flow, links);
    return true;
  }
  if (clos.tiers.empty() || tier == 0) return false;
  const int gpus = graph.node.gpus, nics = graph.node.nics;
  const int rail = to.value % gpus * nics / gpus;
  int sender = from.value;
  if (graph.spec.rails && sender % gpus * nics / gpus != rail) {  // over the peer on the destination's rail
    if (!star || graph.gpus_per_domain < gpus) return false;
    sender = sender / gpus * gpus + to.value % gpus;
    links = {clos.gpu_to_switch[index(from.value)], clos.gpu_to_switch[index(sender)] ^ 1};
  }
  const int source = sender / gpus, target = to.value / gpus;
  const auto out = clos.gpu_to_nic[index(sender)], in = clos.gpu_to_nic[index(to.value)];
  const auto nic_of = [&](std::int32_t link) {
    const VertexId nic = graph.links[index(link)].to;
    return nic.value - graph.nics.front().value;
  };
  const std::uint64_t hash = ecmp_hash(from, to, flow);
  links.push_back(out);
  links.push_back(clos.nic_to_leaf[index(nic_of(out))]);
  climb(tier - 1, source, nic_of(out) % nics, hash, links);
  std::vector<std::int32_t> down{in, clos.nic_to_leaf[index(nic_of(in))]};
  climb(tier - 1, target, nic_of(in) % nics, hash, down);
  for (auto link = down.rbegin(); link != down.rend(); ++link) links.push_back(*link ^ 1);
  return true;
}

Paths::Path Paths::searched(GpuId from, GpuId to, std::uint32_t flow) const {
  const auto route = find_route(*fabric_, from, to, flow);
  if (!route)
    throw ConfigError("failed links cut " + std::string(fabric_->vertex_name(fabric_->vertex_of(from))) +
                      " from " + std::string(fabric_->vertex_name(fabric_->vertex_of(to))) +
                      "; leave one path between them whole, or take the node out of the job");
  Path path;
  for (const LinkId link : route->links) path.links.push_back(link.value);
  path.latency = latency_of(*fabric_, *route);
  return path;
}

Paths::Path Paths::path(GpuId from, GpuId to, std::uint32_t flow) const {
  Path path;
  if (from == to || !direct(from, to, flow, path.links)) return searched(from, to, flow);
  for (const std::int32_t link : path.links) {
    if (nominal_[index(link)] <= 0) return searched(from, to, flow);
    path.latency += fabric_->graph().links[index(link)].latency;
  }
  return path;
}

int Paths::parts() const {
  constexpr int kSpread = 8;
  if (routing_ == Routing::ecmp) return fabric_->spec().queue_pairs;
  return fabric_->spec().tiered() ? 1 : kSpread;
}

std::vector<Paths::Path> Paths::between(GpuId from, GpuId to) const {
  std::vector<Path> paths;
  const bool alone = fabric_->spec().tiered() && fabric_->meeting_tier(from, to) < 2;
  const int count = alone || fabric_->meeting_tier(from, to) == 0 ? 1 : parts();
  for (int flow = 0; flow < count; ++flow) paths.push_back(path(from, to, static_cast<std::uint32_t>(flow)));
  return paths;
}

std::string Paths::name(std::int32_t link) const {
  const Link& l = fabric_->graph().links[index(link)];
  if (merged_[index(link)] == 1) return l.name;
  return l.name + " (" + std::to_string(merged_[index(link)]) + " parallel links)";
}

}  // namespace runcast
