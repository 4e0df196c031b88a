// runcast._runcast: the questions of the command line as one function, scenario in and JSON text out. The package's
// Python file (runcast/__init__.py) makes dicts and arrays of it. The GIL is released while anything is simulated.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "scenarios/documents.hpp"
#include "scenarios/library.hpp"
#include "scenarios/scenario_source.hpp"
#include "scenarios/search.hpp"
#include "sim/error.hpp"

namespace {

namespace py = pybind11;
using namespace runcast;

Library library_of(const std::string& directory) {
  Library library;
  if (!directory.empty()) library.overlay(directory);
  return library;
}

// A name, a path or published:ID becomes (what errors call it, its text).
std::pair<std::string, std::string> open_source(const std::string& name, const std::string& library) {
  const ScenarioSource source = scenario_source(name, library_of(library));
  return {source.name, source.text};
}

ExperimentOptions options_of(std::int64_t trials, std::uint64_t seed, int threads) {
  if (trials < -1 || trials > kMostTrials)
    throw ConfigError(fmt::format("trials: {} is not from 1 to {}", trials, kMostTrials));
  ExperimentOptions options;
  options.seed = seed;
  if (trials > 0) options.trials = trials;
  options.automatic_trials = trials == -1;
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  options.threads = std::clamp(threads > 0 ? threads : cores, 1, static_cast<int>(kMostThreads));
  return options;
}

std::string ask(const std::string& command, const std::string& name, const std::string& text,
                const std::vector<std::string>& sets, const std::string& library, std::int64_t trials,
                std::uint64_t seed, int threads) {
  const Question* question = find_question(command);
  if (question == nullptr) throw ConfigError("unknown question '" + command + "'");
  const ScenarioSource source{text, name, sets};
  return answer(*question, source.open(), library_of(library), options_of(trials, seed, threads)).dump();
}

std::string search(const std::string& name, const std::string& text, const std::vector<std::string>& sets,
                   const std::string& library, const std::string& objective,
                   const std::vector<std::string>& space, std::size_t top, std::int64_t trials,
                   std::uint64_t seed, int threads) {
  SearchQuestion question;
  question.objective = objective;
  question.top = top;
  for (const std::string& axis : space) set_axis(question.axes, axis);
  const std::vector<std::string> legal = search_objectives();
  if (std::ranges::find(legal, objective) == legal.end())
    throw ConfigError(fmt::format("objective: '{}' is none of: {}", objective, fmt::join(legal, ", ")));
  const ScenarioSource source{text, name, sets};
  return search_document(source, question, library_of(library), options_of(trials, seed, threads)).dump();
}

std::vector<std::string> names(const std::string& folder, const std::string& library) {
  return library_of(library).names(folder);
}

}  // namespace

PYBIND11_MODULE(_runcast, m) {
  m.attr("version") = RUNCAST_VERSION;
  py::register_exception<ConfigError>(m, "ConfigError", PyExc_ValueError);
  using Released = py::call_guard<py::gil_scoped_release>;
  m.def("open_source", &open_source, Released());
  m.def("ask", &ask, Released());
  m.def("search", &search, Released());
  m.def("names", &names, Released());
}
