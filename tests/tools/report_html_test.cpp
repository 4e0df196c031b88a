// The HTML report: whole, small, without requests, and with names that are shown and not run. What a browser makes of it
// is tests/browser/report_test.py's.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "scenarios/experiment.hpp"
#include "tests/tools/sample_result.hpp"
#include "tools/report/html.hpp"

using namespace runcast;

namespace {

using Json = nlohmann::ordered_json;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Json data_of(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const std::size_t begin = page.find(open) + open.size();
  return Json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

}  // namespace

TEST_CASE("a report is one page with its data, style and D3 inside, that may load nothing") {
  const std::string page = html_report(sample_result());
  CHECK(page.starts_with("<!DOCTYPE html>"));
  CHECK(has(page, "<title>Sample</title>"));
  CHECK(has(page, "default-src 'none'"));
  CHECK(has(page, "d3js.org"));  // D3's own first line
  for (const char* mark : {"@TITLE@", "@STYLE@", "@DATA@", "@D3@", "@SCRIPT@"}) CHECK_FALSE(has(page, mark));
  CHECK_FALSE(std::regex_search(page.substr(0, 12'000), std::regex("(src|href)=\"?(https?:|//)")));
  CHECK(data_of(page) == sample_result());
}

TEST_CASE(
    "names of a scenario are data: a model named <script> is no element, a mark of the template no mark") {
  Json result = sample_result();
  result["scenario"]["name"] = "<script>alert(1)</script>@DATA@";
  result["scenario"]["model"] = "</script><script>alert(2)</script>";
  const std::string page = html_report(result);
  CHECK_FALSE(has(page, "alert(1)</script>"));
  CHECK_FALSE(has(page, "<script>alert"));
  CHECK(has(page, "<title>&lt;script&gt;alert(1)&lt;/script&gt;@DATA@</title>"));
  CHECK(data_of(page)["scenario"]["model"] == "</script><script>alert(2)</script>");
}

TEST_CASE("a 16-stage step's report is under 2 MB, with a row for each stage and times that fill the step") {
  const Library library;
  const LibraryEntry& entry = library.get("runs", "llama3-405b-16k", "test", "test");
  Document document = Document::parse(entry.text, entry.path);
  const Scenario scenario = read_scenario(document, library);
  const StepTimeline timeline = timeline_of(scenario, 1, false, TimelineLevel::microbatch);
  Json result = sample_result();
  result["timeline"] = timeline_json(timeline);
  CHECK(result["timeline"]["ranks"].size() == 16);
  CHECK(html_report(result).size() < 2'000'000);
  const Json& kinds = result["timeline"]["kinds"];
  for (const Json& rank : result["timeline"]["ranks"]) {
    double filled = 0;
    for (const Json& s : rank["slices"]) {
      const std::string kind = kinds[s[2].get<std::size_t>()];
      if (kind != "gather" && kind != "reduce") filled += s[1].get<double>();
    }
    // Each slice is cut to hundredths of a microsecond.
    CHECK(filled == doctest::Approx(to_seconds(timeline.step().time).value * 1e6).epsilon(1e-5));
    CHECK(rank["memory"].size() > 10);
  }
}
