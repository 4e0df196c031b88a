// What a simulated step spends its time in: the event queue, the execution of pipeline schedules, collectives
// of the network, and reading a scenario.
#include <benchmark/benchmark.h>

#include <optional>
#include <vector>

#include "parallelism/pipeline_execution.hpp"
#include "scenarios/library.hpp"
#include "scenarios/scenario.hpp"
#include "sim/error.hpp"
#include "sim/event_queue.hpp"
#include "tools/benchmark/library_run.hpp"
#include "topology/network.hpp"

namespace runcast {
namespace {

// The hold model of event queues (Vaucher & Duval 1975): each event schedules one successor at a later time,
// so that the number of waiting events stays. Delays are a fixed scatter of 1 to 4,093 ns.
void event_queue(benchmark::State& state) {
  constexpr std::int64_t events_a_round = 100'000;
  EventQueue queue;
  std::int64_t left = 0;
  std::int64_t scatter = 1;
  struct Hold {
    EventQueue* queue;
    std::int64_t *left, *scatter;
    void operator()() const {
      if (--*left <= 0) return;
      *scatter = *scatter * 1021 % 4093;
      queue->after(Duration{*scatter}, Phase::finish, *this);
    }
  };
  for (auto _ : state) {
    queue.clear();
    left = events_a_round;
    for (std::int64_t i = 0; i < state.range(0); ++i)
      queue.after(Duration{1 + i % 4093}, Phase::finish, Hold{&queue, &left, &scatter});
    queue.run();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(queue.executed()));
}
BENCHMARK(event_queue)->ArgName("waiting")->Arg(16)->Arg(1'000)->Arg(10'000)->Unit(benchmark::kMillisecond);

// Every slot and message of one length: the execution itself and nothing of the model.
class EqualWork : public PipelineWork {
 public:
  Duration duration(int, const Slot& slot, Time) override {
    return Duration{slot.pass == Pass::forward ? 1'000'000 : 2'000'000};
  }
  Time not_before(int, const Slot&) override { return {}; }
  Duration transfer(int, int, Pass) override { return Duration{100'000}; }
  void finished(int, const Slot&, Time, Time) override {}
};

// interleaved_1f1b with p ranks, v chunks a rank, m micro-batches: 2 p v m slots.
void pipeline_execution(benchmark::State& state) {
  ScheduleRequest request;
  request.ranks = static_cast<int>(state.range(0));
  request.chunks = static_cast<int>(state.range(1));
  request.microbatches = static_cast<int>(state.range(2));
  const ScheduleRow* row = find_schedule("interleaved_1f1b");
  INVARIANT(row != nullptr && row->refuse(request).empty());
  EqualWork work;
  for (auto _ : state) {
    EventQueue queue;
    benchmark::DoNotOptimize(execute(row->build(request), PointToPoint::overlapped, work, queue));
  }
  state.SetItemsProcessed(state.iterations() * 2 * state.range(0) * state.range(1) * state.range(2));
}
BENCHMARK(pipeline_execution)
    ->ArgNames({"p", "v", "m"})
    ->Args({16, 8, 16})
    ->Args({16, 8, 64})
    ->Args({35, 3, 280})
    ->Unit(benchmark::kMillisecond);

// The data-parallel group of LLaMA-3 405B's 16,384 GPUs (128 ranks, 128 apart), looked up and then priced.
struct LlamaNetwork {
  Library library;
  Scenario scenario;
  std::optional<Fabric> fabric;
  std::optional<Network> network;
  std::vector<RankId> members;
  LlamaNetwork() {
    Document document = library_run(library, "llama3-405b-16k");
    scenario = read_scenario(document, library);
    fabric.emplace(scenario.node, scenario.nodes, scenario.fabric);
    network.emplace(*fabric, scenario.place(1));
    for (int i = 0; i < 128; ++i) members.emplace_back(128 * i);
  }
};

void network_group(benchmark::State& state) {
  const LlamaNetwork llama;
  for (auto _ : state) benchmark::DoNotOptimize(llama.network->group(llama.members, 128));
}
BENCHMARK(network_group)->Unit(benchmark::kMicrosecond);

void network_collective(benchmark::State& state) {
  const LlamaNetwork llama;
  const GroupLinks links = llama.network->group(llama.members, 128);
  for (auto _ : state)
    benchmark::DoNotOptimize(llama.network->collective(Collective::all_reduce, Bytes(1e9), links));
}
BENCHMARK(network_collective)->Unit(benchmark::kMicrosecond);

// Parse, read and check a scenario with all the library entries that it names.
void scenario_reading(benchmark::State& state) {
  const Library library;
  for (auto _ : state) {
    Document document = library_run(library, "llama3-405b-16k");
    benchmark::DoNotOptimize(read_scenario(document, library));
  }
}
BENCHMARK(scenario_reading)->Unit(benchmark::kMicrosecond);

void library_opening(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Library());
}
BENCHMARK(library_opening)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace runcast
