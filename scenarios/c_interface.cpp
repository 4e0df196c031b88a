// The C interface of the shared library: a question becomes a scenario and options, an exception a status. Leaves out
// studies, which are many questions.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "scenarios/documents.hpp"
#include "scenarios/runcast.h"
#include "scenarios/scenario_source.hpp"
#include "sim/error.hpp"

namespace runcast {
namespace {

const Question& question_of(const runcast_question& asked) {
  const std::string_view name = asked.command != nullptr ? asked.command : "";
  const Question* row = find_question(name);
  if (row == nullptr)
    throw ConfigError(fmt::format("runcast_ask: unknown command '{}'; legal: {}", name, question_names()));
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
  if (question.trials < 0 || question.trials > kMostTrials)
    throw ConfigError(fmt::format("runcast_ask: {} trials; from 1 to {}, or 0 for the default",
                                  question.trials, kMostTrials));
  if (question.threads < 0) throw ConfigError(fmt::format("runcast_ask: {} threads", question.threads));
  ExperimentOptions options;
  if (question.seed != 0) options.seed = question.seed;
  if (question.trials != 0) options.trials = question.trials;
  options.threads = std::clamp(question.threads, 1, static_cast<int>(kMostThreads));
  return options;
}

int put(const std::string& text, int status, char** answer) {
  *answer = static_cast<char*>(std::malloc(text.size() + 1));
  if (*answer != nullptr) std::memcpy(*answer, text.c_str(), text.size() + 1);
  return status;
}

int ask(const runcast_question& question, char** text) {
  Library library;
  if (question.library != nullptr) library.overlay(question.library);
  const nlohmann::ordered_json document =
      answer(question_of(question), source_of(question, library).open(), library, options_of(question));
  return put(document.dump(2), says_yes(document) ? RUNCAST_DONE : RUNCAST_NO, text);
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
