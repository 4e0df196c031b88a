// Launch scripts of Megatron-LM: read, written again, and refused where they make no run.
#include "scenarios/interchange/megatron.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <set>

#include "scenarios/interchange/shell_arguments.hpp"
#include "sim/config.hpp"
#include "sim/error.hpp"
#include "tests/error_of.hpp"

using namespace runcast;

namespace {

Scenario scenario_of(const std::string& script, std::int64_t nodes = 0) {
  const Library library;
  Document document =
      Document::parse(import_megatron(script, "x", "x.sh", "hgx-h100", nodes).yaml, "imported");
  return read_scenario(document, library);
}

// "--num-layers 96" of each option, in order of their names.
std::set<std::string> said(const std::string& script) {
  std::set<std::string> lines;
  for (const ShellOption& option : shell_options(script)) {
    std::string line = option.name;
    for (const std::string& value : option.values) line += " " + value;
    lines.insert(line);
  }
  return lines;
}

std::string refusal(const std::string& script) {
  return runcast::error_of([&] { import_megatron(script, "x", "x.sh", "hgx-h100", 0); });
}

constexpr const char* kGpt = " --vocab-size 51200 --max-position-embeddings 2048 --seq-length 2048 ";
constexpr const char* kLlama =
    " --swiglu --disable-bias-linear --normalization RMSNorm --untie-embeddings-and-output-weights "
    "--hidden-dropout 0 "
    "--position-embedding-type rope --bf16 --use-distributed-optimizer --overlap-grad-reduce ";
constexpr const char* kMoe = " --moe-token-dispatcher-type alltoall ";

struct Launch {
  const char* name;
  std::string options;
};

// Layouts of Narayanan et al. 2021 (tables 1 and 2), Korthikanti et al. 2022 (table 3), LLaMA 3 (table 4),
// Megatron-Core's README and its MoE recipes, in the options of core 0.12.
std::vector<Launch> launches() {
  return {
      {"GPT 22B",
       std::string("--nnodes 1 --nproc-per-node 8 --num-layers 48 --hidden-size 6144 --ffn-hidden-size 24576 "
                   "--num-attention-heads 64 --tensor-model-parallel-size 8 --sequence-parallel "
                   "--micro-batch-size 4 --global-batch-size 4 "
                   "--train-samples 1000 --fp16 --recompute-granularity selective") +
           kGpt},
      {"GPT-3 175B",
       std::string(
           "--nnodes 8 --nproc-per-node 8 --num-layers 96 --hidden-size 12288 --ffn-hidden-size 49152 "
           "--num-attention-heads 96 --tensor-model-parallel-size 8 --sequence-parallel "
           "--pipeline-model-parallel-size 8 "
           "--num-virtual-stages-per-pipeline-rank 3 --micro-batch-size 1 --global-batch-size 64 "
           "--train-samples 6400 --fp16 "
           "--recompute-granularity selective") +
           kGpt},
      {"MT-NLG 530B",
       std::string(
           "--nnodes 35 --nproc-per-node 8 --num-layers 105 --hidden-size 20480 --ffn-hidden-size 81920 "
           "--num-attention-heads 128 --tensor-model-parallel-size 8 --pipeline-model-parallel-size 35 "
           "--num-virtual-stages-per-pipeline-rank 3 --micro-batch-size 1 --global-batch-size 280 "
           "--train-samples 28000 --fp16 "
           "--recompute-granularity full --recompute-method uniform --recompute-num-layers 1") +
           kGpt},
      {"GPT 1T",
       std::string(
           "--nnodes 64 --nproc-per-node 8 --num-layers 128 --hidden-size 25600 --ffn-hidden-size 102400 "
           "--num-attention-heads 160 --tensor-model-parallel-size 8 --pipeline-model-parallel-size 64 "
           "--micro-batch-size 1 "
           "--global-batch-size 512 --train-samples 51200 --fp16 --recompute-granularity full "
           "--recompute-method block "
           "--recompute-num-layers 1") +
           kGpt},
      {"LLaMA-3 8B",
       std::string("--nnodes 1 --nproc-per-node 8 --num-layers 32 --hidden-size 4096 --ffn-hidden-size 14336 "
                   "--num-attention-heads 32 --group-query-attention --num-query-groups 8 --vocab-size "
                   "128256 --context-parallel-size 2 "
                   "--seq-length 8192 --micro-batch-size 1 --global-batch-size 128 --train-samples 12800 "
                   "--fp8-format hybrid") +
           kLlama},
      {"LLaMA-3 70B",
       std::string(
           "--nnodes 8 --nproc-per-node 8 --num-layers 80 --hidden-size 8192 --ffn-hidden-size 28672 "
           "--num-attention-heads 64 --group-query-attention --num-query-groups 8 --vocab-size 128256 "
           "--tensor-model-parallel-size 4 --sequence-parallel --pipeline-model-parallel-size 4 "
           "--context-parallel-size 2 "
           "--cp-comm-type a2a --num-virtual-stages-per-pipeline-rank 5 --seq-length 8192 --micro-batch-size "
           "1 "
           "--global-batch-size 128 --train-samples 12800 --tp-comm-overlap --fp8-format hybrid --fp8-recipe "
           "tensorwise") +
           kLlama},
      {"LLaMA-3 405B",
       std::string(
           "--nnodes 1024 --nproc-per-node 8 --num-layers 126 --hidden-size 16384 --ffn-hidden-size 53248 "
           "--num-attention-heads 128 --group-query-attention --num-query-groups 8 --vocab-size 128256 "
           "--tensor-model-parallel-size 8 --sequence-parallel --pipeline-model-parallel-size 16 "
           "--use-tp-pp-dp-mapping "
           "--num-virtual-stages-per-pipeline-rank 8 --microbatch-group-size-per-virtual-pipeline-stage 32 "
           "--seq-length 8192 --micro-batch-size 1 --global-batch-size 2048 --train-samples 204800") +
           kLlama},
      {"Mixtral 8x7B",
       std::string("--nnodes 8 --nproc-per-node 8 --num-layers 32 --hidden-size 4096 --ffn-hidden-size 14336 "
                   "--num-attention-heads 32 --group-query-attention --num-query-groups 8 --vocab-size 32000 "
                   "--num-experts 8 "
                   "--moe-router-topk 2 --moe-ffn-hidden-size 14336 --expert-model-parallel-size 8 "
                   "--pipeline-model-parallel-size 4 "
                   "--num-virtual-stages-per-pipeline-rank 8 --seq-length 4096 --micro-batch-size 1 "
                   "--global-batch-size 256 "
                   "--train-samples 25600") +
           kLlama + kMoe},
      {"DeepSeek-V3",
       std::string(
           "--nnodes 128 --nproc-per-node 8 --num-layers 61 --hidden-size 7168 --ffn-hidden-size 18432 "
           "--num-attention-heads 128 --multi-latent-attention --q-lora-rank 1536 --kv-lora-rank 512 "
           "--qk-head-dim 128 "
           "--qk-pos-emb-head-dim 64 --v-head-dim 128 --vocab-size 129280 --num-experts 256 "
           "--moe-router-topk 8 "
           "--moe-ffn-hidden-size 2048 --moe-shared-expert-intermediate-size 2048 --moe-layer-freq "
           "([0]*3+[1]*58) "
           "--moe-router-group-topk 4 --mtp-num-layers 1 --tensor-model-parallel-size 2 --sequence-parallel "
           "--expert-tensor-parallel-size 1 --expert-model-parallel-size 64 --pipeline-model-parallel-size 8 "
           "--seq-length 4096 "
           "--micro-batch-size 1 --global-batch-size 8192 --train-samples 819200 --recompute-granularity "
           "selective "
           "--recompute-modules moe_act mla_up_proj --moe-token-dispatcher-type flex --fp8-format hybrid "
           "--fp8-recipe blockwise") +
           kLlama},
      {"Qwen3 30B-A3B",
       std::string(
           "--nnodes 2 --nproc-per-node 8 --num-layers 48 --hidden-size 2048 --ffn-hidden-size 6144 "
           "--num-attention-heads 32 --kv-channels 128 --group-query-attention --num-query-groups 4 "
           "--vocab-size 151936 "
           "--num-experts 128 --moe-router-topk 8 --moe-ffn-hidden-size 768 --expert-model-parallel-size 8 "
           "--pipeline-model-parallel-size 2 --num-virtual-stages-per-pipeline-rank 12 "
           "--no-overlap-p2p-communication "
           "--seq-length 4096 --micro-batch-size 1 --global-batch-size 512 --train-samples 51200 "
           "--overlap-moe-expert-parallel-comm") +
           kLlama + kMoe},
  };
}

}  // namespace

