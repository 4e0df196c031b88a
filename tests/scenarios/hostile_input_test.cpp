// What files that mean it ill once did: each case is a finding of tests/fuzz or tests/hostile.
#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "scenarios/experiment.hpp"
#include "scenarios/failure_log.hpp"
#include "scenarios/interchange/huggingface.hpp"
#include "scenarios/interchange/shell_arguments.hpp"
#include "scenarios/network_report.hpp"
#include "scenarios/shard.hpp"
#include "scenarios/sweep.hpp"
#include "sim/error.hpp"
#include "sim/threads.hpp"
#include "tests/error_of.hpp"

using namespace runcast;

namespace {

std::string merge_refusal(const std::string& text) {
  return error_of([&] { merged({{"a.jsonl", text}}); });
}

// one-node with other values; the sentence of its refusal, or of its unfolded step's.
std::string refused(const std::vector<std::string>& sets, bool unfolded = false) {
  const Library library;
  return error_of([&] {
    Document document = scenario_source("one-node", library).open(sets);
    ExperimentOptions options;
    options.unfolded = unfolded;
    if (unfolded)
      step_document(std::move(document), library, options);
    else
      read_scenario(document, library);
  });
}

}  // namespace

TEST_CASE("results whose header or rows hold other kinds of values than they should are no results") {
  const std::string none = "a.jsonl: its first line is not the header of a file of results";
  for (const char* points : {"\"x\"", "-1", "1e300", "1.5", "[]", "null", "18446744073709551615"})
    CHECK(merge_refusal("{\"study\":\"a\",\"points\":" + std::string(points) + "}\n") == none);
  const std::string header = "{\"study\":\"a\",\"points\":2}\n";
  for (const char* index : {"\"x\"", "-1", "1.5", "null"})
    CHECK(merge_refusal(header + "{\"index\":" + index + "}\n") == "a.jsonl: a line has no index");
  CHECK(merge_refusal(header + "{\"index\":7}\n") == "a.jsonl: index 7 is past the study's 2 points");
}

TEST_CASE("a sweep does not write over a file that is no file of results") {
  const auto path = (std::filesystem::temp_directory_path() / "runcast-no-results.txt").string();
  std::ofstream(path) << "my notes, without a line's end";
  const Library library;
  Study study;
  study.source = scenario_source("one-node", library);
  study.design = Design::list;
  study.points = {{}};
  study.count = 1;
  CHECK(error_of([&] { run_sweep(study, {}, path, library, {}, {}); }) ==
        path + ": it is no file of results; remove it, or give another --results");
  CHECK(std::filesystem::file_size(path) == 30);
  std::filesystem::remove(path);
}

TEST_CASE("shell variables that hold each other grow to 4 MiB, not to 8^20 bytes") {
  std::string script = "A=xxxxxxxx\n";
  for (char c = 'B'; c <= 'U'; ++c) {
    script += std::string(1, c) + "=";
    for (int i = 0; i < 8; ++i) script += "$" + std::string(1, static_cast<char>(c - 1));
    script += "\n";
  }
  const std::vector<ShellOption> options = 
      launch_command(script + "run --num-layers $U --hidden-size $A\n", "x.sh", [](std::string_view) { return true; })
          .options;
  REQUIRE(options.size() == 2);
  CHECK(options[0].values == std::vector<std::string>{""});  // what could not be expanded is as unset
}

TEST_CASE("a number past the range of doubles in config.json is refused with its place") {
  const std::string told = error_of(
      [] { import_huggingface("{\"model_type\": \"llama\", \"hidden_size\": 1e999}", "x", "c.json"); });
  CHECK(told.starts_with("c.json: "));
  CHECK(told.find("1e999") != std::string::npos);
}

