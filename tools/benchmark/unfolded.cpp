// The unfolded step of llama3-405b-16k and its like, with 512 to 65,536 ranks: what the engine makes a second, and
// whether cost is linear in ranks. Counters: ranks, events of single ranks (ends of slots, arrivals of messages) and
// of the queue (cells).
#include <benchmark/benchmark.h>

#include <fmt/format.h>

#include <optional>

#include "parallelism/unfolded_step.hpp"
#include "scenarios/scenario.hpp"
#include "tools/benchmark/library_run.hpp"
#include "topology/network.hpp"

namespace runcast {
namespace {

// llama3-405b-16k with another number of replicas; 16 micro-batches each.
struct LlamaStep {
  Library library;
  Scenario scenario;
  std::optional<Fabric> fabric;
  std::optional<Network> network;
  StepInput in;
  explicit LlamaStep(std::int64_t ranks) {
    Document document = library_run(library, "llama3-405b-16k");
    document.set(fmt::format("cluster.nodes={}", ranks / 8));
    document.set(fmt::format("training.global_batch={}", ranks / 8));
    scenario = read_scenario(document, library);
    fabric.emplace(scenario.node, scenario.nodes, scenario.fabric);
    network.emplace(*fabric, scenario.place(1));
    in.model = &scenario.model;
    in.layout = &scenario.layout;
    in.training = &scenario.training;
    in.schedule = &scenario.schedule;
    in.profile = &scenario.software;
    in.network = &*network;
    in.microbatches = scenario.microbatches;
    in.attribute_transfers = false;
  }
};

void report(benchmark::State& state, const UnfoldedTrace& trace) {
  state.counters["rank_events"] = static_cast<double>(trace.rank_events);
  state.counters["queue_events"] = static_cast<double>(trace.queue_events);
  state.SetItemsProcessed(state.iterations() * trace.rank_events);
}

// The execution alone, of a plan that is there.
void unfolded_execution(benchmark::State& state) {
  const LlamaStep llama(state.range(0));
  RankConditions conditions;
  if (state.range(1) == 1) conditions.jitter = 0.02;
  UnfoldedModel model;
  plan_unfolded(llama.in, conditions, 1, false, model);
  UnfoldedTrace trace;
  for (auto _ : state) trace = execute(model.plan);
  report(state, trace);
}
BENCHMARK(unfolded_execution)
    ->ArgNames({"ranks", "jitter"})
    ->ArgsProduct({{512, 2'048, 8'192, 16'384, 65'536}, {0}})
    ->Args({16'384, 1})
    ->Unit(benchmark::kMillisecond);

// The same without tensor groups: each rank is a cell of its own, so that every event is one of the queue.
void unfolded_single_ranks(benchmark::State& state) {
  const LlamaStep llama(state.range(0));
  UnfoldedModel model;
  plan_unfolded(llama.in, {}, 1, false, model);
  model.plan.cells = model.plan.members;
  UnfoldedTrace trace;
  for (auto _ : state) trace = execute(model.plan);
  report(state, trace);
}
BENCHMARK(unfolded_single_ranks)->ArgName("ranks")->Arg(512)->Arg(16'384)->Unit(benchmark::kMillisecond);

// Costs, links and groups of every rank, the execution, and the accounts.
void unfolded_step(benchmark::State& state) {
  const LlamaStep llama(state.range(0));
  RankConditions slow;
  slow.gpu.assign(static_cast<std::size_t>(state.range(0)), 1);
  slow.host = slow.gpu;
  slow.gpu[100] = 1.1;
  for (auto _ : state) benchmark::DoNotOptimize(simulate_unfolded(llama.in, slow, 1, state.range(1) == 1));
}
BENCHMARK(unfolded_step)
    ->ArgNames({"ranks", "explained"})
    ->ArgsProduct({{512, 16'384, 65'536}, {0}})
    ->Args({16'384, 1})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace runcast
