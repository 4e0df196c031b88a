// Scenarios of the library and inline ones, read and simulated, for the tests of this folder and of tests/.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "scenarios/experiment.hpp"
#include "scenarios/library.hpp"
#include "sim/error.hpp"
#include "tests/error_of.hpp"  // IWYU pragma: export

namespace runcast {

inline Document library_run(const std::string& name, const std::vector<std::string>& settings = {}) {
  const Library library;
  const LibraryEntry* entry = library.find("runs", name);
  INVARIANT(entry != nullptr);
  Document document = Document::parse(entry->text, entry->path);
  for (const std::string& setting : settings) document.set(setting);
  return document;
}

inline nlohmann::ordered_json step_of(const std::string& name,
                                      const std::vector<std::string>& settings = {}) {
  return step_document(library_run(name, settings), Library(), {});
}

}  // namespace runcast
