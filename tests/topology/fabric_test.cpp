#include "topology/fabric.hpp"

#include <doctest/doctest.h>

#include <string>

#include "tests/topology/library.hpp"
#include "topology/builders.hpp"
#include "topology/routing.hpp"

using namespace runcast;

namespace {

// A node of 8 GPUs at 400 GB/s, 8 NICs at 50 GB/s, all at full efficiency.
NodeSpec plain_node() {
  NodeSpec node;
  node.name = "plain";
  node.scale_up_kind = "nvswitch";
  node.scale_up = {"NVLink", Bandwidth(400e9), Seconds(2e-6), 1.0};
  node.nic = {"NIC", Bandwidth(50e9), Seconds(4e-6), 1.0};
  node.host_link = Bandwidth(64e9);
  return node;
}

FabricSpec two_tiers(bool rails) {
  FabricSpec spec;
  spec.name = "two tiers";
  spec.rails = rails;
  spec.tiers = {{"leaf", 4, 2.0, Seconds(1e-6), 1}, {"spine", 0, 1.0, Seconds(1e-6), 2}};
  spec.routing_efficiency = 1;
  return spec;
}

std::string names(const Fabric& fabric, const Route& route) {
  std::string text;
  for (const LinkId link : route.links) text += (text.empty() ? "" : " ") + fabric.link(link).name;
  return text;
}

std::string construction_error(NodeSpec node, int nodes, FabricSpec spec) {
  try {
    const Fabric fabric(std::move(node), nodes, std::move(spec));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

// 8 nodes: 64 GPUs, 8 NVSwitches, 64 NICs, 2 groups x 8 rail leaves, 2 spines = 154 vertices.
// Cables: 64 GPU-NVSwitch, 64 GPU-NIC, 64 NIC-leaf, 16 leaves x 2 spines = 224, two links each.
TEST_CASE("eight nodes on rails of two tiers are 154 vertices and 448 links") {
  const Fabric fabric(plain_node(), 8, two_tiers(true));
  CHECK(fabric.gpus() == 64);
  CHECK(fabric.vertices() == 154);
  CHECK(fabric.links() == 448);
  CHECK(fabric.kind(fabric.vertex_of(GpuId(63))) == VertexKind::gpu);
  CHECK(fabric.vertex_name(fabric.vertex_of(GpuId(63))) == "node7.gpu7");
}

// A group of 4 nodes puts 4 x 8 x 50 = 1600 GB/s into its leaves, half of it goes up: 800 GB/s over
// 8 leaves x 2 spines = 50 GB/s a bundle on rails, 400 GB/s each where the group has one leaf.
TEST_CASE("an oversubscribed group has its uplink capacity divided over its bundles") {
  const Fabric rails(plain_node(), 8, two_tiers(true)), plain(plain_node(), 8, two_tiers(false));
  CHECK(rails.link(rails.find_link("leaf15-spine1")).bandwidth.value == doctest::Approx(50e9).epsilon(1e-12));
  CHECK(plain.link(plain.find_link("leaf1-spine0")).bandwidth.value == doctest::Approx(400e9).epsilon(1e-12));
  CHECK(plain.find_link("leaf2-spine0").value == -1);
  CHECK(plain.link(plain.find_link("node3.nic5-leaf0")).bandwidth.value ==
        doctest::Approx(50e9).epsilon(1e-12));
}

TEST_CASE("two GPUs meet in their node, at their leaf or at the spine") {
  const Fabric fabric(plain_node(), 8, two_tiers(true));
  CHECK(fabric.meeting_tier(GpuId(0), GpuId(7)) == 0);
  CHECK(fabric.meeting_tier(GpuId(0), GpuId(8)) == 1);
  CHECK(fabric.meeting_tier(GpuId(0), GpuId(31)) == 1);
  CHECK(fabric.meeting_tier(GpuId(0), GpuId(32)) == 2);
}

TEST_CASE("a route inside the node takes NVLink, on a rail one leaf, between groups a spine") {
  const Fabric fabric(plain_node(), 8, two_tiers(true));
  CHECK(names(fabric, *find_route(fabric, GpuId(2), GpuId(5))) ==
        "node0.gpu2-node0.nvswitch node0.nvswitch-node0.gpu5");
  CHECK(names(fabric, *find_route(fabric, GpuId(2), GpuId(10))) ==
        "node0.gpu2-node0.nic2 node0.nic2-leaf2 leaf2-node1.nic2 node1.nic2-node1.gpu2");
  const std::string up = names(fabric, *find_route(fabric, GpuId(2), GpuId(34)));
  CHECK(up.find("node0.gpu2-node0.nic2 node0.nic2-leaf2 leaf2-spine") == 0);
  CHECK(find_route(fabric, GpuId(2), GpuId(2))->links.empty());
}

// Route latencies: NVLink 2 us; NIC 4 + leaf 1; NIC 4 + leaf up 1 + spine 1 + leaf down 1.
TEST_CASE("the latency of a route is that of its NICs and switches") {
  const Fabric fabric(plain_node(), 8, two_tiers(true));
  const auto latency = [&](int to) {
    return latency_of(fabric, *find_route(fabric, GpuId(2), GpuId(to))).value * 1e6;
  };
  CHECK(latency(5) == doctest::Approx(2).epsilon(1e-12));
  CHECK(latency(10) == doctest::Approx(5).epsilon(1e-12));
  CHECK(latency(34) == doctest::Approx(7).epsilon(1e-12));
}

TEST_CASE("the way back is the way there, and asking again gives the same way") {
  const Fabric fabric(plain_node(), 16, two_tiers(false)), twin(plain_node(), 16, two_tiers(false));
  for (int a = 0; a < 128; a += 11)
    for (int b = 0; b < 128; b += 7) {
      const Route there = *find_route(fabric, GpuId(a), GpuId(b));
      const Route back = *find_route(fabric, GpuId(b), GpuId(a));
      const Route again = *find_route(twin, GpuId(a), GpuId(b));
      REQUIRE(there.links.size() == back.links.size());
      CHECK(there.links == again.links);
      for (std::size_t i = 0; i < there.links.size(); ++i)
        CHECK(fabric.reverse(there.links[i]) == back.links[back.links.size() - 1 - i]);
    }
}

TEST_CASE("each link of a route starts where the one before ended") {
  const Fabric fabric(plain_node(), 16, two_tiers(true));
  for (int b = 1; b < 128; b += 5) {
    VertexId at = fabric.vertex_of(GpuId(0));
    const Route route = *find_route(fabric, GpuId(0), GpuId(b));
    for (const LinkId id : route.links) {
      CHECK(fabric.link(id).from == at);
      at = fabric.link(id).to;
    }
    CHECK(at == fabric.vertex_of(GpuId(b)));
  }
}

// 64 pairs over 2 spines: with a fair hash each is chosen between 16 and 48 times but for 1 case in 10^4.
TEST_CASE("equal paths share the pairs by hash") {
  const Fabric fabric(plain_node(), 16, two_tiers(false));
  int first = 0;
  for (int i = 0; i < 64; ++i)
    first +=
        names(fabric, *find_route(fabric, GpuId(i % 32), GpuId(64 + i))).find("spine0") != std::string::npos;
  CHECK(first > 16);
  CHECK(first < 48);
}

TEST_CASE("a failed link is gone round, and a cut is told") {
  Fabric fabric(plain_node(), 8, two_tiers(true));
  CHECK_FALSE(fabric.degraded());
  fabric.set_health(fabric.find_link("leaf2-spine0"), 0);
  CHECK(fabric.degraded());
  CHECK(names(fabric, *find_route(fabric, GpuId(2), GpuId(34))).find("leaf2-spine1 spine1-leaf10") !=
        std::string::npos);
  fabric.set_health(fabric.find_link("leaf2-spine1"), 0);  // now over a peer GPU's rail
  const std::string detour = names(fabric, *find_route(fabric, GpuId(2), GpuId(34)));
  CHECK(detour.find("node0.gpu2-node0.nvswitch") == 0);
  for (int leaf = 0; leaf < 8; ++leaf)
    for (int spine = 0; spine < 2; ++spine)
      fabric.set_health(fabric.find_link("leaf" + std::to_string(leaf) + "-spine" + std::to_string(spine)),
                        0);
  CHECK_FALSE(find_route(fabric, GpuId(2), GpuId(34)).has_value());
  CHECK(find_route(fabric, GpuId(2), GpuId(10)).has_value());
}

TEST_CASE("health belongs to the cable and heals without a trace") {
  Fabric fabric(plain_node(), 8, two_tiers(true));
  const LinkId link = fabric.find_link("spine1-leaf3");
  fabric.set_health(link, 0.5);
  CHECK(fabric.link(fabric.find_link("leaf3-spine1")).health == 0.5);
  fabric.set_health(link, 1);
  CHECK_FALSE(fabric.degraded());
}

// NVL72 is 18 trays of 4. 256 GPUs are 64 trays: four racks of 16 (64 GPUs); 144 GPUs two whole racks;
// 76 GPUs = 19 trays have no even share of at least half a rack, so that one rack is full and one has a tray.
TEST_CASE("racks are filled evenly where none is less than half full") {
  const auto per_domain = [](int trays) {
    return Fabric(load_node("gb200-nvl72"), trays, load_fabric("nvl72-ib")).gpus_per_domain();
  };
  CHECK(per_domain(2) == 8);
  CHECK(per_domain(64) == 64);
  CHECK(per_domain(36) == 72);
  CHECK(per_domain(19) == 72);
  CHECK(per_domain(49) == 72);  // seven racks of 7 trays would be less than half full
  CHECK(Fabric(load_node("gb200-nvl72"), 64, load_fabric("nvl72-ib")).domains() == 4);
}

TEST_CASE("a fabric that cannot join the nodes is refused with what would") {
  CHECK(construction_error(plain_node(), 4, load_fabric("none")) ==
        "fabric 'none' joins no nodes, but 4 nodes of plain are 4 scale-up domains; name a fabric with "
        "tiers, or "
        "use 1 node");
  FabricSpec small = two_tiers(true);
  small.tiers.pop_back();
  CHECK(construction_error(plain_node(), 5, small) ==
        "fabric 'two tiers' joins at most 4 nodes (tier 'leaf'), but the cluster has 5; add a tier above it, "
        "or "
        "use fewer nodes");
  CHECK(construction_error(plain_node(), 1, load_fabric("none")).empty());
  CHECK(construction_error(load_node("gb200-nvl72"), 18, load_fabric("none")).empty());
}

// A mesh of 8 has 28 cables; 4 bridges of pairs and 8 PCIe ports are 12; a 2 x 2 x 4 torus of 16 chips has
// 16 / 2 + 16 / 2 + 16 = 32 cables (no wrap on sides of 2).
TEST_CASE("every kind of scale-up domain is drawn with its cables") {
  const auto cables = [](const char* name, int nodes) {
    return Fabric(load_node(name), nodes, load_fabric("none")).links() / 2;
  };
  CHECK(cables("hgx-h100", 1) == 8);
  CHECK(cables("mi300x-8", 1) == 28);
  CHECK(cables("pcie-a10-8", 1) == 8);
  CHECK(cables("tpu-v5p", 4) == 32);
  const Fabric paired(load_node("pcie-a40-8"), 2, two_tiers(false));
  CHECK(paired.domains() == 8);
  CHECK(names(paired, *find_route(paired, GpuId(0), GpuId(1))) == "node0.gpu0-node0.gpu1");
  CHECK(names(paired, *find_route(paired, GpuId(1), GpuId(2))) ==
        "node0.gpu1-node0.pcie node0.pcie-node0.gpu2");
}

// 400 GB/s of a GPU over 7 peers of a mesh of 8; over the 2 ends of each of 3 axes of a torus.
TEST_CASE(
    "the links of a scale-up domain share what a GPU has; pairs of a node go over half a step of PCIe") {
  const auto first_link = [](const char* kind, int domain, int axes) {
    NodeSpec node = plain_node();
    node.scale_up_kind = kind;
    node.scale_up_domain = domain;
    node.torus_axes = axes;
    const Fabric fabric(node, 1, load_fabric("none"));
    return fabric.link(fabric.find_link("node0.gpu0-node0.gpu1"));
  };
  CHECK(first_link("mesh", 8, 0).bandwidth.value == doctest::Approx(400e9 / 7).epsilon(1e-12));
  CHECK(first_link("torus", 8, 3).bandwidth.value == doctest::Approx(400e9 / 6).epsilon(1e-12));
  NodeSpec paired = plain_node();
  paired.scale_up_kind = "pairs";
  paired.scale_up_domain = 2;
  const Fabric fabric(paired, 1, load_fabric("none"));
  const Link& pcie = fabric.link(fabric.find_link("node0.gpu0-node0.pcie"));
  CHECK(pcie.bandwidth.value == doctest::Approx(64e9).epsilon(1e-12));
  CHECK(pcie.latency.value == doctest::Approx(1e-6).epsilon(1e-12));  // of 2 us a step
  const Fabric two(plain_node(), 8, two_tiers(true));
  const Link& to_nic = two.link(two.find_link("node0.gpu0-node0.nic0"));
  CHECK(to_nic.bandwidth.value == doctest::Approx(64e9).epsilon(1e-12));
  CHECK(to_nic.efficiency == doctest::Approx(1).epsilon(1e-12));
  CHECK(to_nic.health == doctest::Approx(1).epsilon(1e-12));
}

TEST_CASE("a switch that takes 4 us more delays a route through it by 4 us, half on each side") {
  Fabric fabric(plain_node(), 8, two_tiers(true));
  const Route route = *find_route(fabric, GpuId(2), GpuId(10));  // over one leaf
  const double before = latency_of(fabric, route).value;
  fabric.set_switch(fabric.find_vertex("leaf2"), 1, Seconds(4e-6));
  CHECK(latency_of(fabric, route).value - before == doctest::Approx(4e-6).epsilon(1e-9));
  for (const LinkId id : route.links) {
    const double extra = fabric.link(id).extra_latency.value;
    CHECK((extra == 0 || extra == doctest::Approx(2e-6).epsilon(1e-9)));
  }
}

TEST_CASE("every library node routes on every library fabric that can join two of it") {
  for (const char* node :
       {"hgx-h100", "gb200-nvl72", "mi300x-8", "pcie-a40-8", "pcie-a10-8", "dgx-v100", "hgx-a100-80-4x100g"})
    for (const char* fabric_name : {"infiniband-ndr-rail", "llama3-roce", "ethernet-clos-2to1", "nvl72-ib"}) {
      const Fabric fabric(load_node(node), 20, load_fabric(fabric_name));
      const int last = fabric.gpus() - 1;
      CAPTURE(node);
      CAPTURE(fabric_name);
      CHECK(find_route(fabric, GpuId(0), GpuId(last)).has_value());
      CHECK(fabric.meeting_tier(GpuId(0), GpuId(last)) >= 1);
    }
}

TEST_CASE("builders are tables with a sentence for each row") {
  CHECK(scale_up_kinds().size() == scale_up_builders().size());
  for (const BuilderRow& row : scale_up_builders()) CHECK_FALSE(row.sentence.empty());
  for (const BuilderRow& row : fabric_builders()) CHECK_FALSE(row.sentence.empty());
}
