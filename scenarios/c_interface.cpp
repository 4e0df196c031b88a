// The C interface of the shared library: a question becomes a scenario and options, an exception a status. Leaves out
// studies, which are many questions.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "scenarios/experiment.hpp"
#include "scenarios/runcast.h"
#include "scenarios/scenario_source.hpp"
#include "sim/error.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

struct CommandRow {
  std::string_view name;
  Json (*document)(Document, const Library&, const ExperimentOptions&);
};
constexpr std::array<CommandRow, 4> kCommands{{
    {"run", run_document},
    {"step", step_document},
    {"goodput", goodput_document},
    {"memory", memory_document},
}};

const CommandRow& command_of(const runcast_question& question) {
  const std::string_view name = question.command != nullptr ? question.command : "";
  const auto* row =
      std::find_if(kCommands.begin(), kCommands.end(), [&](const CommandRow& r) { return r.name == name; });
  if (row == kCommands.end())
    throw ConfigError(fmt::format("runcast_ask: unknown command '{}'; legal: run step goodput memory", name));
  return *row;
}

ScenarioSource source_of(const runcast_question& question, const Library& library) {
  if ((question.scenario != nullptr) == (question.text != nullptr))
    throw ConfigError("runcast_ask: give either scenario (a name or a path) or text (YAML)");
  ScenarioSource source = question.text != nullptr ? ScenarioSource{question.text, "<text>", {}}
                                                   : scenario_source(question.scenario, library);
  if (question.set_count > 0 && question.set == nullptr)
    throw ConfigError("runcast_ask: set_count without set");
  for (std::size_t i = 0; i < question.set_count; ++i) source.sets.emplace_back(question.set[i]);
  return source;
}

ExperimentOptions options_of(const runcast_question& question) {
  constexpr std::int64_t kMostTrials = 1'000'000;
  if (question.trials < 0 || question.trials > kMostTrials)
    throw ConfigError(fmt::format("runcast_ask: {} trials; from 1 to {}, or 0 for the default",
                                  question.trials, kMostTrials));
  if (question.threads < 0) throw ConfigError(fmt::format("runcast_ask: {} threads", question.threads));
  ExperimentOptions options;
  if (question.seed != 0) options.seed = question.seed;
  if (question.trials != 0) options.trials = question.trials;
  options.threads = std::clamp(question.threads, 1, 1024);
  return options;
}

// Whether the model says yes: it fits where memory was asked for, and some trial finishes.
bool verdict_of(const Json& document) {
  const Json& fits = document.value("/step/memory/fits"_json_pointer, Json());
  const Json run = document.value("run", Json::object());
  const bool finishes = !run.contains("unfinished") || run["unfinished"] != run.value("trials", Json());
  return (!fits.is_boolean() || fits.get<bool>()) && finishes;
}

int put(const std::string& text, int status, char** answer) {
  *answer = static_cast<char*>(std::malloc(text.size() + 1));
  if (*answer != nullptr) std::memcpy(*answer, text.c_str(), text.size() + 1);
  return status;
}

int ask(const runcast_question& question, char** answer) {
  Library library;
  if (question.library != nullptr) library.overlay(question.library);
  const CommandRow& command = command_of(question);
  const Json document = command.document(source_of(question, library).open(), library, options_of(question));
  return put(document.dump(2), verdict_of(document) ? RUNCAST_DONE : RUNCAST_NO, answer);
}

}  // namespace
}  // namespace runcast

int runcast_ask(const runcast_question* question, char** answer) {
  using namespace runcast;
  if (answer == nullptr) return RUNCAST_REFUSED;
  *answer = nullptr;
  try {
    if (question == nullptr) return put("runcast_ask: no question", RUNCAST_REFUSED, answer);
    return ask(*question, answer);
  } catch (const ConfigError& error) {
    return put(error.what(), RUNCAST_REFUSED, answer);
  } catch (const std::exception& error) {
    return put(error.what(), RUNCAST_BUG, answer);
  }
}

void runcast_free(char* answer) { std::free(answer); }

const char* runcast_version(void) { return RUNCAST_VERSION; }
