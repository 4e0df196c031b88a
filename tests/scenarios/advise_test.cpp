// Advice: rows are what running their assignments gives, and what is wrong is found and ranked by simulation.
#include "scenarios/advise.hpp"

#include <doctest/doctest.h>

#include "scenarios/advise_search.hpp"
#include "scenarios/search.hpp"
#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

// LLaMA 7B on 64 H100 with three faults: standard attention, full recomputation, two slow workers a GPU.
const char* const kSlow =
    "name: LLaMA 7B with three faults\n"
    "model: llama-7b\n"
    "cluster: {node: hgx-h100, nodes: 8}\n"
    "layout: {tensor: 1, pipeline: 1, data: auto}\n"
    "training:\n"
    "  tokens: 300B\n"
    "  sequence_length: 2048\n"
    "  global_batch: 1024\n"
    "  micro_batch: 2\n"
    "  attention: standard\n"
    "  recompute: full\n"
    "  sharding: zero1\n"
    "  data_loading: {workers_per_gpu: 2, time_per_sample: 800 ms}\n"
    "failures: default\n"
    "economics: {gpu_hour: 3.50 USD}\n";

ExperimentOptions few_trials() {
  ExperimentOptions options;
  options.trials = 10;
  options.threads = 2;
  return options;
}

const ScenarioSource kSource{kSlow, "slow.yaml", {}};

std::vector<std::string> set_of(const Json& row) { return row.at("set").get<std::vector<std::string>>(); }

const Json* row_of(const Json& advice, const std::string& lever) {
  for (const Json& row : advice.at("rows"))
    if (row.at("lever") == lever) return &row;
  return nullptr;
}

// Some rows of the table, that these tests look at: the others take their time.
std::vector<Lever> these(const std::vector<std::string>& names) {
  std::vector<Lever> table = levers();
  std::erase_if(table,
                [&](const Lever& lever) { return std::ranges::find(names, lever.name) == names.end(); });
  return table;
}

}  // namespace

TEST_CASE(
    "advise finds standard attention, full recomputation and a slow loader, and simulates them as one") {
  const Library library;
  const Json advice = advise_document(
      kSource, library, few_trials(), AdviceSearch::quick,
      these({"attention", "recompute", "data_loading", "layout", "recovery", "place", "early_stop"}));
  for (const char* lever : {"attention", "recompute", "data_loading"}) {
    CAPTURE(lever);
    const Json* row = row_of(advice, lever);
    REQUIRE(row != nullptr);
    CHECK(row->at("combined") == true);
    CHECK(row->at("co2e_t_saved").get<double>() > 0);
  }
  // 16 samples a GPU and step x 800 ms / 2 workers = 6.4 s: longer than the 5.4 s of compute, so that faster kernels
  // alone save energy and no time.
  CHECK(row_of(advice, "data_loading")->at("days_saved").get<double>() > 0);
  CHECK(row_of(advice, "attention")->at("days_saved") == 0);
  // Lines of the text above.
  CHECK(row_of(advice, "attention")->at("where") == "slow.yaml:10");
  CHECK(row_of(advice, "recompute")->at("where") == "slow.yaml:11");
  CHECK(row_of(advice, "data_loading")->at("where") == "slow.yaml:13");
  // Ranked by what simulation says each saves itself.
  double last = 1e300;
  for (const Json& row : advice.at("rows")) {
    const double usd = row.at("usd_saved").get<double>();
    CHECK(usd <= last);
    last = usd;
  }
  // To the digit: every row and the combination are the run with their assignments.
  const Json& all = advice.at("combined");
  for (const Json& row : {*row_of(advice, "recompute"), *row_of(advice, "data_loading"), all}) {
    const Json run = run_document(kSource.open(set_of(row)), library, few_trials());
    CHECK(row.at("after").at("days") == run.at("run").at("days").at("mean"));
    CHECK(row.at("after").at("usd") == run.at("cost").at("usd"));
    CHECK(row.at("after").at("co2e_t") == run.at("cost").at("co2e_t"));
    CHECK(row.at("after").at("step_s") == run.at("step").at("time_s"));
  }
  // What each is worth: the combination without it is the run of the others' assignments.
  for (const Json& worth : all.at("worth")) {
    if (worth.at("lever") != "data_loading") continue;
    std::vector<std::string> others = set_of(all);
    for (const std::string& own : set_of(worth)) std::erase(others, own);
    const Json run = run_document(kSource.open(others), library, few_trials());
    CHECK(worth.at("days_saved").get<double>() ==
          doctest::Approx(run["run"]["days"]["mean"].get<double>() - all["after"]["days"].get<double>())
              .epsilon(1e-9));
    CHECK(worth.at("days_saved").get<double>() > 1);
  }
  // Every granularity of recomputation was timed: what a layer keeps falls, what it computes again grows.
  const Json& tried = row_of(advice, "recompute")->at("tried");
  const auto one = [&](const char* name) {
    for (const Json& t : tried)
      if (t["proposed"] == name) return t;
    return Json();
  };
  CHECK(one("none")["layer_bytes"] > one("selective")["layer_bytes"]);
  CHECK(one("selective")["layer_bytes"] > one("full")["layer_bytes"]);
  CHECK(one("none")["layer_again_s"] < one("full")["layer_again_s"]);
  CHECK(all.at("after").at("total_usd").get<double>() <
        advice.at("rows").at(0).at("before").at("total_usd").get<double>());
}

