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
