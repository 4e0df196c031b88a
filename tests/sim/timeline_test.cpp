// Spans, their overlaps, totals and digest.
#include "sim/timeline.hpp"

#include <doctest/doctest.h>

using namespace runcast;
using namespace runcast::literals;

TEST_CASE("totals add the spans of a category, for one resource or for all") {
  Timeline t;
  const auto r0 = t.resource("rank 0"), r1 = t.resource("rank 1");
  const auto forward = t.category("F"), backward = t.category("B");
  t.record(r0, forward, Time{0}, Time{10});
  t.record(r0, backward, Time{10}, Time{30});
  t.record(r1, forward, Time{5}, Time{12});
  CHECK(t.totals() == std::vector<Duration>{17_ns, 20_ns});
  CHECK(t.totals(r1) == std::vector<Duration>{7_ns, 0_ns});
  CHECK(t.resource("rank 0") == r0);
  CHECK(t.categories() == std::vector<std::string>{"F", "B"});
}

TEST_CASE("spans of one resource may touch but not overlap; other resources do not matter") {
  Timeline t;
  const auto r0 = t.resource("rank 0"), r1 = t.resource("rank 1");
  const auto f = t.category("F");
  t.record(r0, f, Time{10}, Time{20}, 2);
  t.record(r0, f, Time{0}, Time{10}, 1);
  t.record(r0, f, Time{20}, Time{20}, 3);
  t.record(r1, f, Time{5}, Time{15}, 4);
  CHECK(!t.overlap());
  t.record(r0, f, Time{19}, Time{25}, 5);
  REQUIRE(t.overlap());
  CHECK(t.overlap()->first.label == 2);
  CHECK(t.overlap()->second.label == 5);
}

TEST_CASE("a span that lies wholly inside another is an overlap, also behind a short one") {
  Timeline t;
  const auto r = t.resource("gpu");
  const auto c = t.category("c");
  t.record(r, c, Time{0}, Time{100}, 1);
  t.record(r, c, Time{100}, Time{101}, 2);
  CHECK(!t.overlap());
  t.record(r, c, Time{40}, Time{41}, 3);
  REQUIRE(t.overlap());
  CHECK(t.overlap()->second.label == 3);
}

TEST_CASE("FNV-1a of the published test strings") {
  // Vectors of the FNV authors' test suite (isthe.com/chongo/tech/comp/fnv): "", "a", "foobar".
  CHECK(fnv1a("") == 0xcbf29ce484222325);
  CHECK(fnv1a("a") == 0xaf63dc4c8601ec8c);
  CHECK(fnv1a("foobar") == 0x85944171f73967e8);
}

TEST_CASE("the digest does not depend on who recorded first, and changes with every field") {
  const auto digest = [](bool swapped, std::int64_t end, std::int64_t label, const char* name) {
    Timeline t;
    if (swapped) t.resource("b"), t.category("wait");
    const auto a = t.resource("a"), b = t.resource("b");
    const auto work = t.category(name), wait = t.category("wait");
    if (swapped) t.record(b, wait, Time{3}, Time{4});
    t.record(a, work, Time{0}, Time{end}, label);
    if (!swapped) t.record(b, wait, Time{3}, Time{4});
    return t.digest();
  };
  const std::uint64_t plain = digest(false, 10, 1, "work");
  CHECK(digest(true, 10, 1, "work") == plain);
  CHECK(digest(false, 11, 1, "work") != plain);
  CHECK(digest(false, 10, 2, "work") != plain);
  CHECK(digest(false, 10, 1, "walk") != plain);
  // Pinned: a change of this value breaks every golden file of every user.
  Timeline t;
  t.record(t.resource("rank 0"), t.category("F"), Time{0}, Time{10}, 7);
  CHECK(t.digest() == 0x92f9482099151254);
}

TEST_CASE("a span that ends before it starts, or of an unknown resource, is a bug") {
  Timeline t;
  const auto r = t.resource("gpu"), c = t.category("c");
  CHECK_THROWS_AS(t.record(r, c, Time{2}, Time{1}), InternalError);
  CHECK_THROWS_AS(t.record(r + 1, c, Time{1}, Time{2}), InternalError);
  CHECK_THROWS_AS(t.record(r, -1, Time{1}, Time{2}), InternalError);
}
