// The table of keys against the readers, which are the law: a document that records what is asked of it is read in
// every way that matters, and what was asked must be in the table, and what is in the table must be asked.
#include "scenarios/schema.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "scenarios/scenario.hpp"
#include "scenarios/study.hpp"
#include "sim/error.hpp"
#include "tests/scenarios/experiment_helpers.hpp"
#include "tests/scenarios/schema_validator.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

const Library& the_library() {
  static const Library library;
  return library;
}

std::string text_of_file(const std::string& path) {
  std::ifstream in(std::string(RUNCAST_SOURCE_DIR) + "/" + path);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

// ---- what the readers ask -------------------------------------------------------------------------------

struct Asked {
  std::set<std::string> forms, defaults, words;
};
using AskedKeys = std::map<std::string, Asked>;

void note(AskedKeys& keys, const std::vector<KeyReading>& readings) {
  for (const KeyReading& r : readings) {
    Asked& asked = keys[schema_path(r.path)];
    asked.forms.insert(r.form);
    if (!r.fallback.empty()) asked.defaults.insert(r.fallback);
    for (const std::string& word : r.words) asked.words.insert(word);
  }
}

// Readings are kept whether or not what was read is legal.
void read_recorded(AskedKeys& keys, Document document) {
  document.record_readings();
  try {
    (void)read_scenario(document, the_library());
  } catch (const ConfigError&) {
  }
  note(keys, document.readings());
}

std::string everything() { return text_of_file("tests/scenarios/everything.yaml"); }

Document everything_with(const std::vector<std::string>& sets) {
  Document document = Document::parse(everything(), "everything.yaml");
  for (const std::string& set : sets) document.set(set);
  return document;
}

// What excludes each other, and what is asked only where something else is left out.
const std::vector<std::vector<std::string>> kVariants = {
    {"cluster.placement={file: none}"},
    {"cluster.faults=[{stage: 0}, {rack: 0}, {rank: 0}, {link: a}, {switch: b}]"},
    {"schedule.stage_layers=[4, 4, 4, 4]"},
    {"schedule={}"},
    {"layout={}"},
    {"training.recompute={layers: 1}"},
    {"training.recompute=[norms]"},
    {"training.sharding={hsdp: 8}"},
    {"training.sharding={zero1: 8}"},
    {"training.offload=[optimizer]"},
    {"training.stop={loss: 3}"},
    {"training={sequence_length: 4096, global_batch: 128}"},
    {"training.phases=[{tokens: 1B}]"},
    {"cluster.fabric={}"},
    {"cluster.fabric.tiers=[{name: a}]"},
    {"cluster.fabric={kind: torus, link_bandwidth: 100 Gbps, sides: [2, 2, 2]}"},
    {"cluster.fabric={kind: torus, link_bandwidth: 100 Gbps}"},
    {"cluster.fabric={kind: dragonfly, link_bandwidth: 100 Gbps, group_routers: 2, global_links: 2}"},
    {"cluster.node.scale_up.kind=torus", "cluster.node.scale_up.axes=3"},
    {"cluster.node.gpu.kernels={gemm_efficiency: {}}", "cluster.node.gpu.peak={}",
     "cluster.node.gpu.price_low=", "cluster.node.gpu.price_high="},
    {"software={}"},
    {"model={layers: 16, hidden: 1024, ffn: 4096, heads: 16, vocabulary: 32000}"},
    {"model.latent_attention={kv_lora: 128, rope_dim: 32, nope_dim: 64, v_dim: 64}",
     "model.experts={count: 16, top_k: 2, ffn: 512}", "model.sliding_window={tokens: 8}"},
    {"failures={classes: [{name: a, rate: 1 /day}, {name: b, rate: 1 /day, action: preempt}]}"},
    {"failures.classes=[{name: a, rate: 1 /day, action: slow, slowdown: 2}, {name: b, rate: 1 /day, "
     "action: rollback}, {name: c, domain: leaf, rate: 1 /day}]",
     "failures.lemons={}", "failures.young={}"},
    {"storage={}"},
    {"checkpoint={tiers: [{name: a}, {name: b, kind: local_disk}]}"},
    {"recovery={repair: {}}"},
    {"recovery={detect: {}, diagnose: {}, reschedule: {}, start: {}, initialize: {}, load: {}, warm_up: {}}"},
    {"recovery.repair={law: gamma}"},
    {"economics={windows: [{from: 1, to: 2}], capital: {gpu: 1 USD}}"},
    {"economics.hourly=none.csv"},
    {"name=", "cluster.fabric=", "software=", "failures=", "storage="},
    {"run={straggler: {}}"},
    {"limits={}"},
};

AskedKeys all_asked() {
  AskedKeys keys;
  for (const std::string& name : Library().names("runs")) read_recorded(keys, library_run(name));
  read_recorded(keys, everything_with({}));
  for (const auto& variant : kVariants) read_recorded(keys, everything_with(variant));
  return keys;
}

AskedKeys asked_of_studies() {
  AskedKeys keys;
  for (const char* text :
       {"scenario: one-node\nset: [training.tokens=1B]\nkeys: [{key: layout.tensor, values: [1, 2]}]\n"
        "answer: run\nresults: [step.mfu]\npivot: {rows: a, columns: b, value: c}\n",
        "scenario: one-node\ndesign: list\npoints: [{set: [layout.tensor=1]}]\n",
        "scenario: one-node\ndesign: random\ncount: 3\nkeys: [{key: a, from: 1, to: 2}]\n"}) {
    Document document = Document::parse(text, "study.yaml");
    document.record_readings();
    (void)read_study(document, text, Library());
    note(keys, document.readings());
  }
  return keys;
}

// The readers that a row's form may stand for.
std::set<std::string> readers_of(const SchemaRow& row) {
  switch (row.form) {
    case KeyForm::text:
      return {"text"};
    case KeyForm::prose:
      return {"skip"};
    case KeyForm::entry:
      return {"text", "section"};
    case KeyForm::map:
      return {"section"};
    case KeyForm::choice:
      return {"choice"};
    case KeyForm::flag:
      return {"flag"};
    case KeyForm::number:
      return row.words.empty() ? std::set<std::string>{"number"} : std::set<std::string>{"number", "text"};
    case KeyForm::count:
      return row.words.empty()     ? std::set<std::string>{"count"}
             : row.words == "auto" ? std::set<std::string>{"count_or_word"}
                                   : std::set<std::string>{"text"};
    case KeyForm::seconds:
      return row.words.empty()     ? std::set<std::string>{"seconds"}
             : row.words == "auto" ? std::set<std::string>{"seconds_or_word"}
                                   : std::set<std::string>{"text"};
    case KeyForm::bytes:
      return {"bytes"};
    case KeyForm::bandwidth:
      return {"bandwidth"};
    case KeyForm::flop_rate:
      return {"flop_rate"};
    case KeyForm::watts:
      return {"watts"};
    case KeyForm::dollars:
      return {"dollars"};
    case KeyForm::event_rate:
      return {"event_rate"};
    case KeyForm::carbon:
    case KeyForm::mass:
      return {"quantity"};
  }
  return {};
}

bool has_rows_below(std::span<const SchemaRow> rows, std::string_view path, std::string_view sign) {
  return std::ranges::any_of(
      rows, [&](const SchemaRow& r) { return r.path.starts_with(std::string(path) + std::string(sign)); });
}

void check_both_ways(std::span<const SchemaRow> rows, const AskedKeys& asked) {
  for (const auto& [path, how] : asked) {  // every key that a reader asks for is a row, or a list of rows
    CAPTURE(path);
    CHECK((std::ranges::any_of(rows, [&](const SchemaRow& r) { return r.path == path; }) ||
           has_rows_below(rows, path, "[]")));
  }
  for (const SchemaRow& row : rows) {
    CAPTURE(row.path);
    const bool item = row.path.ends_with("[]");
    const std::string key(item ? row.path.substr(0, row.path.size() - 2) : row.path);
    if (key.ends_with(".layout") || key.ends_with(".schedule")) continue;  // those of a phase
    const auto found = asked.find(key);
    REQUIRE_MESSAGE(found != asked.end(), "no reader asks for it");
    std::set<std::string> readers = item ? std::set<std::string>{"list", "texts", "counts"} : readers_of(row);
    if (has_rows_below(rows, key, ".")) readers.insert("section");
    if (item) continue;
    if (has_rows_below(rows, key, "[]")) readers.insert("texts");
    readers.insert("asked");
    for (const std::string& form : found->second.forms) {
      CAPTURE(form);
      CHECK(readers.contains(form));
    }
    CHECK(found->second.forms != std::set<std::string>{"asked"});
  }
}

Json schema_named(std::string_view name) {
  for (const SchemaKind& kind : schema_kinds())
    if (kind.name == name) return json_schema(kind, Library());
  return {};
}

std::string problem_of(const Json& schema, const std::string& text) {
  return violation(schema, schema, as_editor_reads(text), "");
}

}  // namespace

