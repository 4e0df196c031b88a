// Maximum flows between the halves of clusters whose uplinks are known.
#include "topology/bisection.hpp"

#include <doctest/doctest.h>

#include "tests/topology/library.hpp"

using namespace runcast;

namespace {

// 8 nodes of 8 NICs at 50 GB/s on rails, leaves of 4 nodes with `oversubscription`, 4 spines.
Fabric two_leaves(double oversubscription) {
  NodeSpec node;
  node.name = "plain";
  node.scale_up_kind = "nvswitch";
  node.scale_up = {"NVLink", Bandwidth(400e9), Seconds(0), 1.0};
  node.nic = {"NIC", Bandwidth(50e9), Seconds(0), 1.0};
  node.host_link = Bandwidth(64e9);
  FabricSpec spec;
  spec.name = "plain";
  spec.rails = true;
  spec.tiers = {{"leaf", 4, oversubscription, Seconds(0), 1}, {"spine", 0, 1.0, Seconds(0), 4}};
  return Fabric(node, 8, spec);
}

}  // namespace

// 4 nodes x 8 NICs x 50 GB/s = 1,600 GB/s, halved above the leaves.
TEST_CASE("the bisection of a non-blocking fabric is what its NICs send, of 2:1 half of it") {
  CHECK(bisection(two_leaves(1)).bandwidth.value == doctest::Approx(1600e9).epsilon(1e-6));
  CHECK(bisection(two_leaves(2)).bandwidth.value == doctest::Approx(800e9).epsilon(1e-6));
  CHECK(bisection(two_leaves(2)).full.value == doctest::Approx(1600e9).epsilon(1e-12));
  CHECK(bisection(two_leaves(2)).nodes == 4);
}

// Each of 8 rails has 4 uplinks of 25 GB/s: 800 - 25.
TEST_CASE("a failed uplink is missing from the bisection") {
  Fabric fabric = two_leaves(2);
  fabric.set_health(fabric.find_link("leaf0-spine2"), 0);
  CHECK(bisection(fabric).bandwidth.value == doctest::Approx(775e9).epsilon(1e-6));
}
