// A scenario read across all folders: the library's runs, the echo that re-runs, and errors word for word.
#include "scenarios/scenario.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "scenarios/experiment.hpp"
#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {
namespace {

const std::string kValid =
    "model: llama3-8b\n"
    "cluster: {node: hgx-h100, nodes: 1}\n"
    "layout: {tensor: 2}\n"
    "training:\n"
    "  sequence_length: 8192\n"
    "  global_batch: 128\n";

Scenario read(const std::string& text, const std::vector<std::string>& settings = {}) {
  Document document = Document::parse(text, "a.yaml");
  for (const std::string& setting : settings) document.set(setting);
  return read_scenario(document, Library());
}

std::string message(const std::string& text, const std::vector<std::string>& settings = {}) {
  return error_of([&] { read(text, settings); });
}

std::string changed(const std::string& from, const std::string& to) {
  std::string text = kValid;
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST_CASE("every run of the library reads and its layout fills its cluster") {
  const Library library;
  REQUIRE(library.names("runs").size() >= 7);
  for (const std::string& name : library.names("runs")) {
    CAPTURE(name);
    Document document = library_run(name);
    const Scenario s = read_scenario(document, library);
    CHECK(s.layout.world() == s.gpus());
    CHECK(s.microbatches * s.training.micro_batch * s.layout.data == s.training.global_batch);
    CHECK(s.name != "unnamed");
    CHECK_FALSE(s.assumptions.empty());
  }
}

TEST_CASE("what is left out takes a default") {
  const Scenario s = read(kValid);
  CHECK(s.software.name == "megatron");
  CHECK(s.schedule.row->name == "1f1b");
  CHECK(s.layout.data == 4);
  CHECK(s.microbatches == 32);
  CHECK(s.training.precision->name == "bf16");
  CHECK(s.training.tokens == 1e12);
  CHECK(s.economics.price_assumed);
}

TEST_CASE("a valid scenario stays valid with a part written inline") {
  const Scenario s = read(changed(
      "model: llama3-8b\n", "model: {layers: 4, hidden: 1024, ffn: 4096, heads: 8, vocabulary: 1000}\n"));
  CHECK(s.model.layers == 4);
  CHECK(s.model.name == "inline");
}

TEST_CASE("a misspelt key names its neighbour, a missing one its section") {
  CHECK(message(changed("sequence_length", "sequence_lenght")) ==
        "a.yaml:5:3: unknown key 'training.sequence_lenght', did you mean 'sequence_length'?\n"
        "  sequence_lenght: 8192\n"
        "  ^");
  CHECK(message(kValid, {"layout.tensr=4"}) ==
        "--set layout.tensr=4: unknown key 'layout.tensr', did you mean 'tensor'?");
  CHECK(message("{}") ==
        "a.yaml: missing key 'model'\na.yaml: missing key 'cluster'\na.yaml: missing key 'training'");
  CHECK(message(changed("llama3-8b", "llama3-9b")) ==
        "a.yaml:1:8: unknown model 'llama3-9b', did you mean 'llama3-8b'?\nmodel: llama3-9b\n       ^");
}

TEST_CASE("a quantity without its unit shows the right form") {
  CHECK(message(kValid, {"economics.gpu_hour=3.5"}) ==
        "--set economics.gpu_hour=3.5: 3.5 has no unit, write for example '3.5 USD'");
  CHECK(
      message(kValid, {"training.data_loading.time_per_sample=2"}).find("2 has no unit, write for example") !=
      std::string::npos);
}

TEST_CASE("a layout that does not multiply out says what would") {
  CHECK(
      message(changed("tensor: 2", "tensor: 3")) ==
      "a.yaml:3:1: tensor 3 x context 1 x pipeline 1 = 3 does not divide the cluster's 8 GPUs; nearest legal "
      "products: 2 or 4\n"
      "layout: {tensor: 3}\n"
      "^");
  CHECK(message(changed("tensor: 2", "tensor: 2, data: 3")) ==
        "a.yaml:3:27: tensor 2 x context 1 x pipeline 1 x data 3 = 6 is not the cluster's 8 GPUs; data must "
        "be 4 "
        "(or auto)\n"
        "layout: {tensor: 2, data: 3}\n"
        "                          ^");
  CHECK(message(kValid, {"training.global_batch=130"}) ==
        "--set training.global_batch=130: global_batch 130 is not divisible by micro_batch 1 x data 4 = 4; "
        "nearest legal: 128 or 132");
}

TEST_CASE("heads that do not divide come with the legal degrees") {
  // The interface's example: 128 heads over tensor 24, on 3 nodes so that the GPUs divide.
  const std::string text =
      "model: llama3-405b\ncluster: {node: hgx-h100, nodes: 3}\nlayout: {tensor: 24}\n"
      "training: {sequence_length: 12288, global_batch: 24}\n";
  const std::string all = message(text);
  CHECK(all.substr(0, all.find('\n')) ==
        "a.yaml:3:18: 128 attention heads are not divisible by tensor 24; legal: 1 2 4 8 16 32 64 128");
}

TEST_CASE("rules across folders: precision, experts, shards and schedules") {
  CHECK(message(kValid, {"training.precision=nvfp4"}) ==
        "--set training.precision=nvfp4: h100 has no nvfp4 units");
  CHECK(message(kValid, {"layout.expert=2"}) ==
        "--set layout.expert=2: llama3-8b has no experts; expert must be 1");
  CHECK(
      message(kValid, {"cluster.gpus_per_node=9"}) ==
      "--set cluster.gpus_per_node=9: hgx-h100 has 8 GPUs a node; gpus_per_node must be between 1 and that");
  CHECK(message(kValid, {"schedule.name=zb_h1", "schedule.virtual_stages=3"}) ==
        "--set schedule.virtual_stages=3: zb_h1 has no virtual stages; use interleaved_1f1b or 1");
  CHECK(message(kValid, {"training.sharding={hsdp: 3}"}).find(" 3 does not divide data x context = 4") !=
        std::string::npos);
  CHECK(message(kValid, {"layout.pipeline=4", "schedule.name=zb_h2", "training.global_batch=4"})
            .find("zb_h2 needs 2p-1 = 7 or more micro-batches on 4 pipeline ranks, not 4") !=
        std::string::npos);
}

TEST_CASE("negative and absurd sizes are refused where they stand") {
  CHECK(message(kValid, {"training.tokens=-5"}) == "--set training.tokens=-5: -5 must not be negative");
  CHECK(message(kValid, {"cluster.nodes=-1"}) == "--set cluster.nodes=-1: -1 must not be negative");
  CHECK(message(kValid, {"cluster.nodes=1000000000000"}) ==
        "--set cluster.nodes=1000000000000: nodes must be between 1 and 1000000, not 1000000000000");
  CHECK(message(kValid, {"training.sequence_length=0"}) ==
        "--set training.sequence_length=0: sequence_length must be between 1 and 1000000000, not 0");
  CHECK(message(kValid, {"training.global_batch=1e30"}) ==
        "--set training.global_batch=1e30: 1e30 is too large, the most is 9223372036854775807");
  CHECK(
      message(kValid, {"training.global_batch=800000000"}) ==
      "--set training.global_batch=800000000: 200000000 micro-batches a step; at most 100000 are simulated");
}

TEST_CASE("text of the wrong shape, an empty file and a directory are errors, not crashes") {
  CHECK(message("") == "a.yaml: is empty");
  CHECK(message("# only a comment\n") == "a.yaml: is empty");
  CHECK(message("- a\n- b\n") == "a.yaml:1:1: must be a map of keys, not a list\n- a\n^");
  CHECK(message("just text\n") == "a.yaml:1:1: must be a map of keys, not a single value\njust text\n^");
  CHECK(message(changed("{tensor: 2}", "[1, 2]")) ==
        "a.yaml:3:1: 'layout' must be a map, not a list\nlayout: [1, 2]\n^");
  CHECK(message("model: llama3-8b\nmodel: llama3-70b\n") ==
        "a.yaml:2:1: key 'model' is already given in line 1\nmodel: llama3-70b\n^");
  const auto folder =
      std::filesystem::temp_directory_path() / ("runcast-scenario-test-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  CHECK(error_of([&] { Document::load(folder.string()); }) ==
        folder.string() + ": cannot be read: is a directory");
  std::filesystem::remove_all(folder);
}

TEST_CASE("all errors of a file come at once, in its order") {
  const std::string all = message(
      "model: llama3-9b\n"
      "cluster: {node: hgx-h101, nodes: 1}\n"
      "training:\n"
      "  sequence_length: 8192\n"
      "  global_batch: 128\n"
      "  precison: bf16\n");
  const std::size_t first = all.find("a.yaml:1:8: unknown model"),
                    second = all.find("a.yaml:2:17: unknown node");
  const std::size_t third = all.find("a.yaml:6:3: unknown key 'training.precison'");
  CHECK(first == 0);
  CHECK(second != std::string::npos);
  CHECK(third != std::string::npos);
  CHECK(second < third);
}

TEST_CASE("a mistake elsewhere does not make a phase's own layout and schedule unknown keys") {
  for (const char* wrong : {"layout.tensor=3", "training.tokens=-1T", "model=llama3-9b"}) {
    Document document = Document::parse(
        "model: llama3-8b\ncluster: {node: hgx-h100, nodes: 2, fabric: infiniband-ndr-rail}\n"
        "layout: {tensor: 2}\ntraining: {tokens: 1T, sequence_length: 8192, global_batch: 512, phases: "
        "[{tokens: 100B, "
        "sequence_length: 32768, global_batch: 128, layout: {tensor: 4, pipeline: 2}, schedule: {name: "
        "1f1b}}]}\n",
        "x");
    document.set(wrong);
    const std::string told = error_of([&] { read_scenario(document, Library()); });
    CAPTURE(told);
    CHECK(!told.empty());
    CHECK(told.find("unknown key") == std::string::npos);
  }
}

TEST_CASE("phases obey the rules of the main stretch") {
  const std::string run =
      "model: llama3-8b\ncluster: {node: hgx-h100, nodes: 4}\n"
      "layout: {tensor: 2, sequence_parallel: true, pipeline: 4}\n"
      "training: {tokens: 1T, sequence_length: 8192, global_batch: 128}\n";
  const auto phase = [&](const std::string& body, std::vector<std::string> more = {}) {
    more.push_back("training.phases=[{" + body + "}]");
    const std::string text = message(run, more);
    return text.substr(text.find("]: ") == std::string::npos ? 0 : text.find("]: ") + 3);
  };
  CHECK(phase("tokens: 1B, global_batch: 64") == "");
  CHECK(phase("tokens: 0") == "a phase takes at least 1 token; leave it out or write tokens: 252M");
  CHECK(phase("tokens: 2T") == "the phases' 2e+12 tokens are more than the run's 1e+12");
  CHECK(phase("tokens: 1B, global_batch: 6") ==
        "a phase's global_batch 6 is not divisible by micro_batch 1 x data 4 = 4; nearest legal: 4 or 8");
  CHECK(phase("tokens: 1B, sequence_length: 4097").find("4097 is not divisible by tensor x context = 2") !=
        std::string::npos);
  // 3 micro-batches: half of an odd number goes in neither direction.
  CHECK(phase("tokens: 1B, global_batch: 12", {"schedule.name=dualpipe"})
            .find("dualpipe needs an even number of micro-batches") != std::string::npos);
}

// 8B on 32 GPUs fits at 8,192 tokens; sequences of 262,144 do not: 2 tensor ranks keep 4.25 GiB x 32 / 2 a layer.
TEST_CASE("a phase whose sequences do not fit says so") {
  const Library library;
  const std::string run =
      "model: llama3-8b\ncluster: {node: hgx-h100, nodes: 4}\n"
      "layout: {tensor: 2, sequence_parallel: true, pipeline: 4}\n"
      "training: {tokens: 1T, sequence_length: 8192, global_batch: 128, phases: [{tokens: 1B, "
      "sequence_length: "
      "262144}]}\n";
  Document document = Document::parse(run, "a.yaml");
  const Scenario s = read_scenario(document, library);
  const MemoryReport report = memory_of(s);
  CHECK_FALSE(report.fits);
  CHECK(report.verdict.starts_with("phase 1 (128 sequences of 262144 tokens) does not fit: stage 0 needs "));
  Scenario alone = s;
  alone.phases.clear();
  CHECK(memory_of(alone).fits);
}

}  // namespace
}  // namespace runcast
