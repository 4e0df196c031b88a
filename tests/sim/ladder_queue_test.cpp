// The order of the ladder queue against a sort, where it spreads, splits and meets late arrivals.
#include "sim/ladder_queue.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <set>
#include <vector>

#include "sim/random.hpp"

using namespace runcast;

namespace {

// Pushes and pops as `draw(n)` tells delays; returns whether each event was the earliest of all that waited.
template <class Draw>
bool holds_in_order(std::size_t waiting, std::size_t holds, Draw draw) {
  LadderQueue queue;
  std::set<std::pair<std::uint64_t, std::uint64_t>> model;
  std::uint64_t order = 0;
  const auto push = [&](std::uint64_t time) {
    model.emplace(time, order);
    queue.push({time, order}, static_cast<std::uint32_t>(order));
    ++order;
  };
  for (std::size_t i = 0; i < waiting; ++i) push(draw(i));
  for (std::size_t i = 0; i < holds; ++i) {
    const auto expected = *model.begin();
    model.erase(model.begin());
    const EventKey key = queue.first();
    if (key.time != expected.first || key.order != expected.second) return false;
    if (queue.pop() != static_cast<std::uint32_t>(expected.second)) return false;
    push(key.time + draw(waiting + i));
  }
  return queue.size() == waiting;
}

}  // namespace

TEST_CASE("the ladder queue holds the order of exponential, bimodal and equal delays at any size") {
  const RandomStream random(1, Purpose::test, 0, 0);
  for (const std::size_t waiting : {1u, 7u, 49u, 500u, 5000u}) {
    CAPTURE(waiting);
    CHECK(holds_in_order(waiting, 4 * waiting + 50, [&](std::size_t n) {
      RandomStream stream(2, Purpose::test, n, 0);
      return static_cast<std::uint64_t>(stream.exponential(1e6));
    }));
    CHECK(holds_in_order(waiting, 4 * waiting + 50, [&](std::size_t n) {
      const double u = random.uniform_at(n);
      return static_cast<std::uint64_t>(u < 0.9 ? u * 100 : u * 1e15);
    }));
    CHECK(holds_in_order(waiting, 4 * waiting + 50, [](std::size_t) { return std::uint64_t{3}; }));
    // Delays of 0: late arrivals crowd the sorted bottom, which cannot be split in time.
    CHECK(holds_in_order(waiting, 4 * waiting + 50,
                         [](std::size_t n) { return static_cast<std::uint64_t>(n % 3 == 0); }));
  }
}

TEST_CASE("late arrivals before all that waits are spread over a rung of their own") {
  LadderQueue queue;
  std::uint64_t order = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) queue.push({1'000'000'000 + 1000 * i, order++}, 0);
  CHECK(queue.first().time == 1'000'000'000);  // the rungs stand now far ahead of what follows
  for (std::uint64_t i = 0; i < 5000; ++i) queue.push({(i * 7919) % 10'007, order++}, 1);
  std::uint64_t last = 0;
  for (int i = 0; i < 5000; ++i) {
    REQUIRE(queue.first().time >= last);
    last = queue.first().time;
    REQUIRE(queue.pop() == 1);
  }
  CHECK(queue.first().time == 1'000'000'000);
  CHECK(queue.size() == 1000);
}

TEST_CASE("keys at both ends of the clock are apart by the whole clock and still in order") {
  constexpr std::uint64_t kEnd = (std::uint64_t{1} << 63) - 2;
  LadderQueue queue;
  for (std::uint64_t i = 0; i < 100; ++i) queue.push({i % 2 == 0 ? kEnd - i : i, i}, 0);
  std::uint64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    REQUIRE(queue.first().time >= last);
    last = queue.first().time;
    queue.pop();
  }
  CHECK(last == kEnd);
  CHECK(queue.empty());
}
