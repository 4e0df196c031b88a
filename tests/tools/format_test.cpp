// Machine formats and numbers: what is printed reads back to what was computed.
#include "tools/report/formats.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "sim/error.hpp"
#include "tests/tools/sample_result.hpp"
#include "tools/report/number.hpp"
#include "tools/report/progress.hpp"

using namespace runcast;
using Json = nlohmann::ordered_json;

namespace {

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("json and jsonl read back to the same document; jsonl is one line") {
  const Json document = sample_result();
  CHECK(Json::parse(as_json(document)) == document);
  const std::string line = as_jsonl(document);
  CHECK(Json::parse(line) == document);
  CHECK(line.find('\n') == line.size() - 1);
}

TEST_CASE("csv of a result is key, value, unit, one line for each leaf") {
  const std::string csv = as_csv(sample_result());
  CHECK(csv.starts_with("key,value,unit\nschema_version,1,\nscenario.name,Sample,\n"));
  CHECK(has_line(csv, "step.time_s,10.0,s"));
  CHECK(has_line(csv, "step.breakdown_s.compute,7.0,s"));
  CHECK(has_line(csv, "step.mfu,0.404,1"));
  CHECK(has_line(csv, "step.memory.stages[1].total_gib,59,GiB"));
  CHECK(has_line(csv, "step.communication[0].bytes_per_rank,42949672960,B"));
  CHECK(has_line(csv, "run.days.ci95_low,21.4,days"));
  CHECK(has_line(csv, "cost.gpu_hours,66048,GPU h"));
}

TEST_CASE("csv and jsonl of a table are its rows, with the columns of all of them") {
  const Json document = {
      {"rows", {{{"id", "a,b"}, {"error", 0.5}}, {{"id", "say \"x\""}, {"note", "two\nlines"}}}},
      {"mape", 0.5}};
  CHECK(as_csv(document) == "id,error,note\n\"a,b\",0.5,\n\"say \"\"x\"\"\",,\"two\nlines\"\n");
  CHECK(as_jsonl(document) ==
        "{\"id\":\"a,b\",\"error\":0.5}\n{\"id\":\"say \\\"x\\\"\",\"note\":\"two\\nlines\"}\n");
}

TEST_CASE("in a table, maps inside a row become columns of their own, and lists of values one cell") {
  const Json document = {{"rows",
                          {{{"id", "a"}, {"b", {{"x", 1}, {"y", 2}}}, {"set", {"p=1", "q=2"}}},
                           {{"id", "c"}, {"b", {{"y", 3}}}}}}};
  CHECK(as_csv(document) == "id,b.x,b.y,set\na,1,2,p=1; q=2\nc,,3,\n");
}

TEST_CASE("markdown has a table for each part, and a bar inside a cell does not end it") {
  const Json document = {
      {"mape", 0.5}, {"rows", {{{"id", "a|b"}, {"error", 0.25}}}}, {"step", {{"time_s", 2}}}};
  CHECK(as_markdown(document) ==
        "## result\n\n| key | value | unit |\n| --- | --- | --- |\n| mape | 0.5 | 1 |\n"
        "\n## rows\n\n| id | error |\n| --- | --- |\n| a\\|b | 0.25 |\n"
        "\n## step\n\n| key | value | unit |\n| --- | --- | --- |\n| step.time_s | 2 | s |\n");
}

TEST_CASE("--no-timing removes every `seconds`, at any depth, and nothing else") {
  Json document = {
      {"seconds", 1.5}, {"step", {{"time_s", 2}, {"seconds", 3}}}, {"rows", {{{"seconds", 4}, {"id", "a"}}}}};
  remove_timing(document);
  CHECK(document == Json({{"step", {{"time_s", 2}}}, {"rows", {{{"id", "a"}}}}}));
}

TEST_CASE("a format is known by its name and by a file's suffix; others are refused with the legal ones") {
  CHECK(format_named("md") == Format::markdown);
  CHECK(format_of_file("a/b.jsonl") == Format::jsonl);
  CHECK(format_of_file("x.txt") == Format::table);
  CHECK_THROWS_WITH_AS(
      format_named("jsn"),
      "--format jsn: unknown format, did you mean 'json'?; legal: table, json, jsonl, csv, md", ConfigError);
  CHECK_THROWS_WITH_AS(
      format_of_file("x.xls"),
      "-o x.xls: its suffix names no format; use .json, .jsonl, .csv, .md or .txt, or say --format",
      ConfigError);
}

TEST_CASE("numbers have four significant digits, their thousands apart, and never lose a whole digit") {
  CHECK(number(0) == "0");
  CHECK(number(8) == "8");
  CHECK(number(16384) == "16,384");
  CHECK(number(1234567.8) == "1,234,568");
  CHECK(number(412.34) == "412.3");
  CHECK(number(5.8716) == "5.872");
  CHECK(number(0.012345) == "0.01235");
  CHECK(number(-1234.5, 6) == "-1,234.50");
  CHECK(number(3.8e25) == "3.8e+25");
  CHECK(number(std::numeric_limits<double>::quiet_NaN()) == "-");
  CHECK(fixed(1234.5, 2) == "1,234.50");
  CHECK(fixed(-0.25, 2) == "-0.25");
  CHECK(percent(0.4116) == "41.2 %");
}

TEST_CASE("times and sizes choose the unit that people would") {
  CHECK(time_text(4.51e-5) == "45.1 us");
  CHECK(time_text(0.0123) == "12.30 ms");
  CHECK(time_text(5.8716) == "5.872 s");
  CHECK(time_text(600) == "10 min");
  CHECK(time_text(9000) == "2.50 h");
  CHECK(time_text(86400 * 71.3) == "71.30 days");
  CHECK(bytes_text(1.25e7) == "12.5 MB");
  CHECK(bytes_text(999.9) == "1.00 kB");
}

TEST_CASE("progress tells how far, how fast and how long still") {
  // 1,200 trials in 4 s are 300/s; 800 are left: 2.667 s
  CHECK(progress_line(1200, 2000, 4, "trials") == "1,200 of 2,000 trials, 300/s, 2.667 s left");
  CHECK(progress_line(5, 0, 0, "steps") == "5 steps");
}
