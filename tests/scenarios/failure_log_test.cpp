#include "scenarios/failure_log.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "failures/failure_process.hpp"
#include "sim/random.hpp"
#include "tests/error_of.hpp"

using namespace runcast;
using doctest::Approx;

namespace {

FailureLog read(const std::string& text, const LogOptions& options = {}) {
  return read_failure_log(text, "log.csv", options);
}

std::string refusal(const std::string& text) {
  return error_of([&] { read(text); });
}

}  // namespace

TEST_CASE("plain columns: dates or seconds, repairs with their unit, open ones censored at the end") {
  const FailureRecord r = read(
      "time,node,cause,repair\n2024-05-01 00:00:00,n1,GPU,3600 s\n2024-05-02T12:00:00,n2,nic,2 "
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
  std::string csv = "time,node,cause,repair_s\n";
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
  CHECK(refusal("time,node\nyesterday,2\n").find("log.csv:2: 'yesterday' is no time of the calendar") !=
        std::string::npos);
  CHECK(refusal("time,node\n") == "log.csv: a record of failures has no rows");
  CHECK(refusal("state,start_time\nFAILED,1\n").find("log.csv:1: a table of jobs needs") !=
        std::string::npos);
}

TEST_CASE("seconds of the epoch begin with the first row, and what lies after the span is told") {
  const std::string csv =
      "time,node,cause\n1714521600,a,gpu\n1714608000,b,nic\n1719792000,a,gpu\n";  // days 0, 1, 61
  const FailureLog log = read(csv, {10, Seconds(60 * kDay), 8});
  CHECK(log.failures.size() == 2);
  CHECK(log.failures[1].at.value == Approx(kDay).epsilon(1e-12));
  CHECK(log.notes ==
        std::vector<std::string>{"times are read as seconds since 1970; the record begins with the first",
                                 "1 of 3 failures lie after the span of 60 days and are left out"});
  CHECK(error_of([] {
          read("time,node,cause\n5,a,gpu\n6,b,nic\n", {10, Seconds(2), 8});
        }) == "--span: all 2 failures lie after the first 2.31481e-05 days; the last is at 6.94444e-05 days");
}

TEST_CASE("without the number of nodes those that failed are taken, and it is told") {
  CHECK(read("time,node,cause\n100,a,gpu\n200,b,gpu\n").notes ==
        std::vector<std::string>{
            "2 nodes are assumed, those that failed: rates are too high where others ran without "
            "a failure; give --nodes"});
}

TEST_CASE("semicolons and tabs separate cells as commas do") {
  for (const std::string separator : {";", "\t"}) {
    std::string csv = "time;node;cause;repair\n2024-05-01;a;\"gpu; x\";3 h\n2024-05-02;b;nic, y;1 h\n";
    for (std::size_t at = 0; separator == "\t" && (at = csv.find(';', at)) != std::string::npos;)
      if (csv.compare(at, 3, "; x") == 0)
        ++at;
      else
        csv[at] = '\t';
    const FailureLog log = read(csv);
    REQUIRE(log.failures.size() == 2);
    CHECK(log.failures[0].cause == "gpu; x");
    CHECK(log.failures[1].cause == "nic, y");
    CHECK(log.failures[0].repair->value == 3 * kHour);
  }
}

TEST_CASE("dates are those of the calendar, with their zone") {
  // 12:00+02:00 is 10:00 UTC; 08:30-0130 is 10:00 UTC.
  const FailureLog log = read(
      "time,node,cause\n2024-02-29 10:00:00Z,a,x\n2024-02-29T12:30:00.5+02:00,a,x\n2024-02-29 "
      "09:30-0130,a,x\n"
      "02/29/24 12:00,a,x\n");
  CHECK(log.failures[1].at.value == Approx(1800.5).epsilon(1e-9));
  CHECK(log.failures[2].at.value == Approx(3600).epsilon(1e-9));
  CHECK(log.failures[3].at.value == Approx(7200).epsilon(1e-9));
  for (const std::string wrong :
       {"2025-02-30", "2025-02-29", "2024-05-01;x", "2024-05-01 12:00 noon", "2024-05-01 24:01"})
    CHECK(refusal("time,node\n" + wrong + ",2\n") ==
          "log.csv:2: '" + wrong +
              "' is no time of the calendar; write a date as 2024-05-01 12:34:56, or seconds");
  CHECK(refusal("time,node\n2024-05-01,2\n17,2\n") ==
        "log.csv:3: '17': dates and seconds do not go together");
}

TEST_CASE("a repair needs its unit, in the cell or in the name of the column") {
  CHECK(refusal("time,node,cause,repair\n1,a,x,3\n") ==
        "log.csv:2: a repair of '3' has no unit; write '3 h', or name the column repair_h");
  CHECK(read("time,node,cause,repair (min)\n1,a,x,3\n").failures[0].repair->value == 180);
  CHECK(read("time,node,cause,downtime_hours\n1,a,x,3\n").failures[0].repair->value == 3 * kHour);
}
