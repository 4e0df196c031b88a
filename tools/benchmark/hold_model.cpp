// Event structures by the hold model (Vaucher & Duval 1975): take the first event, schedule its successor, so
// that the number of waiting events stays. Three distributions of the delay, drawn before the clock runs:
//   exponential  mean 1 ms
//   bimodal      nine of ten uniform in 0-0.1 ms, one uniform in 10-20 ms
//   step         of the events of an unfolded llama3-405b step: messages of 0.9 ms, forwards of 13 ms,
//                backwards of 26 ms, each rank up to 1 % off
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "sim/event_queue.hpp"
#include "sim/ladder_queue.hpp"
#include "sim/random.hpp"
#include "tools/benchmark/event_structures.hpp"

namespace runcast {
namespace {

enum Distribution : std::int64_t { exponential, bimodal, step };

std::vector<std::uint64_t> delays(std::int64_t distribution) {
  std::vector<std::uint64_t> list(1 << 16);
  RandomStream random(1, Purpose::test, 0, 0);
  for (std::uint64_t& delay : list) {
    double ns = 0;
    if (distribution == exponential) ns = random.exponential(1e6);
    if (distribution == bimodal)
      ns = random.uniform() < 0.9 ? random.uniform() * 1e5 : 1e7 * (1 + random.uniform());
    if (distribution == step) {
      const double which = random.uniform();
      ns = (which < 0.5 ? 9e5 : which < 0.75 ? 13e6 : 26e6) * (1 + 0.01 * random.uniform());
    }
    delay = static_cast<std::uint64_t>(ns);
  }
  return list;
}

constexpr std::int64_t kHolds = 1 << 20;

template <class Queue>
void hold(benchmark::State& state) {
  const std::vector<std::uint64_t> delay = delays(state.range(1));
  Queue queue;
  std::uint64_t order = 0;
  std::size_t next = 0;
  const auto draw = [&] { return delay[next++ & 0xffff]; };
  for (std::int64_t i = 0; i < state.range(0); ++i)
    queue.push({draw(), order++}, static_cast<std::uint32_t>(i));
  const auto turn = [&](std::int64_t holds) {
    for (std::int64_t i = 0; i < holds; ++i) {
      const std::uint64_t now = queue.first().time;
      queue.push({now + draw(), order++}, queue.pop());
    }
  };
  turn(2 * state.range(0));  // until what was there at the start is gone
  for (auto _ : state) turn(kHolds);
  state.SetItemsProcessed(state.iterations() * kHolds);
}

// The whole kernel: the same holds as callbacks of EventQueue.
void hold_callbacks(benchmark::State& state) {
  const std::vector<std::uint64_t> delay = delays(state.range(1));
  EventQueue queue;
  std::int64_t left = 2 * state.range(0);
  std::size_t next = 0;
  struct Hold {
    EventQueue* queue;
    const std::vector<std::uint64_t>* delay;
    std::size_t* next;
    std::int64_t* left;
  } shared{&queue, &delay, &next, &left};
  struct Event {
    Hold* hold;
    void operator()() const {
      const auto ns = static_cast<std::int64_t>((*hold->delay)[(*hold->next)++ & 0xffff]);
      hold->queue->after(Duration{ns}, Phase::finish, *this);
      if (--*hold->left == 0) throw 0;
    }
  };
  for (std::int64_t i = 0; i < state.range(0); ++i)
    queue.after(Duration{static_cast<std::int64_t>(delay[next++ & 0xffff])}, Phase::finish, Event{&shared});
  const auto turn = [&](std::int64_t holds) {
    left = holds;
    try {
      queue.run();
    } catch (int) {
    }
  };
  turn(2 * state.range(0));
  for (auto _ : state) turn(kHolds);
  state.SetItemsProcessed(state.iterations() * kHolds);
}

void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"waiting", "delays"})->Unit(benchmark::kMillisecond);
  for (const std::int64_t distribution : {exponential, bimodal, step})
    for (const std::int64_t waiting : {1'000, 100'000, 1'000'000}) b->Args({waiting, distribution});
}

BENCHMARK_TEMPLATE(hold, HeapQueue<2>)->Apply(sizes);
BENCHMARK_TEMPLATE(hold, HeapQueue<4>)->Apply(sizes);
BENCHMARK_TEMPLATE(hold, HeapQueue<8>)->Apply(sizes);
BENCHMARK_TEMPLATE(hold, CalendarQueue)->Apply(sizes);
BENCHMARK_TEMPLATE(hold, LadderQueue)->Apply(sizes);
BENCHMARK(hold_callbacks)->Apply(sizes);

}  // namespace
}  // namespace runcast
