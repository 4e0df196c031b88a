// Tables of measured steps: hostile CSV, rows as scenarios, and what a prediction may not depend on.
#include "scenarios/published.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "parallelism/training_step.hpp"
#include "scenarios/csv.hpp"
#include "scenarios/validation.hpp"
#include "sim/error.hpp"
#include "tests/error_of.hpp"

using namespace runcast;

namespace {

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

constexpr const char* kHeader =
    "id,hardware,gpus,layers,hidden,ffn,heads,vocab,seq_len,global_batch,tp,measured_step_s\n";

const PublishedRow& row_named(const std::vector<PublishedRow>& rows, std::string_view id) {
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const PublishedRow& r) { return r.id == id; });
  REQUIRE(found != rows.end());
  return *found;
}

}  // namespace

TEST_CASE("a table may have a byte order mark, CR LF, quoted commas, doubled quotes and line ends in cells") {
  const CsvTable t = parse_csv(
      "\xEF\xBB\xBF"
      "a,b\r\n\"1,\"\"2\"\"\n3\",x\r\n\r\n y ,\r\n",
      "t.csv");
  CHECK(t.header == std::vector<std::string>{"a", "b"});
  REQUIRE(t.rows.size() == 2);
  CHECK(t.rows[0].cells == std::vector<std::string>{"1,\"2\"\n3", "x"});
  CHECK(t.rows[0].line == 2);
  CHECK(t.rows[1].cells == std::vector<std::string>{"y", ""});
  CHECK(t.rows[1].line == 5);  // the quoted cell has one line end of its own, and a blank line follows
}

TEST_CASE("what is no table is refused with every place") {
  CHECK(error_of([] { parse_csv("", "t.csv"); }) ==
        "t.csv:1: the table is empty; its first line names the columns");
  CHECK(
      error_of([] { parse_csv("a,b\n1\n1,2,3\n", "t.csv"); }) ==
      "t.csv:2: 1 cells where the header names 2 columns\nt.csv:3: 3 cells where the header names 2 columns");
  CHECK(error_of([] { parse_csv("a,b\n1,\"2\n3,4\n", "t.csv"); }) ==
        "t.csv:2: a quoted cell is never closed");
  CHECK(holds(error_of([] { parse_csv("a,b\n1,2\"\n", "t.csv"); }), "t.csv:2: a quote inside a cell"));
  CHECK(holds(error_of([] { parse_csv("a,b\n\"1\"x,2\n", "t.csv"); }),
              "t.csv:2: text after the closing quote"));
  CHECK(error_of([] { parse_csv("a,a\n", "t.csv"); }) == "t.csv:1: column 'a' stands twice");
  CHECK(holds(error_of([] { parse_csv(std::string_view("a\n\0\n", 4), "t.csv"); }), "a zero byte"));
}

TEST_CASE("a misspelt column is named, a missing one too, and one of somebody's own is passed over") {
  const std::string wrong = error_of([] { read_published("hardwar,gpus\nh100,8\n", "t.csv"); });
  CHECK(holds(wrong, "t.csv:1: unknown column 'hardwar', did you mean 'hardware'?"));
  CHECK(holds(wrong, "t.csv:1: column 'layers' is missing"));
  const PublishedTable t = read_published(
      "my_colour,hardware,gpus,layers,hidden,ffn,heads,vocab,seq_len,global_batch,measured_tokens_s_gpu\n"
      "blue,h100,8,2,1024,4096,8,32000,2048,16,1000\n",
      "t.csv");
  CHECK(t.ignored_columns == std::vector<std::string>{"my_colour"});
  REQUIRE(t.rows.size() == 1);
  CHECK(t.rows[0].unusable.empty());
  CHECK(t.rows[0].id == "line-2");
  // 2048 x 16 tokens at 1000 tokens/s on each of 8 GPUs.
  CHECK(t.rows[0].measured_step_s == doctest::Approx(4.096).epsilon(1e-12));
  CHECK(t.rows[0].left_open("micro_batch"));
}

TEST_CASE("a wrong cell makes its row unusable, with file, line and column") {
  const std::string text = std::string(kHeader) +
                           "a,h100,8,2,1024,4096,8,32000,2048,16,two,1.5\n"
                           "b,h100,8,2,1024,4096,8,32000,2048,16,-1,1.5\n"
                           "c,h100,8,2,1024,4096,8,32000,2048,16,0,1.5\n"
                           "d,h100,8,2,1024,4096,8,32000,2048,16,1,nan\n"
                           "e,h100,8,2,1024,4096,8,32000,2048,16,2.0,1.5\n";
  const PublishedTable t = read_published(text, "t.csv");
  CHECK(t.rows[0].unusable == "t.csv:2: column 'tp': 'two' is no count");
  CHECK(t.rows[1].unusable == "t.csv:3: column 'tp': '-1' is no count");
  CHECK(holds(t.rows[2].unusable, "t.csv:4: micro_batch, tp"));
  CHECK(holds(t.rows[3].unusable, "column 'measured_step_s': 'nan' is no number"));
  CHECK(t.rows[4].unusable.empty());
  CHECK(t.rows[4].tp == 2);
}

