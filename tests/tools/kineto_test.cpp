// The rules by which other programs read our files: Holistic Trace Analysis a rank's trace, memory_viz a snapshot.
#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "tests/tools/hand_checked_step.hpp"
#include "tools/report/kineto.hpp"

using namespace runcast;

namespace {
using Json = nlohmann::ordered_json;
}

// HTA finds the rank in the text by a regular expression of this form; without the space all ranks merge silently.
TEST_CASE("a Kineto trace tells its rank as HTA's regular expression finds it") {
  const std::string text = kineto_trace(hand_checked_step(), RankId(2));
  std::smatch found;
  REQUIRE(std::regex_search(text, found, std::regex("\"rank\": (\\d+)")));
  CHECK(found[1] == "2");
  CHECK(Json::parse(text)["distributedInfo"]["world_size"] == 4);
}

TEST_CASE("events have whole microseconds, kernels a stream and a launch, communication is named nccl") {
  const Json trace = Json::parse(kineto_trace(hand_checked_step(), RankId(1)));
  std::map<std::int64_t, int> launches;
  int kernels = 0, steps = 0, communication = 0;
  for (const Json& e : trace["traceEvents"]) {
    if (e["ph"] != "X") continue;
    CHECK(e["ts"].is_number_integer());
    CHECK(e["dur"].is_number_integer());
    if (e["cat"] == "user_annotation") CHECK(e["name"] == "ProfilerStep#" + std::to_string(steps++));
    if (e["cat"] == "cuda_runtime") ++launches[e["args"]["correlation"].get<std::int64_t>()];
    if (e["cat"] != "kernel") continue;
    ++kernels;
    CHECK(e["args"]["stream"].is_number_integer());
    CHECK(e["tid"] == e["args"]["stream"]);
    ++launches[e["args"]["correlation"].get<std::int64_t>()];
    if (e["name"].get<std::string>().starts_with("nccl")) ++communication;
  }
  CHECK(steps == 2);
  // A step of stage 1: 8 forwards, 8 backwards, the optimizer and the fixed time; 16 messages out and 16 in.
  CHECK(kernels == 2 * (8 + 8 + 2 + 16 + 16));
  CHECK(communication == 2 * 32);
  for (const auto& [correlation, events] : launches) CHECK(events == 2);
}

// HTA's temporal breakdown merges kernels: computing is the time of at least one that is no communication. Ours: 8 (1 + 2)
// ms of slots, 0.5 ms of optimizer and 0.1 ms of fixed time.
TEST_CASE("computing time as HTA adds it up is that of our slots") {
  const Json trace = Json::parse(kineto_trace(hand_checked_step(), RankId(0), 1));
  std::int64_t computing = 0, step = 0;
  for (const Json& e : trace["traceEvents"]) {
    if (e["ph"] != "X") continue;
    if (e["cat"] == "user_annotation") step = e["dur"];
    if (e["cat"] == "kernel" && !e["name"].get<std::string>().starts_with("nccl"))
      computing += e["dur"].get<std::int64_t>();
  }
  CHECK(computing == 24'600);
  CHECK(step == hand_checked_step().step().time.ns / 1000);
}

TEST_CASE(
    "a memory snapshot allocates what stays and each micro-batch, and frees the latter; its peak is the "
    "stage's") {
  const Json snapshot = Json::parse(memory_snapshot(hand_checked_step(), RankId(0)));
  REQUIRE(snapshot["device_traces"].size() == 1);
  double now = 0, most = 0;
  std::map<std::int64_t, double> live;
  for (const Json& e : snapshot["device_traces"][0]) {
    const auto address = e["addr"].get<std::int64_t>();
    if (e["action"] == "alloc") {
      CHECK(live.emplace(address, e["size"].get<double>()).second);
      most = std::max(most, now += e["size"].get<double>());
    } else if (e["action"] == "free_completed") {
      REQUIRE(live.contains(address));
      now -= live[address];
      live.erase(address);
    }
  }
  CHECK(most == doctest::Approx(14 * kGiB).epsilon(1e-9));  // 10 GiB and 4 micro-batches
  REQUIRE(live.size() == 1);
  CHECK(snapshot["segments"][0]["blocks"][0]["address"].get<std::int64_t>() == live.begin()->first);
  CHECK(live.begin()->second == doctest::Approx(10 * kGiB).epsilon(1e-9));
}
