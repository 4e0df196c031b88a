// import: what people already have becomes a library entry or a scenario. failures: a CSV of past failures, fitted; hf: a
// config.json of Hugging Face; megatron: the arguments of a launch; nccl-topo: NCCL's topology; aicb: a workload of AICB.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "parallelism/model.hpp"
#include "scenarios/failure_log.hpp"
#include "scenarios/interchange/aicb.hpp"
#include "scenarios/interchange/huggingface.hpp"
#include "scenarios/interchange/megatron.hpp"
#include "scenarios/interchange/nccl_topology.hpp"
#include "scenarios/scenario.hpp"
#include "sim/config.hpp"
#include "sim/error.hpp"
#include "tools/commands/kinds.hpp"
#include "tools/commands/option_values.hpp"
#include "tools/commands/simulate.hpp"
#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

Json law_json(const LawFit& fit) {
  return {{"law", kLawNames[static_cast<std::size_t>(fit.law)]},
          {"shape", fit.shape},
          {"mean_s", fit.mean.value},
          {"log_likelihood", fit.log_likelihood},
          {"aic", fit.aic},
          {"ks_distance", fit.ks_distance},
          {"ks_p", fit.ks_p}};
}

Json laws_json(const std::vector<LawFit>& fits) {
  Json list = Json::array();
  for (const LawFit& fit : fits) list.push_back(law_json(fit));
  return list;
}

// `-` is standard input, as for scenarios.
std::string file_of(const std::string& path) {
  return read_text(path == "-" ? "/dev/stdin" : path, "import");
}
std::string where_of(const std::string& path) { return path == "-" ? "<stdin>" : path; }

std::string name_of(const std::string& path) {
  if (path == "-") return "imported";
  const std::size_t slash = path.find_last_of('/');
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  return name.substr(0, name.find('.'));
}

// config.json says nothing: the folder that holds it is the model's.
std::string model_name(const std::string& path) {
  const std::filesystem::path file(path);
  std::string name = file.stem().string();
  if (name == "config" && file.has_parent_path()) name = file.parent_path().filename().string();
  return name.empty() || name == "-" || name == "config" || name == "." || name == ".." ? "imported" : name;
}

std::string parameter_text(std::int64_t n) { return fmt::format("{:.2f}B", static_cast<double>(n) / 1e9); }

std::string law_words(const Json& laws) {
  if (laws.empty()) return "too few";
  const Json& best = laws.front();
  const std::string law = text_of(best, "law");
  return law == "exponential" ? law : fmt::format("{} {}", law, number(number_of(best, "shape"), 3));
}

std::string screen_of(const Json& document, const Style& style) {
  std::string out = heading("FAILURES OF " + text_of(document, "name"), style) +
                    fmt::format("   {} in {} node-days\n", number(number_of(document, "failures")),
                                number(number_of(document, "node_days")));
  for (const Json& note : document["notes"]) out += "  " + note.get<std::string>() + "\n";
  Columns table;
  table.column("cause", Align::left);
  for (const char* name : {"count", "/node-day", "95 %"}) table.column(name, Align::right);
  table.column("gaps", Align::left);
  table.column("KS p", Align::right);
  table.column("mean repair", Align::right);
  for (const Json& cause : document["causes"]) {
    const double repair = number_of(cause, "mean_repair_s"),
                 p = cause["gaps"].empty() ? std::nan("") : number_of(cause["gaps"].front(), "ks_p");
    table.row({text_of(cause, "cause"), number(number_of(cause, "count")),
               number(number_of(cause, "rate_per_node_day"), 3),
               number(number_of(cause, "low"), 3) + " to " + number(number_of(cause, "high"), 3),
               law_words(cause["gaps"]), std::isfinite(p) ? fixed(p, 2) : std::string(),
               repair > 0 ? time_text(repair) : std::string()});
  }
  out += table.text(2) +
         "  gaps are of the whole system; p is optimistic, as the law was fitted to the same gaps\n";
  std::string commented;  // so that the whole is a library entry
  for (std::size_t begin = 0; begin < out.size();) {
    const std::size_t end = out.find('\n', begin);
    commented += "# " + out.substr(begin, end - begin) + "\n";
    begin = end + 1;
  }
  return commented + text_of(document, "yaml");
}

Answer import_failures(const Invocation& invocation, const std::string& path) {
  const Arguments& arguments = invocation.arguments;
  LogOptions options;
  if (arguments.has("nodes")) options.nodes = whole_number(arguments.last("nodes"), "nodes", 1, 10'000'000);
  if (arguments.has("span")) options.span = parse_seconds(arguments.last("span"), "--span");
  const FailureLog record = read_failure_log(file_of(path), where_of(path), options);
  const std::vector<CauseFit> fits = fit_record(record);
  Json document = {{"schema_version", 1},
                   {"name", name_of(path)},
                   {"failures", record.failures.size()},
                   {"nodes", record.nodes},
                   {"span_days", in_days(record.span)},
                   {"node_days", in_days(record.node_time)},
                   {"notes", record.notes},
                   {"causes", Json::array()}};
  for (const CauseFit& fit : fits)
    document["causes"].push_back({{"cause", fit.cause},
                                  {"count", fit.count},
                                  {"rate_per_node_day", fit.per_node.mean.value * kDay},
                                  {"low", fit.per_node.low.value * kDay},
                                  {"high", fit.per_node.high.value * kDay},
                                  {"gaps", laws_json(fit.gaps)},
                                  {"mean_repair_s", fit.mean_repair.value},
                                  {"open_repairs", fit.open_repairs},
                                  {"repairs", laws_json(fit.repairs)}});
  document["yaml"] = failure_model_yaml(name_of(path), record, fits);
  std::string screen = screen_of(document, invocation.style);
  return Answer(std::move(document), std::move(screen));
}

