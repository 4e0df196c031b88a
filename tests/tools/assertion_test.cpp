// Claims of --assert: what they mean, and what is said of those that mean nothing.
#include "tools/report/assertion.hpp"

#include <doctest/doctest.h>

#include "sim/error.hpp"
#include "tests/tools/sample_result.hpp"

using namespace runcast;

namespace {

bool holds(const std::string& claim) { return Assertion(claim).judge(sample_result()).holds; }

std::string complaint(const std::string& claim) {
  try {
    holds(claim);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no complaint";
}

}  // namespace

TEST_CASE("each comparison of a number decides at, below and above it") {  // step.mfu is 0.404
  CHECK(holds("step.mfu > 0.4"));
  CHECK_FALSE(holds("step.mfu > 0.404"));
  CHECK(holds("step.mfu >= 0.404"));
  CHECK(holds("step.mfu <= 0.404"));
  CHECK_FALSE(holds("step.mfu < 0.404"));
  CHECK(holds("step.mfu == 0.404"));
  CHECK_FALSE(holds("step.mfu != 0.404"));
  CHECK(holds("cost.usd < 2.5e5"));
}

TEST_CASE("'and' binds tighter than 'or', and parentheses override that") {
  CHECK(holds("step.mfu > 0 or step.mfu > 1 and step.mfu > 2"));          // true or (false and false)
  CHECK_FALSE(holds("(step.mfu > 0 or step.mfu > 1) and step.mfu > 2"));  // true and false
}

TEST_CASE("paths reach into lists, truths stand alone, texts compare with quotes or a path") {
  CHECK(holds("step.memory.stages[1].total_gib == 59"));
  CHECK(holds("step.memory.fits"));
  CHECK(holds("step.memory.fits == true and scenario.name == 'Sample'"));
  CHECK(holds("step.mfu == step.hfu"));
}

TEST_CASE("the verdict tells the value of every path that was asked for") {
  const auto verdict = Assertion("step.mfu > 0.5 or run.trials < 100").judge(sample_result());
  CHECK_FALSE(verdict.holds);
  CHECK(verdict.values == "step.mfu is 0.404, run.trials is 200");
}

TEST_CASE("an unknown path names the nearest one, by its own key or by the same key elsewhere") {
  CHECK(complaint("step.mfuu > 0.3") ==
        "--assert 'step.mfuu > 0.3': the result has no 'step.mfuu', did you mean 'step.mfu'?");
  CHECK(complaint("mfu > 0.3") == "--assert 'mfu > 0.3': the result has no 'mfu', did you mean 'step.mfu'?");
  CHECK(complaint("step.memory.stages[9].total_gib > 1") ==
        "--assert 'step.memory.stages[9].total_gib > 1': the result has no "
        "'step.memory.stages[9].total_gib', did you "
        "mean 'step.memory.stages[0].total_gib'?");
}

TEST_CASE("a wrong path is told even where the other side of 'or' already holds") {
  CHECK(complaint("step.mfu > 0 or step.tme_s > 1").find("did you mean 'step.time_s'?") != std::string::npos);
}

TEST_CASE("what is no claim is refused before anything is simulated") {
  const std::string hint = "; it is written like 'step.mfu > 0.38 and step.memory.fits'";
  CHECK_THROWS_WITH_AS(Assertion("step.mfu >"),
                       ("--assert 'step.mfu >': something is missing at its end" + hint).c_str(),
                       ConfigError);
  CHECK_THROWS_WITH_AS(Assertion("step.mfu = 1"),
                       ("--assert 'step.mfu = 1': '=' is no comparison (< <= > >= == !=)" + hint).c_str(),
                       ConfigError);
  CHECK_THROWS_WITH_AS(Assertion("(step.mfu > 1"),
                       ("--assert '(step.mfu > 1': a parenthesis is not closed" + hint).c_str(), ConfigError);
  CHECK_THROWS_WITH_AS(Assertion("step.mfu > 1 2"),
                       ("--assert 'step.mfu > 1 2': '2' is one too many" + hint).c_str(), ConfigError);
  CHECK_THROWS_AS(Assertion(""), ConfigError);
  CHECK_THROWS_AS(Assertion("a % b"), ConfigError);
}

TEST_CASE("values of different kinds cannot be compared, and a number alone is no truth") {
  CHECK(complaint("step.mfu > scenario.name").find("0.404 and \"Sample\" cannot be compared by >") !=
        std::string::npos);
  CHECK(complaint("scenario.name < 'z'").find("cannot be compared by <") != std::string::npos);
  CHECK(complaint("step.mfu").find("'step.mfu' is neither true nor false") != std::string::npos);
}

TEST_CASE("an undefined value satisfies no comparison") {
  const nlohmann::ordered_json result = {{"usd", nullptr}};
  CHECK_FALSE(Assertion("usd < 5").judge(result).holds);
  CHECK_FALSE(Assertion("usd >= 5").judge(result).holds);
}

TEST_CASE("paths whose bracket is not closed, and brackets without end, are refused") {
  const nlohmann::ordered_json result = {{"a", {1.0, 2.0}}};
  for (const char* claim : {".stag[18446e16", "a[", "a[0", "[", "..", "a..b > 1"}) {
    CAPTURE(claim);
    CHECK_THROWS_AS(runcast::Assertion(claim).judge(result), runcast::ConfigError);
  }
  CHECK_THROWS_AS(runcast::Assertion(std::string(100'000, '(')), runcast::ConfigError);
}
