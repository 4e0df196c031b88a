// Every key that a scenario or a study may have, as one visible table: what it holds, what it is when left out, which
// values are legal, and one sentence. From it come the JSON Schema (draft-07) that editors check and complete by, the
// reference of all keys, and `runcast explain KEY`. The readers of the folders stay the law (sim/config: a key that none
// of them reads is refused); tests/scenarios/schema_test.cpp holds this table against what they read.
// Leaves out: rules between keys (degrees that must multiply out), which only the readers can tell.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/library.hpp"

namespace runcast {

// How a value is written. entry: a library name, a path, or the map inline, whose keys are rows of their own.
enum class KeyForm {
  text,
  prose,  // anything: notes and sources, which are not looked into
  entry,
  map,
  choice,
  flag,
  number,
  count,
  bytes,
  bandwidth,
  seconds,
  flop_rate,
  watts,
  dollars,
  event_rate,
  carbon,  // kg/kWh, g/kWh
  mass,    // kg, t
};

struct SchemaRow {
  // "failures.classes[].rate"; "[]" is an item of a list. A key with several rows below it (a map, a list, a scalar of
  // its own) takes any of them.
  std::string_view path;
  KeyForm form;
  // What it is when left out: a value as the result echoes it; "required"; "" when there is then none of it; in
  // parentheses where it follows from something else.
  std::string_view fallback;
  // Legal values of a choice, or words beside a quantity; "=schedules": the names of that table's rows. Of an entry, the
  // library's folder.
  std::string_view words;
  std::string_view sentence;
};

// In the order in which a scenario is written. Study rows are those of `runcast sweep`.
std::span<const SchemaRow> scenario_rows();
std::span<const SchemaRow> study_rows();

// What can be asked for, with where its rows begin: "scenario" (""), "study", and the kinds of library entries.
struct SchemaKind {
  std::string_view name, root, sentence;
};
std::span<const SchemaKind> schema_kinds();

std::string_view form_name(KeyForm form);  // "time", "bandwidth"
std::string_view form_example(KeyForm form);

// A path without indices, and a phase's own layout and schedule as the run's: the path of its row.
std::string schema_path(std::string_view path);
// The row of a key; indices may be written or left out. Null when there is none.
const SchemaRow* find_schema_row(std::string_view path);
std::vector<std::string> legal_words(const SchemaRow& row);  // of a choice, or beside a quantity
std::vector<std::string> schema_paths();                     // of the scenario, for "did you mean"
// Sentence, value, what it is when left out, and the keys below it, for `runcast explain`.
std::string schema_row_text(const SchemaRow& row);

// Draft-07, with the library's names as values of entries. `kind` is one of schema_kinds().
nlohmann::ordered_json json_schema(const SchemaKind& kind, const Library& library);
// A table of every key, as Markdown: scenarios/reference.md.
std::string schema_reference();

namespace detail {
// The parts that scenario_rows() joins: what a scenario says itself, and the entries that it names.
std::span<const SchemaRow> experiment_rows();
std::span<const SchemaRow> model_rows();
std::span<const SchemaRow> hardware_rows();
std::span<const SchemaRow> software_rows();
std::span<const SchemaRow> failure_rows();
std::span<const SchemaRow> run_rows();  // checkpoint, recovery, economics, run
}  // namespace detail

}  // namespace runcast
