// Every command and every option: the table that parsing, help and shell completion are made from.
#include <array>
#include <nlohmann/json.hpp>

#include "sim/config.hpp"
#include "sim/error.hpp"
#include "tools/commands/command.hpp"

namespace runcast {
namespace {

constexpr std::array kCommon = {
    Option{"format", 0, "FORMAT", "table (default), json, jsonl, csv or md"},
    Option{"output", 'o', "FILE", "write to FILE; its suffix (.json .jsonl .csv .md .txt) picks the format"},
    Option{"assert", 0, "CLAIM", "exit with 1 unless the claim holds, e.g. 'step.mfu > 0.38'; repeatable"},
    Option{"library", 0, "DIR", "lay DIR/models/NAME.yaml, DIR/hardware/NAME.yaml, ... over the library"},
    Option{"no-timing", 0, "", "leave out the fields that tell wall time"},
    Option{"quiet", 0, "", "no progress"},
    Option{"help", 'h', "", "what the command does and takes"},
};

constexpr std::array kSimulation = {
    Option{"set", 0, "KEY=VALUE", "change one value of the scenario, e.g. layout.tensor=4; repeatable"},
    Option{"seed", 0, "N", "seed of the random draws (default 1)"},
    Option{"threads", 'j', "N", "threads (default: all cores); the result is the same for any N"},
    Option{"report", 0, "FILE.html",
           "all charts of the result in one HTML file that loads nothing from any network"},
};

constexpr std::array kStepOptions = {
    Option{"unfolded", 0, "", "every rank on its own clock: who waits for whom, and the critical path"},
    Option{"trace", 0, "FILE.json", "what each rank does when, for ui.perfetto.dev; .json.gz compresses"},
    Option{"trace-format", 0, "FORMAT",
           "chrome (default); kineto: a file a rank, FILE becomes FILE.rank17.json; memory: for "
           "pytorch.org/memory_viz"},
    Option{"trace-level", 0, "LEVEL", "step, microbatch (default), layer or op"},
    Option{"trace-ranks", 0, "RANKS",
           "e.g. 0,17,32-47 or all (default: one of each stage; unfolded: those on the critical path first)"},
    Option{"trace-size", 0, "SIZE", "ranks are left out beyond this (default 50 MB)"}};
constexpr std::array kRunOptions = {
    Option{"sensitivity", 0, "", "elasticity of step time, days and cost to each constant, rate and price"},
    Option{"trials", 0, "N",
           "how many runs are drawn (default 200), or auto: until the mean is known to 0.1 %"},
    Option{"trace", 0, "FILE.json", "one trial of the run, for ui.perfetto.dev; .json.gz compresses"}};
constexpr std::array kSearchOptions = {
    Option{"objective", 0, "NAME",
           "step_time (default), tokens_per_dollar, days or energy (both with failures)"},
    Option{"space", 0, "KEY=[A,B]",
           "values of one choice, e.g. tensor=[4,8], schedule=[1f1b], nodes=[64,128]; repeatable"},
    Option{"where", 0, "CLAIM",
           "list only layouts for which the claim holds, e.g. 'peak_gib < 70'; repeatable"},
    Option{"top", 0, "N", "how many layouts are listed (default 10)"},
    Option{"trials", 0, "N", "runs drawn for each layout, for days and energy (default 40)"},
};
constexpr std::array kSweepOptions = {
    Option{"results", 0, "FILE.jsonl", "where rows are written as points are done (default: beside STUDY)"},
    Option{"shard", 0, "i/N", "only the i-th of N parts, or auto: as Slurm, Open MPI or PMI say"},
    Option{"dry-run", 0, "", "the points, without simulating them"},
    Option{"trials", 0, "N", "runs drawn for each point, where the answer is run (default 200)"},
};
constexpr std::array kMergeOptions = {Option{"results", 0, "FILE.jsonl", "the file to write"}};
constexpr std::array kExportOptions = {
    Option{"shards", 0, "N", "parts (default 16)"},
    Option{"results", 0, "FILE.jsonl", "where the merged rows go (default: beside STUDY)"},
    Option{"prefix", 0, "PREFIX", "chakra: files are PREFIX.RANK.et and PREFIX.json (default chakra)"},
    Option{"ranks", 0, "RANKS", "chakra: e.g. 0,17,32-47 (default: all)"},
};
constexpr std::array kCompareOptions = {
    Option{"trials", 0, "N", "how many runs are drawn of each (default 200), or auto"}};
constexpr std::array kGoodputOptions = {
    Option{"trials", 0, "N",
           "how many runs are drawn (default 200, at most 1,000,000), or auto: until the mean is known to "
           "0.1 %"},
    Option{"compare", 0, "KEY=[A,B]",
           "runs that differ in one key, on the same failures, with paired differences from the first"},
    Option{"log", 0, "TRIAL", "the events of one trial, in order"},
    Option{"timeline", 0, "FILE.json", "one trial (--log, default 0) as a Chrome trace, for Perfetto"},
};
constexpr std::array kCalibrateOptions = {
    Option{"cases", 0, "FILE.csv",
           "measured steps with the columns of the library's table (default: that table)"},
    Option{"step", 0, "SCENARIO=TIME",
           "a step of one's own cluster instead of a table, e.g. mine.yaml=5.31s; repeatable"},
    Option{"gemm", 0, "FILE.csv",
           "times of matrix products: columns m, n, k, time_us or tflops, precision; with --gpu"},
    Option{"gpu", 0, "NAME", "the library's GPU that --gemm was run on"},
    Option{"nccl", 0, "FILE", "the output of nccl-tests, one rank on each GPU; with --node"},
    Option{"node", 0, "NAME", "the library's node that --nccl was run on"},
    Option{"constants", 0, "NAME,...",
           "which to fit: names or families such as hopper (default: the usual ones)"},
    Option{"only", 0, "KIND", "steps of dense or moe models only, or all (default)"},
    Option{"hardware", 0, "GPU,...", "steps measured on these only, as the table names them"},
    Option{"folds", 0, "N", "parts of the cross-validation (default 5); 0: none"},
    Option{"iterations", 0, "N", "of the fit, at most (default 12)"},
    Option{"overlay", 0, "DIR", "write the library entries with the fitted values, for --library DIR"},
    Option{"seed", 0, "N", "seed of random placements (default 1)"},
    Option{"threads", 'j', "N", "threads (default: all cores); the result is the same for any N"},
};
constexpr std::array kValidateOptions = {
    Option{"cases", 0, "FILE", "measured steps, with the columns of the library's published table"},
    Option{"seed", 0, "N", "seed of random placements (default 1)"},
    Option{"threads", 'j', "N", "threads (default: all cores); the result is the same for any N"},
};
constexpr std::array kImportOptions = {
    Option{"nodes", 0, "N",
           "failures: nodes that were watched; megatron: nodes of the run (default: as the file says)"},
    Option{"node", 0, "NAME", "megatron, aicb: the library's node (default hgx-h100)"},
    Option{"gpu", 0, "NAME", "nccl-topo: the library's GPU (default: by its PCI device)"},
    Option{"model", 0, "NAME", "aicb: the library's model (default: the one of these sizes)"},
    Option{"micro-batch", 0, "N", "aicb: sequences of a micro-batch (default 1)"},
    Option{"span", 0, "TIME", "how long they were watched (default: until the record's last date)"},
};
constexpr std::array kModelOptions = {
    Option{"sequence", 0, "TOKENS", "sequence length (default 4096, or all learned positions where fewer)"},
    Option{"convention", 0, "NAME",
           "FLOPs of the cost: exact (default), exact_full, 6n, palm or megatron_2021"},
    Option{"gpu", 0, "NAME", "a GPU of the library for roofline, cost and grade (default h100)"},
    Option{"precision", 0, "NAME", "number format (default bf16)"},
    Option{"software", 0, "NAME",
           "profile that says what gradients and the framework weigh (default megatron)"},
    Option{"optimizer", 0, "NAME",
           "whose states are counted: adamw (default), adamw_8bit, adafactor, muon, ..."},
    Option{"batch", 0, "N", "sequences that are decoded together (default 1)"},
    Option{"context", 0, "TOKENS", "context of decoding (default: the sequence)"},
    Option{"tokens", 0, "N", "what training on, reading and generating so many tokens costs, e.g. 100M"},
    Option{"gpus", 0, "N", "GPUs that share the work of --tokens or gave --measured (default 1)"},
    Option{"mfu", 0, "SHARE", "with --tokens: model FLOPs utilization (default 1, a lower bound)"},
    Option{"price", 0, "DOLLARS", "with --tokens: of a GPU-hour, e.g. '2 USD' (default: the library's)"},
    Option{"power", 0, "WATTS", "with --tokens: of a GPU at work, e.g. '330 W' (default: its TDP)"},
    Option{"pue", 0, "FACTOR", "with --tokens: of the data center (default 1.1)"},
    Option{"carbon", 0, "KG", "with --tokens: kg CO2e a kWh (default 0.38, us-east)"},
    Option{"measured", 0, "RATE", "grade this throughput of all GPUs, e.g. '10000 tokens/s'"},
    Option{"peak", 0, "RATE", "with --measured: your own figure of the peak, e.g. '1979 TFLOP/s'"},
};
constexpr std::array kScalingOptions = {
    Option{"compute", 0, "FLOPS", "the budget in FLOPs, e.g. 1e23 or '1000 PF-days'"},
    Option{"gpu-hours", 0, "N", "the budget in GPU-hours, e.g. 1M; with --scenario, or --gpu and --mfu"},
    Option{"budget", 0, "DOLLARS", "the budget in dollars, e.g. '10000 USD'; likewise, at the GPU's price"},
    Option{"loss", 0, "L", "the budget is what the optimum needs for this loss, nats a token"},
    Option{"scenario", 0, "SCENARIO",
           "its simulated step tells the MFU, its prices the GPU-hour, its phases the ramp"},
    Option{"gpu", 0, "NAME", "a GPU of the library, instead of a scenario"},
    Option{"precision", 0, "NAME", "with --gpu: the number format of its peak (default bf16)"},
    Option{"mfu", 0, "SHARE", "model FLOPs utilization, of 6 N FLOPs a token, e.g. 0.4"},
    Option{"price", 0, "DOLLARS", "of a GPU-hour, e.g. '2 USD' (default: the scenario's or the library's)"},
    Option{"law", 0, "NAME", "chinchilla (default), besiroglu, kaplan or kaplan-paper"},
    Option{"model", 0, "NAME",
           "a model to place beside the optimum, with --tokens or trained for the budget"},
    Option{"parameters", 0, "N", "likewise, by its number of parameters, e.g. 7B"},
    Option{"tokens", 0, "N", "how many tokens that model is trained on, e.g. 1.4T"},
    Option{"ramp", 0, "PHASES",
           "batches in tokens, [TOKENS:]BATCH[/CRITICAL],..., e.g. 252M:4M/2M,2.6T:8M/5M"},
};
constexpr std::array kAdviseOptions = {
    Option{"search", 0, "EFFORT",
           "layouts by: quick (default; ranks, micro-batch, schedule), full (all choices, minutes) or none "
           "(neighbours)"},
    Option{"fail-on", 0, "SEVERITY",
           "exit with 1 when a row is at least so severe: low, medium, high or critical"},
};
constexpr std::array kNetworkOptions = {
    Option{"from", 0, "RANK",
           "bandwidth and latency from this rank (with --to), instead of one pair for each distance"},
    Option{"to", 0, "RANK", "to this rank"},
    Option{"with", 0, "SCENARIO", "another job on the GPUs that this one leaves free; repeatable"},
};
constexpr std::array kTraceOptions = {
    Option{"set-b", 0, "KEY=VALUE", "change one value of B alone (--set changes both); repeatable"},
};
constexpr std::array kInitOptions = {Option{"force", 0, "", "overwrite the file"}};
constexpr std::array kExplainOptions = {
    Option{"result", 0, "FILE", "a result (--format json) whose value of the term is shown"}};

const std::array kCommands = {
    Command{
        "run", "one step, the whole run with failures, and what it costs", "SCENARIO", 1, 1, true,
        kRunOptions,
        "Simulates one optimizer step, then the run of weeks with failures and recovery, and prices it.\n"
        "Exit status 1 when the scenario does not fit into GPU memory, or no trial of the run finishes.\n\n"
        "  runcast run llama3-405b-16k\n"
        "  runcast run my.yaml --set layout.tensor=4 --assert 'step.mfu > 0.38'\n"
        "  runcast run my.yaml -o result.json\n"
        "  runcast run my.yaml --report run.html --trace run.json.gz\n"
        "  runcast run llama3-70b --sensitivity\n",
        run_command},
    Command{
        "step", "one optimizer step: time, breakdown, bubble, MFU, memory", "SCENARIO", 1, 1, true,
        kStepOptions,
        "Where the time of one step goes on the rank that ends last, both definitions of the bubble, "
        "what is\n"
        "communicated, and memory by pipeline stage. `runcast explain breakdown` defines each line.\n\n"
        "  runcast step llama3-405b-16k --set schedule.name=1f1b --set schedule.virtual_stages=1\n\n"
        "With --unfolded, or with cluster.faults in the scenario, every rank is simulated: who waited for\n"
        "whom, the critical path by cause, and what a second less of each would save.\n\n"
        "  runcast step llama3-405b-16k --set 'cluster.faults=[{rank: 17, slowdown: 1.1}]'\n"
        "  runcast step llama3-405b-16k --set 'cluster.faults=[{stage: 15, slowdown: 1.1}, {jitter: 0.02}]'\n"
        "  runcast step llama3-405b-16k --set 'cluster.faults=[{rack: 3, slowdown: 1.08}]'\n\n"
        "--trace draws it: one process a rank, one thread a stream, arrows for messages, memory as "
        "counters.\n\n"
        "  runcast step llama3-405b-16k --trace step.json.gz\n"
        "  runcast step llama3-70b --trace ops.json --trace-level op --trace-ranks 0,8\n",
        step_command},
    Command{"goodput", "the run with failures: days, ledger, checkpoint interval", "SCENARIO", 1, 1, true,
            kGoodputOptions,
            "How many days the run takes with failures and recovery, where wall time goes, and the goodput "
            "for each\n"
            "checkpoint interval and number of spares.\n\n"
            "  runcast goodput llama3-405b-16k --trials 1000\n"
            "  runcast goodput llama3-405b-16k --compare 'recovery.policy=[restart,hot_spare,elastic]'\n"
            "  runcast goodput llama3-405b-16k --log 7 --timeline run.json\n",
            goodput_command},
    Command{"memory",
            "bytes per GPU by kind and pipeline stage, and whether it fits",
            "SCENARIO",
            1,
            1,
            true,
            {},
            "GiB per GPU: weights, gradients, optimizer state, activations at the schedule's peak, buffers.\n"
            "Exit status 1 when it does not fit.\n\n"
            "  runcast memory llama3-405b-16k --set training.recompute=full\n",
            memory_command},
    Command{"model", "parameters, FLOPs, memory, KV cache, roofline and cost of a model", "MODEL", 1, 2,
            false, kModelOptions,
            "What counting alone tells of a model of the library, or of a YAML file with its dimensions: "
            "nothing is\n"
            "simulated, rooflines are bounds. `runcast list models` has the names.\n\n"
            "  runcast model llama3-8b --sequence 8192\n"
            "  runcast model llama-7b --gpu a100-80 --tokens 100M --convention 6n --price '2 USD'\n"
            "  runcast model llama3-8b --measured '10000 tokens/s' --gpu h100\n",
            model_command},
    Command{"scaling", "the best parameters and tokens for a budget, and where known models lie", "", 0, 1,
            true, kScalingOptions,
            "Chinchilla's and Kaplan's scaling laws: the division of a budget between parameters and tokens "
            "that\n"
            "gives the lowest loss, known models against it, and how well batches use their samples.\n\n"
            "  runcast scaling --compute 1e23\n"
            "  runcast scaling --gpu-hours 1M --scenario llama3-405b-16k\n"
            "  runcast scaling --budget '10000 USD' --gpu h100 --mfu 0.4 --model llama3-8b\n"
            "  runcast scaling --parameters 70B --tokens 1.4T --law besiroglu\n"
            "  runcast scaling --ramp 4M/2M,8M/5M,16M/10M\n",
            scaling_command},
    Command{"advise", "ranked what-ifs, each re-simulated: days, dollars and CO2e saved", "SCENARIO", 1, 1,
            true, kAdviseOptions,
            "Tries each lever on the scenario by simulating the whole run again: attention, recomputation, "
            "layout,\n"
            "schedule, overlap, data loading, precision, optimizer, sharding, checkpoints, recovery, spares, "
            "capacity,\n"
            "curriculum, early stop, place and hardware. Each row has its place in the file, its savings and "
            "the --set\n"
            "that applies it; those that help the same run together are simulated as one, and then all "
            "levers\n"
            "whatever they ask for. In JSON each row tells all that its lever tried, and why it was not "
            "taken.\n\n"
            "  runcast advise my.yaml\n"
            "  runcast advise my.yaml --fail-on high\n"
            "  runcast advise my.yaml --search full\n",
            advise_command},
    Command{
        "calibrate", "fits the library's efficiency constants to measured steps", "", 0, 0, false,
        kCalibrateOptions,
        "The few constants that datasheets do not tell, by least squares over measured step times, each "
        "with\n"
        "its interval and with how much of it the measurements told. Which of them trade off is said, and\n"
        "cross-validation leaves whole families of layouts out of the fit.\n\n"
        "  runcast calibrate --overlay fitted/ && runcast validate --library fitted/\n"
        "  runcast calibrate --cases mine.csv --constants hopper,megatron --folds 0\n\n"
        "One measured step of one's own cluster corrects the predictions of its neighbours:\n\n"
        "  runcast calibrate --step mine.yaml=5.31s --overlay ours/\n"
        "  runcast step other.yaml --library ours/\n\n"
        "Benchmarks of one's own hardware set its entry alone:\n\n"
        "  runcast calibrate --gemm gemm.csv --gpu h100 --overlay ours/\n"
        "  runcast calibrate --nccl all_gather.log --node hgx-h100 --overlay ours/\n",
        calibrate_command},
    Command{"validate", "predicted against published measurements", "", 0, 0, false, kValidateOptions,
            "Simulates every measured step of the library, or of FILE, and compares. error = "
            "predicted/measured - 1.\n\n"
            "  runcast validate\n"
            "  runcast validate --cases mine.csv --assert 'mape < 0.15'\n",
            validate_command},
    Command{"import", "a library entry or a scenario from what people have",
            "failures|hf|megatron|nccl-topo|aicb FILE", 2, 2, false, kImportOptions,
            "failures: rates by cause with their intervals, laws of gaps and repairs with goodness of fit, "
            "and the\n"
            "library entry that says so. Columns: time, node, cause, repair; LANL's; or a table of jobs "
            "(Acme, Philly)\n"
            "with state, start_time, end_time or duration, node_num or gpu_num.\n\n"
            "hf: a config.json of Hugging Face as a model. megatron: a launch script as a scenario.\n"
            "nccl-topo: the file of NCCL_TOPO_DUMP_FILE as a node. aicb: a workload of AICB (SimAI) as a "
            "scenario, with\n"
            "its volumes of communication beside ours. FILE may be - for standard input.\n\n"
            "  runcast import failures ours.csv --nodes 286 --span 180days\n"
            "  runcast import hf Qwen3-8B/config.json > qwen.yaml && runcast model ./qwen.yaml\n"
            "  runcast import megatron train.sh --node hgx-h100 --nodes 16 > ours.yaml && runcast run "
            "ours.yaml\n"
            "  runcast import nccl-topo system.xml > library/hardware/nodes/ours.yaml\n"
            "  runcast import aicb workload.txt --model gpt3-175b --node hgx-h100 > theirs.yaml\n",
            import_command},
    Command{"search", "the best layouts for a cluster, and why the others are not", "SCENARIO", 1, 1, true,
            kSearchOptions,
            "Counts every layout of the scenario's GPUs: tensor, context, pipeline, data and expert degrees, "
            "sequence\n"
            "parallelism, rank order, schedule with virtual stages and group size, micro-batch, "
            "recomputation, sharding\n"
            "and overlaps. What does not divide or fit is told by reason; what is left is bounded from "
            "below, and the\n"
            "best by bound are simulated until no other can be better. Ctrl-C keeps what is done (status "
            "130).\n\n"
            "  runcast search llama3-70b\n"
            "  runcast search llama3-70b --objective tokens_per_dollar --space 'nodes=[8,16,32]' --where "
            "'step_s < 12'\n"
            "  runcast search my.yaml --space 'tensor=[8]' --space 'schedule=[1f1b,interleaved_1f1b]' "
            "--format json\n\n"
            "Choices: tensor, context, pipeline, expert, expert_tensor, sequence_parallel, order, "
            "context_method,\n"
            "micro_batch, schedule, virtual_stages, group_size, recompute, sharding, overlap.data, "
            "overlap.tensor,\n"
            "overlap.pipeline, overlap.expert; and of the machine: node, nodes, global_batch.\n",
            search_command},
    Command{"sweep", "a study: a scenario at many points, resumable, in parts", "STUDY", 1, 1, true,
            kSweepOptions,
            "STUDY is a YAML file: scenario, design (grid, zip, list, random, latin_hypercube), keys with "
            "values or\n"
            "ranges, answer (step or run), results. Rows are written to --results in the order of the points "
            "as they\n"
            "are done; the same command goes on after an interruption and ends with the same bytes.\n"
            "Exit status 1 when every point was refused: a key of the study is misspelt.\n\n"
            "  runcast sweep study.yaml --dry-run\n"
            "  runcast sweep study.yaml --results out.jsonl --format csv -o out.csv\n"
            "  mpirun -n 4 runcast sweep study.yaml --results out.jsonl --shard auto -j 1\n"
            "  runcast merge out.*-of-4.jsonl --results out.jsonl\n",
            sweep_command},
    Command{"compare", "what differs between scenarios, and where the difference of the results lies",
            "A B [C...]", 2, 16, true, kCompareOptions,
            "Inputs that differ, results side by side, and the differences of step time and of days in terms "
            "that sum\n"
            "to them. Exit status as diff's: 0 when nothing differs, 1 when something does.\n\n"
            "  runcast compare llama3-405b-8k llama3-405b-16k\n"
            "  runcast compare ours.yaml theirs.yaml --format json\n",
            compare_command},
    Command{"merge", "the results of a study's parts as one file", "FILE [FILE...]", 1, 100'000, false,
            kMergeOptions,
            "Checks that all files are of one study, version and seed, and that no point is missing or twice "
            "there.\n"
            "The merged file is byte for byte what one process writes.\n\n"
            "  runcast merge out.*-of-8.jsonl --results out.jsonl\n",
            merge_command},
    Command{"export", "Megatron-LM's options or Chakra traces of a scenario, or a script for a study",
            "megatron|chakra|slurm|parallel SCENARIO-OR-STUDY", 2, 2, true, kExportOptions,
            "megatron: the options of Megatron-LM that the scenario stands for, one a line; `import "
            "megatron` reads\n"
            "them again. chakra: execution traces of one step for ASTRA-sim, one file a rank. slurm, "
            "parallel: a script that runs a study in parts, by Slurm or GNU parallel. The folder of --prefix "
            "is made.\n\n"
            "  runcast export megatron llama3-405b-16k\n"
            "  runcast export chakra one-node --prefix traces/one-node\n"
            "  runcast export slurm study.yaml --shards 32 > study.sbatch && sbatch study.sbatch\n"
            "  runcast export parallel study.yaml --shards 8 | bash\n",
            export_command},
    Command{"network", "bandwidth, latency, collectives and bisection of a scenario's network", "SCENARIO", 1,
            1, true, kNetworkOptions,
            "Bandwidth and latency between ranks; each collective of the layout with its size, algorithm, "
            "protocol, "
            "time,\n"
            "bus bandwidth and busiest link, and how much its groups slow each other as flows over the "
            "fabric; the\n"
            "bisection as a maximum flow.\n\n"
            "  runcast network llama3-405b-16k\n"
            "  runcast network llama3-405b-16k --set cluster.placement=random\n"
            "  runcast network llama3-70b --from 0 --to 17\n",
            network_command},
    Command{
        "trace", "which slots moved between the steps of two scenarios", "diff A B", 3, 3, true,
        kTraceOptions,
        "Slots of the same stage and micro-batch are compared: what starts earlier or later, takes longer, "
        "or has\n"
        "another place in its rank's order. Traces are written by step --trace and run --trace.\n\n"
        "  runcast trace diff before.yaml after.yaml\n"
        "  runcast trace diff llama3-70b llama3-70b --set-b schedule.p2p=blocking --format csv\n",
        trace_command},
    Command{"init", "a commented scenario to start from", "[FILE]", 0, 1, false, kInitOptions,
            "Prints a scenario with the keys that most runs set and their legal values, or writes it to "
            "FILE. Its first line tells\n"
            "editors with a YAML language server where the schema is.\n\n"
            "  runcast init my.yaml && runcast run my.yaml\n",
            init_command},
    Command{"schema",
            "the JSON Schema of scenarios, and every key as a table",
            "[KIND]",
            0,
            1,
            false,
            {},
            "Draft-07, with the names of the library. KIND: scenario (default), study, model, node, gpu, "
            "fabric,\n"
            "software, failures or storage. Editors with a YAML language server complete and check by it: "
            "begin\n"
            "a file with\n\n"
            "  # yaml-language-server: $schema=scenario.schema.json\n\n"
            "  runcast schema > scenario.schema.json\n"
            "  runcast schema study > study.schema.json\n"
            "  runcast schema --format md > keys.md\n"
            "  runcast explain layout.tensor\n",
            schema_command},
    Command{"list",
            "what the library holds, by kind",
            "[KIND]",
            0,
            1,
            false,
            {},
            "  runcast list\n  runcast list models\n",
            list_command},
    Command{"show",
            "one entry of the library, with its sources",
            "NAME",
            1,
            1,
            false,
            {},
            "NAME, or KIND/NAME where a name is in several kinds.\n\n"
            "  runcast show llama3-405b\n  runcast show runs/one-node > mine.yaml\n",
            show_command},
    Command{"explain", "meaning of a metric, an exit status or a key of the scenario", "[TERM]", 0, 1, false,
            kExplainOptions,
            "Without TERM: all terms. With --result, also the value that a result has for it.\n\n"
            "  runcast explain mfu\n  runcast explain bubble_fraction --result result.json\n"
            "  runcast explain layout.tensor\n  runcast explain recovery\n",
            explain_command},
    Command{"completion",
            "a completion script for bash, zsh or fish",
            "SHELL",
            1,
            3,
            false,
            {},
            "  source <(runcast completion bash)\n"
            "  runcast completion zsh > \"${fpath[1]}/_runcast\"\n"
            "  runcast completion fish > ~/.config/fish/completions/runcast.fish\n",
            completion_command},
    Command{"doctor",
            "checks this installation",
            "",
            0,
            0,
            false,
            {},
            "Reads every entry of the library, and says what the terminal and the machine can do.\n",
            doctor_command},
    Command{"help",
            "this list, or how one command is used",
            "[COMMAND]",
            0,
            1,
            false,
            {},
            "  runcast help step\n",
            help_command},
};

}  // namespace

std::span<const Command> command_table() { return kCommands; }
std::span<const Option> common_options() { return kCommon; }
std::span<const Option> simulation_options() { return kSimulation; }

const Command& command_named(const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : kCommands) {
    if (command.name == name) return command;
    names.emplace_back(command.name);
  }
  const std::string near = nearest_name(name, names);
  throw ConfigError(near.empty() ? "unknown command '" + name + "'; `runcast help` lists the commands"
                                 : "unknown command '" + name + "', did you mean '" + near + "'?");
}

Answer::Answer(nlohmann::ordered_json answer, std::string text, bool says_yes)
    : document(std::make_unique<nlohmann::ordered_json>(std::move(answer))),
      screen(std::move(text)),
      verdict(says_yes) {}
Answer::~Answer() = default;
Answer::Answer(Answer&&) noexcept = default;
Answer& Answer::operator=(Answer&&) noexcept = default;

}  // namespace runcast