TEST_CASE("the scenario that names every key is legal, and names every key that excludes no other") {
  Document document = everything_with({});
  CHECK_NOTHROW((void)read_scenario(document, the_library()));
}

TEST_CASE(
    "every key that a reader asks for is a row of the table with that reader's form, and the other way") {
  check_both_ways(scenario_rows(), all_asked());
  check_both_ways(study_rows(), asked_of_studies());
}

TEST_CASE("legal values are those of the readers' own tables") {
  AskedKeys asked = all_asked();
  for (const auto& [path, how] : asked_of_studies()) asked[path] = how;
  for (const auto rows : {scenario_rows(), study_rows()})
    for (const SchemaRow& row : rows) {
      const auto found = asked.find(std::string(row.path));
      if (found == asked.end() || row.form != KeyForm::choice) continue;
      CAPTURE(row.path);
      const std::vector<std::string> list = legal_words(row);
      const std::set<std::string> words(list.begin(), list.end());
      CHECK(words == found->second.words);
    }
}

TEST_CASE("what the table says of a value left out is what the readers take") {
  const AskedKeys asked = all_asked();
  int compared = 0;
  for (const SchemaRow& row : scenario_rows()) {
    const auto found = asked.find(std::string(row.path));
    if (found == asked.end() || row.fallback == "required" || row.fallback.starts_with("(")) continue;
    CAPTURE(row.path);
    if (row.fallback.empty()) {
      CHECK(found->second.defaults.size() <= 1);  // a placeholder of what is then not there
      continue;
    }
    const bool plain = row.form == KeyForm::flag || row.form == KeyForm::number ||
                       (row.form == KeyForm::count && row.fallback != "auto");
    const std::string expected = plain ? std::string(row.fallback) : Json(row.fallback).dump();
    CHECK(found->second.defaults == std::set<std::string>{expected});
    ++compared;
  }
  CHECK(compared > 150);
}

