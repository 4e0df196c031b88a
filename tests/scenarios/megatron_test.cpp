// Launch scripts of Megatron-LM: read, written again, and refused where they make no run.
#include "scenarios/interchange/megatron.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

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
  for (const ShellOption& option :
       launch_command(script, "x.sh", [](std::string_view) { return true; }).options) {
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
                   "--seq-length 8192 --max-position-embeddings 8192 --micro-batch-size 1 "
                   "--global-batch-size 128 --train-samples 12800 "
                   "--fp8-format hybrid") +
           kLlama},
      {"LLaMA-3 70B",
       std::string(
           "--nnodes 8 --nproc-per-node 8 --num-layers 80 --hidden-size 8192 --ffn-hidden-size 28672 "
           "--num-attention-heads 64 --group-query-attention --num-query-groups 8 --vocab-size 128256 "
           "--tensor-model-parallel-size 4 --sequence-parallel --pipeline-model-parallel-size 4 "
           "--context-parallel-size 2 "
           "--cp-comm-type a2a --num-virtual-stages-per-pipeline-rank 5 --seq-length 8192 "
           "--max-position-embeddings 8192 --micro-batch-size "
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
           "--account-for-embedding-in-pipeline-split --account-for-loss-in-pipeline-split "  // 126 of 128 slots

           "--seq-length 8192 --max-position-embeddings 8192 --micro-batch-size 1 --global-batch-size 2048 "
           "--train-samples 204800") +
           kLlama},
      {"Mixtral 8x7B",
       std::string("--nnodes 8 --nproc-per-node 8 --num-layers 32 --hidden-size 4096 --ffn-hidden-size 14336 "
                   "--num-attention-heads 32 --group-query-attention --num-query-groups 8 --vocab-size 32000 "
                   "--num-experts 8 "
                   "--moe-router-topk 2 --moe-ffn-hidden-size 14336 --expert-model-parallel-size 8 "
                   "--pipeline-model-parallel-size 4 "
                   "--num-virtual-stages-per-pipeline-rank 8 --seq-length 4096 --max-position-embeddings "
                   "4096 --micro-batch-size 1 "
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
           "\"([0]*3+[1]*58)\" "
           "--moe-router-group-topk 4 --mtp-num-layers 1 --tensor-model-parallel-size 2 --sequence-parallel "
           "--expert-tensor-parallel-size 1 --expert-model-parallel-size 64 --pipeline-model-parallel-size 8 "
           "--decoder-last-pipeline-num-layers 5 "  // 61 = 7 x 8 + 5

           "--seq-length 4096 --max-position-embeddings 4096 "
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
           "--seq-length 4096 --max-position-embeddings 4096 --micro-batch-size 1 --global-batch-size 512 "
           "--train-samples 51200 "
           "--overlap-moe-expert-parallel-comm") +
           kLlama + kMoe},
  };
}

}  // namespace

