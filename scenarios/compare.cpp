// The differences of documents, key by key and term by term.
#include "scenarios/compare.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

struct Output {
  const char* path;  // JSON pointer
  const char* key;   // as it is told
};
constexpr std::array kOutputs = {Output{"/step/time_s", "step.time_s"},
                                 Output{"/step/tokens_per_s_per_gpu", "step.tokens_per_s_per_gpu"},
                                 Output{"/step/mfu", "step.mfu"},
                                 Output{"/step/hfu", "step.hfu"},
                                 Output{"/step/bubble_fraction", "step.bubble_fraction"},
                                 Output{"/step/memory/peak_gib", "step.memory.peak_gib"},
                                 Output{"/step/memory/fits", "step.memory.fits"},
                                 Output{"/step/gpus", "step.gpus"},
                                 Output{"/run/days/mean", "run.days.mean"},
                                 Output{"/run/ideal_days", "run.ideal_days"},
                                 Output{"/run/goodput/mean", "run.goodput.mean"},
                                 Output{"/run/interruptions/mean", "run.interruptions.mean"},
                                 Output{"/cost/usd", "cost.usd"},
                                 Output{"/cost/gpu_hours", "cost.gpu_hours"},
                                 Output{"/cost/energy_mwh", "cost.energy_mwh"},
                                 Output{"/cost/co2e_t", "cost.co2e_t"}};

// "/layout/order/0" -> "layout.order[0]".
std::string key_of(const std::string& pointer) {
  std::string key;
  for (std::size_t begin = 1; begin <= pointer.size();) {
    const std::size_t end = std::min(pointer.find('/', begin), pointer.size());
    const std::string word = pointer.substr(begin, end - begin);
    const bool number =
        !word.empty() && std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
    key += number ? "[" + word + "]" : (key.empty() ? "" : ".") + word;
    begin = end + 1;
  }
  return key;
}

Json at(const Json& flat, const std::string& pointer) {
  const auto found = flat.find(pointer);
  return found == flat.end() ? Json(nullptr) : *found;
}

// Every input that is not the same in all, in the order in which scenarios name them first.
Json inputs_that_differ(const std::vector<Json>& documents) {
  std::vector<Json> flat;
  for (const Json& document : documents) {
    Json scenario = document["scenario"];
    for (const char* about : {"published", "assumptions"})
      scenario.erase(about);  // nothing is simulated from them
    flat.push_back(scenario.flatten());
  }
  std::vector<std::string> pointers;
  for (const Json& one : flat)
    for (const auto& [pointer, value] : one.items())
      if (std::ranges::find(pointers, pointer) == pointers.end()) pointers.push_back(pointer);
  Json list = Json::array();
  for (const std::string& pointer : pointers) {
    if (pointer == "/name") continue;  // says nothing about the run
    Json values = Json::array();
    for (const Json& one : flat) values.push_back(at(one, pointer));
    if (std::ranges::all_of(values, [&](const Json& value) { return value == values.front(); })) continue;
    list.push_back({{"key", key_of(pointer)}, {"values", std::move(values)}});
  }
  return list;
}

Json outputs_side_by_side(const std::vector<Json>& documents) {
  Json list = Json::array();
  for (const Output& output : kOutputs) {
    Json values = Json::array(), ratios = Json::array();
    for (const Json& document : documents)
      values.push_back(document.value(Json::json_pointer(output.path), Json()));
    for (std::size_t i = 1; i < values.size(); ++i) {
      const bool numbers = values[0].is_number() && values[i].is_number() && values[0].get<double>() != 0;
      ratios.push_back(numbers ? Json(values[i].get<double>() / values[0].get<double>() - 1) : Json(nullptr));
    }
    list.push_back({{"key", output.key}, {"values", std::move(values)}, {"relative", std::move(ratios)}});
  }
  return list;
}

double number(const Json& value) { return value.is_number() ? value.get<double>() : 0; }

Json step_terms(const Json& document) {
  Json terms;
  for (const auto& [key, value] : document["step"]["breakdown_s"].items()) terms[key] = value;
  return terms;
}

// The ledger in days, useful days by the shares of the step's terms.
Json day_terms(const Json& document) {
  const double days = number(document["run"]["days"]["mean"]), step = number(document["step"]["time_s"]);
  const Json& ledger = document["run"]["ledger"];
  Json terms;
  for (const auto& [key, value] : document["step"]["breakdown_s"].items())
    terms["step." + key] = days * number(ledger["useful"]) * number(value) / step;
  for (const auto& [key, value] : ledger.items())
    if (key != "useful") terms[key] = days * number(value);
  return terms;
}

Json difference(const Json& from, const Json& to) {
  Json terms, out;
  double sum = 0;
  for (const auto& [key, value] : to.items()) {
    terms[key] = number(value) - number(from[key]);
    sum += terms[key].get<double>();
  }
  out["total"] = sum;
  out["terms"] = std::move(terms);
  return out;
}

}  // namespace

nlohmann::ordered_json compare_document(const std::vector<ScenarioSource>& sources, const Library& library,
                                        const ExperimentOptions& options) {
  std::vector<Json> documents;
  Json names = Json::array(), steps = Json::array(), days = Json::array();
  for (const ScenarioSource& source : sources) {
    documents.push_back(run_document(source.open(), library, options));
    names.push_back(source.name);
  }
  for (std::size_t i = 1; i < documents.size(); ++i) {
    steps.push_back(difference(step_terms(documents[0]), step_terms(documents[i])));
    days.push_back(difference(day_terms(documents[0]), day_terms(documents[i])));
  }
  Json json = {{"schema_version", 1}, {"scenarios", std::move(names)}};
  json["inputs"] = inputs_that_differ(documents);
  json["outputs"] = outputs_side_by_side(documents);
  json["step_difference_s"] = std::move(steps);
  json["days_difference"] = std::move(days);
  const bool same_inputs = json["inputs"].empty();
  const bool same_outputs = std::ranges::all_of(json["outputs"], [](const Json& row) {
    return std::ranges::all_of(row["values"], [&](const Json& value) { return value == row["values"][0]; });
  });
  json["equal"] = same_inputs && same_outputs;
  Json assumptions = Json::array();
  for (const Json& document : documents)
    for (const Json& line : document["provenance"]["assumptions"])
      if (std::ranges::find(assumptions, line) == assumptions.end()) assumptions.push_back(line);
  json["provenance"] = {
      {"version", RUNCAST_VERSION}, {"seed", options.seed}, {"assumptions", std::move(assumptions)}};
  return json;
}

}  // namespace runcast
