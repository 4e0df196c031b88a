#include "scenarios/failure_log.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "failures/failure_process.hpp"
#include "sim/random.hpp"
#include "tests/error_of.hpp"

using namespace runcast;
using doctest::Approx;

namespace {

FailureRecord read(const std::string& text, const LogOptions& options = {}) {
  return read_failure_log(text, "log.csv", options);
}

std::string refusal(const std::string& text) {
  return error_of([&] { read(text); });
}

}  // namespace

TEST_CASE("plain columns: dates or seconds, repairs in seconds or words, open ones censored at the end") {
  const FailureRecord r = read(
      "time,node,cause,repair\n2024-05-01 00:00:00,n1,GPU,3600\n2024-05-02T12:00:00,n2,nic,2 "
      "h\n2024-05-03,n1,gpu,open\n");
  REQUIRE(r.failures.size() == 3);
  CHECK(r.failures[1].at.value == Approx(1.5 * kDay).epsilon(1e-12));
  CHECK(r.failures[1].repair->value == 7200);
  CHECK(r.failures[0].cause == "gpu");
  CHECK(r.failures[2].repair_open);
  CHECK(r.nodes == 2);
  CHECK(r.span.value == Approx(2 * kDay).epsilon(1e-12));
}

TEST_CASE("LANL's columns: the cause is the column that is filled, repair from start to fix") {
  // Shaped like the data of Schroeder and Gibson (DSN 2006); rows are made up.
  const FailureRecord r = read(
      "System,nodenum,Prob Started,Prob Fixed,Down Time,Facilities,Hardware,Human "
      "Error,Network,Undetermined,Software\n"
      "20,7,06/01/03 10:00,06/01/03 13:30,210,,Memory Dimm,,,,\n"
      "20,9,06/03/03 10:00,06/03/03 10:30,30,,,,,,DST\n",
      {49, Seconds(100 * kDay), 8});
  REQUIRE(r.failures.size() == 2);
  CHECK(r.failures[0].cause == "hardware");
  CHECK(r.failures[0].repair->value == 3.5 * kHour);
  CHECK(r.failures[1].cause == "software");
  CHECK(in_days(r.node_time) == Approx(4900).epsilon(1e-12));
}

TEST_CASE("job tables: failed jobs are failures, all that ran is exposure") {
  // Shaped like Acme (NSDI 2024) and Philly (ATC 2019); rows are made up. 2 nodes x 1 d + 4 x 2 d + 1 x 0.5 d.
  const FailureRecord acme = read(
      "job_id,node_num,gpu_num,state,start_time,end_time,duration\n"
      "1,2,16,COMPLETED,2023-03-01 00:00:00,2023-03-02 00:00:00,86400\n"
      "2,4,32,NODE_FAIL,2023-03-01 00:00:00,2023-03-03 00:00:00,172800\n"
      "3,1,8,FAILED,2023-03-02 00:00:00,2023-03-02 12:00:00,43200\n"
      "4,1,8,CANCELLED,,,\n");
  CHECK(acme.failures.size() == 2);
  CHECK(in_days(acme.node_time) == Approx(10.5).epsilon(1e-12));
  const FailureRecord philly = read(
      "jobid,status,num_gpus,start_time,end_time\na,Pass,8,2017-10-01 00:00:00,2017-10-02 00:00:00\n"
      "b,Failed,12,2017-10-01 00:00:00,2017-10-02 00:00:00\nc,Killed,1,2017-10-01 00:00:00,2017-10-02 "
      "00:00:00\n");
  CHECK(philly.failures.size() == 1);
  CHECK(in_days(philly.node_time) == Approx(4).epsilon(1e-12));  // 1 + 2 + 1 nodes for a day
}

TEST_CASE("a record that was drawn gives back the rates and the law that it was drawn from") {
  std::string csv = "time,node,cause,repair\n";
  RandomStream random(5, Purpose::test, 0, 0);
  double t = 0;
  for (int i = 0; i < 800; ++i) {
    t += draw(Law::weibull, 0.7, Seconds(3600), random).value;
    csv += fmt::format("{:.3f},n{},gpu,{:.1f}\n", t, i % 50,
                       draw(Law::lognormal, 1, Seconds(7200), random).value);
  }
  const FailureRecord r = read(csv, {100, Seconds(t), 8});
  const std::vector<CauseFit> fits = fit_record(r);
  REQUIRE(fits.size() == 1);
  CHECK(fits[0].per_node.mean.value == Approx(1.0 / 3600 / 100).epsilon(0.1));
  CHECK(fits[0].gaps.front().law == Law::weibull);
  CHECK(fits[0].gaps.front().shape == Approx(0.7).epsilon(0.05));
  CHECK(fits[0].repairs.front().law == Law::lognormal);
  const std::string yaml = failure_model_yaml("ours", r, fits);
  Document document = Document::parse(yaml, "ours.yaml");
  const FailureModel model = read_failures(document.root());
  document.finish();
  CHECK(model.classes.at(0).observed == 800);
  CHECK(model.classes.at(0).law == Law::weibull);
}

TEST_CASE("what is no record of failures is told with its line") {
  CHECK(refusal("when,node\n1,2\n").find("log.csv:1: no column tells when something failed") !=
        std::string::npos);
  CHECK(refusal("time,node\nyesterday,2\n").find("log.csv:2: 'yesterday' is no time") != std::string::npos);
  CHECK(refusal("time,node\n") == "log.csv: a record of failures has no rows");
  CHECK(refusal("state,start_time\nFAILED,1\n").find("log.csv:1: a table of jobs needs") !=
        std::string::npos);
}
