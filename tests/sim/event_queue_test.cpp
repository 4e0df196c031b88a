// Order, reuse and refusals of the event queue.
#include "sim/event_queue.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>

using namespace runcast;
using namespace runcast::literals;

namespace {

// A queue whose events write their letter.
struct Diary {
  EventQueue queue;
  std::string written;
  void note(std::int64_t ns, Phase phase, char letter) {
    queue.at(Time{ns}, phase, [this, letter] { written += letter; });
  }
};

}  // namespace

TEST_CASE("events run by time, then by phase, then in the order of scheduling") {
  Diary d;
  d.note(2, Phase::finish, 'e');
  d.note(1, Phase::observe, 'd');
  d.note(1, Phase::start, 'b');
  d.note(1, Phase::start, 'c');
  d.note(1, Phase::finish, 'a');
  d.queue.run();
  CHECK(d.written == "abcde");
  CHECK(d.queue.executed() == 5);
  CHECK(d.queue.now() == Time{2});
}

TEST_CASE("work that finishes at the instant of a failure did finish, repairs come before new work") {
  Diary d;
  d.note(7, Phase::observe, 'o');
  d.note(7, Phase::start, 's');
  d.note(7, Phase::recover, 'r');
  d.note(7, Phase::failure, 'f');
  d.note(7, Phase::finish, 'w');
  d.queue.run();
  CHECK(d.written == "wfrso");
}

TEST_CASE("a thousand events of one instant and phase keep the order in which they were scheduled") {
  EventQueue queue;
  std::vector<int> seen;
  for (int i = 0; i < 1000; ++i) queue.at(Time{5}, Phase::start, [&seen, i] { seen.push_back(i); });
  queue.run();
  REQUIRE(seen.size() == 1000);
  for (int i = 0; i < 1000; ++i) REQUIRE(seen[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("a shuffled schedule runs sorted") {
  // 7919 is prime to 10007: i -> i * 7919 mod 10007 meets every time once, far out of order.
  EventQueue queue;
  std::int64_t runs = 0;
  bool sorted = true;
  for (std::int64_t i = 0; i < 10007; ++i) {
    const std::int64_t when = i * 7919 % 10007;
    queue.at(Time{when}, Phase::start, [&, when] { sorted = sorted && when == runs++; });
  }
  queue.run();
  CHECK(sorted);
  CHECK(runs == 10007);
}

TEST_CASE("events scheduled by an event run in the same run, also at the same instant") {
  Diary d;
  d.queue.at(Time{1}, Phase::finish, [&] {
    d.written += 'a';
    d.queue.after(0_ns, Phase::start, [&] { d.written += 'c'; });
    d.queue.after(0_ns, Phase::finish, [&] { d.written += 'b'; });
    d.queue.after(1_ns, Phase::finish, [&] { d.written += 'd'; });
  });
  d.queue.run();
  CHECK(d.written == "abcd");
}

TEST_CASE("run(until) runs what is due at `until`, keeps what is later, and can go on") {
  Diary d;
  d.note(1, Phase::start, 'a');
  d.note(2, Phase::start, 'b');
  d.note(3, Phase::start, 'c');
  d.queue.run(Time{2});
  CHECK(d.written == "ab");
  CHECK(d.queue.size() == 1);
  CHECK(d.queue.now() == Time{2});
  d.queue.run();
  CHECK(d.written == "abc");
  CHECK(d.queue.empty());
}

TEST_CASE("the past is closed: earlier times and earlier phases of this instant are refused") {
  Diary d;
  d.note(5, Phase::start, 'a');
  d.queue.run();
  CHECK_THROWS_AS(d.note(4, Phase::start, 'x'), InternalError);
  CHECK_THROWS_AS(d.note(5, Phase::failure, 'x'), InternalError);
  CHECK_THROWS_AS(d.queue.after(Duration{-1}, Phase::start, [] {}), InternalError);
  CHECK_THROWS_AS(d.queue.at(Time{9}, Phase::start, nullptr), InternalError);
  d.note(5, Phase::start, 'b');
  d.queue.run();
  CHECK(d.written == "ab");
}

TEST_CASE("an event at the end of the clock never happens, and a delay past it is never") {
  Diary d;
  d.note(1, Phase::start, 'a');
  d.queue.at(kNever, Phase::start, [&] { d.written += 'x'; });
  d.queue.run();
  d.queue.after(kNever - Time{}, Phase::start, [&] { d.written += 'x'; });
  CHECK(d.queue.empty());
  d.queue.run();
  CHECK(d.written == "a");
}

TEST_CASE("clear drops the events and what they hold, and starts the clock again") {
  Diary d;
  const auto held = std::make_shared<int>(1);
  d.queue.at(Time{5}, Phase::observe, [held] {});
  d.note(1, Phase::start, 'a');
  d.queue.run(Time{1});
  CHECK(held.use_count() == 2);
  d.queue.clear();
  CHECK(held.use_count() == 1);
  CHECK(d.queue.empty());
  CHECK(d.queue.now() == Time{});
  d.note(0, Phase::finish, 'b');
  d.queue.run();
  CHECK(d.written == "ab");
}

TEST_CASE("an action is destroyed when it has run, not when its slot is used again") {
  EventQueue queue;
  const auto held = std::make_shared<int>(1);
  queue.at(Time{1}, Phase::start, [held] {});
  queue.at(Time{2}, Phase::start, [] {});
  queue.run(Time{1});
  CHECK(held.use_count() == 1);
}

TEST_CASE("an action that throws leaves the queue usable, and run() is not for actions") {
  Diary d;
  d.queue.at(Time{1}, Phase::start, [] { throw std::runtime_error("stop"); });
  d.note(2, Phase::start, 'b');
  CHECK_THROWS_WITH(d.queue.run(), "stop");
  d.queue.run();
  CHECK(d.written == "b");
  d.queue.at(Time{3}, Phase::start, [&] { d.queue.run(); });
  CHECK_THROWS_AS(d.queue.run(), InternalError);
}
