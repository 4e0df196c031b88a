// Every key that a result prints is explained.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "scenarios/documents.hpp"
#include "scenarios/network_report.hpp"
#include "scenarios/scenario_source.hpp"
#include "tools/explanations.hpp"
#include "tools/result_keys.hpp"

using namespace runcast;
using Json = nlohmann::ordered_json;

namespace {

void collect(const Json& value, const std::string& path, std::set<std::string>& paths) {
  if (value.is_array()) {
    for (const Json& item : value) collect(item, path, paths);
  } else if (value.is_object()) {
    for (const auto& [key, child] : value.items()) {
      if (path.empty() && key == "scenario") continue;  // the schema's
      const std::string below = path.empty() ? key : path + "." + key;
      paths.insert(below);
      collect(child, below, paths);
    }
  }
}

bool explained(const std::string& path) {
  const std::string last = path.substr(path.rfind('.') + 1);
  const auto of = [&](const Explanation& e) { return e.term == path || e.path == path || e.term == last; };
  return meaning_of_key(path) || std::ranges::any_of(explanations(), of);
}

}  // namespace

TEST_CASE("every key of what run, step, goodput, memory and network answer is explained") {
  const Library library;
  ExperimentOptions options;
  options.trials = 4;
  options.sensitivity = true;
  std::set<std::string> paths;
  const auto ask = [&](const char* question, const char* run, const std::vector<std::string>& sets) {
    ScenarioSource source = scenario_source(run, library);
    source.sets = sets;
    collect(answer(*find_question(question), source.open(), library, options), "", paths);
  };
  ask("run", "one-node", {"training.phases=[{tokens: 1B, sequence_length: 4096}]", "run.deadline=90 days", "run.budget=1 MUSD"});
  ask("goodput", "one-node", {"failures=default"});
  ask("memory", "llama3-70b", {});
  options.unfolded = true;
  ask("step", "one-node", {"cluster.faults=[{rank: 1, slowdown: 1.1}]"});
  collect(network_document(scenario_source("llama3-70b", library).open(), library, options, {}), "", paths);
  CHECK(paths.size() > 250);
  for (const std::string& path : paths) {
    CAPTURE(path);
    CHECK(explained(path));
  }
}

TEST_CASE("the words of the screen and a key alone find the key") {
  CHECK(meaning_of_key("first failure h").value().starts_with("Hours until the first failure"));
  CHECK(meaning_of_key("peak_gib").value() == "Its fullest GPU, in GiB.");
  CHECK(meaning_of_key("cost.energy.hosts_mwh").value().starts_with("MWh of the run"));
  CHECK(meaning_of_key("run.days.p95").value() == "95 % of the trials are below it.");
  CHECK(!meaning_of_key("run.nothing"));
}
