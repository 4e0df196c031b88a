// Workload texts in AICB's shape, made by hand after those in its repository (workload/simAI/model_workload) and in
// SimAI's.
#include "scenarios/interchange/aicb.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <string>

#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {

namespace {

std::string llama_7b() {
  std::ifstream in(std::string(RUNCAST_SOURCE_DIR) + "/tests/scenarios/fixtures/aicb-llama-7b.txt");
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

AicbImport import_text(const std::string& text, const AicbOptions& options = {}) {
  return import_aicb(text, "theirs", "a.txt", options, Library());
}

Scenario scenario_of(const AicbImport& read) {
  Document document = Document::parse(read.yaml, "imported");
  return read_scenario(document, Library());
}

std::string problem_of(const std::string& text, const AicbOptions& options = {}) {
  return error_of([&] { (void)import_text(text, options); });
}

// Experts in every layer: two all-to-alls each, tensor 2, pipeline 2, expert 4, 8 micro-batches of 1 x 4,096.
std::string mixtral() {
  const std::int64_t size = 2LL * 4096 * 4096;
  std::vector<std::string> rows = {"grad_gather\t-1\t1\tNONE\t0\t1\tNONE\t0\t1\tALLGATHER\t1600000000\t100"};
  const auto row = [&](std::string_view name, std::string_view forward, std::string_view backward) {
    rows.push_back(
        fmt::format("{}\t-1\t1\t{}\t{}\t1\t{}\t{}\t1\tNONE\t0\t100", name, forward, size, backward, size));
  };
  for (int m = 0; m < 8; ++m) {
    row("embedding_layer", "ALLREDUCE", "NONE");
    for (int layer = 0; layer < 32; ++layer) {
      row("attention_column", "ALLGATHER", "REDUCESCATTER");
      row("attention_row", "REDUCESCATTER", "ALLGATHER");
      row("mlp_moelayer", "ALLTOALL_EP", "ALLTOALL_EP");
      row("mlp_moelayer", "ALLTOALL_EP", "ALLTOALL_EP");
    }
  }
  std::string text = fmt::format(
      "HYBRID_TRANSFORMER_FWD_IN_BCKWD model_parallel_NPU_group: 2 ep: 4 pp: 2 vpp: 1 ga: 8 all_gpus: 32 "
      "checkpoints: 0 checkpoint_initiates: 0 pp_comm: 16777216.0\n{}\n",
      rows.size());
  for (const std::string& line : rows) text += line + "\n";
  return text;
}

}  // namespace

TEST_CASE(
    "a workload of LLaMA 7B tells layers, hidden, vocabulary and parameters, and finds the model by them") {
  const AicbImport read = import_text(llama_7b());
  CHECK(read.layers == 32);
  CHECK(read.tokens == 4096);       // cross_entropy: 16,384 B / 4
  CHECK(read.hidden == 4096);       // 33,554,432 B / 2 / 4,096
  CHECK(read.vocabulary == 32000);  // 262,144,000 B / 2 / 4,096
  CHECK(read.parameters * read.tensor == doctest::Approx(6.738e9).epsilon(1e-3));
  CHECK(read.microbatches == 2);
  CHECK(read.model == "llama-7b");
  REQUIRE(read.notes.size() == 2);
  CHECK(read.notes[0] ==
        "the model is llama-7b, the library's nearest to 32 layers, hidden 4096, vocabulary 32000, 6.74B "
        "parameters "
        "besides experts; others: llama2-7b");
  const Scenario scenario = scenario_of(read);
  CHECK(scenario.layout.tensor == 2);
  CHECK(scenario.layout.sequence_parallel);
  CHECK(scenario.layout.data == 8);
  CHECK(scenario.training.global_batch == 16);  // 2 micro-batches x 8 replicas
  CHECK(scenario.training.sequence_length == 4096);
}

TEST_CASE("tensor-parallel volumes of a workload of LLaMA 7B are ours but for what AICB leaves out") {
  // A micro-batch of AICB moves 6 full tensors a layer, in 32 layers, one for the head and one for the embedding; ours
  // moves 8 (the backward pass of a column reduces too, for which AICB writes 0 bytes), and those of the embedding
  // and the head.
  const AicbImport read = import_text(llama_7b());
  const double tensor = 2.0 * 4096 * 4096;
  CHECK(read.volumes.tensor ==
        doctest::Approx((2 * (6 * 32 + 1 + 1) + 1) * tensor + 3 * 16384 + 4 * 4).epsilon(1e-6));
  const std::vector<std::string> table = compare_volumes(read, scenario_of(read));
  REQUIRE(table.size() == 4);
  CHECK(table[1].starts_with("  tensor parallel"));
  const double ratio = std::stod(table[1].substr(table[1].rfind(' ')));
  CHECK(ratio == doctest::Approx(8.0 / 6).epsilon(0.2));
  CHECK(std::stod(table[2].substr(table[2].rfind(' '))) == doctest::Approx(1).epsilon(0.05));  // parameters
  CHECK(std::stod(table[3].substr(table[3].rfind(' '))) == doctest::Approx(1).epsilon(0.05));  // gradients
}

TEST_CASE(
    "a workload with experts tells their layers; without cross-entropy rows the model tells the width") {
  const AicbImport read = import_text(mixtral(), {"mixtral-8x7b", "hgx-h100", 1});
  CHECK(read.moe_layers == 32);
  CHECK(read.tokens == 4096);  // 33,554,432 B / 2 / hidden 4,096 of the named model
  const Scenario scenario = scenario_of(read);
  CHECK(scenario.layout.expert == 4);
  CHECK(scenario.layout.pipeline == 2);
  CHECK(scenario.layout.data == 8);
  CHECK(scenario.microbatches == 8);
  CHECK(compare_volumes(read, scenario).size() >= 3);
}

TEST_CASE("micro-batches of several sequences are read where they are named") {
  const AicbImport read = import_text(llama_7b(), {"", "hgx-h100", 2});
  CHECK(scenario_of(read).training.sequence_length == 2048);
  CHECK(problem_of(llama_7b(), {"", "hgx-h100", 3}) ==
        "a.txt: a micro-batch has 4096 tokens, which is no multiple of 3 sequences; give --micro-batch N");
}

TEST_CASE(
    "an old header without pipeline and GPUs is read as one replica, and the rows' micro-batches count") {
  std::string text = llama_7b();
  text.replace(
      0, text.find('\n'),
      "HYBRID_TRANSFORMER_FWD_IN_BCKWD\tmodel_parallel_NPU_group: 2 checkpoints: 0 checkpoint_initiates: 0");
  const AicbImport read = import_text(text);
  CHECK(read.gpus == 2);
  CHECK(read.microbatches == 2);
  CHECK_NOTHROW((void)scenario_of(read));  // a whole node: 8 GPUs
}

TEST_CASE(
    "what is no workload of AICB is refused with its line, and a model that is not known is asked for") {
  CHECK(problem_of("") == "a.txt:1: is empty");
  CHECK(problem_of("MICRO\n1\n") ==
        "a.txt:1: a workload of AICB begins with HYBRID_TRANSFORMER_FWD_IN_BCKWD, not 'MICRO'");
  const std::string header = "HYBRID_TRANSFORMER_FWD_IN_BCKWD model_parallel_NPU_group: 2\n";
  CHECK(problem_of(header) == "a.txt:1: there is no row below the header");
  CHECK(problem_of(header + "1\na b c\n") == "a.txt:3: a row has 12 columns, not 3");
  CHECK(problem_of(header + "2\na -1 1 NONE 0 1 NONE 0 1 NONE 0 100\n") ==
        "a.txt:3: there are 1 rows, but line 2 says 2");
  CHECK(problem_of(header + "1\na -1 1 NONE x 1 NONE 0 1 NONE 0 100\n") ==
        "a.txt:3: 'x' is no number of a workload");
  CHECK(problem_of("HYBRID_TRANSFORMER_FWD_IN_BCKWD pp: 1e17\n1\n") == "a.txt:1: pp cannot be 1e17");
  CHECK(
      problem_of(header + "1\nattention_layer -1 1 NONE 0 1 NONE 0 1 NONE 0 100\n") ==
      "a.txt: the workload names no model and the library has none of 1 layers; give --model NAME or a path");
  CHECK(problem_of(header + "1\nattention_layer -1 1 NONE 0 1 NONE 0 1 NONE 0 100\n",
                   {"llama3-8b", "hgx-h100", 1}) ==
        "a.txt: the tokens of a micro-batch are not told: neither a row cross_entropy nor a row "
        "embedding_layer has the "
        "bytes of its forward collective");
}

}  // namespace runcast
