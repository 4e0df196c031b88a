#include "topology/placement.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace runcast;

TEST_CASE("packed placement puts rank i on GPU i") {
  const Placement placement = packed_placement(16);
  CHECK(placement.ranks() == 16);
  CHECK(placement[RankId(0)] == GpuId(0));
  CHECK(placement[RankId(13)] == GpuId(13));
}

// 4 nodes of 8: ranks 0..3 on slot 0 of nodes 0..3 (GPUs 0, 8, 16, 24), rank 4 on slot 1 of node 0.
TEST_CASE("scattered placement deals ranks to the nodes in turn") {
  const Placement placement = scattered_placement(32, 8, 4);
  CHECK(placement[RankId(1)] == GpuId(8));
  CHECK(placement[RankId(3)] == GpuId(24));
  CHECK(placement[RankId(4)] == GpuId(1));
  std::set<int> used;
  for (const GpuId gpu : placement.gpu) used.insert(gpu.value);
  CHECK(used.size() == 32);
}

TEST_CASE("random placement is a choice without repetition that the seed fixes") {
  const Placement once = random_placement(64, 128, 7), again = random_placement(64, 128, 7);
  const Placement other = random_placement(64, 128, 8);
  std::set<int> used;
  for (const GpuId gpu : once.gpu) {
    CHECK(gpu.value >= 0);
    CHECK(gpu.value < 128);
    used.insert(gpu.value);
  }
  CHECK(used.size() == 64);
  CHECK(once.gpu == again.gpu);
  CHECK(once.gpu != other.gpu);
}

TEST_CASE("more ranks than GPUs are a bug of the caller") {
  CHECK_THROWS_AS(scattered_placement(33, 8, 4), InternalError);
  CHECK_THROWS_AS(random_placement(9, 8, 1), InternalError);
}
