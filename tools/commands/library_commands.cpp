// `runcast list [KIND]` and `runcast show NAME`: what the library holds, and one entry word for word.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "scenarios/published.hpp"
#include "sim/config.hpp"
#include "sim/error.hpp"
#include "tools/commands/command.hpp"
#include "tools/commands/option_values.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

// "hardware/gpus", "gpus" for short, or "hardware" for everything under it.
std::vector<std::string> folders_of_kind(const std::vector<std::string>& folders, const std::string& kind) {
  std::vector<std::string> found;
  std::copy_if(folders.begin(), folders.end(), std::back_inserter(found), [&](const std::string& folder) {
    return folder == kind || folder.starts_with(kind + "/") || folder.ends_with("/" + kind);
  });
  if (!found.empty()) return found;
  refuse_kind("list", kind, folders);
}

const LibraryEntry& entry_named(const Library& library, const std::string& name) {
  const auto found = library.find_anywhere(name);
  if (found.size() == 1) return *found.front();
  std::vector<std::string> names;
  if (!found.empty()) {
    for (const LibraryEntry* entry : found) names.push_back(entry->folder + "/" + entry->name);
    throw ConfigError(fmt::format("show: '{}' is in several kinds; say which: {}", name, joined(names)));
  }
  for (const LibraryEntry& entry : library.entries()) {
    names.push_back(entry.name);
    names.push_back(entry.folder + "/" + entry.name);
  }
  const std::string near = nearest_name(name, names);
  std::vector<std::string> longer;  // a beginning says more than equal letters: llama3 is no llama-13b
  for (const LibraryEntry& entry : library.entries())
    if (entry.name.starts_with(name)) longer.push_back(entry.folder + "/" + entry.name);
  if (!longer.empty() && !near.starts_with(name))
    throw ConfigError(fmt::format("show: the library has no '{}'; so begin: {}", name, joined(longer)));
  throw ConfigError(near.empty()
                        ? fmt::format("show: the library has no '{}'; `runcast list` shows what it has", name)
                        : fmt::format("show: the library has no '{}', did you mean '{}'?", name, near));
}

}  // namespace

Answer list_command(const Invocation& invocation) {
  const auto& words = invocation.arguments.positionals;
  const std::vector<std::string> folders = words.empty()
                                               ? invocation.library.folders()
                                               : folders_of_kind(invocation.library.folders(), words.front());
  Json rows = Json::array();
  std::string out;
  for (const std::string& folder : folders) {
    Columns table;
    table.column("", Columns::Align::left);
    table.column("", Columns::Align::left);
    for (const LibraryEntry& entry : invocation.library.entries()) {
      if (entry.folder != folder) continue;
      table.row({entry.name, entry.summary()});
      rows.push_back(
          {{"kind", folder}, {"name", entry.name}, {"summary", entry.summary()}, {"path", entry.path}});
    }
    out += fmt::format("{}{}\n{}", out.empty() ? "" : "\n", heading(folder, invocation.style), table.text(2));
  }
  return Answer({{"rows", rows}}, out);
}

Answer show_command(const Invocation& invocation) {
  constexpr std::string_view kPublished = "published:";
  const std::string& argument = invocation.arguments.positionals.front();
  if (argument.starts_with(kPublished)) {  // a measured row, as the scenario that it becomes
    const std::string text = published_scenario(argument.substr(kPublished.size()), invocation.library);
    return Answer({{"kind", "published"}, {"name", argument}, {"text", text}}, text);
  }
  const LibraryEntry& entry = entry_named(invocation.library, invocation.arguments.positionals.front());
  return Answer({{"kind", entry.folder}, {"name", entry.name}, {"path", entry.path}, {"text", entry.text}},
                entry.text);
}

}  // namespace runcast