TEST_CASE("every row of the library is readable and becomes a scenario that says what was assumed") {
  const Library library;
  const PublishedTable table = published_rows(library);
  CHECK(table.rows.size() == 660);
  CHECK(table.ignored_columns.empty());
  for (const PublishedRow& row : table.rows) {
    CAPTURE(row.id);
    CHECK(row.unusable == "");
    const RowScenario written = scenario_of(row, library, {});
    CHECK(holds(written.text, "# Source: "));
    for (const std::string& assumption : written.assumptions) CHECK(holds(written.text, assumption));
  }
}

TEST_CASE("a published row as text simulates to the very step time that validate predicts") {
  const Library library;
  const PublishedTable table = published_rows(library);
  // Dense with recomputation unknown, experts, sharded parameters, 2022's software, a low-rank attention.
  std::vector<PublishedRow> rows;
  for (const char* id : {"dgxc-171", "mbridge-231", "dgxc-228", "bloom-prequel-095", "simumax-b200-006"})
    rows.push_back(row_named(table.rows, id));
  ExperimentOptions options;
  const std::vector<RowPrediction> predicted = predict_rows(rows, library, options, false);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CAPTURE(rows[i].id);
    Document document = Document::parse(published_scenario(rows[i].id, library), "published");
    const StepExperiment e = simulate(read_scenario(document, library), options.seed);
    CHECK(to_seconds(e.step.time).value == predicted[i].step_s);
    CHECK(predicted[i].skipped == "");
  }
}

TEST_CASE("predictions do not depend on names: id, model, source, citation, family, config, notes") {
  const Library library;
  const PublishedTable table = published_rows(library);
  std::vector<PublishedRow> rows, renamed;
  for (std::size_t i = 0; i < table.rows.size(); i += 11) rows.push_back(table.rows[i]);
  renamed = rows;
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::string PublishedRow::*label :
         {&PublishedRow::id, &PublishedRow::source_key, &PublishedRow::citation, &PublishedRow::url,
          &PublishedRow::model, &PublishedRow::family, &PublishedRow::config, &PublishedRow::notes})
      renamed[i].*label = "x: \"#{" + std::to_string(i) + "\n\\";  // also what would break out of a text
  ExperimentOptions one, two;
  two.threads = 2;
  const auto a = predict_rows(rows, library, one, false), b = predict_rows(renamed, library, two, false);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CAPTURE(rows[i].id);
    CHECK(a[i].step_s == b[i].step_s);
    CHECK(a[i].peak_gib == b[i].peak_gib);
    CHECK(a[i].assumptions == b[i].assumptions);
  }
}

TEST_CASE("columns beyond the usual ones say what a model has: biases, windows, a framework's own schedule") {
  const Library library;
  const std::string oss = published_scenario("mbridge-095", library);
  CHECK(holds(oss, "biases: true\n"));
  CHECK(holds(oss, "normalization: rmsnorm\n"));
  CHECK(holds(oss, "sliding_window: {tokens: 128, global_every: 2}\n"));
  const std::string report = published_scenario("deepseek-v3-report-001", library);
  CHECK(holds(report, "software: hai-llm\n"));
  CHECK(holds(report, "name: dualpipe  # assumption: the schedule is not stated; the framework's own\n"));
  CHECK(holds(report, "recompute: [norms, mla_up, mlp_activation, moe_activation]"));
}

TEST_CASE("an unknown id is answered with the nearest") {
  const Library library;
  CHECK(holds(error_of([&] { published_scenario("mbridge-23", library); }), "did you mean 'mbridge-"));
}

TEST_CASE("hardware, framework and layouts that cannot be expressed are reasons, never silence") {
  const Library library;
  const PublishedTable table = published_rows(library);
  PublishedRow row = row_named(table.rows, "dgxc-228");
  ExperimentOptions options;
  auto reason = [&](auto change) {
    PublishedRow other = row;
    change(other);
    return predict_rows(std::span(&other, 1), library, options, false)[0].skipped;
  };
  CHECK(holds(reason([](PublishedRow& r) { r.hardware = "h10"; }), "column 'hardware': no node of 'h10'"));
  CHECK(holds(reason([](PublishedRow& r) { r.tp = 3; }), "does not divide the cluster's 512 GPUs"));
  CHECK(holds(reason([](PublishedRow& r) { r.precision = "int3"; }), "precision"));
  CHECK(holds(reason([](PublishedRow& r) { r.recompute = "sometimes"; }), "recompute"));
  CHECK(reason([](PublishedRow& r) { r.framework = "somebodys-own"; }) == "");
}
