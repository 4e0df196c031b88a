// See the header.
#include "scenarios/documents.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace runcast {

namespace {

constexpr std::array<Question, 4> kQuestions{{
    {"run", run_document, true},
    {"step", step_document, true},
    {"goodput", goodput_document, false},
    {"memory", memory_document, false},
}};

}  // namespace

const Question* find_question(std::string_view name) {
  const auto* row = std::ranges::find(kQuestions, name, &Question::name);
  return row == kQuestions.end() ? nullptr : row;
}

std::string question_names() {
  std::array<std::string_view, kQuestions.size()> names;
  std::ranges::transform(kQuestions, names.begin(), &Question::name);
  return fmt::format("{}", fmt::join(names, " "));
}

nlohmann::ordered_json answer(const Question& question, Document document, const Library& library,
                              ExperimentOptions options) {
  options.activity = question.activity;
  return question.document(std::move(document), library, options);
}

bool says_yes(const nlohmann::ordered_json& document) {
  const auto at = [&](const char* path) {
    return document.value(nlohmann::ordered_json::json_pointer(path), nlohmann::ordered_json());
  };
  const auto fits = at("/step/memory/fits");
  const auto unfinished = at("/run/unfinished");
  return (!fits.is_boolean() || fits.get<bool>()) &&
         (unfinished.is_null() || unfinished != at("/run/trials"));
}

}  // namespace runcast