TEST_CASE("options to scenario to options is the identity on ten published launch configurations") {
  for (const Launch& launch : launches()) {
    CAPTURE(launch.name);
    std::string quoted = launch.options;  // as a script has it: the list of layers stands in quotes
    if (const std::size_t at = quoted.find("([0]"); at != std::string::npos)
      quoted.insert(quoted.find(')', at) + 1, "\"").insert(at, "\"");
    const MegatronExport out = export_megatron(scenario_of(quoted));
    std::set<std::string> written(out.options.begin(), out.options.end());
    std::set<std::string> given = said(quoted);
    if (!written.contains("--ffn-hidden-size 6144") && given.erase("--ffn-hidden-size 6144") > 0)
      CHECK(std::string(launch.name) ==
            "Qwen3 30B-A3B");  // every layer has experts: the dense width is not used
    if (!written.contains("--ffn-hidden-size 14336") && given.erase("--ffn-hidden-size 14336") > 0)
      CHECK(std::string(launch.name) == "Mixtral 8x7B");
    CHECK(written == given);
  }
}

TEST_CASE("a script is read through its variables, arrays, quotes, comments and line ends") {
  const std::string script =
      "#!/bin/bash\n# --num-layers 7 is a comment\nTP=${1:-4}\nexport NODES=2\n"
      "MODEL_ARGS=(\n  --num-layers 32  # of them\n  --hidden-size 4096\n  --num-attention-heads 32\n  "
      "--seq-length $((2*1024))\n)\n"
      "MORE=\"--global-batch-size 64 --micro-batch-size 1\"\n"
      "torchrun --nproc_per_node=8 --nnodes $NODES pretrain_gpt.py \\\n  ${MODEL_ARGS[@]} $MORE --vocab-size "
      "32000 \\\n"
      "  --tensor-model-parallel-size ${TP} --lr 1e-4 --sequence-length-x 3\n";
  const std::string fixed = [&] {
    std::string s = script;
    return s.replace(s.find("$((2*1024))"), 11, "2048");
  }();
  const Scenario s = scenario_of(fixed);
  CHECK(s.model.layers == 32);
  CHECK(s.nodes == 2);
  CHECK(s.node.gpus == 8);
  CHECK(s.layout.tensor == 4);
  CHECK(s.layout.data == 4);
  CHECK(s.training.global_batch == 64);
  const MegatronImport read = import_megatron(fixed, "x", "x.sh", "hgx-h100", 0);
  CHECK(std::count(read.notes.begin(), read.notes.end(),
                   "line 14: --sequence-length-x is not known and was left out") == 1);
  CHECK(std::none_of(read.notes.begin(), read.notes.end(),
                     [](const std::string& n) { return n.find("--lr") != std::string::npos; }));
  CHECK(refusal(script) == "x.sh:9: --seq-length needs a number that the script itself gives");
}

