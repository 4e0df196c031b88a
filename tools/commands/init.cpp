// `runcast init [FILE]`: a scenario with every key, its legal values and what it stands for when left out.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "sim/error.hpp"
#include "tools/commands/command.hpp"
#include "tools/report/output.hpp"

namespace runcast {
namespace {

// A scenario that runs as it stands: LLaMA-3 70B on 16 nodes. A line that is commented out shows a default.
constexpr std::string_view kTemplate = R"yaml(# yaml-language-server: $schema=scenario.schema.json
# The line above is for editors: runcast schema > scenario.schema.json; packages have it in share/runcast/.
# A scenario of runcast. Run it:      runcast run THIS_FILE
# What is left out takes a default; the result echoes all of them (--format json, key "scenario").
# Quantities carry their unit (400 Gbps, 80 GB, 5 min); counts take k, M, B, T (15.6T).

name: my run
model: llama3-70b               # runcast list models; or a path; or a map of dimensions
cluster:
  node: hgx-h100                # runcast list hardware
  nodes: 16
  fabric: llama3-roce           # runcast list fabrics
  # placement: packed           # packed | scattered | random
  # network: alpha_beta         # closed forms over the links of the routes that are taken
software: megatron              # whose overlaps and launches: megatron | nemo | torchtitan | fsdp-eager | deepspeed | ...
layout:
  tensor: 8                     # degrees: their product is the number of GPUs
  context: 1
  pipeline: 2
  data: auto                    # what is left of the GPUs
  sequence_parallel: true       # shard what is between the tensor-parallel regions too
  # context_method: allgather   # allgather | ring | ulysses
  # expert: 1                   # experts are spread over this many ranks
  # expert_tensor: 1
  # order: [tensor, context, pipeline, data]   # innermost first
schedule:
  name: 1f1b                    # gpipe | 1f1b | interleaved_1f1b | zb_h1 | zb_h2 | zb_v | dualpipe | dualpipe_v
  # virtual_stages: 1           # chunks of layers a rank holds, for interleaved_1f1b
  # p2p: blocking               # blocking | async | overlapped; when left out, as the software does it
  # gradient_norm: barrier      # barrier | post_validation: each rank steps as soon as its own gradients are summed
training:
  tokens: 100B
  sequence_length: 8192
  global_batch: 512             # sequences
  micro_batch: 1
  precision: bf16               # fp32 | tf32 | fp16 | bf16 | fp8 | mxfp8 | nvfp4
  sharding: zero1               # none | zero1 | zero2 | zero3 | {hsdp: GROUP}
  # recompute: none             # none | selective | full | {layers: N} | [norms, mlp_activation, mla_up, ...]
  # attention: flash            # flash | standard
  # optimizer: adamw            # adamw | adamw_16bit | adamw_8bit | adafactor | shampoo | muon | sgd
  # offload: none               # none | optimizer | activations, to host memory
  # expert_dispatcher: alltoall # alltoall | deepep | hybridep: a token crosses once a node
  # dispatch_precision: bf16    # bf16 | fp8: tokens on their way to experts
  # activation_storage: bf16    # bf16 | narrow: activations kept in the format of the GEMMs
  # overlap: {data: true, tensor: false, pipeline: true, expert: false}
#   under training, not by default:
#     data_loading: {workers_per_gpu: 2, prefetch: 2, time_per_sample: 2 ms, bytes_per_sample: 1 MB, storage: 10 GB/s}
#     phases: [{name: ramp, tokens: 1B, global_batch: 256, sequence_length: 4096,
#     gpu_share: 0.5, layout: {...}, when: first}], and stop: {share: 0.8} or {loss: 2.0}, by a scaling law
failures: llama3-54-day         # runcast list failures
# storage: default              # runcast list storage: bandwidth and price of where checkpoints go
checkpoint: {interval: 10 min, mode: async, block: 2 s, persist: 60 s}   # interval: a time | auto | young | daly | optimal; tiers: [...]
recovery: {policy: hot_spare, spares: 2}   # restart | hot_spare | cold_spare | wait | elastic | in_memory | in_process | replicated
economics: {gpu_hour: 3.50 USD, region: us-east, pue: 1.1}
#   capacity: on_demand (reserved | spot, with spot: {discount: 0.65, rate: 0.01 /node-hour, notice: 120 s, fallback: true}),
#   windows: [{from: 22, to: 6, price: 0.7}], hourly: FILE.csv, power: {computing: 0.95, ...}, embodied: 150 kg, kwh: 0.08 USD
# run: {deadline: 60 days, budget: 10 MUSD, diurnal: 0.01, evaluation: {every: 12 h, lasts: 10 min}}
#   published: {source: "...", gpu_hours: 7.0M, time: 54 days, energy_mwh: 1287, differs: ["..."]} tells the real run's figures
#   beside the simulated ones; assumptions: ["..."] are listed with the answer
)yaml";

}  // namespace

Answer init_command(const Invocation& invocation) {
  const auto& words = invocation.arguments.positionals;
  if (words.empty()) return Answer({{"text", kTemplate}}, std::string(kTemplate));
  const std::string& path = words.front();
  std::error_code none;
  if (std::filesystem::exists(path, none) && !invocation.arguments.has("force"))
    throw ConfigError(fmt::format("init: {} exists; --force overwrites it", path));
  Output file(path);
  file.finish(kTemplate);
  return Answer({{"written", path}}, fmt::format("wrote {0}; next: runcast run {0}\n", path));
}

}  // namespace runcast