TEST_CASE("a key is missing for the readers exactly where the table says that it is required") {
  const Json whole = as_editor_reads(everything());
  std::vector<std::string> paths;
  const auto walk = [&](const auto& self, const Json& value, const std::string& path) -> void {
    if (!path.empty()) paths.push_back(path);
    if (value.is_object())
      for (const auto& [key, child] : value.items()) self(self, child, path.empty() ? key : path + "." + key);
    if (value.is_array() && !value.empty() && value.front().is_object())
      for (std::size_t i = 0; i < value.size(); ++i)
        self(self, value[i], path + "[" + std::to_string(i) + "]");
  };
  walk(walk, whole, "");
  std::size_t required = 0;
  std::set<std::string_view> tried;
  for (const std::string& path : paths) {
    if (path.ends_with("]")) continue;
    const SchemaRow* row = find_schema_row(path);
    REQUIRE_MESSAGE(row != nullptr, path);
    if (!tried.insert(row->path).second) continue;
    CAPTURE(path);
    Document document = everything_with({path + "="});
    const std::string error = error_of([&] { (void)read_scenario(document, the_library()); });
    // A node without its gpu is told as `gpus` misspelt, since nothing else of it is read.
    const bool missing =
        error.find("missing key '" + path + "'") != std::string::npos ||
        (path == "cluster.node.gpu" && error.find("did you mean 'gpu'?") != std::string::npos);
    const bool with_its_kind = row->path == "failures.classes[].shape" ||
                               row->path == "failures.classes[].slowdown" ||
                               row->path == "failures.classes[].size";  // of some laws and actions
    if (!with_its_kind) CHECK(missing == (row->fallback == "required"));
    required += missing ? 1 : 0;
  }
  CHECK(required > 50);
}

