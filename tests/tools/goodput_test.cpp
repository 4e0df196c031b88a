// goodput and import as the program is met: comparisons, logs, what is refused.
#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Ran {
  int status = -1;
  std::string out;  // both streams
};

Ran run(const std::string& words) {
  const std::string command = std::string(RUNCAST_PROGRAM) + " " + words + " --quiet 2>&1";
  Ran ran;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  for (std::size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) ran.out.append(buffer, n);
  ran.status = pclose(pipe) / 256;
  return ran;
}

}  // namespace

TEST_CASE("goodput --compare prints alternatives and their paired differences") {
  const Ran r =
      run("goodput one-node --trials 20 --format json --compare 'recovery.policy=[restart, hot_spare]'");
  REQUIRE(r.status == 0);
  const Json json = Json::parse(r.out);
  const Json& rows = json["comparison"]["alternatives"];
  REQUIRE(rows.size() == 2);
  CHECK(!rows[0].contains("difference"));
  CHECK(rows[1]["value"] == "hot_spare");
  CHECK(rows[1]["difference"]["pairs"] == 20);
  CHECK(rows[1]["difference"]["days"].contains("ci95_low"));
  CHECK(run("goodput one-node --trials 20 --compare 'recovery.policy=[restart,hot_spare]'")
            .out.find("COMPARED ON THE SAME FAILURES") != std::string::npos);
}

TEST_CASE("a comparison of one value, or of none, is refused with the form") {
  CHECK(run("goodput one-node --compare recovery.policy=restart").status == 2);
  CHECK(run("goodput one-node --compare 'recovery.policy=[restart]'")
            .out.find("has one value; two or more are compared") != std::string::npos);
  CHECK(run("goodput one-node --compare 'recovery.policy=[restart,prayer]'").status == 2);
}

TEST_CASE("goodput tells curves, the run over time, a date, and one trial's events") {
  const Ran r = run(
      "goodput one-node --trials 20 --format json --log 3 --set 'run={deadline: 400 days, diurnal: 0.01}'");
  REQUIRE(r.status == 0);
  const Json json = Json::parse(r.out);
  CHECK(json["studies"]["interval"]["curve"].size() >= 5);
  CHECK(json["studies"]["over_time"].size() == 24);
  CHECK(json["studies"]["log"]["trial"] == 3);
  CHECK(json["studies"]["log"]["events"].is_array());
  CHECK(json["run"]["deadline"]["probability"].get<double>() >= 0);
}

TEST_CASE("--trials auto stops when the mean is known to a thousandth") {
  const Ran r = run("goodput llama3-70b --trials auto --format json");
  REQUIRE(r.status == 0);
  const Json days = Json::parse(r.out)["run"]["days"];
  const double mean = days["mean"].get<double>();
  CHECK(days["ci95_high"].get<double>() - mean <= 0.001 * mean);
}

TEST_CASE("a run of more than ten years is refused where its tokens stand") {
  const Ran r = run("goodput one-node --set training.tokens=1e17");
  CHECK(r.status == 2);
  CHECK(r.out.find("--set training.tokens=1e17") != std::string::npos);
  CHECK(r.out.find("the run takes more than 10 years even without failures") != std::string::npos);
}

TEST_CASE("a policy under which the job mostly waits says so") {
  CHECK(
      run("goodput llama3-405b-16k --trials 4 --set recovery.policy=wait").out.find("the job mostly waits") !=
      std::string::npos);
}

TEST_CASE("import failures makes a model that goodput takes") {
  const fs::path csv = fs::temp_directory_path() / "runcast-import-test.csv";
  {
    std::ofstream out(csv);
    out << "time,node,cause,repair_s\n";
    for (int i = 1; i <= 60; ++i)
      out << i * 50000 + i * i * 37 % 9000 << ",n" << i % 7 << ",gpu," << 3600 + i << "\n";
  }
  const Ran r = run("import failures " + csv.string() + " --nodes 16 --format json");
  REQUIRE(r.status == 0);
  const Json json = Json::parse(r.out);
  CHECK(json["causes"][0]["count"] == 60);
  const fs::path yaml = fs::temp_directory_path() / "runcast-import-test.yaml";
  std::ofstream(yaml) << json["yaml"].get<std::string>();
  CHECK(run("goodput one-node --trials 4 --set failures=" + yaml.string()).status == 0);
  CHECK(run("import failure " + csv.string()).out.find("did you mean 'failures'?") != std::string::npos);
  fs::remove(csv);
  fs::remove(yaml);
}
