// Benchmarks of one's own as measurements: GEMM times and the output of nccl-tests.
#include "scenarios/bench_calibration.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "parallelism/kernel_time.hpp"
#include "scenarios/collective_curves.hpp"
#include "sim/error.hpp"
#include "tests/error_of.hpp"
#include "topology/network.hpp"
#include "topology/tuner.hpp"

using namespace runcast;

namespace {

CalibrationRequest request() {
  CalibrationRequest r;
  r.origin = "benchmark, 2026";
  return r;
}

double fitted(const CalibrationStudy& study, std::string_view key, const char* what) {
  for (const auto& row : (*study.document)["rows"])
    if (row["key"] == key) return row[what].get<double>();
  FAIL("no such constant: " << key);
  return 0;
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

constexpr const char* kHead =
    "# nccl-tests version 2.13.8\n"
    "# nThread 1 nGpus 1 minBytes 1024 maxBytes 8589934592 step: 2(factor)\n"
    "# Using devices\n";

std::string rank_lines(int ranks, int per_host) {
  std::string text;
  for (int r = 0; r < ranks; ++r)
    text +=
        fmt::format("#  Rank {:2} Group  0 Pid  {} on     host{} device {:2} [0x1b] NVIDIA H100 80GB HBM3\n",
                    r, 4000 + r, r / per_host, r % per_host);
  return text;
}

// nccl-tests on all GPUs of `nodes` such nodes, as the network prices it with the benchmark's launch.
CollectiveRun benchmark_of(const NodeSpec& node, int nodes, Collective collective, double from, double to) {
  FabricSpec fabric;
  fabric.rails = true;
  fabric.tiers = {{"leaf", 0, 1.0, Seconds(0.3e-6), 1}};
  fabric.routing_efficiency = 1;
  const Fabric built(node, nodes, fabric);
  CollectiveRun run;
  run.collective = collective;
  run.ranks = built.gpus();
  run.nodes = nodes;
  std::vector<RankId> ranks;
  for (int rank = 0; rank < run.ranks; ++rank) ranks.emplace_back(rank);
  const Network network(built, packed_placement(run.ranks));
  const GroupLinks links = network.group(ranks, 1);
  for (double size = from; size < to; size *= 4)
    run.rows.push_back(
        {Bytes(size), network.collective(collective, Bytes(size), links, kBenchmarkLaunch).time});
  return run;
}

}  // namespace

TEST_CASE("the rate and the prologue that matrix products were timed with come back within 2 percent") {
  Library library;
  Document document = Document::parse(library.find("hardware/gpus", "h100")->text, "h100");
  Scenario made;
  made.node.gpu = read_gpu(document.root());
  made.node.gpu.kernels.gemm_efficiency.bf16 = 0.66;
  made.node.gpu.kernels.gemm_prologue_k.bf16 = 400;
  std::string csv = "m,n,k,time_us\n";
  for (const double mn : {2048.0, 4096.0, 8192.0})
    for (const double k : {512.0, 2048.0, 8192.0})
      csv += fmt::format("{},{},{},{:.6f}\n", mn, mn, k,
                         gemm_time(made.node.gpu, *find_precision("bf16"), {mn, mn, k}, false).value * 1e6);
  const CalibrationStudy study = gemm_study(csv, "mine.csv", "h100", library, request(), {});
  CHECK(fitted(study, "kernels.gemm_efficiency.bf16", "value") == doctest::Approx(0.66).epsilon(0.02));
  CHECK(fitted(study, "kernels.gemm_prologue_k.bf16", "value") == doctest::Approx(400).epsilon(0.05));
  REQUIRE(study.entries.size() == 1);  // of that GPU alone, and of the format that was timed alone
  CHECK(study.entries[0].name == "h100");
  CHECK(holds(study.entries[0].text, "# fitted on benchmark, 2026, 95 % interval"));
}

TEST_CASE("rows of a GEMM file that cannot be are all told, each with its line") {
  Library library;
  auto read = [&](const char* csv) {
    return error_of([&] { gemm_study(csv, "g.csv", "a100-80", library, request(), {}); });
  };
  CHECK(read("m,n\n1,1\n") ==
        "g.csv:1: the column 'k' is missing\ng.csv:1: a column 'time_us' or 'tflops' is missing");
  // 2 x 4096^3 in 100 us is 1374 TFLOP/s.
  CHECK(read("m,n,k,time_us,precision\n-1,4096,4096,900,bf16\n4096,4096,4096,900,fp8\n4096,4096,4096,100,"
             "bf16\n") ==
        "g.csv:2: m must be a number of more than 0, not '-1'\ng.csv:3: a100-80 has no fp8 units\n"
        "g.csv:4: 1374 TFLOP/s is above the dense peak of 312");
  CHECK(error_of([&] {
          gemm_study("m,n,k,tflops\n1,1,1,1\n", "g.csv", "a100-8", library, request(), {});
        }).starts_with("--gpu: unknown GPU 'a100-8', did you mean 'a100-80'?"));
}

TEST_CASE("nccl-tests of three versions are read: ranks, hosts, collective, out-of-place times") {
  const std::string table =
      "#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw "
      "  busbw #wrong\n"
      "           0             0     float     sum      -1     0.20    0.00    0.00      0     0.20    0.00 "
      "   0.00      0\n"
      "        1024           256     float     sum      -1    16.94    0.06    0.11      0    16.90    0.06 "
      "   0.11      0\n"
      "   268435456      67108864     float     sum      -1   1112.5  241.29  422.25      0   1110.0  241.80 "
      " 423.20      0\n"
      "# Out of bounds values : 0 OK\n";
  const CollectiveRun run = read_nccl_tests(kHead + rank_lines(16, 8) + table, "log.txt");
  CHECK(run.ranks == 16);
  CHECK(run.nodes == 2);
  REQUIRE(run.rows.size() == 2);
  CHECK(run.rows[0].size.value == 1024);
  CHECK(run.rows[1].time.value == doctest::Approx(1112.5e-6).epsilon(1e-12));
  // 422.25 / 241.29 = 1.750 is 2 (8-1)/8: with 8 ranks an all-reduce. Of 16 ranks it would be 1.875.
  CHECK(read_nccl_tests(kHead + rank_lines(8, 8) + table, "log.txt").collective == Collective::all_reduce);
  CHECK(read_nccl_tests(
            kHead + rank_lines(8, 8) + "# Collective test starting: reduce_scatter_perf\n" + table, "log.txt")
            .collective == Collective::reduce_scatter);
  CHECK(read_nccl_tests(kHead + rank_lines(8, 8) + table, "alltoall-8.txt").collective ==
        Collective::all_to_all);
  // An older version has no redop and root where there is no reduction: 0.875 = 7/8.
  const std::string old =
      "     1048576         32768     float    31.50   33.29   29.13  0e+00    31.40   33.39   29.22  "
      "0e+00\n";
  const CollectiveRun gather = read_nccl_tests(kHead + rank_lines(8, 8) + old, "log.txt");
  CHECK(gather.collective == Collective::all_gather);
  CHECK(gather.rows.at(0).time.value == doctest::Approx(31.5e-6).epsilon(1e-12));
}

TEST_CASE("nccl-tests behind a launcher's tags, with several reductions, and of long times are read") {
  // mpirun --tag-output, as in aws/aws-k8s-tester#503; -o all repeats each size.
  std::string tagged;
  std::istringstream ranks(rank_lines(8, 8));
  for (std::string line; std::getline(ranks, line);) tagged += "[1,0]<stdout>:" + line + "\n";
  tagged +=
      "[1,0]<stdout>:#       size         count      type   redop    root     time   algbw   busbw #wrong    "
      " time   "
      "algbw   busbw #wrong\n"
      "[1,0]<stdout>:#        (B)    (elements)                               (us)  (GB/s)  (GB/s)           "
      " (us)  "
      "(GB/s)  (GB/s)\n"
      "[1,0]<stdout>:  8589934592    2147483648     float     sum      -1    35612  241.21  422.11      0    "
      "35600  "
      "241.29  422.26      0\n"
      "[1,0]<stdout>:  8589934592    2147483648     float    prod      -1    35620  241.15  422.02      0    "
      "35611  "
      "241.21  422.12      0\n"
      "[1,0]<stdout>:# Out of bounds values : 0 OK\n[1,0]<stdout>:# Avg bus bandwidth    : 422.13\n";
  const CollectiveRun run = read_nccl_tests(tagged, "log.txt");
  CHECK(run.ranks == 8);
  CHECK(run.nodes == 1);
  REQUIRE(run.rows.size() == 1);  // the median of one size, the lower of two
  CHECK(run.rows[0].time.value == doctest::Approx(35612e-6).epsilon(1e-12));
  CHECK(run.collective == Collective::all_reduce);
  // Before 2.12 there was no root; a time of five digits has no point then (NVIDIA/nccl-tests#107).
  const std::string old =
      "#       size         count      type   redop     time   algbw   busbw  error     time   algbw   busbw "
      " error\n"
      "  1310720000     327680000     float     sum    12345  106.17  185.80  5e-07    12340  106.22  185.88 "
      " 5e-07\n";
  CHECK(read_nccl_tests(kHead + rank_lines(8, 8) + old, "log.txt").rows.at(0).time.value ==
        doctest::Approx(12345e-6).epsilon(1e-12));
  // srun --label
  CHECK(read_nccl_tests(kHead + rank_lines(8, 8) + "0: 1024 256 float sum -1 16.94 0.06 0.11 0\n", "log.txt")
            .rows.size() == 1);
}

TEST_CASE("a log without a table or without its ranks is refused") {
  CHECK(error_of([] {
          read_nccl_tests(kHead + rank_lines(8, 8) +
                              "nan 256 float sum -1 nan 0.06 0.11 0\n1024 256 float sum -1 inf 1 1 0\n",
                          "log.txt");
        }).starts_with("log.txt: no row of nccl-tests"));
  CHECK(error_of([] { read_nccl_tests("hello\n", "log.txt"); }) ==
        "log.txt: no row of nccl-tests: its table has size, count, type, ..., time, algbw, busbw");
  CHECK(error_of([] { read_nccl_tests("1024 256 float sum -1 16.94 0.06 0.11 0\n", "log.txt"); }) ==
        "log.txt: the lines '#  Rank 0 ... on HOST device 0' are missing, which tell the ranks");
}

TEST_CASE(
    "bandwidth and latency of rings over NVLink come back from an all-gather's times within 2 percent") {
  Library library;
  NodeSpec node = library_node("hgx-h100", library, "test");
  node.scale_up.efficiency = 0.6;
  node.scale_up.latency = Seconds(3e-6);
  const CollectiveRun run = benchmark_of(node, 1, Collective::all_gather, 65536, 5e9);
  const CalibrationStudy study = nccl_study(run, "hgx-h100", library, request(), {});
  CHECK(fitted(study, "scale_up.efficiency", "value") == doctest::Approx(0.6).epsilon(0.02));
  CHECK(fitted(study, "scale_up.latency", "value") == doctest::Approx(3).epsilon(0.02));
  REQUIRE(study.entries.size() == 1);
  CHECK(holds(study.entries[0].text, "efficiency: 0.6"));
}

TEST_CASE("an all-gather over two nodes moves the NICs, and a wrong number of ranks is refused") {
  Library library;
  NodeSpec node = library_node("hgx-h100", library, "test");
  node.nic.efficiency *= 0.5;
  CollectiveRun run = benchmark_of(node, 2, Collective::all_gather, 1e6, 2e10);
  const CalibrationStudy study = nccl_study(run, "hgx-h100", library, request(), {});
  CHECK(fitted(study, "nic.efficiency", "factor") == doctest::Approx(0.5).epsilon(0.05));
  for (const auto& row : (*study.document)["steps"])
    if (row["measured_s"].get<double>() > 1e-2) CHECK(std::abs(row["error"].get<double>()) < 0.05);
  run.nodes = 4;
  CHECK(error_of([&] { nccl_study(run, "hgx-h100", library, request(), {}); }) ==
        "--nccl: 16 ranks on 4 hosts, where hgx-h100 has 8 GPUs a node; run one rank on each GPU");
}

TEST_CASE("an all-reduce that the switch adds leaves the ring's bandwidth alone") {
  Library library;
  CollectiveRun run;
  run.ranks = 8;
  run.nodes = 1;
  // NVLS of collective.hpp: 60 us + (1 + 1/8) S / (450 GB/s x 0.5).
  for (double size = 1e7; size < 2e10; size *= 4)
    run.rows.push_back({Bytes(size), Seconds(60e-6 + 1.125 * size / (450e9 * 0.5))});
  const CalibrationStudy study = nccl_study(run, "hgx-h100", library, request(), {});
  CHECK(fitted(study, "scale_up.in_switch_reduction.efficiency", "value") ==
        doctest::Approx(0.5).epsilon(0.03));
  for (const auto& row : (*study.document)["rows"]) CHECK(row["key"] != "scale_up.efficiency");
}

TEST_CASE(
    "of equal sizes the median counts, and of many sizes 200 are kept from the smallest to the largest") {
  std::string log = kHead + rank_lines(8, 8);
  for (const int time : {30, 10, 20}) log += fmt::format("1024 256 float sum -1 {}.5 0.06 0.11 0\n", time);
  for (int i = 2; i < 20'000; ++i) log += fmt::format("{} 256 float sum -1 40.5 0.06 0.11 0\n", i * 1024);
  const CollectiveRun run = read_nccl_tests(log, "log.txt");
  REQUIRE(run.rows.size() == 200);
  CHECK(run.rows.front().time.value == doctest::Approx(20.5e-6).epsilon(1e-12));
  CHECK(run.rows.back().size.value == 19'999 * 1024.0);
}

TEST_CASE("a log of other GPUs than the node's is told") {
  const Library library;
  NodeSpec node = library_node("hgx-h100", library, "test");
  CollectiveRun run = benchmark_of(node, 1, Collective::all_gather, 65536, 5e9);
  const auto warnings = [&](const char* device) {
    run.devices = {device};
    return (*nccl_study(run, "hgx-h100", library, request(), {}).document)["warnings"]
        .get<std::vector<std::string>>();
  };
  CHECK(warnings("NVIDIA H100 80GB HBM3").empty());
  CHECK(warnings("Somebody's GPU").empty());
  CHECK(warnings("NVIDIA A100-SXM4-80GB") ==
        std::vector<std::string>{"the log is of NVIDIA A100-SXM4-80GB, and the GPU of hgx-h100 is h100: its "
                                 "constants are fitted to another"});
  CHECK(read_nccl_tests(kHead + rank_lines(8, 8) + "1024 256 float sum -1 16.94 0.06 0.11 0\n", "log.txt")
            .devices == std::vector<std::string>{"NVIDIA H100 80GB HBM3"});
}