TEST_CASE("iterations are samples: 500,000 of 1,024 sequences; chunks are layers by the older option") {
  const std::string base =
      "--num-layers 32 --hidden-size 4096 --num-attention-heads 32 --seq-length 2048 --vocab-size 32000 "
      "--micro-batch-size 1 --global-batch-size 1024 --pipeline-model-parallel-size 4 ";
  const Scenario s = scenario_of(base + "--train-iters 500000 --num-layers-per-virtual-pipeline-stage 2", 2);
  CHECK(s.training.tokens == 500'000.0 * 1024 * 2048);
  CHECK(s.schedule.virtual_stages == 4);
}

TEST_CASE("what starts no run of Megatron-LM is refused with its line") {
  CHECK(refusal("echo hello") == "x.sh: no option of Megatron-LM in it (--num-layers, ...)");
  CHECK(refusal("--num-layers 4") ==
        "x.sh: --hidden-size is missing: no run of Megatron-LM starts without it");
  CHECK(refusal("\n\n--num-layers four") == "x.sh:3: --num-layers needs a whole number, not 'four'");
  CHECK(refusal("--num-layers 10 --hidden-size 64 --num-attention-heads 4 --num-experts 4 --seq-length 8 "
                "--global-batch-size 1 "
                "--micro-batch-size 1 --moe-layer-freq \"([0]*3+[1]*8)\"") ==
        "x.sh:1: --moe-layer-freq must be a number or ([0]*D+[1]*E) with D + E = 10 layers, not "
        "'([0]*3+[1]*8)'");
}

TEST_CASE("what Megatron-LM has no option for is said, not dropped") {
  const Library library;
  Document document = Document::parse(
      "model: llama3-8b\ncluster: {node: hgx-h100, nodes: 1, fabric: none}\nlayout: {pipeline: 4}\n"
      "schedule: {name: zb_h1}\ntraining: {sequence_length: 8192, global_batch: 16, offload: activations}\n",
      "x");
  const MegatronExport out = export_megatron(read_scenario(document, library));
  CHECK(out.notes == std::vector<std::string>{"Megatron-LM has no schedule zb_h1: it runs 1F1B",
                                              "offloading of activations is left out"});
}
