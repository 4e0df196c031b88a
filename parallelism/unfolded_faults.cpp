// Reads faults, and resolves them to a factor for each rank.
#include "parallelism/unfolded_faults.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

#include "sim/error.hpp"
#include "sim/random.hpp"

namespace runcast {

namespace {

using Kind = Fault::Kind;

struct KindName {
  std::string_view key;
  Kind kind;
};
constexpr std::array<KindName, 9> kKinds = {{{"rank", Kind::rank},
                                             {"stage", Kind::stage},
                                             {"node", Kind::node},
                                             {"rack", Kind::rack},
                                             {"share", Kind::share},
                                             {"spread", Kind::spread},
                                             {"jitter", Kind::jitter},
                                             {"link", Kind::link},
                                             {"switch", Kind::hot_switch}}};

double bounded(Section& s, std::string_view key, double least, double most, double fallback) {
  const double value = s.number(key, fallback);
  if (s.ok() && !(value >= least && value <= most))
    s.fail(key, fmt::format("{} must be between {} and {}, not {}", key, least, most, value));
  return value;
}

Fault read_fault(Section s) {
  Fault fault;
  const KindName* found = nullptr;
  for (const KindName& name : kKinds) {
    if (!s.has(name.key)) continue;
    if (found != nullptr)
      s.fail(name.key, fmt::format("a fault is in one place: {} or {}, not both", found->key, name.key));
    found = &name;
  }
  if (found == nullptr) {
    s.fail("a fault names its place: rank, stage, node, rack, share, spread, jitter, link or switch");
    return fault;
  }
  fault.kind = found->kind;
  switch (fault.kind) {
    case Kind::spread:
    case Kind::jitter:
      fault.amount = bounded(s, found->key, 0, 1, 0);
      return fault;
    case Kind::link:
      fault.link = s.text("link");
      fault.capacity = bounded(s, "capacity", 0, 1, 0.5);
      return fault;
    case Kind::hot_switch:
      fault.link = s.text("switch");
      fault.capacity = bounded(s, "capacity", 0, 1, 1);
      fault.latency = s.seconds("latency", Seconds(0));
      if (s.ok() && !(fault.latency.value >= 0 && fault.latency.value <= 1))
        s.fail("latency", "a hot switch adds at least 0 and at most 1 s to a way through it");
      return fault;
    case Kind::share:
      fault.amount = bounded(s, "share", 0, 1, 0);
      break;
    default:
      fault.place = s.count(found->key);
  }
  if (fault.kind == Kind::stage) {
    fault.replica = s.count("replica", 0);
    fault.tensor = s.count("tensor", 0);
  }
  if (fault.kind == Kind::rack) fault.rack_nodes = s.count("rack_nodes", fault.rack_nodes);
  if (s.ok() && fault.rack_nodes < 1) s.fail("rack_nodes", "rack_nodes must be at least 1");
  fault.slowdown = bounded(s, "slowdown", 0.1, 100, 1);
  fault.host_slowdown = bounded(s, "host_slowdown", 0.1, 100, 1);
  return fault;
}

constexpr double kSlowest = 1000;  // as failures' slowdowns: a GPU at a thousandth of its pace is down

void require(std::string_view what, std::int64_t place, std::int64_t count) {
  if (place >= count)
    throw ConfigError(
        fmt::format("cluster.faults: {} {} does not exist; the job's are 0 to {}", what, place, count - 1));
}

// The one rank of a fault that names one.
RankId one_rank(const Fault& fault, const Layout& layout) {
  if (fault.kind == Kind::rank) {
    require("rank", fault.place, layout.world());
    return RankId(static_cast<std::int32_t>(fault.place));
  }
  require("stage", fault.place, layout.pipeline);
  require("replica", fault.replica, layout.data);
  require("tensor", fault.tensor, layout.tensor);
  return layout.rank(static_cast<int>(fault.tensor), 0, static_cast<int>(fault.place),
                     static_cast<int>(fault.replica));
}

double speed_of(const Fault& fault, std::uint64_t seed, std::size_t item, std::size_t rank) {
  RandomStream stream(seed, Purpose::fail_slow, rank, item);
  if (fault.kind == Kind::share) return stream.uniform() < fault.amount ? fault.slowdown : 1;
  return stream.lognormal(1, std::sqrt(std::log1p(fault.amount * fault.amount)));
}

bool covers(const Fault& fault, const Fabric& fabric, GpuId gpu) {
  const std::int64_t node = fabric.node_of(gpu).value;
  return (fault.kind == Kind::rack ? node / fault.rack_nodes : node) == fault.place;
}

void apply(const Fault& fault, std::size_t item, const Layout& layout, const Placement& placement,
           const Fabric& fabric, std::uint64_t seed, RankConditions& conditions) {
  const auto slow = [&](std::size_t rank, double gpu, double host) {
    conditions.gpu[rank] *= gpu;
    conditions.host[rank] *= host;
    if (const double most = std::max(conditions.gpu[rank], conditions.host[rank]); most > kSlowest)
      throw ConfigError(
          fmt::format("cluster.faults: together they slow rank {} {:.3g}-fold; at most {:.0f}-fold", rank,
                      most, kSlowest));
  };
  const auto world = static_cast<std::size_t>(layout.world());
  switch (fault.kind) {
    case Kind::rank:
    case Kind::stage:
      return slow(static_cast<std::size_t>(one_rank(fault, layout).value), fault.slowdown,
                  fault.host_slowdown);
    case Kind::node:
    case Kind::rack:
      require(fault.kind == Kind::rack ? "rack" : "node", fault.place,
              fault.kind == Kind::rack ? (fabric.nodes() + fault.rack_nodes - 1) / fault.rack_nodes
                                       : fabric.nodes());
      for (std::size_t rank = 0; rank < world; ++rank)
        if (covers(fault, fabric, placement.gpu[rank])) slow(rank, fault.slowdown, fault.host_slowdown);
      return;
    case Kind::share:
    case Kind::spread:
      for (std::size_t rank = 0; rank < world; ++rank) {
        const double factor = speed_of(fault, seed, item, rank);
        slow(rank, factor, factor == 1 ? 1 : fault.host_slowdown);
      }
      return;
    case Kind::jitter:
      conditions.jitter = std::hypot(conditions.jitter, fault.amount);  // independent noises add in squares
      return;
    case Kind::link:
    case Kind::hot_switch:
      return;
  }
}

// A vertex of a node is named after it: "node3.gpu1". Racks' switches and the network's are nobody's.
int node_named(std::string_view vertex) {
  constexpr std::string_view kPrefix = "node";
  int node = -1;
  if (vertex.starts_with(kPrefix))
    std::from_chars(vertex.data() + kPrefix.size(), vertex.data() + vertex.size(), node);
  return node;
}

void touch(const Fabric& fabric, const Link& link, std::vector<char>& touched) {
  const int from = node_named(fabric.vertex_name(link.from)), to = node_named(fabric.vertex_name(link.to));
  if (from < 0 && to < 0) std::ranges::fill(touched, char{1});
  for (const int node : {from, to})
    if (node >= 0) touched[static_cast<std::size_t>(node)] = 1;
}

void degrade_link(const Fault& fault, Fabric& fabric, std::vector<char>& touched) {
  const LinkId link = fabric.find_link(fault.link);
  if (link.value < 0) {
    std::vector<std::string> near;
    for (const LinkId one : fabric.links_from(fabric.vertex_of(GpuId(0))))
      near.push_back(fabric.link(one).name);
    throw ConfigError(fmt::format("cluster.faults: no link is named '{}' here; links of the first GPU: {}",
                                  fault.link, fmt::join(near, ", ")));
  }
  fabric.set_health(link, fabric.link(link).health * fault.capacity);
  touch(fabric, fabric.link(link), touched);
}

bool is_switch(const Fabric& fabric, VertexId vertex) {
  return fabric.kind(vertex) == VertexKind::scale_up_switch ||
         fabric.kind(vertex) == VertexKind::network_switch;
}

void heat_switch(const Fault& fault, Fabric& fabric, std::vector<char>& touched) {
  const VertexId vertex = fabric.find_vertex(fault.link);
  if (vertex.value < 0 || !is_switch(fabric, vertex)) {
    std::vector<std::string> some;
    for (int v = 0; v < fabric.vertices() && some.size() < 6; ++v) {
      const VertexId other(v);
      const auto alike = [](std::string name) {  // the same but for its numbers
        std::erase_if(name, [](char c) { return c >= '0' && c <= '9'; });
        return name;
      };
      if (!is_switch(fabric, other)) continue;
      const std::string name(fabric.vertex_name(other));
      if (some.empty() || alike(some.back()) != alike(name)) some.push_back(name);
    }
    throw ConfigError(fmt::format("cluster.faults: no switch is named '{}' here; there are {}, ...",
                                  fault.link, fmt::join(some, ", ")));
  }
  fabric.set_switch(vertex, fault.capacity, fault.latency);
  // A network's switch is on the ways of many: those whose routes may change are found by looking.
  for (const LinkId link : fabric.links_from(vertex)) touch(fabric, fabric.link(link), touched);
}

bool all_nominal(const std::vector<double>& factors) {
  for (const double factor : factors)
    if (factor != 1) return false;
  return true;
}

}  // namespace

std::vector<Fault> read_faults(Section cluster) {
  std::vector<Fault> faults;
  for (Section item : cluster.list("faults")) faults.push_back(read_fault(item));
  return faults;
}

RankConditions rank_conditions(const std::vector<Fault>& faults, const Layout& layout,
                               const Placement& placement, const Fabric& fabric, std::uint64_t seed) {
  RankConditions conditions;
  conditions.gpu.assign(static_cast<std::size_t>(layout.world()), 1);
  conditions.host = conditions.gpu;
  for (std::size_t i = 0; i < faults.size(); ++i)
    apply(faults[i], i, layout, placement, fabric, seed, conditions);
  if (all_nominal(conditions.gpu) && all_nominal(conditions.host)) {
    conditions.gpu.clear();
    conditions.host.clear();
  }
  return conditions;
}

bool names_links(const std::vector<Fault>& faults) {
  return std::ranges::any_of(
      faults, [](const Fault& fault) { return fault.kind == Kind::link || fault.kind == Kind::hot_switch; });
}

std::vector<char> degrade_links(const std::vector<Fault>& faults, Fabric& fabric) {
  std::vector<char> touched(static_cast<std::size_t>(fabric.nodes()), 0);
  for (const Fault& fault : faults) {
    if (fault.kind == Kind::link)
      degrade_link(fault, fabric, touched);
    else if (fault.kind == Kind::hot_switch)
      heat_switch(fault, fabric, touched);
  }
  return touched;
}

}  // namespace runcast