TEST_CASE("what does not fit is critical, and what makes it fit is told first") {
  // 7B with all activations of standard attention at 8,192 tokens: 32 heads x 8192^2 x 2 B = 4.3 GB of scores a layer.
  const Library library;
  const ScenarioSource source{kSlow,
                              "slow.yaml",
                              {"training.recompute=none", "training.sequence_length=8192",
                               "training.micro_batch=1", "training.data_loading="}};
  ExperimentOptions options = few_trials();
  options.trials = 2;
  const Json advice =
      advise_document(source, library, options, AdviceSearch::quick,
                      these({"attention", "recompute", "sharding", "layout", "overlap", "optimizer"}));
  CHECK(advice.at("base").at("fits") == false);
  const Json& first = advice.at("rows").at(0);
  CHECK(first.at("severity") == "critical");
  CHECK(first.at("after").at("fits") == true);
  CHECK(advice.at("combined").at("after").at("fits") == true);
}

TEST_CASE("the layout lever proposes what the search finds, without assignments that change nothing") {
  const Library library;
  const ScenarioSource source{
      kSlow,
      "slow.yaml",
      {"cluster.nodes=1", "layout.tensor=8", "layout.sequence_parallel=true", "training.global_batch=64",
       "training.attention=flash", "training.recompute=none", "training.data_loading="}};
  Document document = source.open();
  const Scenario s = read_scenario(document, library);
  const std::vector<Proposal> found = searched_layouts(source, s, library, AdviceSearch::quick, few_trials());
  REQUIRE(found.size() == 1);
  SearchQuestion question;
  question.top = 1;
  for (const char* axis :
       {"recompute=none", "sharding=zero1", "order=tensor-context-pipeline-data", "sequence_parallel=true",
        "group_size=auto", "overlap.data=true", "overlap.tensor=false", "overlap.pipeline=true"})
    set_axis(question.axes, axis);
  const Json best = search_document(source, question, library, few_trials())["layouts"][0];
  const Json step = step_document(source.open(found[0].set), library, few_trials())["step"];
  CHECK(step["time_s"].get<double>() == doctest::Approx(best["step_s"].get<double>()).epsilon(1e-9));
  CHECK(step["time_s"] < step_document(source.open(), library, few_trials())["step"]["time_s"]);
  for (const std::string& set : found[0].set) {
    CHECK(set != "layout.context=1");
    CHECK(set != "training.recompute=none");
  }
}

}  // namespace runcast
