// The same question has the same answer, to the byte: twice, on any number of threads, whatever the process
// did before.
#include <doctest/doctest.h>

#include <string>

#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {
namespace {

std::string run_text(const std::string& name, int threads, std::uint64_t seed = 1, bool watched = false) {
  ExperimentOptions options;
  options.trials = 40;
  options.threads = threads;
  options.seed = seed;
  if (watched) options.progress = [](std::int64_t, std::int64_t) {};
  return run_document(library_run(name), Library(), options).dump(2);
}

TEST_CASE("a run is the same bytes on 1, 2 and 7 threads, and with a progress bar") {
  for (const char* name : {"llama3-405b-16k", "one-node"}) {
    CAPTURE(name);
    const std::string one = run_text(name, 1);
    CHECK(one.size() > 2000);
    CHECK(run_text(name, 2) == one);
    CHECK(run_text(name, 7) == one);
    CHECK(run_text(name, 2, 1, true) == one);
  }
}

TEST_CASE("every library step is the same bytes twice") {
  for (const std::string& name : Library().names("runs")) {
    CAPTURE(name);
    CHECK(step_of(name).dump() == step_of(name).dump());
  }
}

TEST_CASE("another seed meets other failures on the same step") {
  using Json = nlohmann::ordered_json;
  const Json one = Json::parse(run_text("llama3-405b-16k", 2, 1)),
             two = Json::parse(run_text("llama3-405b-16k", 2, 2));
  CHECK(one["step"] == two["step"]);
  CHECK(one["scenario"] == two["scenario"]);
  CHECK(one["run"]["days"] != two["run"]["days"]);
}

}  // namespace
}  // namespace runcast
