// The figures of every library scenario as they were last accepted: tests/golden/NAME.json. A change that
// moves one is meant, and then the files are written anew and read in the diff:
//   test_whole --write-golden        (BUILD/tests/test_whole)
// Values are compared to 1e-9 (libm may differ in the last bits between machines); clock values of the step
// to the nanosecond that 1e-9 of a step allows.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/golden.hpp"
#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

const fs::path kGolden = fs::path(RUNCAST_SOURCE_DIR) / "tests/golden";

// The answers of one scenario, without its echo and its sentences.
Json figures_of(const std::string& name) {
  ExperimentOptions options;
  options.trials = 20;
  const Json all = run_document(library_run(name), Library(), options);
  Json figures = {{"step", all["step"]}, {"run", all["run"]}, {"cost", all["cost"]}};
  figures["run"]["checkpoint"].erase("curve");
  figures["step"]["memory"].erase("stages");
  figures["step"]["memory"].erase("reason");
  return figures;
}

// The first place where two documents differ; "" when they do not.
std::string difference(const Json& golden, const Json& now, const std::string& where) {
  if (golden.is_number() && now.is_number()) {
    const double a = golden.get<double>(), b = now.get<double>();
    if (std::abs(a - b) <= 1e-9 * std::max(std::abs(a), std::abs(b))) return "";
    return where + ": " + golden.dump() + " became " + now.dump();
  }
  if (golden.type() != now.type()) return where + ": another kind of value";
  if (!golden.is_structured())
    return golden == now ? "" : where + ": " + golden.dump() + " became " + now.dump();
  if (golden.size() != now.size()) return where + ": another number of entries";
  if (golden.is_array()) {
    for (std::size_t i = 0; i < golden.size(); ++i)
      if (std::string d = difference(golden[i], now[i], where + "/" + std::to_string(i)); !d.empty())
        return d;
    return "";
  }
  for (const auto& [key, value] : golden.items()) {
    if (!now.contains(key)) return where + "/" + key + ": gone";
    if (std::string d = difference(value, now[key], where + "/" + key); !d.empty()) return d;
  }
  return "";
}

}  // namespace

int write_golden() {
  fs::create_directories(kGolden);
  for (const fs::directory_entry& file : fs::directory_iterator(kGolden))
    if (file.path().extension() == ".json") fs::remove(file.path());
  for (const std::string& name : Library().names("runs"))
    std::ofstream(kGolden / (name + ".json")) << figures_of(name).dump(1) << '\n';
  return 0;
}

TEST_CASE("every library scenario gives the figures that were last accepted") {
  for (const std::string& name : Library().names("runs")) {
    CAPTURE(name);
    std::ifstream in(kGolden / (name + ".json"));
    REQUIRE_MESSAGE(in, "no golden file; write it with test_whole --write-golden");
    const std::string text(std::istreambuf_iterator<char>(in), {});
    CHECK(difference(Json::parse(text), figures_of(name), "") == "");
  }
}

TEST_CASE("the comparison of golden files sees a last digit, a lost key and a longer list") {
  const Json golden = {{"a", 1.0}, {"b", {1, 2}}};
  CHECK(difference(golden, golden, "") == "");
  CHECK(difference(golden, {{"a", 1.0 + 1e-12}, {"b", {1, 2}}}, "") == "");
  CHECK(difference(golden, {{"a", 1.00001}, {"b", {1, 2}}}, "") == "/a: 1.0 became 1.00001");
  CHECK(difference(golden, {{"a", 1.0}, {"c", {1, 2}}}, "") == "/b: gone");
  CHECK(difference(golden, {{"a", 1.0}, {"b", {1, 2, 3}}}, "") == "/b: another number of entries");
}

}  // namespace runcast
