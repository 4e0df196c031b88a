// Whole jobs, as the commands run them but for the printing: one step, 1,000 trials of a 54-day run, and the
// prediction of every published row.
#include <benchmark/benchmark.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "scenarios/experiment.hpp"
#include "scenarios/library.hpp"
#include "scenarios/validation.hpp"
#include "tools/benchmark/library_run.hpp"

namespace runcast {
namespace {

void step(benchmark::State& state, std::string_view name) {
  const Library library;
  for (auto _ : state) benchmark::DoNotOptimize(step_document(library_run(library, name), library, {}));
}
BENCHMARK_CAPTURE(step, one_node, "one-node")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(step, llama3_405b_16k, "llama3-405b-16k")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(step, megatron_1t, "megatron-1t")->Unit(benchmark::kMillisecond);

// The step alone, at layer detail, as the library computes it: no reading, no JSON. LLaMA-3 405B's layout has 16 ranks
// of 8 chunks and 16 micro-batches; 530B 35 ranks of 3 chunks and 280 micro-batches (SimuMax takes 31 s for it).
void library_step(benchmark::State& state, std::string_view name) {
  const Library library;
  Document document = library_run(library, name);
  const Scenario scenario = read_scenario(document, library);
  for (auto _ : state) benchmark::DoNotOptimize(simulate(scenario, 1));
}
BENCHMARK_CAPTURE(library_step, llama3_405b_16k, "llama3-405b-16k")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(library_step, deepseek_v3_2048, "deepseek-v3-2048")->Unit(benchmark::kMillisecond);

void library_step_530b(benchmark::State& state) {
  const Library library;
  Document document = Document::parse(
      "model: gpt-530b\ncluster: {node: hgx-a100-80, nodes: 35}\nlayout: {tensor: 8, pipeline: 35}\n"
      "schedule: {name: interleaved_1f1b, virtual_stages: 3}\n"
      "training: {sequence_length: 2048, global_batch: 280}\n",
      "530b.yaml");
  const Scenario scenario = read_scenario(document, library);
  for (auto _ : state) benchmark::DoNotOptimize(simulate(scenario, 1));
}
BENCHMARK(library_step_530b)->Unit(benchmark::kMillisecond);

// LLaMA-3 405B over its whole 15.6 T tokens, with the failures of the 54-day table.
void goodput_1000_trials(benchmark::State& state) {
  const Library library;
  ExperimentOptions options;
  options.trials = 1000;
  options.threads = static_cast<int>(state.range(0));
  for (auto _ : state)
    benchmark::DoNotOptimize(goodput_document(library_run(library, "llama3-405b-16k"), library, options));
}
BENCHMARK(goodput_1000_trials)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void validate_published(benchmark::State& state) {
  const Library library;
  ExperimentOptions options;
  options.threads = static_cast<int>(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(validate_document(std::nullopt, library, options));
}
BENCHMARK(validate_published)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime()
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace runcast
