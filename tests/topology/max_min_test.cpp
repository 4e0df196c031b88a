// Systems whose shares are derived by hand, and random ones against an independent progressive filling in Eigen.
#include "topology/max_min.hpp"

#include <doctest/doctest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <limits>
#include <vector>

#include "sim/random.hpp"

using namespace runcast;

namespace {

using Links = std::vector<std::int32_t>;

// A system and the classes that were added to it.
struct System {
  MaxMin shares;
  std::vector<Links> routes;
  explicit System(std::vector<double> capacities) : shares(std::move(capacities)) {}
  int add(Links links, int flows = 1) {
    const int id = shares.add_class(links);
    routes.push_back(std::move(links));
    shares.change(id, flows);
    return id;
  }
  void settle() { (void)shares.solve(); }
};

// Progressive filling over whole vectors: all rates that are not fixed rise by the least room of any link.
Eigen::VectorXd filled(const System& system) {
  const auto links = system.shares.link_count();
  const auto classes = static_cast<int>(system.routes.size());
  Eigen::MatrixXd crosses = Eigen::MatrixXd::Zero(links, classes);
  Eigen::VectorXd flows(classes), room(links);
  for (int c = 0; c < classes; ++c) {
    flows(c) = system.shares.flows(c);
    for (const std::int32_t link : system.routes[static_cast<std::size_t>(c)]) crosses(link, c) = 1;
  }
  for (int l = 0; l < links; ++l) room(l) = system.shares.capacity(l);
  Eigen::VectorXd rate = Eigen::VectorXd::Zero(classes), open = (flows.array() > 0).cast<double>();
  while (open.sum() > 0) {
    const Eigen::VectorXd rising = crosses * flows.cwiseProduct(open);
    double step = std::numeric_limits<double>::infinity();
    for (int l = 0; l < links; ++l)
      if (rising(l) > 0) step = std::min(step, room(l) / rising(l));
    rate += step * open;
    room -= step * rising;
    for (int l = 0; l < links; ++l)
      if (rising(l) > 0 && room(l) <= 1e-12 * system.shares.capacity(l))
        for (int c = 0; c < classes; ++c)
          if (crosses(l, c) > 0) open(c) = 0;
  }
  return rate;
}

double furthest(const System& system) {
  const Eigen::VectorXd expected = filled(system);
  double worst = 0;
  for (int c = 0; c < static_cast<int>(system.routes.size()); ++c)
    if (system.shares.flows(c) > 0)
      worst = std::max(worst, std::abs(system.shares.rate(c) / expected(c) - 1));
  return worst;
}

// No link over capacity, and each class has a full link on which nobody is faster: then no work is left undone.
bool is_max_min(const System& system) {
  const MaxMin& shares = system.shares;
  for (int l = 0; l < shares.link_count(); ++l)
    if (shares.load(l) > shares.capacity(l) * (1 + 1e-12)) return false;
  for (int c = 0; c < shares.classes(); ++c) {
    if (shares.flows(c) == 0) continue;
    bool bottleneck = false;
    for (const std::int32_t link : shares.links(c)) {
      bool fastest = shares.load(link) >= shares.capacity(link) * (1 - 1e-12);
      for (int other = 0; other < shares.classes(); ++other) {
        const auto crossed = shares.links(other);
        if (shares.flows(other) > 0 && std::find(crossed.begin(), crossed.end(), link) != crossed.end())
          fastest = fastest && shares.rate(other) <= shares.rate(c) * (1 + 1e-12);
      }
      bottleneck = bottleneck || fastest;
    }
    if (!bottleneck) return false;
  }
  return true;
}

}  // namespace

// Capacity 10, 4 flows: 2.5 each. One goes: 10/3.
TEST_CASE("flows on one link share it equally") {
  System system({10});
  const int all = system.add({0}, 4);
  system.settle();
  CHECK(system.shares.rate(all) == 2.5);
  system.shares.change(all, -1);
  system.settle();
  CHECK(system.shares.rate(all) == doctest::Approx(10.0 / 3).epsilon(1e-15));
}

// Links of 1, 1: flow A over both, B over the first, C over the second. All rise to 1/2, where both links are full.
TEST_CASE("a flow over two links takes half of each from those that cross one") {
  System system({1, 1});
  const int a = system.add({0, 1}), b = system.add({0}), c = system.add({1});
  system.settle();
  CHECK(system.shares.rate(a) == 0.5);
  CHECK(system.shares.rate(b) == 0.5);
  CHECK(system.shares.rate(c) == 0.5);
}

// Bertsekas & Gallager's example: links of 1, 1, 1; three flows on link 0, one of which goes on over 1 and 2; one
// flow more on 1; one on 2. Link 0 fills at 1/3: three flows have 1/3. Links 1 and 2 then have 2/3 left for one flow.
TEST_CASE("what a narrow link leaves over goes to the others") {
  System system({1, 1, 1});
  const int through = system.add({0, 1, 2}), local = system.add({0}, 2), second = system.add({1}),
            third = system.add({2});
  system.settle();
  CHECK(system.shares.rate(through) == doctest::Approx(1.0 / 3).epsilon(1e-15));
  CHECK(system.shares.rate(local) == doctest::Approx(1.0 / 3).epsilon(1e-15));
  CHECK(system.shares.rate(second) == doctest::Approx(2.0 / 3).epsilon(1e-15));
  CHECK(system.shares.rate(third) == doctest::Approx(2.0 / 3).epsilon(1e-15));
}

