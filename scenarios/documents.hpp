// The questions that are answered by one scenario's document, by name: one table for the command line, the C interface
// and Python, so that each gives the same document, verdict and limits.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "scenarios/experiment.hpp"

namespace runcast {

inline constexpr std::int64_t kMostTrials = 1'000'000;  // five numbers of each are kept
inline constexpr std::int64_t kMostThreads = 1024;      // more are taken for this many

using DocumentFunction = nlohmann::ordered_json (*)(Document, const Library&, const ExperimentOptions&);

struct Question {
  std::string_view name;
  DocumentFunction document;
  bool activity = false;  // the document tells what the GPUs do in each slice of the step
};

const Question* find_question(std::string_view name);  // nullptr: none is called so
std::string question_names();                          // "run step goodput memory"
nlohmann::ordered_json answer(const Question&, Document, const Library&, ExperimentOptions);
// Whether a document says yes: it fits where memory was asked for, and some trial finishes.
bool says_yes(const nlohmann::ordered_json& document);

}  // namespace runcast
