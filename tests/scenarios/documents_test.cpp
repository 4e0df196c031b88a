// One table of questions for the command line, the C interface and Python.
#include "scenarios/documents.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "scenarios/scenario_source.hpp"

using namespace runcast;
using Json = nlohmann::ordered_json;

TEST_CASE("run and step tell what the GPUs do, memory and goodput need not") {
  const Library library;
  ExperimentOptions options;
  options.trials = 1;
  const ScenarioSource source = scenario_source("one-node", library);
  const auto asked = [&](const char* name) {
    return answer(*find_question(name), source.open(), library, options);
  };
  CHECK(asked("step")["step"].contains("gpu_activity"));
  CHECK(asked("run")["step"].contains("gpu_activity"));
  CHECK_FALSE(asked("memory")["step"].contains("gpu_activity"));
  CHECK_FALSE(asked("goodput")["step"].contains("gpu_activity"));
  CHECK(find_question("steps") == nullptr);
  CHECK(question_names() == "run step goodput memory");
}

TEST_CASE("a document says no when memory is exceeded or every trial is unfinished") {
  CHECK(says_yes(Json::parse(R"({"network": {}})")));  // neither was asked
  CHECK(says_yes(
      Json::parse(R"({"step": {"memory": {"fits": true}}, "run": {"unfinished": 1, "trials": 2}})")));
  CHECK_FALSE(says_yes(Json::parse(R"({"step": {"memory": {"fits": false}}})")));
  CHECK_FALSE(says_yes(Json::parse(R"({"run": {"unfinished": 2, "trials": 2}})")));
}