// Capacities 6, 10, 20. A: {0}, B: {0, 1}, C: {1, 2}, D: {2}. Link 0 fills at 3: A = B = 3. Link 1 has 7 left for C;
// link 2 has 20 for C and D and would fill at 10, so link 1 fills first: C = 7. D takes 20 - 7 = 13.
// A goes: link 0 allows B 6, link 1 fills at 5: B = C = 5, D = 15.
// Link 1 loses 4 of 10: B = C = 3, D = 17.
TEST_CASE("three levels of filling, a departure and a degraded link") {
  System system({6, 10, 20});
  const int a = system.add({0}), b = system.add({0, 1}), c = system.add({1, 2}), d = system.add({2});
  system.settle();
  CHECK(system.shares.rate(a) == 3);
  CHECK(system.shares.rate(b) == 3);
  CHECK(system.shares.rate(c) == 7);
  CHECK(system.shares.rate(d) == 13);
  system.shares.change(a, -1);
  system.settle();
  CHECK(system.shares.rate(b) == 5);
  CHECK(system.shares.rate(c) == 5);
  CHECK(system.shares.rate(d) == 15);
  system.shares.set_capacity(1, 6);
  system.settle();
  CHECK(system.shares.rate(b) == 3);
  CHECK(system.shares.rate(c) == 3);
  CHECK(system.shares.rate(d) == 17);
}

TEST_CASE("a change touches its own connected component only, and none if flows come and go at once") {
  System system({1, 1, 1, 1});
  const int left = system.add({0, 1}), right = system.add({2, 3});
  system.settle();
  const auto before = system.shares.visited();
  system.shares.change(left, 2);
  const auto changed = system.shares.solve();
  CHECK(std::vector<std::int32_t>(changed.begin(), changed.end()) == std::vector<std::int32_t>{left});
  CHECK(system.shares.visited() == before + 1);
  system.shares.change(right, 1);
  system.shares.change(right, -1);
  CHECK(system.shares.solve().empty());
  CHECK(system.shares.visited() == before + 1);
}

// Rates 1 (two on link 0) and 9 (alone on what is left of link 1). The fast one goes and comes: the slow ones are
// below its level.
TEST_CASE("what freezes below the level of a change is not looked at again") {
  System system({2, 10});
  system.add({0});
  system.add({0, 1});
  const int fast = system.add({1});
  system.settle();
  CHECK(system.shares.rate(fast) == 9);
  const auto before = system.shares.visited();
  system.shares.change(fast, -1);
  system.settle();
  CHECK(system.shares.visited() == before);
}

// Capacities 10 and 3. A over both, four of B on the first: 2 each, and the second is not full. A second flow of A: at
// 10/6 each the two would take 3.3 of the second link, which fills at 1.5; B has (10 - 3) / 4.
TEST_CASE("more flows of a class fill a link that was not full before") {
  System system({10, 3});
  const int a = system.add({0, 1}), b = system.add({0}, 4);
  system.settle();
  CHECK(system.shares.rate(a) == 2);
  system.shares.change(a, 1);
  system.settle();
  CHECK(system.shares.rate(a) == 1.5);
  CHECK(system.shares.rate(b) == 1.75);
  CHECK(system.shares.load(1) == 3);
}

// A line of 30 links of capacity 10, a flow over each two neighbours: all have 5. Two flows more on link 0: three have 10/3
// there. Link 1 would give its other flow 20/3, but link 2 holds it at 5: nothing changes beyond. Looked at are the new class,
// the first two of the line, and at most the one that holds the second.
TEST_CASE("a change ends where other links hold the flows") {
  System system(std::vector<double>(30, 10.0));
  for (std::int32_t link = 0; link + 1 < 30; ++link) system.add({link, link + 1});
  system.settle();
  for (int c = 0; c < 29; ++c) CHECK(system.shares.rate(c) == 5);
  const auto before = system.shares.visited();
  const int more = system.add({0}, 2);
  system.settle();
  CHECK(system.shares.visited() <= before + 4);
  CHECK(system.shares.rate(more) == doctest::Approx(10.0 / 3).epsilon(1e-15));
  CHECK(system.shares.rate(0) == doctest::Approx(10.0 / 3).epsilon(1e-15));
  CHECK(system.shares.rate(1) == 5);
  CHECK(furthest(system) < 1e-9);
}

TEST_CASE("random systems are the shares of an independent solver to 1e-9, also after random changes") {
  for (std::uint32_t seed = 1; seed <= 12; ++seed) {
    RandomStream random(seed, Purpose::placement, 7, 0);
    const int links = 5 + static_cast<int>(random.below(40));
    std::vector<double> capacities;
    for (int l = 0; l < links; ++l) capacities.push_back(1 + static_cast<double>(random.below(1000)) / 7);
    System system(capacities);
    for (int c = 0; c < 60; ++c) {
      Links route;
      const auto length = 1 + random.below(4);
      while (route.size() < length) {
        const auto link = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(links)));
        if (std::find(route.begin(), route.end(), link) == route.end()) route.push_back(link);
      }
      system.add(route, static_cast<int>(random.below(4)));
    }
    system.settle();
    CHECK(furthest(system) < 1e-9);
    for (int change = 0; change < 30; ++change) {
      const int c = static_cast<int>(random.below(60));
      system.shares.change(c, system.shares.flows(c) > 0 && random.below(2) == 0 ? -1 : 1);
      if (random.below(5) == 0)
        system.shares.set_capacity(static_cast<int>(random.below(static_cast<std::uint64_t>(links))),
                                   1 + static_cast<double>(random.below(50)));
      if (random.below(3) == 0) continue;  // several changes at once
      system.settle();
      CHECK(furthest(system) < 1e-9);
      CHECK(is_max_min(system));
    }
  }
}
