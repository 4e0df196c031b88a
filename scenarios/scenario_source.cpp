// Finding and opening of scenarios by name.
#include "scenarios/scenario_source.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "scenarios/published.hpp"
#include "sim/error.hpp"
#include "sim/source_text.hpp"

namespace runcast {

Document ScenarioSource::open(std::span<const std::string> more) const {
  Document document = Document::parse(text, name);
  for (const std::string& assignment : sets) document.set(assignment);
  for (const std::string& assignment : more) document.set(assignment);
  return document;
}

ScenarioSource scenario_source(const std::string& argument, const Library& library) {
  constexpr std::string_view kPublished = "published:";
  if (argument.starts_with(kPublished))
    return {published_scenario(argument.substr(kPublished.size()), library), argument, {}};
  const bool path_like =
      argument.find('/') != std::string::npos || argument.ends_with(".yaml") || argument.ends_with(".yml");
  std::error_code none;
  // A folder or a pipe that is called like a scenario of the library does not hide it.
  const bool named = library.find("runs", argument) != nullptr || !std::filesystem::exists(argument, none);
  if (!path_like && named && !std::filesystem::is_regular_file(argument, none)) {
    const LibraryEntry& entry = library.get("runs", argument, "scenario", "runcast");
    return {entry.text, entry.path, {}};
  }
  return {detail::file_text(argument), argument, {}};
}

}  // namespace runcast
