// What `runcast network` says of clusters whose answers are known.
#include "scenarios/network_report.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/scenarios/experiment_helpers.hpp"

using namespace runcast;
using Json = nlohmann::ordered_json;

namespace {

Json network_of(const std::string& run, const std::vector<std::string>& settings = {},
                const NetworkQuestion& question = {}) {
  return network_document(library_run(run, settings), Library(), {}, question)["network"];
}

const Json& row(const Json& network, const std::string& group, const std::string& collective) {
  for (const Json& c : network["collectives"])
    if (c["group"] == group && c["collective"] == collective) return c;
  REQUIRE_MESSAGE(false, group << " " << collective);
  return network;
}

// 128 HGX H100 nodes; tensor 4, pipeline 4, data 64.
const char* const kRun = "llama3-70b";

}  // namespace

// NVLink 450 GB/s; a NIC of 50 GB/s. Ranks 0 and 3 share a node, 0 and 8 a leaf, 0 and 1023 meet above.
TEST_CASE("any two ranks have a bandwidth, a latency and a narrowest link") {
  const auto pair = [](int from, int to) {
    NetworkQuestion question;
    question.from = RankId(from);
    question.to = RankId(to);
    return network_of(kRun, {}, question)["pairs"][0];
  };
  const Json near = pair(0, 3), far = pair(1023, 0), leaf = pair(0, 8);
  CHECK(near["relation"] == "one scale-up domain");
  CHECK(near["hops"] == 2);
  CHECK(near["bandwidth_gbs"].get<double>() <= 450);
  CHECK(near["bandwidth_gbs"].get<double>() > 300);
  CHECK(leaf["hops"] == 4);
  CHECK(leaf["bandwidth_gbs"].get<double>() <= 50);
  CHECK(leaf["narrowest_link"].get<std::string>().find("nic") != std::string::npos);
  CHECK(far["from_gpu"] == "node127.gpu7");
  CHECK(far["hops"].get<int>() > 4);
  CHECK(far["latency_us"].get<double>() > leaf["latency_us"].get<double>());
  CHECK(leaf["latency_us"].get<double>() > near["latency_us"].get<double>());
}

TEST_CASE("ranks that are not there and a rank with itself are refused") {
  NetworkQuestion question;
  question.from = RankId(0);
  question.to = RankId(1024);
  CHECK(error_of([&] { network_of(kRun, {}, question); }) ==
        "rank 1024 is not there; the job has ranks 0 to 1023");
  question.to = RankId(0);
  CHECK(error_of([&] { network_of(kRun, {}, question); }) == "--from and --to are both rank 0; name two");
}

TEST_CASE("each collective keeps its bounds, and its bus bandwidth is that of its time") {
  for (const char* fidelity : {"alpha_beta", "flow"}) {
    const Json network = network_of(kRun, {std::string("cluster.network=") + fidelity});
    CHECK(network["fidelity"] == fidelity);
    CHECK(network["collectives"].size() >= 3);
    for (const Json& c : network["collectives"]) {
      const double time = c["time_s"].get<double>(), n = c["ranks"].get<double>();
      CHECK(time >= c["bound_s"].get<double>());
      if (c.contains("cut_bound_s")) CHECK(time >= c["cut_bound_s"].get<double>());
      const double passes = c["collective"] == "all_reduce" ? 2 : 1;
      CHECK(c["bus_bandwidth_gbs"].get<double>() ==
            doctest::Approx(c["bytes"].get<double>() / time * passes * (n - 1) / n / 1e9).epsilon(1e-9));
    }
  }
}

// Pipeline messages and data-parallel rings leave each GPU over the same NIC: two flows on a link that one fills.
TEST_CASE("data-parallel rings and pipeline messages halve each other while both send") {
  const Json data = row(network_of(kRun, {"cluster.network=flow"}), "data", "reduce_scatter");
  bool told = false;
  for (const Json& other : data["flows"]["beside"])
    if (other["group"] == "pipeline") {
      told = true;
      CHECK(other["busy"].get<double>() > 0);
      CHECK(other["busy"].get<double>() < 0.5);
      CHECK(other["slowdown"].get<double>() == doctest::Approx(2).epsilon(1e-9));
    }
  CHECK(told);
}

// 2,048 nodes are 5 1/3 pods of 384. The first half is two pods and 256 nodes of the third, whose other 128 take what they
// can inside it; each pod sends a seventh of its NICs' rate out: (3 x 384/7 + 128) / 1,024 = 2/7.
TEST_CASE("the halves of a job on LLaMA-3's 1:7 fabric have two sevenths of their NICs' rate between them") {
  const Json bisection = network_of("llama3-405b-16k")["bisection"];
  CHECK(bisection["of_full"].get<double>() == doctest::Approx((3 * 384 / 7.0 + 128) / 1024).epsilon(1e-6));
}

TEST_CASE("a job on a dragonfly or a torus is told how many routers lie between its ranks") {
  for (const char* fabric : {"dragonfly", "torus-3d"}) {
    const Json network = network_of(kRun, {std::string("cluster.fabric=") + fabric});
    bool routers = false;
    for (const Json& pair : network["pairs"])
      routers = routers || pair["relation"].get<std::string>().find("router") != std::string::npos;
    CHECK(routers);
    CHECK(network["bisection"]["bandwidth_gbs"].get<double>() > 0);
    CHECK(row(network, "data", "reduce_scatter")["flows"]["slowdown"].get<double>() >= 1);
  }
}

TEST_CASE("a second job beside the first is told by how much it slows the rings") {
  Document other = library_run("one-node");
  NetworkQuestion question;
  question.neighbours.push_back(read_scenario(other, Library()));
  CHECK(error_of([&] { network_of("one-node", {}, question); }).find("are free beside the other jobs") !=
        std::string::npos);
}