TEST_CASE("jobs past a limit are refused with the key that allows them, and allowed by it") {
  const std::vector<std::string> many = {"training.global_batch=100000"};  // 4 replicas: 25,000 micro-batches
  CHECK(
      refused(many).starts_with("--set training.global_batch=100000: 25000 micro-batches a step, more than "
                                "limits.microbatches 20000; --set limits.microbatches=25000 simulates them"));
  CHECK(refused({many[0], "limits.microbatches=25000"}) == "");
  // 8 ranks of 32 micro-batches, which count as 200 slots each
  CHECK(refused({"limits.unfolded_slots=1599"}, true) ==
        "8 ranks x 32 micro-batches x 1 virtual stages, each on its own clock, are more than "
        "limits.unfolded_slots 1599; "
        "--set limits.unfolded_slots=1600 simulates them");
  CHECK(refused({"limits.unfolded_slots=1600"}, true) == "");
  CHECK(refused({"cluster.network=flow", "limits.flow_gpus=7"})
            .starts_with(
                "--set cluster.network=flow: the flows of 8 GPUs are more than limits.flow_gpus 7; --set "
                "limits.flow_gpus=8 allows them"));
  CHECK(refused({"cluster.placement=random", "limits.fabric_gpus=7"})
            .starts_with("--set cluster.placement=random: 8 GPUs, each on its own, are more than "
                         "limits.fabric_gpus 7; --set "
                         "limits.fabric_gpus=8 allows them"));
  CHECK(refused({"limits.nothing=1"}).find("unknown key 'limits.nothing'") != std::string::npos);
}

TEST_CASE("limits are echoed where they are given, and only there") {
  const Library library;
  const auto echoed = [&](const std::vector<std::string>& sets) {
    Document document = scenario_source("one-node", library).open(sets);
    read_scenario(document, library);
    return document.resolved();
  };
  CHECK(!echoed({}).contains("limits"));
  CHECK(echoed({"limits.microbatches=7k"})["limits"]["microbatches"] == 7000);
}

TEST_CASE("a failure record with a second called inf, or a job of 1e18 nodes, is refused with its line") {
  const std::string header = "state,node_num,start,end\n";
  const auto told = [&](const std::string& row) {
    return error_of([&] { read_failure_log(header + row, "jobs.csv", {}); });
  };
  CHECK(told("FAILED,1,2023-05-01 00:00:inf,2023-05-02\n")
            .starts_with("jobs.csv:2: '2023-05-01 00:00:inf' is no time"));
  CHECK(told("FAILED,1e18,0,10\n") == "jobs.csv:2: '1e18' is no number of nodes or GPUs");
  CHECK(told("FAILED,1,-1e308,1e308\n") == "jobs.csv: the record covers a time without end");
}

TEST_CASE("failures once in 1e300 days have a curve of intervals that ends at ten years") {
  Document document = scenario_source("one-node", Library())
                          .open(std::vector<std::string>{
                              "failures={classes: [{name: a, domain: node, rate: 1e-300 /node-day}]}"});
  ExperimentOptions options;
  options.trials = 2;
  const nlohmann::ordered_json curve =
      goodput_document(std::move(document), Library(), options)["studies"]["interval"]["curve"];
  REQUIRE(curve.size() > 4);
  // 10 x 365 days; the best interval by the formula is 1e150 days.
  for (const auto& point : curve) CHECK(point["interval_s"].get<double>() <= 315'360'000);
}

TEST_CASE("a latency of more than a second is refused where it stands") {
  const std::string text =
      "model: llama3-8b\ncluster: {node: {name: n, gpu: h100, gpus: 8, host_link: 64 GB/s, host_power: 4600 "
      "W,\n"
      "  scale_up: {name: x, kind: nvswitch, bandwidth: 450 GB/s, latency: 2 us, efficiency: 0.8},\n"
      "  nic: {name: y, count: 8, bandwidth: 400 Gbps, latency: 1e300 s, efficiency: 0.9}}, nodes: 2}\n"
      "training: {tokens: 1B, sequence_length: 8192, global_batch: 16}\n";
  const std::string told = error_of([&] {
    Document document = Document::parse(text, "far.yaml");
    read_scenario(document, Library());
  });
  CHECK(told.find("far.yaml:4:") != std::string::npos);
  CHECK(told.find("must be at most 1 s") != std::string::npos);
}

TEST_CASE("threads that a system does not grant are done without") {
  std::atomic<int> ran{0};
  auto threads = helping_threads(3, [&](int) { ++ran; });
  threads.clear();
  CHECK(ran == 3);
}
