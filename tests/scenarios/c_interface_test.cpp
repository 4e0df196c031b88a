// The C interface of the shared library: the same documents as the command line's, mistakes as statuses.
#include "scenarios/runcast.h"

#include <doctest/doctest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "scenarios/documents.hpp"
#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {
namespace {

struct Reply {
  int status;
  std::string text;
};

Reply asked(const runcast_question& question) {
  char* answer = nullptr;
  const int status = runcast_ask(&question, &answer);
  REQUIRE(answer != nullptr);
  Reply reply{status, answer};
  runcast_free(answer);
  return reply;
}

TEST_CASE("the C interface answers with the document of the command line") {
  const std::array<const char*, 1> sets = {"layout.tensor=4"};
  runcast_question question{};
  question.command = "step";
  question.scenario = "one-node";
  question.set = sets.data();
  question.set_count = sets.size();
  const Reply reply = asked(question);
  CHECK(reply.status == RUNCAST_DONE);
  Document document = library_run("one-node");
  document.set("layout.tensor=4");
  CHECK(reply.text == answer(*find_question("step"), std::move(document), Library(), {}).dump(2));
}

TEST_CASE("the C interface says no with a whole document when a model does not fit") {
  runcast_question question{};
  question.command = "memory";
  question.text =
      "model: llama3-405b\ncluster: {node: hgx-h100, nodes: 1}\n"
      "training: {tokens: 1B, sequence_length: 8192, global_batch: 8}\n";
  const Reply reply = asked(question);
  CHECK(reply.status == RUNCAST_NO);
  CHECK(nlohmann::json::parse(reply.text)["step"]["memory"]["fits"] == false);
}

TEST_CASE("the C interface tells a mistake with its place, and refuses what is no question") {
  runcast_question question{};
  question.command = "step";
  question.text = "modl: llama3-8b\n";
  Reply reply = asked(question);
  CHECK(reply.status == RUNCAST_REFUSED);
  CHECK(reply.text.find("<text>:1:1: unknown key 'modl', did you mean 'model'?") != std::string::npos);

  question.command = "steps";
  CHECK(asked(question).text == "runcast_ask: unknown command 'steps'; legal: run step goodput memory");
  question.command = nullptr;
  CHECK(asked(question).status == RUNCAST_REFUSED);
  question.command = "step";
  question.scenario = "one-node";
  CHECK(asked(question).text == "runcast_ask: give either scenario (a name or a path) or text (YAML)");
  question.text = nullptr;
  question.trials = -1;
  CHECK(asked(question).text == "runcast_ask: -1 trials; from 1 to 1000000, or 0 for the default");
  question.trials = 0;
  question.library = "/nowhere";
  CHECK(asked(question).status == RUNCAST_REFUSED);
  CHECK(runcast_ask(nullptr, nullptr) == RUNCAST_REFUSED);
}

}  // namespace
}  // namespace runcast
