// The texts of `runcast explain`. Definitions follow the papers named in them; where two definitions of a
// word are in use, both are told and the one used here is named.
#include "tools/explanations.hpp"

#include <array>

namespace runcast {
namespace {

constexpr std::array kExplanations = {
    // ---- the step
    Explanation{"time_s", "step", "step.time_s", "time_s = sum of breakdown_s on the rank that ends last",
                "Wall time of one optimizer step, from the first micro-batch to the end of the update, with "
                "no failure."},
    Explanation{"tokens_per_s_per_gpu", "step", "step.tokens_per_s_per_gpu",
                "tokens_per_s_per_gpu = global_batch * sequence_length / (time_s * GPUs)",
                "Throughput of the step for each GPU of the job. Spares are not counted."},
    Explanation{"model_tflops_per_gpu", "step", "step.model_tflops_per_gpu",
                "model_tflops_per_gpu = model FLOPs of a step / (time_s * GPUs * 1e12)",
                "Model FLOPs are what the mathematics of the model needs: forward and backward of every "
                "matrix product, a\n"
                "multiply-add as 2, causal attention at half of the full square, recomputation not counted."},
    Explanation{"mfu", "step", "step.mfu",
                "mfu = model FLOPs of a step / (time_s * GPUs * dense peak FLOP/s of the precision)",
                "Model FLOPs utilization (Chowdhery et al. 2022, PaLM, appendix B). Causal attention is "
                "counted at half and\n"
                "recomputation is not counted. Sources that count full attention print a higher figure for "
                "the same step."},
    Explanation{"hfu", "step", "step.hfu",
                "hfu = FLOPs carried out in a step / (time_s * GPUs * dense peak FLOP/s)",
                "Hardware FLOPs utilization (Chowdhery et al. 2022): as mfu, but what is recomputed counts "
                "again. Equal to mfu\n"
                "without activation recomputation."},
    Explanation{"bubble_fraction", "step", "step.bubble_fraction", "bubble_fraction = bubble time / time_s",
                "The share of the step in which a rank waits for other pipeline stages. For 1F1B with p "
                "stages and m\n"
                "micro-batches of equal time: (p-1) / (m+p-1). Not the same as bubble_over_ideal."},
    Explanation{"bubble_over_ideal", "step", "step.bubble_over_ideal",
                "bubble_over_ideal = bubble time / time of the same work without a bubble",
                "The pipeline papers' fraction (Narayanan et al. 2021, section 2.2): (p-1)/m for GPipe and "
                "1F1B, (p-1)/(m*v) for\n"
                "v interleaved chunks. Always larger than bubble_fraction: f/(1-f)."},
    Explanation{
        "unfolded", "step", "step.unfolded", "",
        "Every rank of the job on its own clock, with its own slowdown and links: `step --unfolded`, or "
        "any scenario\n"
        "with cluster.faults. With equal ranks it is the folded step to the nanosecond. Items of the "
        "list cluster.faults:\n"
        "  {rank: 17, slowdown: 1.1}  {stage: 15, replica: 0, tensor: 0, slowdown: 1.1}  a slow GPU\n"
        "  {node: 3, slowdown: 1.1, host_slowdown: 1.5}  {rack: 2, rack_nodes: 2, slowdown: 1.08}\n"
        "  {share: 0.01, slowdown: 1.1}  {spread: 0.02}  {jitter: 0.05}  drawn by the seed\n"
        "  {link: node3.gpu1-node3.nvswitch, capacity: 0.5}  a degraded cable; 0 is a failed one\n"
        "  {switch: leaf3, capacity: 0.5, latency: 20 us}  a hot switch; capacity 0 is a failed one"},
    Explanation{
        "critical_path", "step", "step.unfolded.critical_path", "sum of causes[].time_s = time_s",
        "The chain of work without a gap that ends with the step: from the last gradients back through "
        "reductions to\n"
        "the replica that came last, through collectives to the slowest member, through messages to "
        "their senders.\n"
        "A cause's share is its part of that chain; `saved_per_second` is what the step gets shorter "
        "when the cause\n"
        "takes a second less on it, by simulating the step with 1 % less of the cause: below 1 where "
        "another chain\n"
        "is nearly as long, above 1 where less of it also shortens what is slowed beside it."},
    Explanation{
        "bus_bandwidth", "network", "network.collectives",
        "all-reduce: S/t * 2(n-1)/n   all-gather, reduce-scatter, all-to-all: S/t * (n-1)/n   else S/t",
        "What each link would carry if the collective of S bytes over n ranks were a ring that takes t "
        "(nccl-tests,\n"
        "PERFORMANCE.md): comparable with link rates whatever n is. Where switches reduce (NVLS, SHARP) "
        "it may be more\n"
        "than a link has."},
    Explanation{
        "cut_bound", "network", "network.collectives",
        "cut_bound_s = max over units of bytes that must leave the unit / nominal rate of its links out",
        "No algorithm is faster. Units are scale-up domains and what is below each tier of switches (of "
        "routers: a\n"
        "router, a group, the first axes). Of S over n members, k of them inside: S for an all-reduce, "
        "(n-k)/n S for a\n"
        "gather or reduce-scatter, k (n-k)/n S for an all-to-all. `bound_s` is the algorithm's own "
        "bandwidth term at\n"
        "datasheet rate."},
    Explanation{
        "flows", "network", "network.collectives",
        "slowdown = rate of one group's ring alone / rate of the slowest when all of its kind run",
        "Rates are max-min fair shares over the links of the graph; a ring moves in lockstep, at the rate "
        "of its slowest\n"
        "edge. `busiest_link` is full, `crossings` flows share it. With `network: flow` these rates price "
        "the step."},
    Explanation{
        "contention", "network", "network.collectives",
        "rate = rate of the kind alone * product over other kinds of (1 - busy * (1 - 1/slowdown))",
        "Kinds of groups (tensor, context, pipeline messages, data, expert) that use the same NICs or "
        "uplinks at once.\n"
        "`slowdown` is by how much this kind is slower while all groups of the other kind send too "
        "(max-min shares of\n"
        "both); `busy` is the share of the step in which they do, from a step where each kind is alone. "
        "Kinds are taken\n"
        "to meet by chance. With `network: flow` the rate goes into the step, into messages and unfolded "
        "ranks alike."},
    Explanation{
        "bisection", "network", "network.bisection",
        "bandwidth = maximum flow from the first half of the nodes to the second",
        "Over the links that are whole (Boykov and Kolmogorov 2004); `of_full` is its share of what the "
        "NICs of the half\n"
        "could send: 1 in a non-blocking fabric, 1/7 above LLaMA-3's pods."},
    Explanation{"exposed", "step", "",
                "exposed = communication time - the part that runs while the GPU computes",
                "Exposed communication is what lengthens the step. `time_s` of a communication row is its "
                "whole duration,\n"
                "`exposed_s` the part during which the rank's compute stream waits for it."},
    Explanation{"communication", "step", "step.communication", "",
                "One row for each group and collective of one rank in one step: how often, the bytes that "
                "the rank contributes\n"
                "to each, the summed time, and the exposed part of it."},
    Explanation{"breakdown", "step", "step.breakdown_s", "sum of all keys = time_s",
                "Where the time of a step goes on the rank that ends last. Each instant is counted once: "
                "what overlaps with\n"
                "computation is computation."},
    Explanation{"compute", "breakdown", "step.breakdown_s.compute", "",
                "Kernels of the model: forward, backward and what is recomputed."},
    Explanation{"tensor_exposed", "breakdown", "step.breakdown_s.tensor_exposed", "",
                "Waiting for all-reduce, all-gather or reduce-scatter of tensor and sequence parallelism."},
    Explanation{
        "context_exposed", "breakdown", "step.breakdown_s.context_exposed", "",
        "Waiting for keys and values (or heads) of context parallelism: ring, all-gather or all-to-all."},
    Explanation{"expert_exposed", "breakdown", "step.breakdown_s.expert_exposed", "",
                "Waiting for the all-to-all that sends tokens to their experts and back."},
    Explanation{"pipeline_exposed", "breakdown", "step.breakdown_s.pipeline_exposed", "",
                "Waiting for the transfer of activations and gradients between pipeline stages, where the "
                "stage itself was ready."},
    Explanation{"data_exposed", "breakdown", "step.breakdown_s.data_exposed", "",
                "Waiting for the gradient reduce-scatter or all-reduce, and for the parameter all-gather, "
                "over data parallelism."},
    Explanation{"bubble", "breakdown", "step.breakdown_s.bubble", "",
                "Idle time that the pipeline schedule causes: no micro-batch is ready for this stage."},
    Explanation{"optimizer", "breakdown", "step.breakdown_s.optimizer", "",
                "The update of the rank's share of the parameters: memory-bound reads and writes of the "
                "optimizer's state."},
    Explanation{"data_loading", "breakdown", "step.breakdown_s.data_loading", "",
                "Waiting for input samples: needed = max(time_per_sample * samples of a replica / workers, bytes of the\n"
                "batch / storage); with prefetching only what is above the step waits, without it all of it.\n"
                "step.data_loading tells which of both binds, and how many workers were enough."},
    Explanation{"other", "breakdown", "step.breakdown_s.other", "",
                "What is left: launches, synchronisation, logging, as the software profile has it."},
    // ---- memory
    Explanation{"memory", "memory", "step.memory.peak_gib",
                "total = weights + gradients + optimizer + activations + buffers",
                "GiB (2^30 bytes) on one GPU of a pipeline stage at the schedule's peak. `fits` compares the "
                "largest stage with\n"
                "capacity_gib, the usable memory of the GPU (H100-80: 79.3 GiB)."},
    Explanation{"weights_gib", "memory", "", "",
                "The parameters that a GPU of the stage holds, in the training precision."},
    Explanation{"gradients_gib", "memory", "", "", "Gradients of those parameters, sharded from zero2 on."},
    Explanation{"optimizer_gib", "memory", "", "",
                "Optimizer state with the fp32 master copy, sharded from zero1 on."},
    Explanation{"activations_gib", "memory", "", "",
                "What forward keeps for backward, times the micro-batches in flight at the stage's peak "
                "(Korthikanti et al. 2022)."},
    Explanation{"buffers_gib", "memory", "", "",
                "Communication buffers, workspaces, the framework and the CUDA context."},
    // ---- the run
    Explanation{
        "days", "run", "run.days.mean", "days = wall time of the run / 86,400 s",
        "From the first step to the last token, with failures and planned stops. mean with its 95 % "
        "confidence interval\n"
        "over the trials; p5, p50 and p95 tell how much one run may differ from another. Of the trials\n"
        "that finished: null when failures come faster than progress in all of them (run.unfinished)."},
    Explanation{"ideal_days", "run", "run.ideal_days", "ideal_days = steps * time_s / 86,400 s",
                "The run if nothing ever failed and no checkpoint was written."},
    Explanation{"goodput", "run", "run.goodput.mean", "goodput = productive step time / elapsed time",
                "Google's ML goodput; Meta's effective training time ratio (ETTR) is the same with queue "
                "time left out. It is\n"
                "ledger.useful. Do not multiply it with mfu twice: mfu is of the step, goodput of the run."},
    Explanation{"young", "run", "run.checkpoint.young_s", "young_s = sqrt(2 * block_s * mttf_s)",
                "Young's interval between saves (1974): good while the MTTF is far longer than a save."},
    Explanation{"daly", "run", "run.checkpoint.daly_s",
                "daly_s = sqrt(2 d M) * (1 + sqrt(d / 2M) / 3 + d / 18M) - d   (d = block_s, M = mttf_s)",
                "Daly's interval between saves (2006), of higher order in the blocking time."},
    Explanation{"phases", "run", "", "share_of_days = steps * step_s / sum over phases",
                "Stretches of the run with a batch, a sequence length, or a layout of their own: each has its step\n"
                "simulated and its memory checked. days hold the losses of all. In results: run.phases."},
    Explanation{"interruptions", "run", "run.interruptions.mean", "",
                "How often the job stopped, planned stops too, per run; the causes stand below it."},
    Explanation{"first_failure", "run", "run.first_failure_h.mean", "",
                "Hours until the first unplanned interruption, of the trials that had one."},
    Explanation{"waits", "run", "run.waits.mean", "",
                "Recoveries in which no node was free, and how long each of them waited (mean_wait_s)."},
    Explanation{
        "lost_s", "run", "", "",
        "What one event of a cause costs: time until the job trained again, and the work done again."},
    Explanation{
        "uncertain_rates", "run", "studies.uncertain_rates.days.p95", "rate ~ rate x Gamma(observed, mean 1)",
        "The run again with rates as uncertain as the number of events that they were estimated from\n"
        "(`observed` of a failure class): p5 and p95 of its days hold that and the luck of one run."},
    Explanation{
        "difference", "run", "", "difference = value of an alternative - value of the first, trial by trial",
        "goodput --compare: both meet the same failures, so that luck cancels. ci95_low and ci95_high hold\n"
        "the mean of the difference."},
    Explanation{"trials", "run", "run.trials", "",
                "How many runs were drawn. Trial k of a seed meets the same failures under every policy."},
    Explanation{"ledger", "ledger", "run.ledger", "sum of all buckets = 1",
                "Shares of wall time: each second of the run is in one bucket."},
    Explanation{"useful", "ledger", "run.ledger.useful", "", "Steps that count: their result was kept."},
    Explanation{"recomputed", "ledger", "run.ledger.recomputed", "",
                "Steps done again because they came after the checkpoint that was loaded."},
    Explanation{"checkpoint", "ledger", "run.ledger.checkpoint", "",
                "Training stands still while state is saved (async: only the copy out of GPU memory)."},
    Explanation{"detect", "ledger", "run.ledger.detect", "",
                "From the failure to the moment that somebody or something notices."},
    Explanation{"diagnose", "ledger", "run.ledger.diagnose", "", "Finding the node to take out."},
    Explanation{"wait_for_spare", "ledger", "run.ledger.wait_for_spare", "",
                "No healthy node is free: waiting for a repair or a spare."},
    Explanation{"restart", "ledger", "run.ledger.restart", "",
                "Rescheduling, process start, communicator set-up, loading the checkpoint, warm-up."},
    Explanation{"slow", "ledger", "run.ledger.slow", "",
                "The extra time of steps taken while a straggler or a degraded link slowed the job."},
    Explanation{"elastic_deficit", "ledger", "run.ledger.elastic_deficit", "",
                "The extra time of steps taken with fewer replicas than planned."},
    Explanation{"planned", "ledger", "run.ledger.planned", "",
                "Maintenance and other stops that were in the calendar."},
    Explanation{"sdc", "ledger", "run.ledger.sdc", "",
                "Work thrown away because silent data corruption was found in it."},
    // ---- cost
    Explanation{"usd", "cost", "cost.usd", "usd = gpu_hours * price of a GPU hour",
                "The GPUs of the job. total_usd has spares, storage and egress too; capital_usd is what owning costs."},
    Explanation{"gpu_hours", "cost", "cost.gpu_hours", "gpu_hours = GPUs of the job * wall hours",
                "Hot spares are spare_gpu_hours."},
    Explanation{"hours", "cost", "cost.hours", "sum of the parts = gpu_hours",
                "Where the GPU-hours go: useful steps by the parts of their time, and what failures, saves and\n"
                "pauses take by the ledger's buckets. With --result FILE the list of that run."},
    Explanation{"energy", "cost", "cost.energy", "GPU power = idle + share of the state * (TDP - idle)",
                "MWh by state of the GPUs (economics.power), of spares, hosts and network, and the overhead of the\n"
                "building: pue - 1 of all of them."},
    Explanation{"break_even_discount", "cost", "cost.spot.break_even_discount",
                "spot hours * (1 - d) + hours on demand + storage and egress = the run on demand, in USD",
                "The discount d above which spot capacity is cheaper than the scenario with capacity: on_demand, which is\n"
                "simulated beside it without preemption, with spares and saves of its own. Nodes that were taken back are not\n"
                "paid; with fallback their substitutes are paid on demand while they are away. null: no discount pays."},
    Explanation{"energy_mwh", "cost", "cost.energy_mwh", "energy = sum over states of power * hours * pue",
                "At the data centre's meter: pue is its overhead over the machines' own draw."},
    Explanation{
        "published_energy", "cost", "published", "energy = GPU-hours * W a GPU * pue",
        "GPT-3 as its source counts it (Patterson et al. 2021, table 4): 3.14e23 FLOPs at 24.6 TFLOP/s a V100 are 3.55M\n"
        "GPU-hours, at 330 W with its host and PUE 1.10 1,287 MWh and 552 t CO2e. Repeated by\n"
        "  runcast model gpt3-175b --tokens 300B --gpu v100-32 --precision fp16 --convention 6n --mfu 0.1968 --power '330 W'\n"
        "         --pue 1.1 --carbon 0.429\n"
        "Simulated beside it: `runcast run gpt3-v100`. What that takes less or more is its rate (a simulated step in place of\n"
        "24.6 TFLOP/s) and its power (by what the GPUs do, with hosts and network, in place of 330 W)."},
    Explanation{"gpu_activity", "step", "step.gpu_activity", "busy + communication + bubble + loading + other = 1",
                "What the GPUs do over the step, the mean of one rank of each pipeline stage in 40 slices. busy: a kernel runs (a\n"
                "pass with the collectives inside it, or the optimizer), which is what tools that poll a GPU call its utilization;\n"
                "mfu tells what those kernels achieve. cost.gpu_states has the shares over the whole run, studies.over_time over days."},
    Explanation{"published", "run", "published", "ratio = simulated / published",
                "What the real run took, where the scenario knows it (`published:` with a source), and what is in the one and not\n"
                "in the other."},
    Explanation{"co2e_t", "cost", "cost.co2e_t", "co2e = energy * carbon intensity of the region",
                "Tonnes of CO2 equivalent of the electricity, by the region; co2e_market_t by the contract, embodied_t of making\n"
                "the machines, where the scenario has them."},
    // ---- the model by counting
    Explanation{
        "flops_per_token", "model", "flops_per_token.exact",
        "training = 3 * forward; 4 * with full recomputation",
        "FLOPs of one token by the conventions that published MFUs use:\n"
        "  exact          matrix products, causal attention at half (Megatron-Bridge)\n"
        "  exact_full     attention over the full square (torchtitan, older Megatron)\n"
        "  6n             6 N, N the active parameters with embedding and head\n"
        "  palm           6 N + 12 L a d s (Chowdhery et al. 2022, appendix B)\n"
        "  megatron_2021  72 L h^2 (1 + s/6h + V/(12 h L)) (Narayanan et al. 2021, eq. 3, which prints 96 "
        "for training\n"
        "                 with full recomputation)"},
    Explanation{
        "layer_rule", "model", "layer_rule.parameters", "parameters = L (4 h^2 + 2 h f) + embedding and head",
        "The rule of thumb 12 h^2 parameters a layer, 12 h^2 + 2 a d s multiply-adds a token: a GELU block with f = 4 h and\n"
        "a key and value head for each query head. SwiGLU has a third matrix in its MLP, which the rule leaves out (LLaMA 7B\n"
        "comes to 5.3B of 6.74B); grouped heads have fewer keys and values, which it counts too many."},
    Explanation{
        "kv_cache_bytes_per_token", "model", "kv_cache_bytes_per_token",
        "bytes = 2 * layers * kv_heads * head_dim * 2",
        "Keys and values of one token in 16 bits; latent attention (MLA) keeps layers * (kv_lora + rope_dim) "
        "* 2."},
    Explanation{
        "roofline", "model", "roofline", "time >= max(FLOPs / peak, bytes / memory bandwidth)",
        "The least time that the datasheet allows (Williams et al. 2009). A training step of B tokens on one "
        "GPU moves\n"
        "3 x weights + 2 x gradients + 2 x optimizer states + 2 B x what a token's layers keep; a decode "
        "step "
        "the weights\n"
        "once and the KV cache of each sequence. Kernels reach neither peak: `runcast step` simulates them."},
    Explanation{
        "grade", "model", "measured.grade", "A: above 75 % of published MFUs, B: 50 %, C: 25 %, D: below",
        "A measured throughput against the library's published steps of the same GPU and number format, all "
        "MFUs counted\n"
        "alike (exact FLOPs over the dense peak). H100's 1,979 TFLOP/s is with structured sparsity: MFUs of "
        "that are half."},
    // ---- scaling laws
    Explanation{
        "n_opt", "scaling laws", "n_opt",
        "n_opt = G (C/6)^(beta/(alpha+beta)), G = (alpha A / beta B)^(1/(alpha+beta))",
        "The parameters that give the lowest loss for C FLOPs of training, C = 6 N D (Hoffmann et al. "
        "2022, eq. 4).\n"
        "Kaplan's is a fit of its own, k C^0.73. Serving costs are not in it: who serves a model much "
        "trains a smaller\n"
        "one for longer."},
    Explanation{
        "d_opt", "scaling laws", "d_opt", "d_opt = C / (6 n_opt)",
        "The training tokens that belong to n_opt; about 20 to 80 a parameter by Hoffmann's fit, about "
        "19 by Besiroglu's."},
    Explanation{
        "loss", "scaling laws", "loss", "loss = E + A N^-alpha + B D^-beta",
        "Predicted training loss in nats a token (Hoffmann et al. 2022: E 1.69, A 406.4, B 410.7, alpha "
        "0.34, beta 0.28;\n"
        "Besiroglu et al. 2024: 1.8172, 482.01, 2085.43, 0.3478, 0.3658). Kaplan et al. 2020: "
        "[(8.8e13/N)^(0.076/0.095) +\n"
        "5.4e13/D]^0.095. Each is of its paper's own data and tokenizer: compare losses within one law "
        "only."},
    Explanation{
        "mfu_6n", "scaling laws", "budget.mfu_6n", "mfu_6n = mfu * 6 N / (exact FLOPs per token)",
        "The step's MFU if only 6 N FLOPs a token are counted, as the laws do: attention's own FLOPs buy no "
        "tokens."},
    Explanation{
        "compute_over_needed", "scaling laws", "", "compute_over_needed = 6 N D / C(loss)",
        "How many times the compute of the optimum that reaches the same loss a model took. Much over 1 is "
        "no mistake\n"
        "where the model was to be small."},
    Explanation{
        "batch_efficiency", "scaling laws", "batch.ramp.efficiency",
        "efficiency = B/(B + B_crit) below the critical batch, 1 - B_crit/(2B) above",
        "Progress of one step against the greatest that a step can make (McCandlish et al. 2018). A batch "
        "far above the\n"
        "critical one wastes samples (sample_efficiency = 1/(1 + B/B_crit)), one far below wastes steps. "
        "The critical batch\n"
        "grows as the loss falls, 2.1e8 / L^(1/0.21) tokens (Kaplan et al. 2020): hence batch ramps."},
    // ---- validation
    Explanation{"error", "validation", "", "error = predicted / measured - 1",
                "Of a step's time: above 0, the prediction is too slow."},
    Explanation{"mape", "validation", "mape", "mape = mean of |error|",
                "Over the rows of a group, each row with the same weight. `bias` is the mean of error, `p90` "
                "the 90th percentile of |error|."},
    // ---- accuracy
    Explanation{
        "accuracy", "accuracy", "", "error = predicted / measured - 1, of steps that the fit had not seen",
        "What is predicted: the wall time of one optimizer step, from which mfu, days and dollars follow. "
        "Kernels,\n"
        "collectives, the pipeline schedule and the optimizer are simulated; a few constants that no "
        "datasheet\n"
        "tells (how near to the peak a kernel comes, what a launch costs) are fitted.\n"
        "\n"
        "How it was fitted: `runcast calibrate` moves those constants by least squares over the published "
        "steps of\n"
        "the library, each constant held near its measured or documented value by a prior, outliers with "
        "less\n"
        "pull, repeated measurements sharing one weight. `runcast show NAME` has the constants with their "
        "sources.\n"
        "\n"
        "Seen and unseen: `runcast validate` tells the errors of the shipped constants on the steps that "
        "they were\n"
        "fitted to. Cross-validation (`runcast calibrate`, folds) leaves whole families of layouts out of "
        "the fit\n"
        "and predicts those: the honest figure for a layout of your own, and what the interval is made "
        "from.\n"
        "\n"
        "What to hold it against, all in `runcast validate`: the floor (one configuration measured again "
        "differs\n"
        "from its own mean by that much: no model can do better) and two baselines (one MFU for each GPU "
        "and\n"
        "number format; 6 N D FLOPs at 40 % of the peak: a model worth its time must do better).\n"
        "\n"
        "Where it is worst: `runcast validate` lists the groups with the worst first. Read the group that is "
        "most\n"
        "like your job, not the mean of all; a bias with one sign for a whole group is a constant of that\n"
        "software or hardware, which an anchor removes. Comparing two layouts is safer than either time: see "
        "the\n"
        "order of pairs there.\n"
        "\n"
        "More: `runcast explain prediction`, `calibration`, `anchor`."},
    Explanation{
        "prediction", "accuracy", "step.prediction",
        "low = time_s / (1 + q90), high = time_s / (1 + q10), q: quantiles of error on like steps",
        "The interval in which the real step lies with 80 %, if your cluster is as those that were measured. "
        "The\n"
        "errors are those of steps that the fit had not seen, of the same kind of model (dense or experts) "
        "and,\n"
        "as far as at least 8 remain, of the same GPU, number format and software; the line says which were "
        "used.\n"
        "The predicted time itself always lies inside: where like steps were predicted too fast, the "
        "interval\n"
        "reaches further up than down.\n"
        "A warning stands below it when the scenario is far from all measured steps: the interval is then "
        "borrowed\n"
        "and may be too narrow. It does not know a slow node, a congested network or a debug flag left on.\n"
        "Days and dollars have the interval of the step; what failures add varies besides it (run.days)."},
    Explanation{
        "calibration", "accuracy", "",
        "minimise sum of w^2 rho(ln(predicted / measured)) / s^2 + sum of (ln(value / start) / prior)^2",
        "Fitting the constants to many measured steps of your own, in a table with the columns of the\n"
        "library's (`runcast show published/training_steps`):\n"
        "  runcast calibrate --cases mine.csv --overlay ours/\n"
        "  runcast validate --cases mine.csv --library ours/\n"
        "  runcast step my.yaml --library ours/\n"
        "Each constant is told with its interval and with how much the measurements said of it; one that "
        "they\n"
        "say nothing of keeps its value. A few rows of one layout fit that layout: use an anchor for those."},
    Explanation{
        "anchor", "accuracy", "", "prediction = simulated time * (measured / simulated) of a like step",
        "One measured step of your own cluster takes most of its bias away: clocks, network, software\n"
        "version. `runcast validate` tells the error that is left with one anchor of the same model, GPU, "
        "software\n"
        "and number format. To anchor the constants:\n"
        "  runcast calibrate --step mine.yaml=5.31s --overlay ours/\n"
        "  runcast step other.yaml --library ours/\n"
        "Neighbours (other layouts, batches, GPU counts of that model) gain most; another model or number\n"
        "format gains less. Measure ten steps or more after warm-up and take their median."},
    // ---- pictures
    Explanation{"trace", "pictures", "trace", "compute slices + idle slices of a rank = time_s",
                "What `step --trace FILE.json` writes, for ui.perfetto.dev: one process a rank, one thread a "
                "stream, arrows\n"
                "for messages, memory as counters. Names: F mb3 st2 is the forward pass of micro-batch 3 in "
                "stage 2, B a\n"
                "backward pass, I and W its input and weight gradient, AG, RS, AR and A2A collectives. Idle "
                "slices say what\n"
                "is waited for: bubble (nothing is on the way), a message on the link, the data-parallel "
                "stream, the\n"
                "slowest rank. `shown` are the ranks in the file, `left_out_for_size` those asked for that "
                "--trace-size left\n"
                "no room for. `run --trace` draws one trial of the run instead."},
    Explanation{
        "report", "pictures", "report", "",
        "What `--report FILE.html` writes: every chart of the result in one file that loads nothing from any "
        "network.\n"
        "It also simulates the step at other batches and on other numbers of nodes, for two of its charts."},
    // ---- studies
    Explanation{"search", "studies", "", "bound <= simulated time; simulate by bound until bound > the last of the best",
                "`runcast search` counts every layout of a cluster, rejects what does not divide or fit, bounds the rest\n"
                "from below and simulates in the order of the bounds. bound_share is the bound of a listed layout over\n"
                "its simulated figure. pareto: layouts than which none is better in time, memory and cost together, by\n"
                "classes of memory. nearest_miss: the fastest of those that lack up to 15 % of memory, where it is faster\n"
                "than all that fit. own: the scenario's layout beside the best, and where its step is longer."},
    Explanation{"sensitivity", "studies", "sensitivity.rows", "elasticity = d ln(figure) / d ln(constant)",
                "By simulating again with the constant 5 % up and down, on the same failures: 0.4 says that one per\n"
                "cent more of the constant makes the figure 0.4 % larger. With sd, how well the calibration knows the\n"
                "constant, the headline figures get an interval: variance of ln(figure) = sum (elasticity * sd)^2, as if\n"
                "constants were known independently of each other. step.prediction is the interval of like measured steps."},
    Explanation{"sweep", "studies", "", "point = f(index, seed)",
                "`runcast sweep` asks one scenario at many points. The file of rows is at each moment the beginning of the\n"
                "whole one: a sweep that was killed goes on where it stopped, and parts (--shard) merge to the same bytes."},
    Explanation{"compare", "studies", "step_difference_s", "sum of terms = difference",
                "`runcast compare`: the step's terms are those of breakdown_s; the run's are its ledger in days, useful\n"
                "time by the terms of the step. Exit status as diff's: 0 equal, 1 different."},
    // ---- exit statuses
    Explanation{"exit-0", "exit status", "", "", "Done: the scenario fits and every claim holds."},
    Explanation{
        "exit-1", "exit status", "", "",
        "The model says no: it does not fit, no trial of the run finishes, or a claim of --assert failed. "
        "The whole result is printed all the same."},
    Explanation{
        "exit-2", "exit status", "", "",
        "Bad usage or input: the command line, the scenario, or a file that cannot be read or written."},
    Explanation{"exit-3", "exit status", "", "",
                "A bug of runcast: an invariant is broken. Please report it with the scenario."},
    Explanation{"exit-130", "exit status", "", "",
                "Interrupted (Ctrl-C). No output file is left half-written; search and sweep keep what is done."},
};

}  // namespace

std::span<const Explanation> explanations() { return kExplanations; }

}  // namespace runcast
