// Dragonflies and tori of routers: their wiring, their minimal ways against a search, and what their cuts carry.
#include "topology/router_fabrics.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "sim/config.hpp"
#include "topology/bisection.hpp"
#include "topology/collective_flows.hpp"
#include "topology/network.hpp"
#include "topology/routing.hpp"

using namespace runcast;

namespace {

// One GPU and one NIC of 50 GB/s a node, so that a node is a rank.
NodeSpec small_node() {
  NodeSpec node;
  node.name = "small";
  node.gpus = node.scale_up_domain = node.nics = 1;
  node.scale_up_kind = "nvswitch";
  node.scale_up = {"NVLink", Bandwidth(400e9), Seconds(1e-6), 1.0};
  node.nic = {"NIC", Bandwidth(50e9), Seconds(4e-6), 1.0};
  node.host_link = Bandwidth(64e9);
  return node;
}

FabricSpec routers(const std::string& kind, double link) {
  FabricSpec spec;
  spec.name = spec.kind = kind;
  spec.routing_efficiency = 1;
  spec.routers.link = Bandwidth(link);
  spec.routers.latency = Seconds(1e-6);
  spec.routers.global_latency = Seconds(2e-6);
  return spec;
}

FabricSpec torus(std::vector<int> sides, double link) {
  FabricSpec spec = routers("torus", link);
  spec.routers.sides = std::move(sides);
  return spec;
}

FabricSpec dragonfly(int nodes, int group, int global_links, double link) {
  FabricSpec spec = routers("dragonfly", link);
  spec.routers.nodes = nodes;
  spec.routers.group = group;
  spec.routers.global_links = global_links;
  return spec;
}

std::vector<GpuId> first(int count) {
  std::vector<GpuId> gpus;
  for (int gpu = 0; gpu < count; ++gpu) gpus.emplace_back(gpu);
  return gpus;
}

std::string error_of(const FabricSpec& spec, int nodes) {
  try {
    const Fabric fabric(small_node(), nodes, spec);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

// Each way joins link to link from end to end, and back is the same way; in a torus it is as short as a search finds. (In
// a dragonfly two global cables over a third group may be fewer hops than one with a cable in each group.)
void check_ways(const Fabric& fabric, int longest) {
  const Paths paths(fabric);
  int most = 0;
  for (int a = 0; a < fabric.gpus(); a += 3)
    for (int b = 0; b < fabric.gpus(); b += 2) {
      if (a == b) continue;
      const std::size_t shortest = find_route(fabric, GpuId(a), GpuId(b))->links.size();
      for (std::uint32_t part = 0; part < 3; ++part) {
        const Paths::Path there = paths.path(GpuId(a), GpuId(b), part),
                          back = paths.path(GpuId(b), GpuId(a), part);
        VertexId at = fabric.vertex_of(GpuId(a));
        for (const std::int32_t link : there.links) {
          REQUIRE(fabric.link(LinkId(link)).from == at);
          at = fabric.link(LinkId(link)).to;
        }
        CHECK(at == fabric.vertex_of(GpuId(b)));
        if (fabric.spec().kind == "torus") CHECK(there.links.size() == shortest);
        CHECK(there.links.size() >= shortest);
        REQUIRE(back.links.size() == there.links.size());
        for (std::size_t i = 0; i < back.links.size(); ++i)
          CHECK(back.links[i] == (there.links[there.links.size() - 1 - i] ^ 1));
        most = std::max(most, static_cast<int>(there.links.size()) - 4);
      }
    }
  CHECK(most == longest);
}

}  // namespace

// 9 groups of 4 routers of 2 nodes: 72 nodes. Cables: 72 GPU-switch, 72 GPU-NIC, 72 NIC-router, 9 x 6 inside groups,
// 9 x 8 / 2 = 36 between them.
TEST_CASE(
    "a dragonfly of 9 groups has one cable between any two of them and at most h global ones a router") {
  const Fabric fabric(small_node(), 72, dragonfly(2, 4, 2, 50e9));
  CHECK(fabric.links() == 2 * (72 + 72 + 72 + 54 + 36));
  std::map<std::pair<int, int>, int> between;
  std::map<int, int> of_router;
  const int base = fabric.find_link("router0-router1").value;
  REQUIRE(base >= 0);
  const int zero = fabric.link(LinkId(base)).from.value;
  for (int l = 0; l < fabric.links(); ++l) {
    const Link& link = fabric.link(LinkId(l));
    if (fabric.kind(link.from) != VertexKind::network_switch ||
        fabric.kind(link.to) != VertexKind::network_switch)
      continue;
    const int from = link.from.value - zero, to = link.to.value - zero;
    if (from / 4 == to / 4) continue;
    ++between[{from / 4, to / 4}];
    ++of_router[from];
  }
  CHECK(between.size() == 72);
  for (const auto& [pair, cables] : between) CHECK(cables == 1);
  for (const auto& [router, cables] : of_router) CHECK(cables == 2);
}

TEST_CASE("the longest way of a dragonfly is three cables") {
  check_ways(Fabric(small_node(), 72, dragonfly(2, 4, 2, 50e9)), 3);
}

// 4 x 4 x 4, two hops an axis at most; 3 x 5: one and two; 2 x 2 x 2: one each.
TEST_CASE("ways through a torus take the shorter way round each axis") {
  check_ways(Fabric(small_node(), 64, torus({4, 4, 4}, 50e9)), 6);
  check_ways(Fabric(small_node(), 15, torus({3, 5}, 50e9)), 3);
  check_ways(Fabric(small_node(), 8, torus({2, 2, 2}, 50e9)), 3);
}

// NIC 4 us and router 1 us, half of it at each end, and 1 us a cable: 5 + 3 over (1, 2) of a 4 x 4 torus.
TEST_CASE("each cable of the way adds its latency") {
  const Fabric fabric(small_node(), 16, torus({4, 4}, 50e9));
  CHECK(Paths(fabric).path(GpuId(0), GpuId(9), 0).latency.value == doctest::Approx(8e-6).epsilon(1e-12));
  const Fabric groups(small_node(), 72, dragonfly(2, 4, 2, 50e9));
  // Router 0 of group 0 has the cable to group 1; its other end is router 3 of group 1, the last port.
  CHECK(Paths(groups).path(GpuId(0), GpuId(14), 0).latency.value == doctest::Approx(7e-6).epsilon(1e-12));
}

// Halves of 4 x 4 x 4 along the last axis: 16 rings cut twice. Halves of an 8 x 8: 8 rings. Unwrapped 2 x 2 x 2: 4 cables.
TEST_CASE("the bisection of a torus is two cables for each ring that is cut") {
  CHECK(bisection(Fabric(small_node(), 64, torus({4, 4, 4}, 10e9))).bandwidth.value ==
        doctest::Approx(320e9).epsilon(1e-9));
  CHECK(bisection(Fabric(small_node(), 64, torus({8, 8}, 10e9))).bandwidth.value ==
        doctest::Approx(160e9).epsilon(1e-9));
  CHECK(bisection(Fabric(small_node(), 8, torus({2, 2, 2}, 10e9))).bandwidth.value ==
        doctest::Approx(40e9).epsilon(1e-9));
}

// 8 groups of 4 routers: floor(8 / 7) = 1 cable between any two, 4 x 4 of them between the halves; 5 groups: 2.
TEST_CASE("the bisection of a dragonfly is the cables between the groups of its halves") {
  CHECK(bisection(Fabric(small_node(), 64, dragonfly(2, 4, 2, 10e9))).bandwidth.value ==
        doctest::Approx(160e9).epsilon(1e-9));
  CHECK(bisection(Fabric(small_node(), 32, dragonfly(2, 4, 2, 10e9))).bandwidth.value ==
        doctest::Approx(2 * 2 * 2 * 10e9).epsilon(1e-9));
}

TEST_CASE("a failed cable is gone round, and missing from the bisection") {
  Fabric fabric(small_node(), 64, torus({8, 8}, 10e9));
  fabric.set_health(fabric.find_link("router0-router1"), 0);
  const Paths paths(fabric);
  const Paths::Path path = paths.path(GpuId(0), GpuId(1), 0);
  CHECK(path.links.size() == 4 + 3);  // round a square
  fabric.set_health(fabric.find_link("router24-router32"), 0);
  CHECK(bisection(fabric).bandwidth.value == doctest::Approx(150e9).epsilon(1e-9));
}

// A ring of 8 routers whose cables are narrower than the NICs: the ring over them runs at the cable's rate. In an
// all-to-all 4 x 4 pairs cross each way between the halves over two cables: 8 flows on each.
TEST_CASE("collectives over a ring of routers get what its cables carry") {
  const Fabric fabric(small_node(), 8, torus({8}, 20e9));
  const Paths paths(fabric);
  const std::vector<std::vector<GpuId>> group{first(8)};
  CHECK(lockstep_rates(paths, Collective::all_gather, group).slowest.value ==
        doctest::Approx(20e9).epsilon(1e-9));
  const double to_one = lockstep_rates(paths, Collective::all_to_all, group).slowest.value;
  CHECK(to_one <= 20e9 / 8 * (1 + 1e-9));
  CHECK(to_one > 0.6 * 20e9 / 8);  // opposite pairs take a way round by hash
}

// All nodes of one group of a dragonfly send to the next one: 8 nodes over one cable.
TEST_CASE("rings between neighbour groups of a dragonfly share the one cable between them") {
  const Fabric fabric(small_node(), 72, dragonfly(2, 4, 2, 50e9));
  std::vector<std::vector<GpuId>> pairs;
  for (int node = 0; node < 8; ++node) pairs.push_back({GpuId(node), GpuId(node + 8)});
  const LockstepRates rates = lockstep_rates(Paths(fabric), Collective::all_gather, pairs);
  CHECK(rates.slowest.value == doctest::Approx(50e9 / 8).epsilon(1e-9));
  CHECK(rates.busiest_link.find("router") == 0);
}

TEST_CASE("a network of routers prices by flows, and never under the bound of a cut") {
  for (const FabricSpec& spec : {torus({4, 4, 4}, 10e9), dragonfly(2, 4, 2, 10e9)}) {
    const Fabric fabric(small_node(), 64, spec);
    const Network network(fabric, packed_placement(64));
    for (const int ranks : {2, 8, 32, 64})
      for (const Collective c : {Collective::all_reduce, Collective::all_gather, Collective::all_to_all}) {
        std::vector<RankId> members;
        std::vector<GpuId> gpus;
        for (int rank = 0; rank < ranks; ++rank) members.emplace_back(rank), gpus.emplace_back(rank);
        const GroupLinks links = network.group(members, 64 / ranks);
        const Seconds time = network.collective(c, Bytes(1e9), links).time;
        CHECK(time >= cut_bound(c, fabric, gpus, Bytes(1e9)));
      }
    CHECK(network.point_to_point(RankId(0), RankId(1), Bytes(1e9)).value >= 1e9 / 50e9);
  }
}

TEST_CASE("a shape that does not hold the nodes is refused with what it holds") {
  CHECK(error_of(torus({4, 4}, 1e9), 17) ==
        "fabric 'torus' has room for 16 nodes, but the cluster has 17; change its sides, or leave them out");
  CHECK(error_of(dragonfly(1, 2, 1, 1e9), 8) ==
        "fabric 'dragonfly' joins at most 3 groups (2 routers x 1 global links + 1), but 8 nodes are 4; add "
        "routers, "
        "global links or nodes per router");
  CHECK(error_of(torus({}, 1e9), 24).empty());
}

// Twice the side on each of two axes is four times the room, and 64 places more for small clusters: 464 for 100 nodes.
TEST_CASE("a torus may have four times the room that its nodes need, and 64 more") {
  CHECK(error_of(torus({4, 116}, 1e9), 100).empty());
  CHECK(
      error_of(torus({5, 93}, 1e9), 100) ==
      "fabric 'torus' has room for 465 nodes, but the cluster has 100; change its sides, or leave them out");
}

// Whole sides, from the shortest: 2 is the largest divisor of 24 up to its cube root of 2.9, 3 that of 12 up to 3.5. The
// cube root of 64 and the square root of 100 are whole.
TEST_CASE("a torus without sides is as near to a cube as its chips can be cut") {
  CHECK(torus_sides(24, 3) == std::vector<int>{2, 3, 4});
  CHECK(torus_sides(20, 2) == std::vector<int>{4, 5});
  CHECK(torus_sides(64, 3) == std::vector<int>{4, 4, 4});
  CHECK(torus_sides(100, 2) == std::vector<int>{10, 10});
  CHECK(torus_sides(7, 2) == std::vector<int>{1, 7});
}

// Router 0 to router 10 of a 4 x 4 torus is two hops along each axis, which both ways round are: two orders of the axes x
// two ways each = 8 minimal ways, and eight parts to take them.
TEST_CASE("an adaptive flow between routers is eight parts, and they take several of the minimal ways") {
  const Fabric fabric(small_node(), 16, torus({4, 4}, 50e9));
  const std::vector<Paths::Path> parts = Paths(fabric).between(GpuId(0), GpuId(10));
  CHECK(parts.size() == 8);
  std::set<std::vector<std::int32_t>> ways;
  for (const Paths::Path& part : parts) {
    CHECK(part.links.size() == 4 + 4);
    ways.insert(part.links);
  }
  CHECK(ways.size() > 2);
}

TEST_CASE("a dragonfly and a torus are read from YAML, and keys of the other kind are refused") {
  const auto read = [](const std::string& text) {
    Document document = Document::parse(text, "f.yaml");
    FabricSpec spec = read_fabric(document.root());
    document.finish();
    return spec;
  };
  const FabricSpec flies = read(
      "kind: dragonfly\nnodes_per_router: 4\ngroup_routers: 16\nglobal_links: 8\nlink_bandwidth: 200 Gbps\n"
      "latency: 0.3 us\nglobal_latency: 0.6 us\n");
  CHECK(flies.routers.group == 16);
  CHECK(flies.routers.link.value == doctest::Approx(25e9).epsilon(1e-12));
  CHECK(flies.routers.global_latency.value == doctest::Approx(0.6e-6).epsilon(1e-12));
  const FabricSpec grid = read("kind: torus\nsides: [8, 4]\nlink_bandwidth: 400 Gbps\n");
  CHECK(grid.routers.sides == std::vector<int>{8, 4});
  CHECK(grid.routers.axes == 2);
  try {
    read("kind: torus\nsides: [8, 4]\naxes: 3\nlink_bandwidth: 400 Gbps\n");
    FAIL("read");
  } catch (const ConfigError& error) {
    INFO(std::string(error.what()));
    CHECK(std::string(error.what())
              .find("f.yaml:2:1: 'sides' must have one count for each of the 3 axes, or be left out") == 0);
  }
  CHECK_THROWS_AS(read("kind: torus\nlink_bandwidth: 400 Gbps\nglobal_links: 8\n"), ConfigError);
  CHECK_THROWS_AS(read("kind: dragonfly\ngroup_routers: 4\nlink_bandwidth: 400 Gbps\n"), ConfigError);
}