TEST_CASE("every library run, what each resolves to, and every library entry are valid by the schema") {
  const Json schema = schema_named("scenario");
  const Library library;
  for (const std::string& name : library.names("runs")) {
    CAPTURE(name);
    CHECK(problem_of(schema, library.find("runs", name)->text) == "");
    Document document = library_run(name);
    (void)read_scenario(document, library);
    CHECK(violation(schema, schema, document.resolved(), "") == "");
  }
  CHECK(problem_of(schema, everything()) == "");
  const std::vector<std::pair<std::string, std::string>> kinds = {
      {"models", "model"},      {"hardware/nodes", "node"}, {"hardware/gpus", "gpu"}, {"fabrics", "fabric"},
      {"software", "software"}, {"failures", "failures"},   {"storage", "storage"}};
  for (const auto& [folder, kind] : kinds) {
    const Json of_kind = schema_named(kind);
    for (const std::string& name : library.names(folder)) {
      CAPTURE(name);
      CHECK(problem_of(of_kind, library.find(folder, name)->text) == "");
    }
  }
}

TEST_CASE("what the readers refuse by itself the schema refuses too") {
  const Json schema = schema_named("scenario");
  const std::string good =
      "model: m\ncluster: {node: n, nodes: 1}\ntraining: {sequence_length: 1, global_batch: 1}\n";
  CHECK(problem_of(schema, good) == "");
  CHECK(problem_of(schema, good + "layout: {tensr: 8}\n") == ".layout.tensr: is no key");
  CHECK(problem_of(schema, good + "layout: {tensor: -1}\n") == ".layout.tensor: is too small");
  CHECK(problem_of(schema, good + "layout: {tensor: eight}\n") != "");
  CHECK(problem_of(schema, good + "layout: {tensor: 8, sequence_parallel: yes}\n") != "");
  CHECK(problem_of(schema, good + "schedule: {name: 1f2b}\n") == ".schedule.name: not in the enum");
  CHECK(problem_of(schema, good + "checkpoint: {interval: 10}\n") != "");
  CHECK(problem_of(schema, good + "checkpoint: {interval: 10 min}\n") == "");
  CHECK(problem_of(schema, good + "checkpoint: {interval: young}\n") == "");
  CHECK(problem_of(schema, good + "checkpoint: {interval: 10 parsec}\n") != "");
  CHECK(problem_of(schema, good + "training.tokens: 1\n") == ".training.tokens: is no key");
  CHECK(problem_of(schema, "model: m\ncluster: {node: n, nodes: 1}\n") == ": has no \"training\"");
}

TEST_CASE("a key is found with and without indices, and a phase's layout is the run's") {
  REQUIRE(find_schema_row("failures.classes[3].rate") != nullptr);
  CHECK(find_schema_row("failures.classes[3].rate")->path == "failures.classes[].rate");
  CHECK(find_schema_row("training.phases[0].layout.tensor")->path == "layout.tensor");
  CHECK(find_schema_row("failures.classes")->path == "failures.classes[]");
  CHECK(find_schema_row("layout.tensr") == nullptr);
}

TEST_CASE("scenarios/reference.md is what the table says now; `runcast schema --format md` writes it") {
  CHECK(text_of_file("scenarios/reference.md") == schema_reference());
}

}  // namespace runcast