TEST_CASE("options to scenario to options is the identity on ten published launch configurations") {
  for (const Launch& launch : launches()) {
    CAPTURE(launch.name);
    const MegatronExport out = export_megatron(scenario_of(launch.options));
    const std::set<std::string> written = said(fmt::format("{}", fmt::join(out.options, "\n")));
    std::set<std::string> given = said(launch.options);
    if (!written.contains("--ffn-hidden-size 6144") && given.erase("--ffn-hidden-size 6144") > 0)
      CHECK(std::string(launch.name) ==
            "Qwen3 30B-A3B");  // every layer has experts: the dense width is not used
    if (!written.contains("--ffn-hidden-size 14336") && given.erase("--ffn-hidden-size 14336") > 0)
      CHECK(std::string(launch.name) == "Mixtral 8x7B");
    CHECK(fmt::format("{}", fmt::join(written, "\n")) == fmt::format("{}", fmt::join(given, "\n")));
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
  // 2 * 1024 is what the shell computes; a variable of the environment is not known.
  CHECK(scenario_of(script).training.sequence_length == 2048);
  std::string open = fixed;
  open.replace(open.find("2048"), 4, "$SEQ");
  CHECK(refusal(open) ==
        "x.sh:9: --seq-length needs a number that the script itself gives: SEQ is not set in the script");
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

namespace {

constexpr const char* kSizes =
    " --num-layers 32 --hidden-size 4096 --num-attention-heads 32 --seq-length 2048 --micro-batch-size 1 "
    "--global-batch-size 64 --vocab-size 32000 ";

std::vector<std::string> notes_of(const std::string& script) {
  return import_megatron(script, "x", "x.sh", "hgx-h100", 0).notes;
}
bool told(const std::vector<std::string>& notes, const std::string& note) {
  return std::find(notes.begin(), notes.end(), note) != notes.end();
}
std::string precision_of(const std::string& script) {
  return std::string(scenario_of(script).training.precision->name);
}

}  // namespace

TEST_CASE("of if and elif the branch that holds is read, as the shell runs it") {
  const auto script = [](const std::string& pr) {
    return "PR=" + pr +
           "\nif [ $PR = bf16 ]; then o=\"--bf16\"\nelif [ $PR = fp8 ]; then\n  o=\"--bf16 --fp8-format "
           "hybrid\"\n"
           "else o=--fp16; fi\ntorchrun pretrain_gpt.py $o" +
           kSizes + "\n";
  };
  CHECK(precision_of(script("bf16")) == "bf16");
  CHECK(precision_of(script("fp8")) == "fp8");
  CHECK(precision_of(script("other")) == "fp16");
  const std::string sizes =
      "MODEL_SIZE=7B\nif [[ $MODEL_SIZE == \"7B\" ]]; then L=32; fi\n[[ $MODEL_SIZE != 7B ]] && L=80\n"
      "if [ -z \"$MODEL_SIZE\" ]; then L=2; elif [[ $MODEL_SIZE == *3B && -n $L ]]; then L=40; fi\n"
      "case $MODEL_SIZE in 13B|70B) L=41 ;; 7*) H=4096 ;; *) L=1 ;; esac\n"
      "python pretrain_gpt.py" +
      std::string(kSizes) + "--num-layers $L --hidden-size $H\n";
  CHECK(scenario_of(sizes).model.layers == 32);
}

TEST_CASE("a test that the script alone does not decide is told with the branch that is read") {
  const std::string script = std::string("SIZE=$1\nif [ $SIZE = 7B ]; then\n  L=32\nelse\n  L=40\nfi\n") +
                             "if [ -f conf ]; then exit 1; fi\n" + "torchrun pretrain_gpt.py" + kSizes +
                             "--num-layers $L\n";
  const MegatronImport read = import_megatron(script, "x", "x.sh", "hgx-h100", 0);
  CHECK(read.yaml.find("layers: 40") != std::string::npos);
  CHECK(told(
      read.notes,
      "line 2: the script alone does not decide `[ $SIZE = 7B ]` ($1 is the command line's): the branch of "
      "line 4 is read"));
  CHECK(refusal("if [ $SIZE = 7B ]; then A=\"--num-layers 3\"; fi\ntorchrun pretrain_gpt.py $A\n") ==
        "x.sh: no option of Megatron-LM in it (--num-layers, ...); line 1: the script alone does not decide "
        "`[ $SIZE "
        "= 7B ]` (SIZE is not set in the script): no branch is read");
}

TEST_CASE("only the options of the command that trains count, and those of others are told") {
  const std::string script = "python preprocess.py --num-layers 2\ntorchrun --nnodes 2 pretrain_gpt.py" +
                             std::string(kSizes) + "\necho --num-layers 3\npython check.py --num-layers 4\n";
  const MegatronImport read = import_megatron(script, "x", "x.sh", "hgx-h100", 0);
  CHECK(read.yaml.find("layers: 32") != std::string::npos);
  CHECK(told(read.notes,
             "line 1: the options of `python preprocess.py --num-layers 2` are left out: `torchrun --nnodes "
             "2 pretrain_gpt.py --nu...` of line 2 is the training"));
}

TEST_CASE(
    "members of arrays that hold several words are read, and functions, loops, eval and bash -c are "
    "followed") {
  const std::string script =
      "A=(\"--fp8-format hybrid\" \"--vocab-size 128256\" --bf16)\nfor x in one two; do L=$x; done\n"
      "launch() { torchrun $1 \"${@:2}\" \"$@\"; }\nlaunch pretrain_gpt.py ${A[@]}" +
      std::string(kSizes) + "--vocab-size 128256\n";
  CHECK(precision_of(script) == "fp8");
  CHECK(scenario_of(script).model.vocabulary == 128256);
  const std::string run = "CMD=\"torchrun pretrain_gpt.py " + std::string(kSizes) + " --bf16\"\n";
  CHECK(precision_of(run + "echo $CMD --fp16\neval $CMD\n") == "bf16");
  CHECK(scenario_of(run + "srun -N 2 bash -c \"$CMD\"\n").nodes == 2);
}

TEST_CASE(
    "options in the shape of AMD's and NVIDIA's published scripts: texts in texts, eval, lists without "
    "quotes") {
  const std::string script =
      "SIZE=${SIZE:-16B} # 16B, 671B\nGPUS=`python3 -c \"import torch; print(torch.cuda.device_count())\"`\n"
      "if [ $SIZE = 671B ]; then\n  L=61 # of them\n  # F='([0]*1+[1]*2)'\n  F=1\n  moe=\" \\\n "
      "--q-lora-rank 1536 \"\n"
      "elif [ $SIZE = 16B ]; then\n  L=27\n  F=([0]*3+[1]*24)\n  moe=\"\"\nfi\n"
      "moe=\" \\\n  ${moe} --num-experts 64 --moe-layer-freq '${F}' \\\n  --moe-ffn-hidden-size $((2 * "
      "704))\\\n  \"\n"
      "cmd=\"\n torchrun --nproc_per_node $GPUS --nnodes 2 pretrain_deepseek.py " +
      std::string(kSizes) +
      " --num-layers ${L} ${moe}\n\"\necho ${cmd}\neval ${cmd} 2>&1 | tee $LOG\nset +x\n";
  const Scenario s = scenario_of(script);
  CHECK(s.model.layers == 27);
  CHECK(s.model.experts->dense_layers == 3);
  CHECK(s.model.experts->ffn == 1408);
  CHECK(s.nodes == 2);
  CHECK(
      told(notes_of(script),
           "line 19: --nproc-per-node has no value that the script itself gives: 8 GPUs a node are assumed"));
}

TEST_CASE("nodes are read from torchrun, srun and #SBATCH, and arithmetic as the shell computes it") {
  const std::string command = "torchrun pretrain_gpt.py" + std::string(kSizes);
  CHECK(scenario_of("#SBATCH --nodes=4\n" + command).nodes == 4);
  CHECK(scenario_of("#SBATCH -N 8 # of them\nsrun " + command).nodes == 8);
  CHECK(scenario_of("srun --nodes 4 " + command).nodes == 4);
  CHECK(scenario_of("srun -N2 " + command).nodes == 2);
  CHECK(scenario_of("#SBATCH --nodes=4\n" + command + "--nnodes $SLURM_NNODES").nodes == 4);
  CHECK(scenario_of("N=8\nGBS=$((N*(32-2)/2 + 7 % 4 + 5))\n" + command + "--global-batch-size $GBS")
            .training.global_batch == 128);  // 8 * 30 / 2 + 3 + 5
  CHECK(refusal("GBS=$((8/0))\n" + command + "--global-batch-size $GBS") ==
        "x.sh:2: --global-batch-size needs a number that the script itself gives: '8/0' is arithmetic that "
        "cannot be "
        "done here");
  CHECK(refusal("\n" + command +
                "--nnodes 3 --tensor-model-parallel-size 8 --pipeline-model-parallel-size 2") ==
        "x.sh:2: --nnodes: 3 nodes x 8 GPUs = 24 GPUs are no multiple of tensor 8 x context 1 x pipeline 2 = "
        "16 GPUs; "
        "`import megatron --nodes N` says another number");
}

TEST_CASE(
    "options that nobody has are told, and values that Megatron-LM does not take are refused with those it "
    "takes") {
  CHECK(told(notes_of(std::string(kSizes) + "--no-such-flag --no-save-optim"),
             "line 1: --no-such-flag is not known and was left out"));
  CHECK_FALSE(told(notes_of(std::string(kSizes) + "--no-save-optim"),
                   "line 1: --no-save-optim is not known and was left out"));
  CHECK(refusal(std::string(kSizes) + "--normalization Foo") ==
        "x.sh:1: --normalization is 'Foo'; legal: LayerNorm RMSNorm");
  CHECK(refusal(std::string(kSizes) + "--cp-comm-type foo") ==
        "x.sh:1: --cp-comm-type is 'foo'; legal: p2p a2a allgather all_gather a2a+p2p");
  CHECK(refusal(std::string(kSizes) + "--recompute-granularity selective --recompute-modules mlp_act") ==
        "x.sh:1: --recompute-modules has 'mlp_act'; legal: core_attn moe_act layernorm mla_up_proj mlp moe "
        "shared_experts");
  CHECK_FALSE(scenario_of(std::string(kSizes) + "--attention-backend local").training.flash_attention);
  CHECK(scenario_of(std::string(kSizes) + "--attention-backend fused").training.flash_attention);
}

TEST_CASE("an error of the scenario is told by the option that it comes from") {
  const MegatronImport read =
      import_megatron("\n" + std::string(kSizes) + "--tensor-model-parallel-size 3 --nproc-per-node 6", "x",
                      "x.sh", "hgx-h100", 0);
  const Library library;
  const std::string error = error_of([&] {
    Document document = Document::parse(read.yaml, "x.sh as a scenario");
    (void)read_scenario(document, library);
  });
  CHECK(told_by_options(error, read)
            .starts_with("x.sh:2: --tensor-model-parallel-size: 32 attention heads are not divisible by "
                         "tensor 3; legal: 1 2 4 8 16 32"));
}

TEST_CASE("every run of the library exports words of the shell that import reads and exports again") {
  const Library library;
  for (const std::string& name : library.names("runs")) {
    CAPTURE(name);
    Document document = Document::parse(library.get("runs", name, "run", "test").text, name);
    const Scenario scenario = read_scenario(document, library);
    const MegatronExport out = export_megatron(scenario);
    const std::string script = fmt::format("{}", fmt::join(out.options, "\n"));
    bool quoted = false;
    for (const char c : script) {
      if (c == '"') quoted = !quoted;
      const bool special = std::string_view("()*[]<>|&;$`'?!#~{}\\").find(c) != std::string_view::npos;
      CHECK_MESSAGE((quoted || !special), script);
    }
    CHECK_FALSE(quoted);
    const MegatronImport read = import_megatron(script, "x", "x.sh", "hgx-h100", 0);
    Document again = Document::parse(read.yaml, "imported");
    CHECK(fmt::format("{}", fmt::join(export_megatron(read_scenario(again, library)).options, "\n")) ==
          script);
  }
}

TEST_CASE("layers of the first and last stage are exported, and what has no option is noted") {
  const Library library;
  const auto exported = [&](const std::string& more) {
    Document document = Document::parse(
        "model: llama3-8b\ncluster: {node: hgx-h100, nodes: 1, fabric: none}\nlayout: {pipeline: 4}\n" + more,
        "x");
    return export_megatron(read_scenario(document, library));
  };
  const std::string training = "training: {sequence_length: 8192, global_batch: 16}\n";
  const MegatronExport ends =
      exported("schedule: {name: 1f1b, first_stage_layers: 7, last_stage_layers: 5}\n" + training);
  CHECK(told(ends.options, "--decoder-first-pipeline-num-layers 7"));
  CHECK(told(ends.options, "--decoder-last-pipeline-num-layers 5"));
  CHECK(told(ends.options, "--max-position-embeddings 8192"));
  CHECK(ends.notes.empty());
  const MegatronExport uneven = exported("schedule: {name: 1f1b, stage_layers: [9, 8, 7, 8]}\n" + training);
  CHECK(told(uneven.options, "--pipeline-model-parallel-layout \"Et*9|t*8|t*7|t*8L\""));
  CHECK(uneven.notes ==
        std::vector<std::string>{"--pipeline-model-parallel-layout is of core 0.13 and later"});
  const MegatronExport rest = exported(
      "schedule: {name: 1f1b}\ntraining: {sequence_length: 8192, global_batch: 16, optimizer: shampoo, "
      "recompute: [mlp_activation, norms], sharding: {hsdp: 2}, phases: [{name: ramp, tokens: 1M, "
      "global_batch: 8}]}\n");
  CHECK(told(rest.options, "--recompute-modules layernorm"));
  CHECK(std::none_of(rest.options.begin(), rest.options.end(),
                     [](const std::string& o) { return o.starts_with("--optimizer"); }));
  CHECK(rest.notes == std::vector<std::string>{
                          "the phase ramp (1e+06 tokens, 8 sequences of 8192) is left out: a launch has one "
                          "batch and one sequence "
                          "length",
                          "the sharding group of 2 ranks is left out: all replicas are one group",
                          "the optimizer shampoo is left out: Megatron-LM then runs Adam",
                          "recomputation of mlp_activation is left out: no module of --recompute-modules"});
}

TEST_CASE("a layout of the pipeline says each stage's layers, and is written as it was read") {
  // DeepSeek-V3 on 16 ranks of 2 stages (Megatron-Core's own example): 3 + 29 x 2 = 61 layers over 32 stages, prediction and
  // loss in one each; the prediction layer is computed with the loss here.
  const std::string rest =
      " --hidden-size 4096 --num-attention-heads 32 --seq-length 2048 --micro-batch-size 1 "
      "--global-batch-size 64 --vocab-size 32000 --pipeline-model-parallel-size 16 ";
  const std::string script =
      rest + "--num-layers 61 --mtp-num-layers 1 --pipeline-model-parallel-layout \"Et*3|(tt|)*29,m|L\"";
  const Scenario s = scenario_of(script);
  std::vector<std::int64_t> layers(32, 2);
  layers[0] = 3;
  layers[30] = layers[31] = 0;
  CHECK(s.schedule.stage_layers == layers);
  CHECK(s.schedule.virtual_stages == 2);
  CHECK(s.schedule.row->name == "interleaved_1f1b");
  CHECK(told(notes_of(script),
             "--pipeline-model-parallel-layout: the prediction layers of stage 31 of 32 are computed with "
             "the loss, in the last"));
  CHECK(told(export_megatron(s).options, "--pipeline-model-parallel-layout \"Et*3|(tt|)*29|mL\""));

  const std::string long_way = "E|" + std::string("(t|)*3,m|m||L");
  CHECK(refusal(rest + "--num-layers 3 --mtp-num-layers 2 --pipeline-model-parallel-layout \"" + long_way +
                "\"") == "x.sh:1: --pipeline-model-parallel-layout has prediction layers, m, in two stages");
}

TEST_CASE("a layout of the pipeline that Megatron-LM would not start with is refused with its line") {
  const auto refused = [](const std::string& layout, const std::string& more = "") {
    const std::string told = refusal(
        "--num-layers 8 --hidden-size 4096 --num-attention-heads 32 --seq-length 2048 "
        "--micro-batch-size 1 --global-batch-size 64 --vocab-size 32000 "
        "--pipeline-model-parallel-size 4 " +
        more + "\n--pipeline-model-parallel-layout '" + layout + "'");
    const std::string place = "x.sh:2: --pipeline-model-parallel-layout ";
    CHECK(told.starts_with(place));
    return told.substr(std::min(place.size(), told.size()));
  };
  CHECK(refused("tt|tt|tt|ttL") == "has to begin with the embedding, E");
  CHECK(refused("Ett|tt|tt|tt") == "has to end with the loss, L");
  CHECK(refused("Ett|tt|tt|ttLL") == "has a second loss, L");
  CHECK(refused("Ett|Ett|tt|ttL") == "has a second embedding, E");
  CHECK(refused("Ett|tt|tt|ttt,L") == "has 9 layers (t); --num-layers is 8");
  CHECK(refused("Ett|tt|ttttL") == "has 3 stages, which 4 pipeline ranks do not divide");
  CHECK(refused("Ett|tt|tt|ttmL") == "has 1 prediction layers (m); --mtp-num-layers is 0");
  CHECK(refused("Ett|tt|tm|tttL") == "has a transformer layer, t, after a prediction layer, m");
  CHECK(refused("Ett|(tt|*2ttL") == "has a '(' that nothing closes");
  CHECK(refused("Ett|tt|)*2ttL") == "has a ')' that nothing opens");
  CHECK(refused("Ett|(tt|)*ttL") == "has a '*' without a number");
  CHECK(refused("Et*99999999999999999999|L") ==
        "has more than 100000 letters when its repetitions are written out");
  CHECK(refused("E((((((((((t)*9)*9)*9)*9)*9)*9)*9)*9)*9)*9|L") == "nests parentheses more than 8 deep");
  CHECK(refused("Ett|tt|xx|ttL").starts_with("has 'x': known are E embedding"));
  CHECK(refused("Ett|(tt|)*2ttL", "--decoder-last-pipeline-num-layers 2") ==
        "says what --decoder-last-pipeline-num-layers says too: give one of them");
  CHECK(refused("Ett|(tt|)*2ttL", "--num-virtual-stages-per-pipeline-rank 2") ==
        "has 1 stages a rank; --num-virtual-stages-per-pipeline-rank is 2");
}