Answer import_hf(const Invocation&, const std::string& path) {
  const ImportedModel model = import_huggingface(file_of(path), model_name(path), where_of(path));
  const Model read = [&] {
    Document document = Document::parse(model.yaml, path + " as a model");
    Model m = read_model(document.root(), "");
    document.finish();
    return m;
  }();
  const ParameterCount count = count_parameters(read);
  Json document = {{"schema_version", 1},       {"name", read.name},
                   {"parameters", count.total}, {"active_parameters", count.active},
                   {"notes", model.notes},      {"yaml", model.yaml}};
  std::string screen = fmt::format("# {} parameters", parameter_text(count.total));
  if (count.active != count.total) screen += fmt::format(", {} of them active", parameter_text(count.active));
  screen += '\n';
  for (const std::string& note : model.notes) screen += "# " + note + '\n';
  return Answer(std::move(document), screen + model.yaml);
}

Answer import_megatron_script(const Invocation& invocation, const std::string& path) {
  const Arguments& arguments = invocation.arguments;
  const std::int64_t nodes =
      arguments.has("nodes") ? whole_number(arguments.last("nodes"), "nodes", 1, 10'000'000) : 0;
  const std::string node = arguments.has("node") ? arguments.last("node") : "hgx-h100";
  const MegatronImport read = import_megatron(file_of(path), name_of(path), where_of(path), node, nodes);
  try {
    Document document = Document::parse(read.yaml, where_of(path) + " as a scenario");
    (void)read_scenario(document,
                        invocation.library);  // what the options say together is legal, or refused here
  } catch (const ConfigError& error) {
    throw ConfigError(told_by_options(error.what(), read));
  }
  Json json = {{"schema_version", 1}, {"name", name_of(path)}, {"notes", read.notes}, {"yaml", read.yaml}};
  std::string screen;
  for (const std::string& note : read.notes) screen += "# " + note + '\n';
  return Answer(std::move(json), screen + read.yaml);
}

// Notes as comments above the text.
Answer text_with_notes(Json document, const std::vector<std::string>& notes, const std::string& yaml) {
  document["notes"] = notes;
  document["yaml"] = yaml;
  std::string screen;
  for (const std::string& note : notes) screen += "# " + note + '\n';
  return Answer(std::move(document), screen + yaml);
}

Answer import_nccl_topo(const Invocation& invocation, const std::string& path) {
  const ImportedNode node = import_nccl_topology(file_of(path), name_of(path), where_of(path),
                                                 invocation.arguments.last("gpu"), invocation.library);
  Json document = {{"schema_version", 1}, {"name", node.name},         {"gpu", node.gpu},
                   {"gpus", node.gpus},   {"kind", node.kind},         {"nvlinks", node.nvlinks},
                   {"nics", node.nics},   {"nic_gbps", node.nic_gbps}, {"same_as", node.same_as}};
  std::vector<std::string> notes = node.notes;
  if (!node.same_as.empty())
    notes.push_back(fmt::format("these are the figures of the library's {}; `node: {}` says the same",
                                node.same_as, node.same_as));
  return text_with_notes(std::move(document), notes, node.yaml);
}

Answer import_aicb_workload(const Invocation& invocation, const std::string& path) {
  const Arguments& arguments = invocation.arguments;
  AicbOptions options;
  options.model = arguments.last("model");
  if (arguments.has("node")) options.node = arguments.last("node");
  if (arguments.has("micro-batch"))
    options.micro_batch = whole_number(arguments.last("micro-batch"), "micro-batch", 1, 1'000'000);
  const AicbImport read =
      import_aicb(file_of(path), name_of(path), where_of(path), options, invocation.library);
  Document document = Document::parse(read.yaml, path + " as a scenario");
  const Scenario scenario = read_scenario(document, invocation.library);
  std::vector<std::string> notes = read.notes;
  for (const std::string& line : compare_volumes(read, scenario)) notes.push_back(line);
  return text_with_notes({{"schema_version", 1}, {"name", name_of(path)}, {"model", read.model}}, notes,
                         read.yaml);
}

// What can be imported, each with its function.
struct Import {
  std::string_view kind;
  Answer (*answer)(const Invocation&, const std::string& path);
  std::string_view options;  // that it takes
};
constexpr std::array<Import, 5> kImports{{{"failures", import_failures, "nodes span"},
                                          {"hf", import_hf, ""},
                                          {"megatron", import_megatron_script, "nodes node"},
                                          {"nccl-topo", import_nccl_topo, "gpu"},
                                          {"aicb", import_aicb_workload, "node model micro-batch"}}};

}  // namespace

std::vector<std::string> import_kinds() {
  std::vector<std::string> kinds;
  for (const Import& row : kImports) kinds.emplace_back(row.kind);
  return kinds;
}

Answer import_command(const Invocation& invocation) {
  const std::string& kind = invocation.arguments.positionals[0];
  for (const Import& row : kImports) {
    if (row.kind == kind) {
      refuse_other_options(invocation, "import", kind, row.options,
                           {"nodes", "node", "gpu", "model", "micro-batch", "span"});
      return row.answer(invocation, invocation.arguments.positionals[1]);
    }
  }
  refuse_kind("import", kind, import_kinds());
}

}  // namespace runcast
